# SPDX-License-Identifier: MIT
"""Twenty stressors of stress-ng for a second each; tests/slow/test_stress_ng.py runs them all for longer."""
from stress import run_stressors

NAMES = """fork vfork clone exec pipe fifo futex mutex sem shm mq mmap mmapfork mremap signal sigrt epoll sock pthread
    zombie""".split()
SLACK_KIB = 24 << 10  # caches of the kernel's allocators, thread stacks among them


def test_stressors():
    results = run_stressors(NAMES, seconds=1, limit=40)
    failed = {name: (result.status, result.text) for name, result in results.items() if not result.ok}
    assert not failed
    assert results[NAMES[-1]].free_kib >= results[NAMES[0]].free_kib - SLACK_KIB
