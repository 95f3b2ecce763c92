# SPDX-License-Identifier: MIT
"""What an instance's program wrote: a JSON object a piece, {"time", "stream", "text"}, in the file `log`.

A piece is at most a line, and is written as it comes, so that a prompt without a newline is seen at once.  Bytes that
are no UTF-8 survive as lone surrogates.  A full file becomes `log.1`, so an instance never has more than two; whoever
follows reads the old one to its end first.
"""
from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any, BinaryIO, TypeVar

LIMIT = 8 << 20
NAME, KERNEL = "log", "kernel.log"
POLL_SECONDS = 0.1
Item = TypeVar("Item")


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Appender:
    """Appends to a file of bounded size; a full disk costs the text and not the instance."""

    def __init__(self, path: str, limit: int = LIMIT) -> None:
        self.path, self.limit = path, limit
        self._fd = self._open()

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def append(self, data: bytes) -> None:
        try:
            if os.fstat(self._fd).st_size + len(data) > self.limit:
                os.rename(self.path, self.path + ".1")
                os.close(self._fd)
                self._fd = self._open()
            while data:
                data = data[os.write(self._fd, data):]
        except OSError:
            pass


class LogWriter:
    def __init__(self, folder: str) -> None:
        self._file = Appender(os.path.join(folder, NAME))

    def write(self, stream: str, data: bytes) -> None:
        at = now()
        self._file.append(b"".join(
            json.dumps({"time": at, "stream": stream, "text": piece.decode("utf-8", "surrogateescape")}).encode() + b"\n"
            for piece in data.splitlines(keepends=True)))


def records(file: BinaryIO) -> Iterator[dict[str, Any]]:
    """Those that are complete; the file's position stays behind the last one."""
    while True:
        at = file.tell()
        line = file.readline()
        if not line.endswith(b"\n"):
            file.seek(at)
            return
        try:
            yield json.loads(line)
        except ValueError:
            continue  # torn by a full disk


def kernel_lines(file: BinaryIO) -> Iterator[bytes]:
    """Also the beginning of one."""
    return iter(file.readline, b"")


def read(path: str, parse: Callable[[BinaryIO], Iterator[Item]], follow: Callable[[], bool] | None = None) -> Iterator[Item | None]:
    """All that parse() finds, oldest first.  None when what is there was read; with follow, then what is new while it says yes."""
    try:
        with open(path + ".1", "rb") as older:
            yield from parse(older)
    except FileNotFoundError:
        pass
    file: BinaryIO | None = None
    try:
        try:
            file = open(path, "rb")
        except FileNotFoundError:
            yield None
            return
        yield from parse(file)
        yield None
        while follow is not None:
            more = follow()  # asked before the last look, so that nothing written before the end is missed
            yield from parse(file)
            if was_replaced(file, path):
                yield from parse(file)
                file.close()
                file = open(path, "rb")
            elif not more:
                return
            else:
                time.sleep(POLL_SECONDS)
    except FileNotFoundError:
        return  # deleted meanwhile
    finally:
        if file is not None:
            file.close()


def was_replaced(file: BinaryIO, path: str) -> bool:
    return os.fstat(file.fileno()).st_ino != os.stat(path).st_ino


def text_of(record: dict[str, Any]) -> bytes:
    return str(record["text"]).encode("utf-8", "surrogateescape")


def last_lines(items: list[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The records of the last lines of both streams together."""
    seen = 0
    for index in range(len(items) - 1, -1, -1):
        ends_line = items[index]["text"].endswith("\n") or index == len(items) - 1
        if ends_line:
            if seen == count:
                return items[index + 1:]
            seen += 1
    return items
