# SPDX-License-Identifier: MIT
"""Bulk data over a line that loses, reorders and duplicates packets (relay.py): every byte is right, and nothing stands still."""
import contextlib
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../../scripts"))

from stout_tool.bench import Bench  # noqa: E402
from stout_tool.bench_link import GUEST  # noqa: E402
from stout_tool.bench_network import PORT, peers  # noqa: E402
from stout_tool.bench_servers import nginx  # noqa: E402

LINES = [(0, 0, 0), (1, 0, 0), (0, 5, 0), (0, 0, 5), (1, 2, 1), (2, 0, 0)]  # percent: lost, reordered, duplicated
PATIENCE_S = 100  # a transfer takes seconds; a connection that stands still gets its SIGKILL here


@contextlib.contextmanager
def bad_line(the_link, shares, seed=1):
    """Runs a client behind it: client(*words)."""
    relay = subprocess.Popen([*the_link.enter, sys.executable, os.path.join(HERE, "relay.py"), *map(str, shares), str(seed)],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert relay.stdout.readline() == b"ready\n"

        def client(*words):
            command = ["nsenter", "-t", str(relay.pid), "-n", sys.executable, os.path.join(HERE, "bulk.py"), *map(str, words)]
            result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
            assert result.returncode == 0, result.stderr
            return float(result.stdout)

        yield client
    finally:
        relay.stdin.close()
        relay.wait()


@pytest.fixture(scope="module")
def bench():
    return Bench()


def needs_root(guests):
    if not guests.link.holder or os.geteuid() != 0:
        pytest.skip("no tap device, or not root")
    return guests


@pytest.mark.parametrize("shares", LINES)
def test_download(bench, shares):
    """Segments that the device cuts."""
    guests = needs_root(nginx(bench))
    with guests.run("ours"), bad_line(guests.link, shares) as client:
        print(shares, [client("fetch", GUEST, 8080, "/1m") for _ in range(8)])


@pytest.mark.parametrize("shares", LINES)
def test_both_ways(bench, shares):
    guests = needs_root(peers(bench))
    with guests.run("ours"), bad_line(guests.link, shares) as client:
        print(shares, [client("echo", GUEST, PORT, 2_000_000 + n) for n in range(3)])
