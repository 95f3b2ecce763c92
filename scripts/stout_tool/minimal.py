# SPDX-License-Identifier: MIT
"""--minimal: the program runs once, and only what it reached by a path is packed.

The kernel notes which entries of the archive a path walk came to (kernel/archive_use.h) and says so when the machine ends,
or when it is asked: after --exercise has succeeded, after --minimal-seconds, or at the first Ctrl-C.  What was named with
--add, what such programs need, and what every image has stays whatever the run did.
"""
from __future__ import annotations

import copy
import hashlib
import json
import os
import socket
import selectors
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any, Callable

from . import qemu
from .cpio_reader import Archive
from .defaults import add_defaults
from .elf import is_linked
from .errors import StoutError, usage
from .kernel import image_path
from .log import KernelLog
from .paths import cache_dir, human_size
from .relay import CHUNK
from .tree import BYTES, DIRECTORY, FILE, SYMLINK, Tree
from .vm import Stop, VirtualMachine

if TYPE_CHECKING:
    from .run import RunOptions
    from .image import Image

OPENED = "opened in the traced run"
EXERCISE_SECONDS = 60.0  # how long the command may fail before the server answers
ANSWER_SECONDS = 20.0    # for the kernel's list, also where processors are emulated
LARGEST = 3              # files left out that are named without --verbose


def check_options(options: RunOptions) -> None:
    """Of RunOptions."""
    if options.minimal:
        if options.gdb or options.dry_run:
            raise usage("--minimal runs the program first; leave out --gdb and --dry-run.")
        if options.minimal_seconds is not None and not options.minimal_seconds > 0:
            raise usage(f"--minimal-seconds {options.minimal_seconds:g} is no time to run; give for example 10.")
    elif options.exercise or options.minimal_seconds is not None:
        raise usage("--exercise and --minimal-seconds need --minimal.")


def minimise(image: Image, options: RunOptions, notice: Callable[[str], None], fresh: bool) -> None:
    """Takes out of the gathered image what a run of it does not reach; fresh: whatever an earlier run of the same showed."""
    begin_trace(image, options)
    how = hashlib.sha256(repr((options.exercise, options.minimal_seconds)).encode()).hexdigest()[:16]
    remembered = os.path.join(cache_dir(), "traced", f"{image.tree.key()}-{how}.json")
    used = None if fresh else recall(remembered)
    if used is None:
        used = trace(image, options, notice)
        remember(remembered, used)
    left_out = reduce(image, used)
    image.put_manifest(options.trace, options.stdio)
    if options.keep_reasons:
        image.put_reasons(left_out)
    tell(left_out, image.tree.total, options.verbose, notice)


def begin_trace(image: Image, options: RunOptions) -> None:
    image.put_manifest(",".join(filter(None, (options.trace, "files"))), ["null", "stream", "stream"])


def recall(path: str) -> set[str] | None:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return set(json.load(file))
    except (OSError, ValueError, TypeError):
        return None


def remember(path: str, used: set[str]) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    temporary = f"{path}.{os.getpid()}"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(sorted(used), file)
    os.rename(temporary, path)


# ---- The run -------------------------------------------------------------------


def trace(image: Image, options: RunOptions, notice: Callable[[str], None]) -> set[str]:
    """The paths of the archive that the program reaches."""
    archive, kernel = image.write(), image_path(options)
    traced = copy.copy(options)
    traced.boot, traced.interactive = "pvh", False
    size = os.stat(archive).st_size
    traced.memory = qemu.parse_memory(options.memory_text) if options.memory_text else qemu.default_memory(size)
    qemu.check_memory(traced.memory, size, os.stat(kernel).st_size)
    options.network.check_usable()
    for forward in options.forwards:
        forward.check_free()
    accel = qemu.choose_accel(options.accel, lambda text: None)
    if image.patches_code and options.cpus > 1:
        accel = qemu.take_turns(accel)
    machine = qemu.Machine(traced, accel)
    from .run import boot_arguments, make_symboliser
    boot = boot_arguments(traced, kernel, archive)
    run = TracedRun(KernelLog(options.verbose, make_symboliser(options, image, kernel)), options)
    ends = ("when the exercise has succeeded" if options.exercise else f"after {options.minimal_seconds:g} seconds"
            if options.minimal_seconds else "when it does")
    notice(f"running {os.path.basename(image.program)} to see what it opens; that ends {ends}, or at Ctrl-C.")
    status = run.run(lambda chardevs: machine.command(boot, chardevs))
    if run.stopped:
        raise SystemExit(status)
    run.judge(status, notice)
    with open(archive, "rb") as file:
        return {member.path for member in Archive(file, archive).members.values() if run.has(member.number)}


class TracedRun(VirtualMachine):
    """A machine whose end is also ours to choose."""

    def __init__(self, log: KernelLog, options: RunOptions) -> None:
        super().__init__(log, False, [forward.host for forward in options.forwards if forward.protocol == "tcp"])
        self.verbose = options.verbose
        self.command = options.exercise
        self.stopped = False
        self.output = b""
        self._exercise: subprocess.Popen[bytes] | None = None
        seconds = options.minimal_seconds or (EXERCISE_SECONDS if options.exercise else None)
        self._end = time.monotonic() + seconds if seconds else None
        self._succeeded = self._interrupted = False
        self._asked: float | None = None
        self._ranges: list[tuple[int, int]] = []
        self._is_complete = False

    def has(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self._ranges)

    def judge(self, status: int, notice: Callable[[str], None]) -> None:
        """Was the run one to pack by?"""
        if self.command and not self._succeeded and not self._interrupted:
            self._show_output()
            raise StoutError(f"The exercise did not succeed: {self.command}; try it by hand beside stout run, or give it longer with "
                             "--minimal-seconds.")
        if not self._is_complete:
            raise StoutError("The kernel did not say which files were opened; run with --verbose to see its log.")
        if self.status:
            self._show_output()
            notice(f"the program ended with status {status} in the traced run; what it needs when all is well may be left out.")

    def _show_output(self) -> None:
        if not self.verbose:
            sys.stderr.flush()
            os.write(2, b"".join(b"program: " + line + b"\n" for line in self.output.splitlines()[-10:]))

    def on_signal(self, number: int, frame: Any) -> None:
        if number != signal.SIGINT or self._interrupted:
            self.stopped = True
            raise Stop(number)
        self._interrupted = True  # the loop sees it soon

    def tend(self) -> float | None:
        timeout: float | None = super().tend()
        now = time.monotonic()
        if self._asked is None:
            self._succeeded = self._exercise_succeeded()
            if self._succeeded or self._interrupted or self._end is not None and now >= self._end:
                self._ask()
        elif now >= self._asked + ANSWER_SECONDS:
            self.end_now()
        return min(0.1, timeout) if timeout is not None else 0.1

    def _exercise_succeeded(self) -> bool:
        """Starts the command, and once more when it has failed."""
        if not self.command:
            return False
        if self._exercise is not None:
            ended = os.waitid(os.P_PID, self._exercise.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)  # while it is there, so is its group
            if ended is None:
                return False
            if ended.si_code == os.CLD_EXITED and ended.si_status == 0:
                return True
            self._end_exercise()
        stream = 2 if self.verbose else subprocess.DEVNULL
        self._exercise = subprocess.Popen(["/bin/sh", "-c", self.command], stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, process_group=0)
        return False

    def _end_exercise(self) -> None:
        """With what it started."""
        if self._exercise is not None:
            os.killpg(self._exercise.pid, signal.SIGKILL)
            self._exercise.wait()
            self._exercise = None

    def _ask(self) -> None:
        self._asked = time.monotonic()
        try:
            self.sockets["control"].send(b"files\n")
        except OSError:
            pass  # it is ending by itself and says so too

    def heard(self, words: list[str]) -> None:
        if words[:2] == ["used", "end"]:
            self._is_complete = True
            if self._asked is not None:
                self.end_now()
        elif words[:1] == ["used"]:
            self._ranges += [(int(first), int(last)) for first, _, last in (word.partition("-") for word in words[1:])]

    def _write_out(self, selector: selectors.BaseSelector, name: str, sock: socket.socket, data: bytes) -> None:
        """Standard output is for the image's path."""
        self.output = (self.output + data)[-CHUNK:]
        if self.verbose:
            os.write(2, data)

    def _kill(self) -> None:
        self._end_exercise()
        super()._kill()

    def _result(self) -> int:
        if self._is_complete and self.status is None:
            return 0
        return int(super()._result())


# ---- The tree -----------------------------------------------------------------


def reduce(image: Image, used: set[str]) -> dict[str, int]:
    """Takes the rest out; the files among it with their sizes."""
    tree = image.tree
    kept = set(used) & set(tree.entries)
    kept |= {path for path, entry in tree.entries.items() if entry.kind == BYTES or entry.why.startswith("--add ")}
    kept |= set(tree.entries) & always()
    kept |= libraries(image, {path for path in kept if path in used and path == tree.follow(image.program) or
                              tree.entries[path].why.startswith("--add ")})
    kept |= {path for path, entry in tree.entries.items() if entry.kind == SYMLINK and
             (entry.why == "every image has it" or tree.follow(path) in kept)}
    for path in list(kept):
        while (path := os.path.dirname(path)) != "/":
            kept.add(path)
    left_out = {}
    for path, entry in list(tree.entries.items()):
        if path not in kept and not (entry.kind == DIRECTORY and entry.why == "every image has it"):
            tree.remove(path)
            if entry.kind == FILE:
                left_out[path] = entry.size
        elif path in used and entry.kind == FILE and not entry.why.startswith(("--add ", "a library of ")):
            entry.why = f"{OPENED} ({entry.why})" if entry.why else OPENED
    return left_out


def always() -> set[str]:
    """What a program asks for only now and then: names of users, hosts and services."""
    tree = Tree()
    add_defaults(tree, "")
    return set(tree.entries)


def libraries(image: Image, programs: set[str]) -> set[str]:
    """What programs need to start, whether they did or not."""
    found = set()
    for path in programs:
        entry = image.tree.entries[path]
        if entry.kind == FILE and is_linked(entry.source):
            resolver, name = (image.resolver, path) if image.root.is_file(path) else (image.host_resolver, entry.source)
            found |= {resolver.root.real(library) for library in resolver.add(name, optional=True)}
    return found & set(image.tree.entries)


def tell(left_out: dict[str, int], packed: int, verbose: bool, notice: Callable[[str], None]) -> None:
    if not left_out:
        notice(f"every file was opened; {human_size(packed)} are packed.")
        return
    order = sorted(left_out, key=lambda path: (-left_out[path], path))
    largest = ", ".join(f"{path} ({human_size(left_out[path])})" for path in order[:LARGEST])
    notice(f"left out {len(order)} file{'s' * (len(order) != 1)} ({human_size(sum(left_out.values()))}) that were not opened, and packed "
           f"{human_size(packed)}; the largest left out: {largest}.")
    for path in order if verbose else ():
        notice(f"left out {path} ({human_size(left_out[path])})")
