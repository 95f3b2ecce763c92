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


class InputRelay:
    def __init__(self, selector: selectors.BaseSelector, source: int, sock: socket.socket,
                 look: Callable[[bytes], None] = lambda data: None) -> None:
        """look() sees each piece first, and may raise."""
        self._selector, self._source, self._sock, self._look = selector, source, sock, look
        self._pending = b""
        sock.setblocking(False)
        selector.register(source, selectors.EVENT_READ, self.read)

    def read(self) -> None:
        try:
            data = os.read(self._source, CHUNK)
        except BlockingIOError:
            return
        except OSError:  # a terminal that is gone
            data = b""
        self._look(data)
        self._selector.unregister(self._source)
        if not data:
            # Not close(): QEMU drops what it has not read yet when the other end is all gone.
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
            return
        self._pending = data
        self._selector.register(self._sock, selectors.EVENT_WRITE, self.write)

    def write(self) -> None:
        try:
            sent = self._sock.send(self._pending)
        except BlockingIOError:
            return
        except OSError:
            self._selector.unregister(self._sock)  # the program closed it; the rest is for nobody
            return
        self._pending = self._pending[sent:]
        if not self._pending:
            self._selector.unregister(self._sock)
            self._selector.register(self._source, selectors.EVENT_READ, self.read)

    def stop(self) -> None:
        """The guest is gone; its socket is still open."""
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._source)
        with contextlib.suppress(KeyError):
            self._selector.unregister(self._sock)
