# SPDX-License-Identifier: MIT
"""Every guest test on each road into the kernel: all calls by the syscall instruction, and each site patched at its
first call (docs/decisions/0006)."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "guest"))

import run  # noqa: E402


@pytest.mark.parametrize("road", ["patch_calls=off", "patch_calls=1"])
def test_roads(road, monkeypatch):
    monkeypatch.setenv("STOUT_TEST_KERNEL_OPTIONS", road)
    # patched_calls looks for the patches of the usual setting.
    tests = [test for test in run.find_tests() if test.base != "patched_calls" or road != "patch_calls=off"]
    problems = {test.name: run.run_test(test) for test in tests}
    assert not {name: problem for name, problem in problems.items() if problem}
