# SPDX-License-Identifier: MIT
"""CPython's and Go's own test suites and stress-ng's stressors, whole; the results of one kernel are kept, so that a stopped run goes on."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "suites"))

import suite as suites  # noqa: E402

SHARDS = {"cpython": 24, "go": 4, "stress-ng": 16}
TARGET = 0.97


def shards():
    return [(name, index) for name, number in SHARDS.items() for index in range(number)]


def units_of(name, index=0, step=1):
    suite = suites.SUITES[name]()
    return suite, list(suite.units())[index::step]


@pytest.mark.parametrize("name,index", shards())
def test_shard(name, index):
    suite, units = units_of(name, index, SHARDS[name])
    stores = suites.run_missing(suite, units, stout=suites.kernel_name())
    comparison = suites.compare(suite, units, stores)
    print(comparison)
    assert not comparison.problems, "\n".join(comparison.problems)


@pytest.mark.parametrize("name", ("cpython", "go"))  # of the stressors each has a row or passes
def test_whole(name):
    """Target of the whole: 97 percent of what passes on Linux."""
    suite, units = units_of(name)
    comparison = suites.compare(suite, units, suites.run_missing(suite, units, stout=suites.kernel_name()))
    print(comparison)
    assert comparison.passed >= TARGET * comparison.base
