# SPDX-License-Identifier: MIT
"""Five minutes of hostile system calls on four CPUs: the kernel survives, and as much memory is free as before."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "guest"))

import run  # noqa: E402

SECONDS = 300


def test_fuzz_calls():
    test = next(test for test in run.find_tests() if test.base == "fuzz_calls")
    assert test.build() is None
    command = [os.path.join(run.TOP, "stout"), "run", "--cpus", "4", "-m", "512M", test.program, str(SECONDS)]
    result = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS * 3)
    assert result.returncode == 0, result.stderr.decode("utf-8", "replace")[-8000:]
