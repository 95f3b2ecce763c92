# SPDX-License-Identifier: MIT
"""Go's own test suite, whole."""
import pytest
from suite_shards import check, run

SHARDS = 4


@pytest.mark.parametrize("index", range(SHARDS))
def test_shard(index):
    check("go", index, SHARDS)


def test_whole():
    """Target: 97 percent of what passes on Linux."""
    comparison = run("go")
    assert comparison.passed >= 0.97 * comparison.base
