# SPDX-License-Identifier: MIT
"""The kernel's log as the tool shows it: hidden, unless asked for or something crashed.

Lines after which a program (or the kernel) is dead are shown with their addresses resolved.
"""
from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable
from typing import Any

PANIC = re.compile(rb"^\[ *\d+\.\d+\] panic on CPU \d+: ")
CRASH_STATUS = {128 + number for number in (4, 5, 6, 7, 8, 11, 31)}
CRASH = re.compile(rb"\[\d+\]: (segfault|bus error|trap |aborted|bad system call|killed by)")
TAIL = 200


class KernelLog:
    def __init__(self, show_all: bool, symbolise: Callable[..., Any] | None = None) -> None:
        self.show_all = show_all
        self.symbolise = symbolise
        self.panicked = False
        self._rest = b""
        self._lines: list[bytes] = []

    def feed(self, data: bytes) -> bool:
        """True when the machine has panicked."""
        self._rest += data
        *lines, self._rest = self._rest.split(b"\n")
        found = False
        for line in lines:
            line = line.rstrip(b"\r")
            self._lines.append(line)
            if self.show_all:
                self._show([line])
            if not self.panicked and PANIC.search(line):
                self.panicked = found = True
        del self._lines[:-TAIL]
        return found

    def finish(self, status: int | None) -> None:
        if self._rest:
            self._lines.append(self._rest)
            if self.show_all:
                self._show([self._rest])
            self._rest = b""
        crashed = status in CRASH_STATUS
        if self.show_all:
            if crashed or self.panicked:
                self._show_backtrace()
            return
        if self.panicked or status is None:
            self._show(self._lines[-60:])
        elif crashed and crash_lines(self._lines):
            self._show(crash_lines(self._lines))
        else:
            return
        self._show_backtrace()

    def _show_backtrace(self) -> None:
        if self.symbolise is None:
            return
        try:
            lines = self.symbolise([line.decode("utf-8", "replace") for line in self._lines])
        except Exception as error:  # a report about a crash must not crash itself
            lines = [f"(the addresses could not be resolved: {error})"]
        self._show([line.encode("utf-8", "replace") for line in lines])

    @staticmethod
    def _show(lines: list[bytes]) -> None:
        text = b"".join(b"kernel: " + line + b"\n" for line in lines if line.strip())
        try:
            sys.stderr.flush()
            os.write(2, text)
        except OSError:
            pass


def crash_lines(lines: list[bytes]) -> list[bytes]:
    """From the first line that tells of the crash; nothing if the program stopped itself quietly."""
    for index, line in enumerate(lines):
        if CRASH.search(line):
            return lines[index:]
    return []
