# SPDX-License-Identifier: MIT
"""The process that is the container for whoever asked for it: python3 -m stout_tool.oci.monitor FOLDER READY_FD PROMISE_FD.

`create` starts it, in the container's network namespace and with the container's standard streams, and goes away, so that it
becomes the child of conmon or of containerd's shim.  It waits for "start" at the socket `control`, then runs the machine,
and ends with the status of the guest's program.  A signal that it gets goes to the guest's first process; SIGKILL ends
it, and QEMU with it (setpriv --pdeathsig).  A sandbox of a pod has no machine: it only holds the namespaces.

A command is a line, the answer a line of JSON: {} or {"error": sentence}.
"""
from __future__ import annotations

import array
import contextlib
import fcntl
import functools
import json
import os
import selectors
import signal
import socket
import stat
import sys
import termios
import time
from collections.abc import Callable
from typing import Any

from ..backlog import widen
from ..errors import STATUS_TOOL, StoutError
from ..instances.guest import Guest
from ..instances.log import Appender
from ..instances.qmp import QmpError
from ..instances.state import read_json
from ..relay import InputRelay
from ..terminal import window_size
from ..vm import write_all
from .container import CONTROL, KERNEL_LOG, MACHINE

KERNEL_LOG_LIMIT = 1 << 20
BACKLOG_TRIES = 20
NOT_FORWARDED = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGPIPE, signal.SIGWINCH, signal.SIGSEGV, signal.SIGBUS,
                 signal.SIGFPE, signal.SIGILL, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}


class Monitor:
    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.selector = selectors.PollSelector()  # not epoll, which refuses files as standard input
        self.guest: Guest | None = None
        self.status: int | None = None
        self.is_sandbox = False
        self.streams = {"stdin": 0, "stdout": 1, "stderr": 2}
        self.has_terminal = False
        self.kernel_file = Appender(os.path.join(folder, KERNEL_LOG), KERNEL_LOG_LIMIT)
        self._input: InputRelay | None = None
        self._tries = 0
        self._ports: list[int] = []

    # ---- Before the start ----

    def listen(self) -> None:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        os.chdir(self.folder)  # a short name, whatever the folder's is
        listener.bind(CONTROL)
        listener.listen(16)
        self._watch(listener, lambda: self._accept(listener))
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        self._signals = theirs
        for number in signal.valid_signals() - NOT_FORWARDED | {signal.SIGWINCH}:
            signal.signal(number, lambda *_: None)
        self._watch(ours, lambda: self._on_signals(ours.recv(4096)))

    def follow_creator(self, promise: int) -> None:
        """Who starts us says by a byte that the container is made; one that ends before has left it half made."""
        def listen() -> None:
            if not os.read(promise, 1):
                self.status = STATUS_TOOL
            self._forget(promise)
            os.close(promise)

        self._watch(promise, listen)

    def open_terminal(self, console: str, size: dict[str, int] | None) -> None:
        """A pseudoterminal whose master goes to the console socket; it is raw, since the guest has a terminal of its own on top."""
        master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)  # so that a new window size is told by SIGWINCH
        if size:
            termios.tcsetwinsize(slave, (size.get("height", 0), size.get("width", 0)))
        make_raw(slave)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
                sock.connect(console)
                sock.sendmsg([os.ttyname(slave).encode()],
                             [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]).tobytes())])
        except OSError as error:
            raise StoutError(f"The console socket {console} does not take the terminal: {(error.strerror or '').lower()}.") from None
        os.close(master)
        for fd in self.streams.values():  # those we had may be a pipe whose end the engine waits for
            os.dup2(slave, fd)
        os.close(slave)
        self.has_terminal = True

    # ---- The loop ----

    def run(self) -> int:
        while self.status is None:
            timeout = self._widen_backlogs()
            deadline = self.guest.deadline if self.guest else None
            if deadline is not None:
                timeout = max(deadline - time.monotonic(), 0)
            for key, _ in self.selector.select(timeout):
                if self.status is None and key.fd in self.selector.get_map():
                    key.data()
            if self.guest and self.guest.deadline is not None and time.monotonic() >= self.guest.deadline:
                self.guest.make_end()
                self._guest_ended()
        return self.status

    def _watch(self, fileobj: Any, handle: Callable[[], object]) -> None:
        self.selector.register(fileobj, selectors.EVENT_READ, handle)

    def _forget(self, fileobj: Any) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self.selector.unregister(fileobj)

    def _on_signals(self, numbers: bytes) -> None:
        for number in numbers:
            if number == signal.SIGWINCH:
                self._tell_window()
            else:
                self._deliver(number)

    def _deliver(self, number: int) -> None:
        if number == signal.SIGKILL:
            if self.guest:
                self.guest.kill()
            os.kill(os.getpid(), signal.SIGKILL)
        elif self.guest:
            self.guest.tell(f"signal {number}")
        elif number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
            self.status = 128 + number

    # ---- Commands ----

    def _accept(self, listener: socket.socket) -> None:
        sock, _ = listener.accept()
        sock.settimeout(5)
        with sock, contextlib.suppress(OSError):
            line = sock.makefile("rb").readline(256).decode("ascii", "replace")
            try:
                answer = self._command(line.split())
            except (StoutError, QmpError) as error:
                answer = {"error": getattr(error, "sentence", str(error))}
            sock.sendall(json.dumps(answer).encode() + b"\n")

    def _command(self, words: list[str]) -> dict[str, str]:
        if words == ["start"]:
            self._start()
        elif words[:1] == ["signal"] and len(words) == 2:
            self._deliver(int(words[1]))
        elif words in (["stop"], ["cont"]) and self.guest:
            self.guest.qmp.execute(words[0])
        else:
            raise StoutError(f"The container's monitor does not know {' '.join(words)!r}.")
        return {}

    def _start(self) -> None:
        machine = read_json(MACHINE)
        if machine is None or self.guest:
            raise StoutError("The container is not one that can be started.")
        if machine.get("sandbox"):
            self.is_sandbox = True
            return
        self._ports = machine["ports"]
        self._tries = BACKLOG_TRIES if self._ports else 0
        guest = self.guest = Guest(self._with_window(machine["command"]), True, self)
        if guest.process.poll() is not None:
            outcome = self._guest_ended()
            if outcome["exit"] is None:
                raise StoutError(outcome["reason"] + ".")
            return  # a short life
        for name in guest.channels():
            self._watch(guest.sockets[name], functools.partial(self._read_guest, name))
        self._watch(guest.pidfd, self._guest_ended)
        self._input = InputRelay(self.selector, self.streams["stdin"], guest.sockets["stdin"])
        self._tell_window()

    def _with_window(self, command: list[str]) -> list[str]:
        """The kernel knows the terminal's size, as it is now, from its first moment on."""
        if not self.has_terminal:
            return command
        at = command.index("-append") + 1
        words = [command[at], "winsize={}x{}".format(*window_size(self.streams["stdin"]))]
        return [*command[:at], " ".join(filter(None, words)), *command[at + 1:]]

    def _widen_backlogs(self) -> float | None:
        if not self._tries or not self.guest:
            return None
        self._tries = 0 if widen(self.guest.process.pid, self._ports) else self._tries - 1
        return 0.05 if self._tries else None

    # ---- The guest (guest.Sink) ----

    def output(self, stream: str, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[write_all(self.streams[stream], view):]
        except OSError:  # the reader went away: so does the guest's channel, and the program gets EPIPE
            assert self.guest is not None
            sock = self.guest.sockets.pop(stream, None)
            if sock:
                self._forget(sock)
                sock.close()

    def kernel_log(self, data: bytes) -> None:
        self.kernel_file.append(data)

    def profile(self, line: bytes) -> None:
        pass

    def control(self, words: list[str]) -> None:
        pass

    def _read_guest(self, name: str) -> None:
        assert self.guest is not None
        sock = self.guest.sockets.get(name)
        if sock is None:
            return
        fd = sock.fileno()
        self.guest.receive(name)
        if name not in self.guest.sockets:
            self._forget(fd)

    def _guest_ended(self) -> dict[str, Any]:
        guest = self.guest
        assert guest is not None
        if self._input:
            self._input.stop()
        for sock in guest.sockets.values():
            self._forget(sock)
        self._forget(guest.pidfd)
        outcome = guest.finish()
        lines = guest.report()
        if outcome["exit"] is None:
            lines.append(f"stout-oci: {outcome['reason']}.".encode())
        with contextlib.suppress(OSError):
            os.write(self.streams["stderr"], b"".join(line + b"\n" for line in lines))
        self.guest, self.status = None, STATUS_TOOL if outcome["exit"] is None else outcome["exit"]
        return outcome

    def _tell_window(self) -> None:
        if self.has_terminal and self.guest:
            self.guest.tell("winsize {} {}".format(*window_size(self.streams["stdin"])))


def make_raw(fd: int) -> None:
    attributes = termios.tcgetattr(fd)
    attributes[0] = attributes[1] = attributes[3] = 0
    attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


def open_streams() -> None:
    """Descriptors 0 to 2 are there, so that no file of ours becomes the program's output."""
    for fd in range(3):
        try:
            stat.S_IFMT(os.fstat(fd).st_mode)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


def main() -> None:
    open_streams()
    folder, ready, promise = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    os.set_inheritable(ready, False)
    os.set_inheritable(promise, False)
    with open(ready, "w", encoding="utf-8") as report:
        try:
            monitor = Monitor(folder)
            monitor.listen()
            monitor.follow_creator(promise)
            if len(sys.argv) > 4:
                monitor.open_terminal(sys.argv[4], json.loads(sys.argv[5]))
        except (StoutError, OSError) as error:
            report.write(getattr(error, "sentence", str(error)))
            sys.exit(STATUS_TOOL)
    os._exit(monitor.run())  # at once: the one who waits for us sees the end when all is said


if __name__ == "__main__":
    main()
