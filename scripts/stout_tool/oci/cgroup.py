# SPDX-License-Identifier: MIT
"""The container's place among the host's control groups (config-linux.md, Control groups).

The machine's memory and processors are limits already, which its own kernel keeps.  What only the host can do is done here: the
monitor, and so QEMU, goes to linux.cgroupsPath, with the share and the quota of processor time.  memory.limit is not written: it is the
program's, and QEMU needs some beside it.  Where the path cannot be made (without root, or because systemd is to make it) the container
runs where its creator does.
"""
from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from typing import Any

from ..errors import usage

TOP = "/sys/fs/cgroup"
CONTROLLERS = ("cpu", "cpuacct", "memory", "pids", "freezer", "blkio")  # version 1; cpuset is for those who ask
PERIOD = 100000


def folders(path: str, resources: dict[str, Any], top: str) -> list[str]:
    """Where the processes are to be: one folder, or one for each hierarchy of version 1."""
    if os.path.exists(os.path.join(top, "cgroup.controllers")):
        return [top + path]
    names = [*CONTROLLERS, *(["cpuset"] if (resources.get("cpu") or {}).get("cpus") else [])]
    found = {os.path.realpath(os.path.join(top, name)) for name in names if os.path.isdir(os.path.join(top, name))}
    return sorted(folder + path for folder in found)


def settings(resources: dict[str, Any], is_unified: bool) -> list[tuple[str, str]]:
    """(file, what is written there)"""
    cpu = resources.get("cpu") or {}
    quota, period, shares = int(cpu.get("quota") or 0), int(cpu.get("period") or PERIOD), int(cpu.get("shares") or 0)
    found = []
    if is_unified:
        if quota > 0:
            found.append(("cpu.max", f"{quota} {period}"))
        if shares:  # 2 to 262144 becomes 1 to 10000, as in runc and crun
            found.append(("cpu.weight", str(1 + (max(2, min(shares, 262144)) - 2) * 9999 // 262142)))
    else:
        if quota > 0:
            found += [("cpu.cfs_period_us", str(period)), ("cpu.cfs_quota_us", str(quota))]
        if shares:
            found.append(("cpu.shares", str(shares)))
    for key in ("cpus", "mems"):
        if cpu.get(key):
            found.append((f"cpuset.{key}", str(cpu[key])))
    return found


def join(pid: int, linux: dict[str, Any], notice: Callable[[str], None], top: str = TOP) -> list[str]:
    """The folders that were made for it, the innermost first."""
    path = str(linux.get("cgroupsPath") or "")
    if not path:
        return []
    if ".." in path.split("/"):
        raise usage(f"linux.cgroupsPath is {path}, which leads out of where control groups are.")
    if ":" in path:
        notice(f"The control group {path} is systemd's to make; the container stays in that of its creator.")
        return []
    resources = linux.get("resources") or {}
    made: list[str] = []
    try:
        places = folders("/" + path.strip("/"), resources, top)
        if not places:
            raise FileNotFoundError(0, f"there are none in {top}")
        for folder in places:
            made = make(folder, top) + made
            is_unified = os.path.exists(os.path.join(top, "cgroup.controllers"))
            if not is_unified and os.path.exists(os.path.join(folder, "cpuset.mems")):
                inherit(folder)
            for name, text in settings(resources, is_unified):
                if os.path.exists(os.path.join(folder, name)):
                    write(folder, name, text)
            write(folder, "cgroup.procs", str(pid))
    except OSError as error:
        notice(f"The control group {path} cannot be used ({(error.strerror or '').lower()}); the container stays in that of its creator.")
    return made


def make(folder: str, top: str) -> list[str]:
    """What of the path was not there; controllers of version 2 are handed down on the way."""
    made: list[str] = []
    at = top
    for part in os.path.relpath(folder, top).split("/"):
        with contextlib.suppress(OSError):
            write(at, "cgroup.subtree_control", "+cpu +cpuset +memory +pids")
        at = os.path.join(at, part)
        if not os.path.isdir(at):
            os.mkdir(at)
            made.insert(0, at)
    return made


def inherit(folder: str) -> None:
    """A cpuset of version 1 is empty at first, and takes no process then."""
    parent = os.path.dirname(folder)
    for name in ("cpuset.cpus", "cpuset.mems"):
        with open(os.path.join(parent, name), encoding="ascii") as file:
            text = file.read().strip()
        if not text:
            inherit(parent)
            with open(os.path.join(parent, name), encoding="ascii") as file:
                text = file.read().strip()
        write(folder, name, text)


def write(folder: str, name: str, text: str) -> None:
    descriptor = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def leave(made: list[str]) -> None:
    """Of what was made, what nobody else uses."""
    for folder in made:
        with contextlib.suppress(OSError):
            os.rmdir(folder)
