#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Every system call of kernel/syscalls.def is made by the guest tests, with success and with its errors.

Nothing here is claimed by a comment: the kernel counts what it was asked for while a guest test runs (stout run
--count-calls) and run.py keeps the counts.  A test whose counts are missing or older than its program is run
first.  For each row of the table the sum over all tests must show
    a success, and an error                  unless EXEMPT says why not
    EBADF    if an argument is a descriptor
    ENOENT   if one is a path
    EFAULT   if one is a pointer
    EINTR    if the call can sleep for long  (INTERRUPTIBLE)
That the results are right is what the tests themselves compare with Linux.
"""
import errno
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import run  # noqa: E402

sys.path.insert(0, os.path.join(run.TOP, "scripts"))

from gen_syscalls_doc import read_table  # noqa: E402

NEEDS = {"FD": "EBADF", "ATFD": "EBADF", "PATH": "ENOENT", "STRING": "EFAULT", "IN": "EFAULT", "OUT": "EFAULT",
         "PTR": "EFAULT", "CPTR": "EFAULT"}
INTERRUPTIBLE = """read write readv writev recvfrom recvmsg sendto sendmsg accept accept4 connect poll ppoll select
    pselect6 epoll_wait epoll_pwait epoll_pwait2 futex futex_waitv nanosleep clock_nanosleep wait4 waitid fcntl flock
    open openat rt_sigtimedwait rt_sigsuspend pause semop semtimedop msgsnd msgrcv mq_timedsend mq_timedreceive""".split()

# Why a call need not show something.  "success" and "error" are the two general ones.
EXEMPT = {}


def exempt(calls, needs, _reason):
    for call in calls.split():
        EXEMPT.setdefault(call, set()).update(needs.split())


exempt("getpid gettid getppid getuid geteuid getgid getegid getpgrp sched_yield sync umask setfsuid setfsgid alarm "
       "munlockall exit exit_group rt_sigreturn brk", "error", "cannot fail")
exempt("set_tid_address", "error EFAULT", "looks at its address at the end only")
exempt("fork vfork inotify_init eventfd", "error", "fails by limits alone")
exempt("io_cancel", "success", "nothing that io_submit does can be cancelled, on Linux neither")
exempt("personality", "error", "accepts every number")
exempt("pause rt_sigsuspend restart_syscall", "success", "always ends with an error")
exempt("reboot", "success EFAULT", "ends the machine, or changes the one of the oracle")
exempt("pivot_root", "success", "the root is an initial RAM file system")
exempt("iopl ioperm", "success error", "answer differently in Linux with and without I/O ports")
exempt("pkey_alloc pkey_free", "success", "protection keys are off: they cannot hold in ring 0")
exempt("setns", "success", "there are no namespaces")
exempt("settimeofday clock_settime", "success", "would set the clock of the oracle's machine")
exempt("syslog", "EFAULT", "the log of the oracle may be empty")

# Not tested yet.  The list may only shrink: a name here that is tested fails, too.
UNTESTED = []


class Row:
    def __init__(self, name, arguments):
        self.name = name
        self.needs = {"success", "error"} | {NEEDS[kind] for kind in arguments if kind in NEEDS}
        if name in INTERRUPTIBLE:
            self.needs.add("EINTR")
        self.needs -= EXEMPT.get(name, set())


def read_rows():
    return [Row(name, [kind for kind, _ in arguments])
            for _, calls in read_table() for name, _, arguments in calls]


def run_stale(tests):
    """Runs the tests that have left no counts since they were compiled; the number that failed."""
    failed = 0
    for test in tests:
        if test.build() is None and is_newer(test.counts, test.program):
            continue
        problem = run.run_test(test)
        if problem:
            failed += 1
            print(f"FAIL {test.name}\n{problem}")
    return failed


def is_newer(path, than):
    return os.path.exists(path) and os.stat(path).st_mtime >= os.stat(than).st_mtime


def add_counts(path, shown):
    with open(path, encoding="ascii") as file:
        for line in file:
            name, succeeded, failed, _, *numbers = line.split()
            seen = shown.setdefault(name, set())
            seen.update(errno.errorcode.get(int(number), number) for number in numbers)
            if int(succeeded):
                seen.add("success")
            if int(failed):
                seen.add("error")


def main(args):
    tests = [test for test in run.find_tests() if test.settings.get("counts") != "no"]
    if "--as-is" not in args and run_stale(tests):
        return 1
    shown = {}
    for test in tests:
        if os.path.exists(test.counts):
            add_counts(test.counts, shown)
    rows = read_rows()
    missing = [(row.name, row.needs - shown.get(row.name, set())) for row in rows]
    missing = {name: needs for name, needs in missing if needs}
    problems = [f"{name}: no guest test shows {' '.join(sorted(needs))}" for name, needs in missing.items()
                if name not in UNTESTED]
    problems += [f"{name} is tested now: take it off UNTESTED" for name in UNTESTED if name not in missing]
    print("\n".join([*problems, f"{len(rows) - len(missing)} of {len(rows)} system calls are tested"]))
    return 1 if problems or not rows else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
