# SPDX-License-Identifier: MIT
"""stout instance attach: this terminal becomes the program's, from now on.

With a terminal (create -t) keys go to the program as they are, and Ctrl-P Ctrl-Q leaves it alone again, as with docker;
without one Ctrl-C does.  When the instance ends for good, its exit status becomes ours.
"""
from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
from typing import Any

from ..errors import StoutError
from ..terminal import RawTerminal, window_size
from ..vm import write_all
from . import frames
from .instance import Instance, NotRunning

DETACH = b"\x10\x11"  # Ctrl-P Ctrl-Q
CHUNK = 1 << 15


class Attachment:
    def __init__(self, name: str) -> None:
        self.name = name
        try:
            self.sock = Instance(name).connect()
            self.sock.sendall(b'{"command": "attach"}\n')
            self.buffer = self.sock.recv(CHUNK)
            while b"\n" not in self.buffer:
                self.buffer += self.sock.recv(CHUNK) or b"{}\n"
        except OSError:
            Instance(name).config()  # is there one?
            raise NotRunning(f"{name} is not running; start it with: stout instance start {name}") from None
        line, self.buffer = self.buffer.split(b"\n", 1)
        answer = json.loads(line)
        if not answer.get("ok"):
            raise StoutError(f"{name}: {answer.get('error', 'the supervisor went away')}.")
        self.is_tty = bool(answer["tty"]) and os.isatty(0)
        self.takes_input = bool(answer["stdin"])
        self._keys = b""
        self._outgoing = b""  # frames that the supervisor has not taken yet

    def run(self) -> int:
        if not self.is_tty:
            return self._pump(None)
        with RawTerminal(0):
            return self._pump(self._watch_window())

    def _watch_window(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        self._signals = theirs
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGWINCH, lambda *_: None)
        self._tell_window()
        return ours

    def _tell_window(self) -> None:
        self._outgoing += frames.window(*window_size(0))

    def _pump(self, window: socket.socket | None) -> int:
        others: list[Any] = [self.sock] + [window] * (window is not None)
        while True:
            found, self.buffer = frames.split(self.buffer)
            for kind, data in found:
                if kind == frames.END:
                    return self._end(json.loads(data))
                self._show(kind, data)
            # What the program does not take is not read, but what it writes is shown meanwhile.
            is_reading = self.takes_input and not self._outgoing
            ready, writable, _ = select.select(others + [0] * is_reading, [self.sock] if self._outgoing else [], [])
            if writable:
                with contextlib.suppress(BlockingIOError):
                    self._outgoing = self._outgoing[self.sock.send(self._outgoing, socket.MSG_DONTWAIT):]
            if window in ready and window is not None:
                window.recv(100)
                self._tell_window()
            if 0 in ready and not self._read_keys():
                return 0
            if self.sock in ready:
                data = self.sock.recv(1 << 16)
                if not data:
                    raise StoutError(f"The supervisor of {self.name} went away; stout instance list says more.")
                self.buffer += data

    def _read_keys(self) -> bool:
        """False: leave."""
        data = os.read(0, CHUNK)
        self.takes_input = bool(data)  # after its end nothing comes
        if self.is_tty and data:
            self._keys = (self._keys + data)[-len(DETACH):]
            if self._keys == DETACH:
                return False
        self._outgoing += frames.frame(frames.STDIN, data)
        return True

    def _show(self, kind: int, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[write_all(1 if kind == frames.STDOUT else 2, view):]

    def _end(self, state: dict[str, Any]) -> int:
        if state["exit"] is None:
            raise StoutError(f"{self.name} has ended: {state['reason']}.")
        return int(state["exit"])


def attach(name: str) -> int:
    attachment = Attachment(name)
    if attachment.is_tty:
        sys.stderr.write("stout: Ctrl-P Ctrl-Q leaves the program running.\n")
    return attachment.run()


