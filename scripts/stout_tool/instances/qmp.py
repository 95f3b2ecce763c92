# SPDX-License-Identifier: MIT
"""QEMU's machine protocol (docs/interop/qmp-spec.rst of QEMU): one JSON object a line, over a connected socket.

QEMU greets, qmp_capabilities ends the negotiation, then each command gets one answer with its id.  Events come at any
time, also between a command and its answer; they are kept until events() takes them.
"""
from __future__ import annotations

import json
import socket
import time
from typing import Any

LINE_MAX = 16 << 20  # an answer that is longer is none


class QmpError(Exception):
    """QEMU refused a command, or does not speak the protocol; lost: it is gone or does not answer."""

    def __init__(self, sentence: str, lost: bool = False) -> None:
        super().__init__(sentence)
        self.lost = lost


class Qmp:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._buffer = b""
        self._events: list[dict[str, Any]] = []
        self._count = 0
        self.version = ""
        self.is_closed = False

    def negotiate(self, timeout: float) -> None:
        greeting = self._next(time.monotonic() + timeout)
        try:
            version = greeting["QMP"]["version"]["qemu"]
            self.version = f"{version['major']}.{version['minor']}.{version['micro']}"
        except (KeyError, TypeError):
            raise QmpError("QEMU's greeting is not QMP's") from None
        self.execute("qmp_capabilities", timeout=timeout)

    def execute(self, command: str, arguments: dict[str, Any] | None = None, timeout: float = 5.0) -> Any:
        """The value of "return"."""
        self._count += 1
        message: dict[str, Any] = {"execute": command, "id": self._count}
        if arguments:
            message["arguments"] = arguments
        deadline = time.monotonic() + timeout
        try:
            self.sock.settimeout(timeout)
            self.sock.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise QmpError(f"QEMU does not take {command}: {error}", lost=True) from None
        while True:
            answer = self._next(deadline)
            if "event" in answer:
                self._events.append(answer)
            elif answer.get("id") == self._count:
                if "error" in answer:
                    raise QmpError(f"{command}: {answer['error'].get('desc', answer['error'])}")
                return answer.get("return")
            # else the late answer to a command that was given up

    def events(self) -> list[dict[str, Any]]:
        """What has arrived since the last call, without waiting."""
        try:
            while True:
                message = self._next(0)
                if "event" in message:
                    self._events.append(message)
        except QmpError:
            pass  # nothing more, or its end, which the process's end tells as well
        taken, self._events = self._events, []
        return taken

    def _next(self, deadline: float) -> dict[str, Any]:
        """The next object; deadline 0: only what is there already."""
        while b"\n" not in self._buffer:
            try:
                self.sock.settimeout(max(deadline - time.monotonic(), 0.001) if deadline else 0)
                data = self.sock.recv(1 << 16)
            except (TimeoutError, BlockingIOError):
                raise QmpError("QEMU did not answer in time", lost=True) from None
            except OSError:
                data = b""
            if not data:
                self.is_closed = True
                raise QmpError("QEMU is gone", lost=True)
            self._buffer += data
            if len(self._buffer) > LINE_MAX:
                raise QmpError("QEMU's answer is endless")
        line, self._buffer = self._buffer.split(b"\n", 1)
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            raise QmpError(f"QEMU's answer is not QMP: {line[:80]!r}")
        return message
