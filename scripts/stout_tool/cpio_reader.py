# SPDX-License-Identifier: MIT
"""Reads the boot archive of an image (cpio.py writes it), which may be of any origin."""
from __future__ import annotations

import dataclasses
import os
import stat
import zlib
from typing import IO, Iterator

from .errors import cannot_run

HEADER, NAME_MAX = 110, 4096
PIECE = 1 << 20


@dataclasses.dataclass(slots=True)
class Member:
    """A path of the archive; offset is where its data begin, stored their length, number its inode number."""
    path: str
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    offset: int
    number: int = 0
    stored: int = 0

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def is_compressed(self) -> bool:
        return self.stored != self.size

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.mode)


class Archive:
    def __init__(self, file: IO[bytes], name: str) -> None:
        self.file, self.name = file, name
        self.size = os.fstat(file.fileno()).st_size
        self.members: dict[str, Member] = {}
        self._read()

    def _read(self) -> None:
        at = 0
        while True:
            header = self._at(at, HEADER)
            try:
                if header[:6] != b"070701":
                    raise ValueError
                fields = [int(header[6 + 8 * i:14 + 8 * i], 16) for i in range(13)]
            except ValueError:
                raise self._damaged() from None
            name_size, size, plain_size = fields[11], fields[6], fields[12]
            if not 0 < name_size <= NAME_MAX:
                raise self._damaged()
            name = os.fsdecode(self._at(at + HEADER, name_size).split(b"\0")[0])
            data = (at + HEADER + name_size + 3) & ~3
            if name == "TRAILER!!!":
                return
            if data + size > self.size:
                raise self._damaged()
            if name != ".":
                path = "/" + os.path.normpath(name).strip("/")
                self.members[path] = Member(path, fields[1], fields[2], fields[3], fields[5], plain_size or size, data, fields[0],
                                               size)
            at = (data + size + 3) & ~3

    def _at(self, offset: int, size: int) -> bytes:
        self.file.seek(offset)
        data = self.file.read(size)
        if len(data) != size:
            raise self._damaged()
        return data

    def _damaged(self) -> Exception:
        return cannot_run(f"{self.name} is damaged: its archive of files is not whole; build or copy it again.")

    def data(self, member: Member) -> bytes:
        return b"".join(self.pieces(member))

    def pieces(self, member: Member) -> Iterator[bytes]:
        """The data bit by bit."""
        if not member.is_compressed:
            for at in range(0, member.size, PIECE):
                yield self._at(member.offset + at, min(PIECE, member.size - at))
            return
        from .blocked_gzip import unpack
        try:
            yield from unpack(self._at(member.offset, member.stored))
        except (ValueError, zlib.error):
            raise self._damaged() from None

    def find(self, path: str) -> Member | None:
        """With links followed, within the archive."""
        parts, at, hops = [part for part in path.split("/") if part][::-1], "", 0
        while parts:
            part = parts.pop()
            if part in ("", "."):
                continue
            if part == "..":
                at = os.path.dirname(at).rstrip("/")
                continue
            member = self.members.get(f"{at}/{part}")
            if member is not None and member.is_link and hops < 40:
                hops += 1
                target = os.fsdecode(self.data(member))
                at = "" if target.startswith("/") else at
                parts += [word for word in target.split("/")][::-1]
                continue
            at = f"{at}/{part}"
        return self.members.get(at) or (Member("/", stat.S_IFDIR | 0o755, 0, 0, 0, 0, 0) if at == "" else None)
