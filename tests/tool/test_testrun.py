# SPDX-License-Identifier: MIT
"""What the end of `stout test` says of a failure."""
from stout_tool.testrun import last_lines


def test_reasons_of_pytest():
    assert last_lines("def test():\n>   assert 1 == 2\nE   assert 1 == 2\nE    +  where\n\ntest_x.py:3: AssertionError\n") == [
        "E   assert 1 == 2", "E    +  where"]


def test_differences_of_pytest():
    assert last_lines("E   assert 'a\\nb' == 'a\\nc'\nE       a\nE     - c\nE     + b\nE       d\n") == ["E     - c", "E     + b"]


def test_last_lines_of_a_command():
    assert last_lines("\n".join(f"line {n}" for n in range(20)), count=2) == ["line 18", "line 19"]
    assert not last_lines("")
    assert last_lines("x" * 1000, width=10) == ["x" * 10]
