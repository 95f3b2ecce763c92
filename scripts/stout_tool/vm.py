# SPDX-License-Identifier: MIT
"""Runs the machine: its channels, its end, and nothing left behind.

Each channel (stdin, stdout, stderr, control, the kernel's log) is a socket pair, one end of which QEMU
inherits: byte-exact, with back-pressure, and gone with the processes.  The kernel writes "exit N" to
the control channel; what it wrote before is read to the end, then QEMU is killed.  QEMU runs
in a session of its own, so that a Ctrl-C at the terminal reaches this process alone, and dies
with this process whatever happens to it (setpriv --pdeathsig).
"""
from __future__ import annotations

import functools
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from .control import clock_line
from .errors import STATUS_TOOL, StoutError
from .relay import CHUNK, InputRelay
from .terminal import RawTerminal, window_size

if TYPE_CHECKING:
    from .profile.record import Listener
    from .log import KernelLog

LINGER = 1.0          # after "exit N": how long the machine may take to switch itself off
PANIC_LINGER = 0.5    # after a panic: for the rest of its report
PROFILE_LINGER = 2.0  # when a profile is ended: for the samples that the kernel still has
BACKLOG_TRIES = 20    # looks for QEMU's listening sockets, one each 50 ms


MakeCommand = Callable[[dict[str, str]], list[str]]


class Stop(BaseException):
    """A signal asks for the end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def spawn(names: list[str], make_command: MakeCommand) -> tuple[subprocess.Popen[bytes], dict[str, socket.socket]]:
    """Starts QEMU with a channel of each name; (process, name -> our end), "complaint" is what it says itself."""
    sockets: dict[str, socket.socket] = {}
    theirs: list[socket.socket] = []
    chardevs: dict[str, str] = {}
    try:
        for name in names:
            sockets[name], other = socket.socketpair()
            theirs.append(other)
            chardevs[name] = f"socket,fd={other.fileno()}"
        command = make_command(chardevs)
        setpriv = shutil.which("setpriv")
        if setpriv:
            command = [setpriv, "--pdeathsig", "KILL", "--", *command]
        sockets["complaint"], complaint = socket.socketpair()
        theirs.append(complaint)
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=complaint.fileno(), stderr=complaint.fileno(),
            pass_fds=[other.fileno() for other in theirs[:-1]], start_new_session=True)
    except BaseException:
        for sock in sockets.values():
            sock.close()
        raise
    finally:
        for other in theirs:
            other.close()
    return process, sockets


class VirtualMachine:
    def __init__(self, log: KernelLog, use_stdin: bool, ports: Iterable[int] = (), terminal: int | None = None,
                 listener: Listener | None = None) -> None:
        """ports: the forwarded TCP ports of this host; terminal: whose size the guest is to know; listener: gets the
        profiler's lines and says when they are enough (profile/record.py)."""
        self.log = log
        self._listener = listener
        self._terminal = terminal
        self.ports = list(ports)
        self._tries = BACKLOG_TRIES if self.ports else 0
        self.use_stdin = use_stdin
        self.status: int | None = None
        self.counts: list[str] = []
        self.sockets: dict[str, socket.socket] = {}
        self._control = b""
        self._deadline: float | None = None
        self._complaint = b""
        self.process: subprocess.Popen[bytes] | None = None

    def run(self, make_command: MakeCommand) -> int:
        """make_command(chardevs) -> QEMU's arguments.  The exit status."""
        handled = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {number: signal.signal(number, self.on_signal) for number in handled}
        try:
            self._start(make_command)
            if self._terminal is not None:
                self._watch_window(before)
            if self.use_stdin:
                with RawTerminal(0) as terminal:
                    self._pump(terminal)
            else:
                self._pump(None)
        except Stop as stop:
            self._end_profile()
            return 128 + stop.number
        finally:
            for number in handled:
                signal.signal(number, signal.SIG_IGN)
            signal.set_wakeup_fd(-1)
            self._kill()
            for number, handler in before.items():
                signal.signal(number, handler)
        return self._result()

    def _end_profile(self) -> None:
        """The last samples, then what is next.  A second signal ends this too."""
        if self._listener is None or not self.sockets:
            return
        control, until = self.sockets["control"], time.monotonic() + PROFILE_LINGER
        try:
            control.send(b"profile 0\n", socket.MSG_DONTWAIT)
            while not self._listener.samples.is_over and time.monotonic() < until:
                control.settimeout(max(until - time.monotonic(), 0.01))
                data = control.recv(CHUNK)
                if not data:
                    return
                self._read_control(data)
        except (OSError, Stop):
            pass  # what there is has to do

    def on_signal(self, number: int, _frame: Any) -> None:
        raise Stop(number)

    def _start(self, make_command: MakeCommand) -> None:
        names = ["stdin"] * self.use_stdin + ["stdout", "stderr", "control", "log"]
        self.process, self.sockets = spawn(names, make_command)

    def _watch_window(self, before: dict[Any, Any]) -> None:
        """SIGWINCH becomes a byte in a socket, which the loop reads like the other channels."""
        self.sockets["window"], self.sockets["signals"] = socket.socketpair()
        for name in ("window", "signals"):
            self.sockets[name].setblocking(False)
        signal.set_wakeup_fd(self.sockets["signals"].fileno(), warn_on_full_buffer=False)
        before[signal.SIGWINCH] = signal.signal(signal.SIGWINCH, lambda *_: None)
        self._tell_window()  # it may have changed since the kernel's command line was made

    def _tell_window(self) -> None:
        assert self._terminal is not None
        self._tell("winsize {} {}".format(*window_size(self._terminal)))

    def _tell(self, line: str) -> None:
        try:
            self.sockets["control"].send(line.encode() + b"\n", socket.MSG_DONTWAIT)
        except OSError:
            pass  # gone, or thousands of lines that nobody has read

    def _pump(self, terminal: RawTerminal | None) -> None:
        with selectors.PollSelector() as selector:
            for name, sock in self.sockets.items():
                if name not in ("stdin", "signals"):
                    selector.register(sock, selectors.EVENT_READ, name)
            assert self.process is not None
            pidfd = os.pidfd_open(self.process.pid)
            selector.register(pidfd, selectors.EVENT_READ, "process")
            if self.use_stdin:
                InputRelay(selector, 0, self.sockets["stdin"], functools.partial(stop_if_wanted, terminal))
            try:
                self._loop(selector)
            finally:
                os.close(pidfd)

    def _loop(self, selector: selectors.BaseSelector) -> None:
        while True:
            timeout = self.tend()
            if self._listener is not None and self._listener.deadline is not None:
                timeout = left = self._listener.deadline - time.monotonic()
                if left <= 0:
                    self._end_profile()
                    self.status = 0 if self.status is None else self.status
                    self._end_machine(selector)
                    return
            if self._deadline is not None:
                timeout = left = self._deadline - time.monotonic()
                if left <= 0:
                    self._end_machine(selector)
                    return
            ended = False
            for key, _ in selector.select(timeout):
                if key.data == "process":
                    ended = True
                elif callable(key.data):
                    key.data()
                else:
                    self._read_channel(selector, key.data, self.sockets[key.data])
            if ended:
                self._drain(selector)
                return

    def tend(self) -> float | None:
        """What is to be done between messages, now the backlogs; the time until it is to be called again, None: no more."""
        if not self._tries:
            return None
        from .backlog import widen
        assert self.process is not None
        self._tries = 0 if widen(self.process.pid, self.ports) else self._tries - 1
        return 0.05 if self._tries else None

    def _end_machine(self, selector: selectors.BaseSelector) -> None:
        """The machine's time is over.  QEMU goes first, so that there is an end to what can be read."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self._drain(selector)

    def _drain(self, selector: selectors.BaseSelector) -> None:
        """QEMU is gone; what it wrote is still in the sockets."""
        for name in ("stdout", "stderr", "log", "control", "complaint"):
            sock = self.sockets[name]
            while sock.fileno() >= 0 and self._read_channel(selector, name, sock):
                pass

    def _read_channel(self, selector: selectors.BaseSelector, name: str, sock: socket.socket) -> bool:
        try:
            data = sock.recv(CHUNK, socket.MSG_DONTWAIT)
        except ConnectionResetError:
            data = b""
        except BlockingIOError:
            return False
        if not data:
            selector.unregister(sock)
            sock.close()
            return False
        if name in ("stdout", "stderr"):
            self._write_out(selector, name, sock, data)
            if self._deadline is not None:
                self._deadline = time.monotonic() + LINGER  # from when a slow reader has taken it
        elif name == "log":
            if self.log.feed(data):
                self._deadline = time.monotonic() + PANIC_LINGER
        elif name == "control":
            self._read_control(data)
        elif name == "window":
            self._tell_window()
        else:
            self._complaint = (self._complaint + data)[-4096:]
        return True

    def _write_out(self, selector: selectors.BaseSelector, name: str, sock: socket.socket, data: bytes) -> None:
        fd = 1 if name == "stdout" else 2
        view = memoryview(data)
        try:
            while view:
                view = view[write_all(fd, view):]
        except BrokenPipeError:
            # The reader went away: so does the guest's channel, and the program gets EPIPE.
            selector.unregister(sock)
            sock.close()

    def _read_control(self, data: bytes) -> None:
        self._control += data
        while b"\n" in self._control:
            line, self._control = self._control.split(b"\n", 1)
            if self._listener is not None and line.startswith(b"profile "):
                self._listener.line(line[8:].decode("utf-8", "replace"))
                continue
            words = line.decode("ascii", "replace").split()
            if len(words) == 2 and words[0] == "exit" and words[1].isdigit():
                self.status = int(words[1]) & 255
                self._deadline = time.monotonic() + LINGER
            elif words == ["clock"]:
                self._tell(clock_line())
            elif words and words[0] == "calls":
                self.counts.append(" ".join(words[1:]))
            elif words and words[0] == "error":
                report(" ".join(words[1:]))
            elif words and words[0] == "panic":
                self.log.panicked = True
                self._deadline = time.monotonic() + PANIC_LINGER
            else:
                self.heard(words)

    def heard(self, words: list[str]) -> None:
        """What else the kernel says on the control channel."""

    def end_now(self) -> None:
        self._deadline = time.monotonic()

    def _kill(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for sock in self.sockets.values():
            sock.close()

    def _result(self) -> int:
        self.log.finish(self.status)
        if self.status is not None:
            return self.status
        if self._complaint.strip():
            raise StoutError(explain(self._complaint.decode("utf-8", "replace")))
        if not self.log.panicked:
            assert self.process is not None
            code = self.process.returncode
            how = f"killed by signal {-code}" if code < 0 else f"status {code}"
            raise StoutError("The machine stopped without an exit status of the program "
                             f"(QEMU: {how}); run with --verbose to see the kernel's log.")
        return STATUS_TOOL


def stop_if_wanted(terminal: RawTerminal | None, keys: bytes) -> None:
    if terminal and terminal.wants_stop(keys):
        raise Stop(signal.SIGINT)


def write_all(fd: int, view: memoryview) -> int:
    """os.write that waits when the descriptor happens to be non-blocking."""
    while True:
        try:
            return os.write(fd, view)
        except BlockingIOError:
            import select
            select.select([], [fd], [])


def explain(text: str) -> str:
    """QEMU's complaint as one sentence."""
    lines = [line for line in text.splitlines() if line.strip() and "warning:" not in line]
    line = lines[-1] if lines else text.strip().splitlines()[-1]
    line = line.removeprefix("qemu-system-x86_64").removeprefix("-microvm").removeprefix(": ")
    if "Could not set up host forwarding" in line:
        return f"A port was taken by another program while the machine started ({line}); use another one."
    if "annot allocate memory" in line or "cannot set up guest memory" in line:
        return f"This host has too little free memory for the machine ({line}); use a smaller -m."
    return f"QEMU did not run the machine: {line}"


def report(sentence: str) -> None:
    sys.stderr.write(f"stout: {sentence}\n")
