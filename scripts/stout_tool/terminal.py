# SPDX-License-Identifier: MIT
"""The host's terminal while the guest owns it: raw, so that keys and control characters arrive whole.

Three Ctrl-C within a second stop the machine even if the program ignores them.
"""
from __future__ import annotations

import os
import time
from typing import Any

CTRL_C = 3
STOP_COUNT = 3


class RawTerminal:
    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._saved: list[Any] | None = None
        self._pressed: list[float] = []

    def __enter__(self) -> RawTerminal:
        import termios
        if os.isatty(self.fd):
            self._saved = termios.tcgetattr(self.fd)
            attributes = termios.tcgetattr(self.fd)
            attributes[0] &= ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
                               | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON)
            attributes[1] &= ~termios.OPOST
            attributes[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG
                               | termios.IEXTEN)
            attributes[6][termios.VMIN], attributes[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self.fd, termios.TCSADRAIN, attributes)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._saved is not None:
            import termios
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self._saved)
            self._saved = None

    def wants_stop(self, data: bytes) -> bool:
        if self._saved is None:  # a file or a pipe: bytes are only bytes
            return False
        now = time.monotonic()
        self._pressed += [now] * data.count(bytes([CTRL_C]))
        self._pressed = [at for at in self._pressed if now - at < 1]
        return len(self._pressed) >= STOP_COUNT


def window_size(fd: int) -> tuple[int, int]:
    """(rows, columns) of a terminal; zeros where it does not know."""
    import fcntl
    import struct
    import termios
    try:
        rows, columns, _, _ = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))
        return rows, columns
    except OSError:
        return 0, 0
