# SPDX-License-Identifier: MIT
"""A container as the commands see it: the folder ROOT/ID.

    state.json      the bundle, the annotations, the monitor (its pid, start time and boot), and how far it came
    machine.json    what the monitor starts (monitor.py), written before `create` returns
    control         the monitor's socket
    kernel.log      what the machine's kernel says
    lock            held by the command that changes something

The status is not what a file says but what is there: whether the monitor lives, and whether it was started.  A
monitor that was killed, or a host that went down, leaves a container that is stopped.
"""
from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import time
from collections.abc import Iterator
from typing import Any

from ..errors import StoutError, usage
from ..instances.state import connect_in, identify, is_alive, lock_file, read_json, write_json
from . import cgroup

VERSION = "1.1.0"  # of the specification
ID = re.compile(r"[A-Za-z0-9_+.-]{1,1024}\Z")
STATE, MACHINE, CONTROL, LOCK, KERNEL_LOG = "state.json", "machine.json", "control", "lock", "kernel.log"
ANSWER_SECONDS = 90.0  # many machines that start at once on a small host
END_SECONDS = 10.0


def default_root() -> str:
    if os.geteuid() == 0 and "XDG_RUNTIME_DIR" not in os.environ:
        return "/run/stout-oci"
    return os.path.join(os.environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.geteuid()}", "stout-oci")


class Container:
    def __init__(self, root: str, name: str) -> None:
        if not ID.match(name) or name in (".", ".."):
            raise usage(f"{name!r} cannot be the id of a container; use letters, digits, '_', '+', '-' and '.'.")
        self.name = name
        self.folder = os.path.join(root, name)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def claim(self, bundle: str) -> None:
        """The folder, and this process as its creator; nobody else has the id."""
        os.makedirs(os.path.dirname(self.folder), mode=0o700, exist_ok=True)
        try:
            os.mkdir(self.folder, 0o700)
        except FileExistsError:
            raise usage(f"There is a container {self.name} already; delete it, or use another id.") from None
        self.write({"id": self.name, "bundle": bundle, "creator": identify(os.getpid()), "annotations": {}})

    def write(self, state: dict[str, Any]) -> None:
        write_json(self.path(STATE), state)

    def state(self) -> dict[str, Any]:
        state = read_json(self.path(STATE))
        if state is None:
            raise StoutError(f"The container {self.name} does not exist.")
        return state

    def status(self, state: dict[str, Any]) -> str:
        if not is_alive(state.get("monitor")):
            return "creating" if is_alive(state.get("creator")) else "stopped"
        if "created" not in state:
            return "creating"
        return str(state.get("phase", "created"))

    def describe(self, status: str | None = None) -> dict[str, Any]:
        """The state as the specification writes it (runtime.md, State)."""
        state = self.state()
        status = status or self.status(state)
        described = {"ociVersion": VERSION, "id": self.name, "status": status, "bundle": state["bundle"],
                     "annotations": state["annotations"]}
        if status != "stopped" and "monitor" in state:
            described["pid"] = state["monitor"]["pid"]
        return described

    @contextlib.contextmanager
    def locked(self) -> Iterator[dict[str, Any]]:
        """Alone with the container; its state."""
        self.state()
        try:
            descriptor = lock_file(self.path(LOCK))
        except FileNotFoundError:
            raise StoutError(f"The container {self.name} does not exist.") from None
        assert descriptor is not None
        try:
            yield self.state()  # it may have been deleted meanwhile
        finally:
            os.close(descriptor)

    def ask(self, line: str, timeout: float = ANSWER_SECONDS) -> None:
        """One command to the monitor; StoutError is its refusal."""
        try:
            with self.connect() as sock:
                sock.settimeout(timeout)
                sock.sendall(line.encode() + b"\n")
                with sock.makefile("rb") as file:
                    answer = file.readline()
        except OSError:
            answer = b""
        if not answer:
            raise MonitorGone(f"The container {self.name} is not running.")
        document = json.loads(answer)
        if "error" in document:
            raise StoutError(document["error"])

    def connect(self) -> socket.socket:
        return connect_in(self.folder, CONTROL)

    def wait_until_stopped(self, state: dict[str, Any]) -> None:
        deadline = time.monotonic() + END_SECONDS
        while is_alive(state.get("monitor")):
            if time.monotonic() > deadline:
                raise StoutError(f"The monitor of the container {self.name} (process {state['monitor']['pid']}) does not end.")
            time.sleep(0.005)

    def remove(self) -> None:
        machine, state = {}, {}
        with contextlib.suppress(StoutError):
            machine, state = read_json(self.path(MACHINE)) or {}, read_json(self.path(STATE)) or {}
        cgroup.leave(state.get("cgroups") or [])
        if "kept" in machine:
            shutil.rmtree(machine["kept"], ignore_errors=True)
        shutil.rmtree(self.folder)


class MonitorGone(StoutError):
    pass


def all_containers(root: str) -> list[Container]:
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    return [Container(root, name) for name in names if ID.match(name) and os.path.exists(os.path.join(root, name, STATE))]
