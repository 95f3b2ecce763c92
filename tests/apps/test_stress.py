# SPDX-License-Identifier: MIT
"""Twenty stressors of stress-ng for a second each; tests/slow/test_suites.py runs them all for longer."""
from stress import run_stressors

# First those with the most threads at a time: their kernel stacks are kept for the next ones.
NAMES = """pthread zombie clone fork vfork exec pipe fifo futex mutex sem shm mq mmap mmapfork mremap signal sigrt epoll
    sock""".split()
SLACK_KIB = 24 << 10  # caches of the kernel's allocators


def test_stressors():
    results = run_stressors(NAMES, seconds=1, limit=40)
    failed = {name: (result.status, result.text) for name, result in results.items() if not result.ok}
    assert not failed
    assert results[NAMES[-1]].free_kib >= results["clone"].free_kib - SLACK_KIB
