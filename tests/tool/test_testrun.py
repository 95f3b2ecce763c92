# SPDX-License-Identifier: MIT
"""What the end of `stout test` says of a failure, and what --list does not do."""
from stout_tool import testrun
from stout_tool.errors import StoutError
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


def test_a_list_prepares_nothing(monkeypatch, capsys):
    """Only what CMake knows has to be configured; no test runs, so nothing has to be installed or compiled."""
    built = []
    monkeypatch.setenv("STOUT_TESTING", "1")
    monkeypatch.setattr(testrun, "set_up_tests", lambda: built.append("setup"))
    monkeypatch.setattr(testrun, "build_kernel", lambda: built.append("kernel"))
    monkeypatch.setattr(testrun, "build", lambda preset, products=(), targets=(): built.append((preset, *targets)))
    assert testrun.run_tests([label for label in testrun.LABELS if label not in ("unit", "fuzz")], list_only=True) == 0
    names = capsys.readouterr().out.split()
    assert built == [] and {"check_docs", "warnings-release", "every_call", "test_readme.py", "test_nested.py", "test_loss.py", "analyzer"} <= set(names)


def test_a_list_that_lacks_a_tier_fails(monkeypatch, capsys):
    """CMake has no compiler, say."""
    def build(preset, products=(), targets=()):
        raise StoutError("There is no compiler.")

    monkeypatch.setenv("STOUT_TESTING", "1")
    monkeypatch.setattr(testrun, "build", build)
    assert testrun.run_tests(["fuzz", "kvm"], list_only=True) == 1
    out = capsys.readouterr().out
    assert "FAIL fuzz" in out and "There is no compiler." in out and "test_nested.py" in out
