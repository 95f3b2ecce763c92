# SPDX-License-Identifier: MIT
"""Gives QEMU's forwarded ports a real accept queue.

QEMU's user network listens with a backlog of one, so of many clients that connect at once most lose
their SYN and wait a second, three, seven for the next try; whole benchmarks stand still (a Linux
guest suffers as well).  listen() may be called again on a listening socket: this process takes a
copy of QEMU's descriptor (pidfd_getfd, allowed to a parent) and does so.  Where the kernel
refuses, everything works as before, only slower.
"""
from __future__ import annotations

import os
import socket

SYS_PIDFD_GETFD = 438
BACKLOG = 1024
LISTENING = "0A"


def listening_inodes(ports: set[int]) -> set[str]:
    """Inodes of the listening TCP sockets at these ports of this host."""
    inodes: set[str] = set()
    try:
        with open("/proc/net/tcp", encoding="ascii") as file:
            lines = file.read().splitlines()[1:]
    except OSError:
        return inodes
    for line in lines:
        fields = line.split()
        if fields[3] == LISTENING and int(fields[1].split(":")[1], 16) in ports:
            inodes.add(fields[9])
    return inodes


def widen(pid: int, ports: list[int]) -> bool:
    """True when all the ports of the process were found and widened."""
    wanted = {f"socket:[{inode}]" for inode in listening_inodes(set(ports))}
    if len(wanted) < len(set(ports)):
        return False
    folder, done = f"/proc/{pid}/fd", 0
    try:
        for name in os.listdir(folder):
            if os.readlink(os.path.join(folder, name)) in wanted:
                done += relisten(pid, int(name))
    except OSError:
        return False
    return done >= len(wanted)


def relisten(pid: int, fd: int) -> bool:
    import ctypes
    pidfd = os.pidfd_open(pid)
    try:
        copy = ctypes.CDLL(None, use_errno=True).syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
    finally:
        os.close(pidfd)
    if copy < 0:
        return False
    with socket.socket(fileno=copy) as listener:
        listener.listen(BACKLOG)
    return True
