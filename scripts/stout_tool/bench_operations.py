# SPDX-License-Identifier: MIT
"""The figures of `stout bench --all` for single operations: system calls, threads, memory (tests/bench/operations.c)."""
from __future__ import annotations

from .bench import Answer, Bench, Figure, Measure

# (name in the program, row, target as a share of the Linux guest's time, processors)
OPERATIONS = (
    ("getpid", "system call: getpid", 1 / 8, 1),
    ("instruction", "system call: getpid, by the syscall instruction", 1 / 2, 1),
    ("read", "system call: read, a byte of /dev/zero", 1 / 3, 1),
    ("write", "system call: write, a byte to /dev/null", 1 / 3, 1),
    ("open", "system call: open and close", 1 / 3, 1),
    ("stat", "system call: stat", 1 / 3, 1),
    ("clock", "system call: clock_gettime", 1 / 3, 1),
    ("futex", "threads: futex, to another thread and back, one processor", 1 / 2, 1),
    ("futex", "threads: futex, to another thread and back, two processors", 1 / 2, 2),
    ("create", "threads: create and join", 1 / 2, 1),
    ("mutex", "threads: a mutex, turns of two on two processors", 1 / 2, 2),
    ("handover", "threads: a mutex that the other holds, two processors", 1 / 2, 2),
    ("timer", "threads: how late a sleep of 200 us ends", 1 / 2, 1),
    ("map", "memory: mmap, touch and munmap of a page", 1 / 1.5, 1),
    ("anonymous", "memory: page fault, anonymous", 1 / 1.5, 1),
    ("file", "memory: page fault, a file's page in the cache", 1 / 1.5, 1),
    ("copy", "memory: page fault, copy on write", 1 / 1.5, 1),
    ("protect", "memory: mprotect, twice, and a store", 1 / 1.5, 1),
)
NAMES = tuple(dict.fromkeys(name for name, *_ in OPERATIONS))


def add(name: str, row: str, target: float, cpus: int) -> Measure:
    @Figure(row, "ns", target, slow=True)
    def measure(bench: Bench) -> Answer:
        return bench.program_times("operations", NAMES, cpus=cpus)[name]

    return measure


for operation in OPERATIONS:
    add(*operation)
