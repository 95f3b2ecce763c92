# SPDX-License-Identifier: MIT
"""Standard input's way into the guest: a piece is read when the one before is written, so a slow program stops its writer.

The selector's owner calls the data of a key, which is read() or write().
"""
from __future__ import annotations

import contextlib
import os
import selectors
import socket
from collections.abc import Callable

CHUNK = 1 << 16  # also of the other channels


class GuestInput:
    """The guest's end: drained() is called when all that was given is written, or for nobody."""

    def __init__(self, selector: selectors.BaseSelector, sock: socket.socket, drained: Callable[[], None]) -> None:
        self._selector, self._sock, self._drained = selector, sock, drained
        self._pending = b""
        self._is_last = False
        sock.setblocking(False)

    @property
    def is_busy(self) -> bool:
        return bool(self._pending)

    def give(self, data: bytes) -> None:
        if not self._pending and data:
            self._selector.register(self._sock, selectors.EVENT_WRITE, self.write)
        self._pending += data

    def end(self) -> None:
        """Nothing more comes."""
        self._is_last = True
        if not self._pending:
            # Not close(): QEMU drops what it has not read yet when the other end is all gone.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)

    def write(self) -> None:
        try:
            self._pending = self._pending[self._sock.send(self._pending):]
        except BlockingIOError:
            return
        except OSError:
            self._pending = b""  # the program closed it; the rest is for nobody
        if not self._pending:
            self._selector.unregister(self._sock)
            if self._is_last:
                self.end()
            self._drained()

    def stop(self) -> None:
        """The guest is gone; its socket is still open."""
        self._pending = b""
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._sock)


class InputRelay:
    def __init__(self, selector: selectors.BaseSelector, source: int, sock: socket.socket,
                 look: Callable[[bytes], None] = lambda data: None) -> None:
        """look() sees each piece first, and may raise."""
        self._selector, self._source, self._look = selector, source, look
        self._guest = GuestInput(selector, sock, self._wait)
        self._wait()

    def _wait(self) -> None:
        self._selector.register(self._source, selectors.EVENT_READ, self.read)

    def read(self) -> None:
        try:
            data = os.read(self._source, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # a terminal that is gone
            data = b""
        self._look(data)
        self._selector.unregister(self._source)
        if data:
            self._guest.give(data)
        else:
            self._guest.end()

    def stop(self) -> None:
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._source)
        self._guest.stop()
