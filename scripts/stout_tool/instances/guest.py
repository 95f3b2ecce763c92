# SPDX-License-Identifier: MIT
"""One life of an instance's machine: QEMU, its channels, and how it ended.

The channels are those of vm.py, and QMP in addition.  Nothing here waits: the supervisor's loop says when there is
something to read.
"""
from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from typing import Any, Protocol

from ..control import clock_line
from ..log import CRASH_STATUS, PANIC, crash_lines
from ..relay import CHUNK
from .qmp import Qmp, QmpError
from ..vm import LINGER, PANIC_LINGER, explain, spawn

QMP_TIMEOUT = 60.0   # many machines that start at once on a small host
QUIT_SECONDS = 2.0   # for QEMU to end after QMP's quit
TAIL = 200


class Sink(Protocol):
    """Where a guest's words go."""

    def output(self, stream: str, data: bytes) -> None: ...
    def kernel_log(self, data: bytes) -> None: ...
    def control(self, words: list[str]) -> None: ...
    def profile(self, line: bytes) -> None: ...


class Guest:
    def __init__(self, command: list[str], has_stdin: bool, sink: Sink) -> None:
        """Starts it; StoutError says why not."""
        self.sink = sink
        self.started = time.monotonic()
        self.deadline: float | None = None  # when to make an end
        self.exit_status: int | None = None
        self.stop_signal: int | None = None
        self.was_killed = False
        self._panic = ""
        self._error = ""
        self._complaint = b""
        self._control = b""
        self._log_rest = b""
        self._lines: list[bytes] = []
        self._shutdown_reason = ""
        names = ["stdin"] * has_stdin + ["stdout", "stderr", "control", "log", "qmp"]
        self.process: subprocess.Popen[bytes]
        self.sockets: dict[str, socket.socket]
        self.process, self.sockets = spawn(names, lambda chardevs: substitute(command, chardevs))
        self.pidfd = os.pidfd_open(self.process.pid)
        self.qmp = Qmp(self.sockets["qmp"])
        try:
            self.qmp.negotiate(QMP_TIMEOUT)
        except QmpError as error:
            if self.process.poll() is None and not self._dies_soon():
                self._error = str(error)
                self.kill()

    def _dies_soon(self) -> bool:
        try:
            self.process.wait(QUIT_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return True

    def channels(self) -> list[str]:
        return [name for name in self.sockets if name != "stdin"]

    # ---- What it says ----

    def receive(self, name: str) -> bool:
        """Reads a channel once; False: it has ended, or there is nothing now."""
        sock = self.sockets.get(name)
        if sock is None:
            return False
        if name == "qmp":
            return self._read_qmp()
        try:
            data = sock.recv(CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:
            sock.close()
            del self.sockets[name]
            return False
        if name in ("stdout", "stderr"):
            if self.exit_status is not None:
                self.deadline = time.monotonic() + LINGER
            self.sink.output(name, data)
        elif name == "log":
            self._read_log(data)
        elif name == "control":
            self._read_control(data)
        else:
            self._complaint = (self._complaint + data)[-4096:]
        return True

    def _read_qmp(self) -> bool:
        events = self.qmp.events()
        for event in events:
            if event["event"] == "SHUTDOWN":
                self._shutdown_reason = str(event.get("data", {}).get("reason", ""))
            elif event["event"] == "GUEST_PANICKED":
                self._panic = self._panic or "the guest told QEMU of a panic"
        if self.qmp.is_closed:
            self.sockets.pop("qmp").close()
            return False
        return bool(events)

    def _read_log(self, data: bytes) -> None:
        self.sink.kernel_log(data)
        *lines, self._log_rest = (self._log_rest + data).split(b"\n")
        for line in lines:
            line = line.rstrip(b"\r")
            self._lines.append(line)
            if not self._panic and PANIC.search(line):
                self._panic = PANIC.sub(b"", line).decode("utf-8", "replace")
                self.deadline = time.monotonic() + PANIC_LINGER
        del self._lines[:-TAIL]

    def _read_control(self, data: bytes) -> None:
        *lines, self._control = (self._control + data).split(b"\n")
        for line in lines:
            if line.startswith(b"profile "):
                self.sink.profile(line[8:])
                continue
            words = line.decode("utf-8", "replace").split()
            if len(words) == 2 and words[0] == "exit" and words[1].isdigit():
                self.exit_status = int(words[1]) & 255
                self.deadline = time.monotonic() + LINGER
            elif words == ["clock"]:
                self.tell(clock_line())
            elif words and words[0] == "error":
                self._error = " ".join(words[1:])
            elif words and words[0] == "panic":
                self._panic = self._panic or "see the kernel's log"
                self.deadline = time.monotonic() + PANIC_LINGER
            elif words:
                self.sink.control(words)

    # ---- What it is told ----

    def tell(self, line: str) -> None:
        """A line for kernel/control.h."""
        try:
            self.sockets["control"].send(line.encode() + b"\n", socket.MSG_DONTWAIT)
        except (KeyError, OSError):
            pass  # gone, or thousands of lines that nobody has read

    def stop(self, number: int, seconds: float) -> None:
        """The program gets the signal; at the deadline the machine is switched off."""
        self.stop_signal = number
        if seconds > 0:
            self.tell(f"signal {number}")
        at = time.monotonic() + seconds
        self.deadline = at if self.deadline is None else min(self.deadline, at)

    def make_end(self) -> None:
        """At the deadline: QMP's quit first, so that QEMU writes out what it holds, then SIGKILL."""
        if self.stop_signal is not None and self.exit_status is None and not self._panic:
            self.was_killed = True
        if self.deadline is not None and "qmp" in self.sockets:
            try:
                self.qmp.execute("quit", timeout=QUIT_SECONDS)
                self.process.wait(QUIT_SECONDS)
            except (QmpError, subprocess.TimeoutExpired):
                pass
        self.kill()

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    # ---- How it ended ----

    def finish(self) -> dict[str, Any]:
        """QEMU is gone: what it wrote is read to the end.  {"exit": N or None, "failed": bool, "reason": text}"""
        self.process.wait()
        for name in self.channels():
            while self.receive(name):
                pass
        if self._log_rest:
            self._lines.append(self._log_rest)
        for sock in self.sockets.values():
            sock.close()
        os.close(self.pidfd)
        failed, reason = self._judge()
        return {"exit": self.exit_status, "failed": failed, "reason": reason}

    def _judge(self) -> tuple[bool, str]:
        status, code = self.exit_status, self.process.returncode
        if self._error:
            return True, self._error
        if status is not None:
            if status in CRASH_STATUS or self.stop_signal is not None and status == 128 + self.stop_signal:
                return True, f"the program was killed by {signal_name(status - 128)}"
            return status != 0, f"the program ended with status {status}"
        if self._panic:
            return True, f"kernel panic: {self._panic}"
        if self.was_killed:
            return True, "the program did not end in time and was switched off"
        if code < 0:
            hint = " (by hand, or by the host for want of memory)" if -code == signal.SIGKILL else ""
            return True, f"QEMU was killed by {signal_name(-code)}{hint}"
        if self._shutdown_reason in ("guest-reset", "guest-shutdown"):
            return True, "the machine switched itself off without an exit status of the program"
        text = self._complaint.decode("utf-8", "replace")
        if text.strip():
            return True, explain(text).rstrip(".")
        return True, f"QEMU ended with status {code}"

    def report(self) -> list[bytes]:
        """What the kernel's log tells of a crash."""
        if self._panic:
            return self._lines[-60:]
        return crash_lines(self._lines) if self.exit_status in CRASH_STATUS else []


def substitute(command: list[str], chardevs: dict[str, str]) -> list[str]:
    """The command with the channels' descriptors in place of @NAME@."""
    result = []
    for word in command:
        for name, text in chardevs.items():
            if word.startswith(f"@{name}@"):
                word = text + word[len(name) + 2:]
        result.append(word)
    return result


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
