# SPDX-License-Identifier: MIT
"""Twenty stressors of stress-ng for a second each; tests/slow/test_suites_stress.py runs them all for longer."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "suites"))

import suite as suites  # noqa: E402

# First those with the most threads at a time: their kernel stacks are kept for the next ones.
NAMES = """pthread zombie clone fork vfork vforkmany pipe fifo futex mutex sem shm mq mmap mmapfork mremap signal sigrt epoll
    sock""".split()
SLACK_KIB = 24 << 10  # caches of the kernel's allocators


class Briefly(suites.StressNg):
    memory = "1G"
    near = tuple(NAMES)  # their order
    plan = {"seconds": {"stout": 1}}


def test_stressors():
    store = suites.run_missing(Briefly(), NAMES, again=True, places=("stout",), stout="subset")["stout"]
    results = {name: store.load(name)[name] for name in NAMES}
    assert not {name: result for name, result in results.items() if result["s"] != "ok"}
    assert results[NAMES[-1]]["free"] >= results["clone"]["free"] - SLACK_KIB
