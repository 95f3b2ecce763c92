# SPDX-License-Identifier: MIT
"""The shards of a suite that runs whole, for test_suites_*.py.

The results of one kernel are kept as they come, and a run ends in time for the limit that it has: the next one goes on.
"""
import os
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "suites"))

import suite as suites  # noqa: E402

SLACK = 120  # seconds to end the machines and to say what came out
END = time.monotonic() + float(os.environ.get("STOUT_TEST_TIMEOUT", "inf")) - SLACK


def run(name, index=0, step=1):
    """The comparison of every step-th unit."""
    suite = suites.SUITES[name]()
    units = list(suite.units())[index::step]
    stores = suites.run_missing(suite, units, stout=suites.kernel_name(), budget=END - time.monotonic())
    comparison = suites.compare(suite, units, stores)
    print(comparison)
    return comparison


def check(name, index, step):
    comparison = run(name, index, step)
    assert not comparison.problems, "\n".join(comparison.problems)
