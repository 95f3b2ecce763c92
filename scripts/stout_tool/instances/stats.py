# SPDX-License-Identifier: MIT
"""stout instance stats: what running instances use.

Processor time, memory and disk traffic are those of the QEMU process, from /proc; whether the machine runs, from QMP; memory and
network as the guest sees them, from the guest itself (the words "memory" and "network" of kernel/control.h), since QEMU
counts neither.
"""
from __future__ import annotations

import os
import shutil
import sys
import time
from typing import Any

from ..errors import StoutError
from ..paths import human_size
from ..tables import format_table, print_json
from .instance import Instance, all_instances
from .state import process_stat

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
INTERVAL = 1.0
TITLES = ("NAME", "STATUS", "CPU", "CPU TIME", "HOST MEMORY", "GUEST MEMORY", "RECEIVED", "SENT", "PID")


def process_figures(pid: int) -> dict[str, Any]:
    """CPU seconds, resident bytes, bytes read from and written to disks; nothing of a process that is gone."""
    fields = process_stat(pid)
    if fields is None:
        return {}
    figures: dict[str, Any] = {"cpu_seconds": (int(fields[11]) + int(fields[12])) / TICKS, "memory_host": int(fields[21]) * PAGE}
    try:
        with open(f"/proc/{pid}/io", encoding="ascii") as file:
            values = dict(line.split(": ") for line in file.read().splitlines())
        figures |= {"disk_read": int(values["read_bytes"]), "disk_written": int(values["write_bytes"])}
    except (OSError, KeyError, ValueError):
        pass
    return figures


def look(instance: Instance) -> dict[str, Any] | None:
    """One instance's figures now; None if it does not run."""
    try:
        answer = instance.ask("stats")
        config = instance.config()
    except StoutError:
        return None
    pid = answer.get("pid")
    return {"name": instance.name, "status": answer["status"], "pid": pid, "cpus": config["cpus"], "memory_limit": config["memory"],
            "restarts": answer["restarts"], **answer["guest"], **(process_figures(pid) if pid else {}), "at": time.monotonic()}


def sample(names: tuple[str, ...]) -> list[dict[str, Any]]:
    if not names:
        return [figures for figures in map(look, all_instances()) if figures]
    found = []
    for name in names:
        figures = look(Instance(name))
        if figures is None:
            Instance(name).config()
            raise StoutError(f"{name} is not running; start it with: stout instance start {name}")
        found.append(figures)
    return found


def add_load(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> None:
    """Percent of one processor, since the sample before."""
    known = {(item["name"], item["pid"]): item for item in before}
    for item in after:
        old = known.get((item["name"], item["pid"]))
        if old and "cpu_seconds" in old and "cpu_seconds" in item and item["at"] > old["at"]:
            item["cpu_percent"] = round(100 * (item["cpu_seconds"] - old["cpu_seconds"]) / (item["at"] - old["at"]), 1)


def row(item: dict[str, Any]) -> tuple[str, ...]:
    def size(name: str) -> str:
        return human_size(item[name]) if name in item else "-"

    guest = f"{size('guest_memory_used')} of {size('guest_memory_total')}" if "guest_memory_total" in item else "-"
    return (item["name"], item["status"], f"{item['cpu_percent']:.0f} %" if "cpu_percent" in item else "-",
            f"{item['cpu_seconds']:.1f} s" if "cpu_seconds" in item else "-", size("memory_host"), guest, size("network_received"),
            size("network_sent"), str(item["pid"] or "-"))


def stats(names: tuple[str, ...], as_json: bool, once: bool) -> int:
    before = sample(names)
    time.sleep(0.5 if once or as_json else INTERVAL / 2)
    if as_json or once or not sys.stdout.isatty():
        after = sample(names)
        add_load(before, after)
        for item in after:
            del item["at"]
        if as_json:
            print_json(after)
        else:
            print("\n".join(format_table(TITLES, [row(item) for item in after])))
        return 0
    while True:  # until Ctrl-C
        after = sample(names)
        add_load(before, after)
        columns, lines = shutil.get_terminal_size()
        text = format_table(TITLES, [row(item) for item in after])[:lines - 1]
        sys.stdout.write("\x1b[H" + "".join(line[:columns] + "\x1b[K\n" for line in text) + "\x1b[J")
        sys.stdout.flush()
        before = after
        time.sleep(INTERVAL)
