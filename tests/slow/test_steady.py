# SPDX-License-Identifier: MIT
"""nginx under load for long: no request fails, none stands still, and the twentieth run costs what the first did."""
import os
import re
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(TOP, "scripts"))

from stout_tool.bench import Bench  # noqa: E402
from stout_tool.bench_network import Counter  # noqa: E402
from stout_tool.bench_servers import UNITS, nginx  # noqa: E402

PORT = 8080
RUNS, SECONDS = 20, 3
SPREAD = 1.05  # instructions per request, the dearest run beside the cheapest
STALL_US = 1_000_000  # an emulator on a busy host answers in milliseconds; a lost wake-up waits for a timer


@pytest.fixture(scope="module")
def bench():
    return Bench()


def wrk(the_link, path, connections, seconds=SECONDS):
    """(requests, microseconds that the slowest took); every one has to succeed."""
    host, port = the_link.address(PORT)
    text = the_link.run("wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", f"http://{host}:{port}{path}")
    assert not re.search(r"Socket errors|Non-2xx", text), text
    longest, unit = re.search(r"Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s)\s", text).groups()
    return int(re.search(r"(\d+) requests in", text)[1]), float(longest) * UNITS[unit]


def cost(the_link, counter):
    """Instructions of a small answer, the program's and the kernel's; none takes long."""
    before = counter.read()
    requests, longest = wrk(the_link, "/1k", 16)
    program, _, kernel, _ = (now - then for then, now in zip(before, counter.read()))
    each = (program + kernel) / requests
    print(f"{requests} requests, {each:.0f} instructions each, the longest {longest / 1000:.1f} ms")
    assert longest < STALL_US
    return each


def test_twenty_runs(bench):
    guests, counter = nginx(bench), Counter(bench)
    with guests.run("ours", counter.options()):
        wrk(guests.link, "/1k", 16)  # what happens only once
        costs = []
        for _ in range(RUNS):
            costs.append(cost(guests.link, counter))
    assert max(costs) < min(costs) * SPREAD
    assert sum(costs[-5:]) < sum(costs[:5]) * SPREAD ** 0.5, "it becomes dearer with time"


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_processors(bench, cpus):
    """As many workers, which share the port."""
    guests = nginx(bench, f"master_process on; worker_processes {cpus};")
    command = bench.ours(guests.command[0], guests.command[1:], add=guests.add, cpus=cpus)[0]
    with guests.link.machine(command, guests.ports):
        for path, connections in (("/1k", 64), ("/1m", 16), ("/1k", 200)):
            requests, longest = wrk(guests.link, path, connections)
            print(f"{cpus}: {path}, {connections} connections: {requests} requests, the longest {longest / 1000:.1f} ms")


def test_little_memory(bench):
    """Answers that want ten times the memory there is: the rate bends, and nothing breaks.  (Of more than half of its
    worker_connections nginx closes idle ones when a client comes back before it has seen the old connections end.)"""
    guests, counter = nginx(bench), Counter(bench)
    command = bench.ours(guests.command[0], guests.command[1:], add=guests.add, memory="24M", more=counter.options())[0]
    with guests.link.machine(command, guests.ports):
        wrk(guests.link, "/1k", 16)
        alone = cost(guests.link, counter)
        for _ in range(3):
            print(wrk(guests.link, "/1m", 100, seconds=10))
        assert cost(guests.link, counter) < alone * SPREAD  # nothing is left of it
