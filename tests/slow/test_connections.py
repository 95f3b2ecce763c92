# SPDX-License-Identifier: MIT
"""A million short connections in a row: none fails, and none stands still."""
import os
import re
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "scripts"))

from stout_tool.bench import Bench  # noqa: E402
from stout_tool.bench_network import PORT, peers, program  # noqa: E402

MILLION = 1_000_000
TURN = 50_000
STALL_NS = 900_000_000  # a lost SYN costs a second


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_million_connections(cpus):
    bench = Bench()
    guests = peers(bench)
    if not guests.link.holder:
        pytest.skip("no tap device")
    with guests.run("ours", cpus=cpus):
        for _ in range(MILLION // TURN):
            text = guests.link.run(program(bench), "connect", guests.link.address(PORT)[0], 3600, TURN, timeout=3600)
            found = {name: int(value) for name, value in re.findall(r"^connect_(\w+) (\d+)$", text, re.MULTILINE)}
            print(found)
            assert found["count"] == TURN and found["longest"] < STALL_NS, found
