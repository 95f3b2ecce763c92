# SPDX-License-Identifier: MIT
"""Frames of one machine on a named network.

A network is a folder of UNIX datagram sockets: QEMU's `-netdev dgram` receives at ports/MAC and sends to ports/MAC.out,
where its supervisor takes each frame and sends it straight to the port of its destination, or to all.  So there is no
switch that could end or be overloaded: a machine that is gone is a socket that is gone.  Only frames with the
machine's own address pass.

A UNIX datagram queue is short and tells its sender to wait, which TCP likes better than loss; whoever does not read for
SEND_SECONDS is left out for DEAF_SECONDS, so that a stopped QEMU holds up nobody.
"""
from __future__ import annotations

import contextlib
import os
import socket
import struct
import threading
import time

FRAME_MAX = 70000
SEND_SECONDS, DEAF_SECONDS = 0.05, 1.0
OUT = ".out"
NSEC = 1_000_000


class Switch:
    def __init__(self, folder: str, mac: str) -> None:
        """folder: of the ports, short enough for a socket's name; mac: six bytes in hexadecimal."""
        self.folder, self.mac = folder, bytes.fromhex(mac)
        self.frames = self.bytes = self.dropped = 0
        self._port = os.path.join(folder, mac)
        self._deaf: dict[str, float] = {}
        self._is_over = False
        self._remove()
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 0, int(SEND_SECONDS * NSEC)))
        self._sock.bind(self._port + OUT)
        self._thread = threading.Thread(target=self._forward, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._is_over = True
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._port + OUT)
        self._thread.join(5)
        self._sock.close()
        self._remove()

    def _remove(self) -> None:
        for path in (self._port, self._port + OUT):
            with contextlib.suppress(OSError):
                os.unlink(path)

    def _forward(self) -> None:
        while not self._is_over:
            frame = self._sock.recv(FRAME_MAX)
            if len(frame) < 14 or frame[6:12] != self.mac:
                continue
            self.frames += 1
            self.bytes += len(frame)
            if frame[0] & 1:  # to a group: all
                for name in self._others():
                    self._send(frame, name)
            else:
                self._send(frame, frame[:6].hex())

    def _others(self) -> list[str]:
        own = self.mac.hex()
        try:
            return [name for name in os.listdir(self.folder) if not name.endswith(OUT) and name != own]
        except OSError:
            return []

    def _send(self, frame: bytes, name: str) -> None:
        if self._deaf and self._deaf.get(name, 0) > time.monotonic():
            self.dropped += 1
            return
        try:
            self._sock.sendto(frame, os.path.join(self.folder, name))
        except BlockingIOError:
            self._deaf[name] = time.monotonic() + DEAF_SECONDS
            self.dropped += 1
        except OSError:
            self.dropped += 1  # nobody has this address
