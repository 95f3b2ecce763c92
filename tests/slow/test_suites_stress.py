# SPDX-License-Identifier: MIT
"""The stressors of stress-ng, whole: each has a row in docs/compatibility.md or passes."""
import pytest
from suite_shards import check

SHARDS = 16


@pytest.mark.parametrize("index", range(SHARDS))
def test_shard(index):
    check("stress-ng", index, SHARDS)
