# SPDX-License-Identifier: MIT
"""A part of CPython's and Go's own test suites: what passes on Linux passes here, but what docs/compatibility.md lists."""
import os
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "suites"))

import suite as suites  # noqa: E402
import subset  # noqa: E402


def results_of(suite, units):
    """Both sides run once, in Stout all units in one machine."""
    return suites.run_missing(suite, units, again=True, stout="subset", lanes=4)


@pytest.fixture(scope="module")
def cpython():
    suite = suites.CPython()
    return suite, results_of(suite, subset.CPYTHON)


@pytest.fixture(scope="module")
def go():
    suite = suites.Go()
    return suite, results_of(suite, subset.GO)


def check(suite, stores, unit):
    comparison = suites.compare(suite, [unit], stores)
    print(comparison)
    assert comparison.base > 0, "nothing passed on Linux"
    assert not comparison.problems, "\n".join(comparison.problems)


@pytest.mark.parametrize("unit", subset.CPYTHON)
def test_cpython(cpython, unit):
    check(*cpython, unit)


@pytest.mark.parametrize("unit", subset.GO)
def test_go(go, unit):
    check(*go, unit)
