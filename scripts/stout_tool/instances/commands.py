# SPDX-License-Identifier: MIT
"""The other commands of stout instance."""
from __future__ import annotations

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

from ..errors import StoutError, usage
from ..output import UNFINISHED, remove_abandoned
from ..paths import human_size, is_number
from ..tables import each_name, print_json, print_table
from . import log
from .instance import ALIVE, CONFIG, Instance, all_instances, check_stop_timeout, end_orphan
from .log import Item
from .state import is_newer, read_json, state_dir


PROGRAM_MAX = 50  # characters of a command in a table


def each(names: tuple[str, ...], action: Callable[[Instance], None], as_json: bool) -> int:
    return each_name(names, lambda name: action(Instance(name)), as_json)


def start(names: tuple[str, ...], as_json: bool = False) -> int:
    def action(instance: Instance) -> None:
        with instance.locked():
            if instance.is_running():
                status = instance.state()["status"]
                if status in ALIVE:
                    raise StoutError(f"{instance.name} is {status} already.")
                instance.wait_until_over()
            instance.start()

    return each(names, action, as_json)


def resume(as_json: bool) -> int:
    """`always` is started whatever it did, `unless-stopped` and `on-failure` if nobody stopped it."""
    wanted = []
    for instance in all_instances():
        config = instance.known_config()
        if config is None:
            continue
        state, policy = instance.state(), config["restart"].partition(":")[0]
        ended_with_host = state["status"] == "lost" or state["status"] == "stopped" and not state.get("user_stopped")
        is_wanted = policy == "always" and state["status"] != "created" or policy in ("unless-stopped", "on-failure") and ended_with_host
        if is_wanted and not instance.is_running():
            wanted.append(instance.name)
    return start(tuple(wanted), as_json)


def stop(names: tuple[str, ...], seconds: float | None, signal_text: str, as_json: bool) -> int:
    number = parse_signal(signal_text)
    if seconds is not None:
        check_stop_timeout(seconds)

    def action(instance: Instance) -> None:
        with instance.locked():
            instance.stop(instance.config()["stop_timeout"] if seconds is None else seconds, number)

    return each(names, action, as_json)


def parse_signal(text: str) -> int:
    name = text.upper().removeprefix("SIG")
    if is_number(name) and 0 < int(name) <= 64:
        return int(name)
    try:
        return signal.Signals[f"SIG{name}"].value
    except KeyError:
        raise usage(f"There is no signal {text}; give for example TERM or INT.") from None


def delete(names: tuple[str, ...], force: bool, as_json: bool) -> int:
    from .network import remove_ports, tell_members
    remove_abandoned(state_dir("instances"), UNFINISHED)

    def action(instance: Instance) -> None:
        with instance.locked():
            networks = instance.config().get("networks", ())
            if instance.is_running():
                if instance.state()["status"] in ALIVE and not force:
                    raise StoutError(f"{instance.name} is running; stop it, or use delete -f.")
                instance.kill()
            end_orphan(instance.state())
            for item in networks:
                remove_ports(item)
            # The name is free at once; what a kill of this command leaves, the next delete removes.
            gone = os.path.join(state_dir("instances"), f"{UNFINISHED}{instance.name}-{os.getpid()}")
            os.rename(instance.folder, gone)
            shutil.rmtree(gone)
        tell_members([item["name"] for item in networks], but=instance.name)

    return each(names, action, as_json)


def summary(instance: Instance) -> dict[str, Any] | None:
    config = read_json(instance.path(CONFIG))
    if config is None:
        return None  # deleted meanwhile
    if is_newer(config):
        return {"name": instance.name, "status": "unknown", "program": [], "ports": [], "memory": None, "cpus": None, "restart": None,
                "created": None, "started": None, "finished": None, "exit": None, "reason": "it was made by a newer stout; update stout",
                "restarts": 0, "pid": None}
    state = instance.state()
    return {
        "name": config["name"], "status": state["status"], "program": config["argv"], "ports": config["publish"],
        "memory": config["memory"], "cpus": config["cpus"], "restart": config["restart"], "created": config["created"],
        "started": state.get("started"), "finished": state.get("finished"), "exit": state.get("exit"),
        "reason": state.get("reason"), "restarts": state.get("restarts", 0),
        "pid": state["qemu"]["pid"] if state["status"] in ("running", "stopping") else None,
    }


def list_instances(as_json: bool, quiet: bool) -> int:
    items = [item for item in map(summary, all_instances()) if item is not None]
    if as_json:
        print_json(items)
    elif quiet:
        for item in items:
            print(item["name"])
    else:
        print_table(("NAME", "STATUS", "PORTS", "MEMORY", "PROGRAM"), [row(item) for item in items])
    return 0


def row(item: dict[str, Any]) -> tuple[str, ...]:
    status = item["status"]
    if status in ("running", "stopping"):
        status += f" for {age(item['started'])}"
    elif item["reason"]:
        status += f" {age(item['finished'])} ago" if item["finished"] else ""
        status += f": {item['reason']}"
    if item["restarts"]:
        status += f" ({item['restarts']} restart{'s' * (item['restarts'] > 1)})"
    program = "".join(c if c.isprintable() else " " for c in " ".join(item["program"]))
    return (item["name"], status, " ".join(item["ports"]), human_size(item["memory"]) if item["memory"] else "",
            program if len(program) <= PROGRAM_MAX else program[:PROGRAM_MAX - 1] + "…")


def age(time: str) -> str:
    """How long ago an ISO time was: 12 s, 5 min, 3 h, 2 days."""
    seconds = (datetime.now(timezone.utc) - datetime.fromisoformat(time.replace("Z", "+00:00"))).total_seconds()
    for unit, size, most in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172800)):
        if seconds < most:
            return f"{max(seconds, 0) / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def inspect(names: tuple[str, ...]) -> int:
    documents = []
    for name in names:
        instance = Instance(name)
        documents.append({**instance.config(), "state": instance.state(), "folder": instance.folder})
    print_json(documents)
    return 0


def logs(name: str, follow: bool, tail: int | None, timestamps: bool, kernel: bool, as_json: bool) -> int:
    instance = Instance(name)
    instance.config()
    going_on = instance.is_running if follow else None
    if kernel:
        if timestamps or as_json:
            raise usage("The kernel's log is lines that begin with its own times; leave out -t and --json, or --kernel.")
        show_log(log.read(instance.path(log.KERNEL), log.kernel_lines, going_on), tail, sys.stdout.buffer.write,
                 lambda lines, count: lines[-count:] if count else [])
    else:
        show: Callable[[dict[str, Any]], Any] = Show(timestamps)
        if as_json:
            show = show_json
        show_log(log.read(instance.path(log.NAME), log.records, going_on), tail, show, log.last_lines)
    return 0


def show_log(items: Iterator[Item | None], tail: int | None, show: Callable[[Item], Any], last: Callable[[list[Item], int], list[Item]]) -> None:
    kept: list[Item] | None = [] if tail is not None else None
    is_following = False
    for item in items:
        if item is None:
            for old in last(kept, tail) if kept is not None and tail is not None else ():
                show(old)
            kept, is_following = None, True
        elif kept is not None:
            kept.append(item)
        else:
            show(item)
        if is_following:
            sys.stdout.buffer.flush()


def show_json(record: dict[str, Any]) -> None:
    sys.stdout.buffer.write(json.dumps({name: record[name] for name in ("time", "stream", "text")}).encode() + b"\n")


class Show:
    """Records as the program wrote them, each stream to ours; the kernel's words about a crash go to stderr."""

    def __init__(self, timestamps: bool) -> None:
        self.timestamps = timestamps
        self._in_line: set[str] = set()

    def __call__(self, record: dict[str, Any]) -> None:
        stream, data = record["stream"], log.text_of(record)
        if stream == "kernel":
            data = b"kernel: " + data
        if self.timestamps and stream not in self._in_line:
            data = record["time"].encode() + b" " + data
        (self._in_line.discard if data.endswith(b"\n") else self._in_line.add)(stream)
        if stream == "stdout":
            sys.stdout.buffer.write(data)
        else:
            sys.stdout.buffer.flush()
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()


