# SPDX-License-Identifier: MIT
"""stout profile: runs a program, or listens to an instance, and writes what the samples say."""
from __future__ import annotations

import filecmp
import json
import os
import select
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from ..errors import StoutError, usage
from ..output import STDOUT, check_report, write_report
from ..run import RunOptions, run_machine
from .names import Namer
from .output import as_json, folded, summary, top
from .samples import Samples

HZ_MAX = 10000  # PROFILE_HZ_MAX of kernel/profile.h
FORMATS = {".svg": "svg", ".folded": "folded", ".txt": "folded", ".json": "json"}
LAST_SAMPLES = 2.0  # for the kernel to send what it still has


class Report:
    """Where the result goes."""

    def __init__(self, output: str | None, wants_top: bool, wants_json: bool) -> None:
        self.output, self.wants_top, self.wants_json = output, wants_top, wants_json
        if output is None and not wants_top and not wants_json:
            self.output = "profile.svg"
        if output == STDOUT:
            raise usage("-o - would mix with what the program prints; name a file, or take --top or --json, which print at the end.")
        self.format = FORMATS.get(os.path.splitext(self.output or "profile.svg")[1])
        if self.format is None:
            raise usage(f"-o {output} has an ending that says no format; use .svg, .folded or .json.")
        if self.output:
            check_report("-o", self.output)

    def write(self, samples: Samples, kernel: str, open_file: Callable[[str], Any], title: str) -> None:
        if not samples.hz:
            raise StoutError("The kernel sent no samples; is it one of an older version (--kernel)?")
        stacks = Namer(samples, kernel, open_file).stacks()
        if self.output:
            self._write_file(samples, stacks, title)
        if self.wants_json:
            sys.stdout.write(as_json(samples, stacks))
        if self.wants_top:
            sys.stdout.write(top(stacks))
        sys.stdout.flush()
        where = f"; written to {self.output}" if self.output else ""
        sys.stderr.write(f"stout: {summary(samples)}{where}.\n")

    def _write_file(self, samples: Samples, stacks: Any, title: str) -> None:
        if self.format == "svg":
            from .flamegraph import draw
            text = draw(stacks, title, summary(samples))
        else:
            text = folded(stacks) if self.format == "folded" else as_json(samples, stacks)
        write_report("-o", str(self.output), text)


class Listener:
    """What vm.py tells while the machine runs."""

    def __init__(self, samples: Samples, duration: float | None) -> None:
        self.samples = samples
        self._duration = duration
        self.deadline: float | None = None  # when to end it

    def line(self, text: str) -> None:
        self.samples.feed(text)
        if self._duration is not None and self.deadline is None and self.samples.hz:
            self.deadline = time.monotonic() + self._duration


def check_rate(hz: int, duration: float | None) -> None:
    if not 1 <= hz <= HZ_MAX:
        raise usage(f"--hz {hz} is out of range; give 1 to {HZ_MAX}.")
    if duration is not None and duration <= 0:
        raise usage(f"--duration {duration:g} is not a time; give seconds.")


def profile_program(options: RunOptions, report: Report, hz: int, duration: float | None) -> int:
    check_rate(hz, duration)
    options.kernel_options.append(f"profile={hz}")
    samples = Samples()
    listener = Listener(samples, duration)
    status, prepared = run_machine(options, listener)
    if prepared is None:  # --dry-run
        return status
    image = prepared.image

    def open_file(path: str) -> Any:
        from ..elf_symbols import map_file
        from ..symbols import host_path
        host = host_path(image.tree, image.root, path)
        return map_file(host) if host else None

    report.write(samples, prepared.kernel.removesuffix(".stripped"), open_file, options.program or options.package or "profile")
    return status


def profile_instance(name: str, report: Report, hz: int, duration: float | None) -> int:
    """Listens to a running instance, for `duration` seconds or until Ctrl-C; it goes on."""
    from ..instances.instance import Instance, NotRunning
    check_rate(hz, duration)
    instance, samples = Instance(name), Samples()
    instance.config()  # is there one?
    try:
        with instance.connect() as sock:
            sock.sendall(json.dumps({"command": "profile", "hz": hz}).encode() + b"\n")
            rest = b""
            while b"\n" not in rest:
                rest += sock.recv(4096) or b"{}\n"
            line, _, rest = rest.partition(b"\n")
            answer = json.loads(line)
            if not answer.get("ok"):
                raise StoutError(f"{name}: {answer.get('error', 'its supervisor went away')}.")
            listen(sock, rest, Listener(samples, duration))
    except OSError:
        raise NotRunning(f"{name} is not running; start it with: stout instance start {name}") from None
    report.write(samples, kernel_with_symbols(os.path.join(instance.folder, "kernel")), archive_opener(os.path.join(instance.folder, "archive")),
                 name)
    return 0


def listen(sock: socket.socket, rest: bytes, listener: Listener) -> None:
    is_ending = False
    while not listener.samples.is_over:
        try:
            due = listener.deadline
            ready, _, _ = select.select([sock], [], [], None if due is None else max(due - time.monotonic(), 0))
        except KeyboardInterrupt:
            ready, due = [], time.monotonic()
        if not ready:
            if is_ending:
                return  # it does not answer any more
            is_ending = True
            sock.sendall(b"end\n")
            listener.deadline = time.monotonic() + LAST_SAMPLES
            continue
        data = sock.recv(1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            listener.line(line.decode("utf-8", "replace"))


def kernel_with_symbols(stripped: str) -> str:
    """The image that a stripped one was made from, if it is still there."""
    from ..paths import kernel_path
    path = kernel_path().removesuffix(".stripped")
    same = os.path.exists(path + ".stripped") and filecmp.cmp(stripped, path + ".stripped", shallow=False)
    return path if same else stripped


def archive_opener(path: str) -> Callable[[str], Any]:
    """Files from a boot archive."""
    from ..cpio_reader import Archive
    file = open(path, "rb")  # for as long as the tool runs
    archive = Archive(file, path)

    def open_file(name: str) -> Any:
        member = archive.find(name)
        return memoryview(archive.data(member)) if member and not member.is_directory else None

    return open_file
