# SPDX-License-Identifier: MIT
"""Every guest test on each road into the kernel, with the others off (docs/decisions/0006)."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "guest"))

import run  # noqa: E402


@pytest.mark.parametrize("road", run.ROADS)
def test_roads(road):
    problems = {test.name: run.run_test(test) for test in run.find_tests(road)}
    assert problems
    assert not {name: problem for name, problem in problems.items() if problem}
