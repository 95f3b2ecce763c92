# SPDX-License-Identifier: MIT
"""The host's terminal while the guest owns it: raw, so that keys and control characters arrive whole.

Three Ctrl-C within a second stop the machine even if the program ignores them.
"""
import os
import time

CTRL_C = 3
STOP_COUNT = 3


class RawTerminal:
    def __init__(self, fd):
        self.fd = fd
        self._saved = None
        self._pressed = []

    def __enter__(self):
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

    def __exit__(self, *_):
        if self._saved is not None:
            import termios
            termios.tcsetattr(self.fd, termios.TCSADRAIN, self._saved)
            self._saved = None

    def wants_stop(self, data):
        if self._saved is None:  # a file or a pipe: bytes are only bytes
            return False
        now = time.monotonic()
        self._pressed += [now] * data.count(bytes([CTRL_C]))
        self._pressed = [at for at in self._pressed if now - at < 1]
        return len(self._pressed) >= STOP_COUNT


def window_size(fd):
    """(rows, columns) of a terminal; zeros where it does not know."""
    import fcntl
    import struct
    import termios
    try:
        return struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))[:2]
    except OSError:
        return 0, 0
