# SPDX-License-Identifier: MIT
"""Five minutes of hostile system calls on four CPUs: the kernel survives, and as much memory is free as before."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "guest"))

import run  # noqa: E402

SECONDS = 300


def test_fuzz_calls():
    test = next(test for test in run.find_tests() if test.base == "fuzz_calls")
    assert test.build() is None
    test.settings |= {"args": str(SECONDS), "cpus": "4", "memory": "512M", "timeout": str(SECONDS * 3)}
    outcome = test.run_guest()
    assert outcome.status == 0, outcome.stderr.decode("utf-8", "replace")[-8000:]
