# SPDX-License-Identifier: MIT
"""The frames between a supervisor and `stout instance attach`: a kind, a length, the bytes."""
import struct

STDIN, STDOUT, STDERR, WINDOW, END = range(5)
KINDS = {"stdout": STDOUT, "stderr": STDERR}
HEAD = struct.Struct("!BI")


def frame(kind: int, data: bytes) -> bytes:
    return HEAD.pack(kind, len(data)) + data


def split(buffer: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The complete frames, and what is left."""
    found = []
    while len(buffer) >= HEAD.size:
        kind, length = HEAD.unpack_from(buffer)
        if len(buffer) < HEAD.size + length:
            break
        found.append((kind, buffer[HEAD.size:HEAD.size + length]))
        buffer = buffer[HEAD.size + length:]
    return found, buffer


def window(rows: int, columns: int) -> bytes:
    return frame(WINDOW, struct.pack("!HH", rows, columns))


def parse_window(data: bytes) -> tuple[int, int]:
    if len(data) != 4:
        return 0, 0
    rows, columns = struct.unpack("!HH", data)
    return rows, columns
