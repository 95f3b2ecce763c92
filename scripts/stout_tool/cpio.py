# SPDX-License-Identifier: MIT
"""Writes the boot archive: a standard cpio in "newc" form whose large files begin on page boundaries.

The kernel adopts page-aligned file data in place instead of copying it.  The alignment is made
by padding the name field with NUL bytes (every cpio reader stops at the first one), at most to
4096 bytes, Linux's limit.  Where that does not reach, an entry for "." is put in between: it
changes nothing and moves the next header.

Data go from file to file inside the host's kernel (copy_file_range, so a filesystem that
can share blocks does); nothing is held in memory.
"""
from __future__ import annotations

import os
import stat
from typing import IO
from collections.abc import Callable

PAGE = 4096
HEADER = 110
NAME_MAX = 4096
ALIGN_FROM = 4096  # data of this size, and all ELF files, begin on a page
SIZE_MAX = 0xFFFFFFFF


class CpioError(Exception):
    """The archive cannot hold this file."""


class CpioWriter:
    """One archive, written front to back into an open file."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None] = lambda count: None, compress: bool = False) -> None:
        """advance is told how many bytes were written, of compressed files how many they were (blocked_gzip.py)."""
        self._file, self._advance, self._compress = file, advance, compress
        self._fd = file.fileno()
        self._offset = 0
        self._inode = 0

    def add_directory(self, name: str, mode: int = 0o755, mtime: int = 0, uid: int = 0, gid: int = 0) -> None:
        self._header(name, stat.S_IFDIR | mode, mtime, uid, gid, 0, nlink=2)

    def add_symlink(self, name: str, target: str, mtime: int = 0) -> None:
        data = os.fsencode(target)
        self._header(name, stat.S_IFLNK | 0o777, mtime, 0, 0, len(data))
        self._write(data)
        self._pad(4)

    def add_bytes(self, name: str, data: bytes, mode: int = 0o644, mtime: int = 0, uid: int = 0, gid: int = 0) -> None:
        self._header(name, stat.S_IFREG | mode, mtime, uid, gid, len(data),
                     aligned=len(data) >= ALIGN_FROM)
        self._write(data)
        self._pad(4)

    def add_file(self, name: str, path: str, mode: int = 0o644, mtime: int = 0, uid: int = 0, gid: int = 0) -> None:
        """A file of the host, copied without passing through this process."""
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(source).st_size
            if self._compress and self._add_compressed(name, path, mode, mtime, uid, gid):
                return
            aligned = size >= ALIGN_FROM or os.pread(source, 4, 0) == b"\x7fELF"
            self._header(name, stat.S_IFREG | mode, mtime, uid, gid, size, aligned=aligned)
            self._copy(source, size, path)
        finally:
            os.close(source)
        self._pad(4)

    def _add_compressed(self, name: str, path: str, mode: int, mtime: int, uid: int, gid: int) -> bool:
        """False: it is not smaller so."""
        from . import blocked_gzip
        with open(path, "rb") as file:
            data = file.read(SIZE_MAX)
        blocks = blocked_gzip.pack(data)
        if blocks is None:
            return False
        self._header(name, stat.S_IFREG | mode, mtime, uid, gid, sum(map(len, blocks)), aligned=True, check=len(data))
        for block in blocks:
            self._write(block)
        self._advance(len(data) - sum(map(len, blocks)))
        self._pad(4)
        return True

    def close(self) -> int:
        self._header("TRAILER!!!", 0, 0, 0, 0, 0)
        self._pad(512)
        self._file.flush()
        return self._offset

    def _header(self, name: str, mode: int, mtime: int, uid: int, gid: int, size: int, nlink: int = 1, aligned: bool = False,
                check: int = 0) -> None:
        encoded = os.fsencode(name)
        if size > SIZE_MAX:
            raise CpioError(f"{name} has 4 GiB or more")
        if len(encoded) + 1 > NAME_MAX:
            raise CpioError(f"the path {name[:60]}... is longer than {NAME_MAX - 1} bytes")
        namesize = len(encoded) + 1
        if aligned:
            namesize = self._aligned_namesize(namesize)
        self._inode += 1
        fields = (self._inode, mode, uid, gid, nlink, max(0, int(mtime)) & SIZE_MAX, size,
                  0, 0, 0, 0, namesize, check)
        self._write(b"070701" + b"".join(b"%08X" % field for field in fields)
                    + encoded.ljust(namesize, b"\0"))
        self._pad(4)

    def _aligned_namesize(self, namesize: int) -> int:
        padded = self._fitting(self._offset, namesize)
        if padded > NAME_MAX:
            # The filler ends where this entry's unpadded header would end on a page (or up to
            # three bytes before).  Headers begin at multiples of 4, so it has 2 to 4094 bytes.
            start = -(HEADER + namesize) % PAGE & ~3
            self._filler((start - self._offset - HEADER) % PAGE)
            padded = self._fitting(self._offset, namesize)
        return padded

    @staticmethod
    def _fitting(offset: int, namesize: int) -> int:
        """The name size from which the data, 4-aligned behind it, begin on a page."""
        end = offset + HEADER + namesize
        return namesize + -end % PAGE

    def _filler(self, namesize: int) -> None:
        fields = (0, stat.S_IFDIR | 0o755, 0, 0, 2, 0, 0, 0, 0, 0, 0, namesize, 0)
        self._write(b"070701" + b"".join(b"%08X" % field for field in fields)
                    + b".".ljust(namesize, b"\0"))
        self._pad(4)

    def _write(self, data: bytes) -> None:
        self._file.write(data)
        self._offset += len(data)
        self._advance(len(data))

    def _pad(self, unit: int) -> None:
        rest = -self._offset % unit
        if rest:
            self._write(b"\0" * rest)

    def _copy(self, source: int, size: int, path: str) -> None:
        self._file.flush()
        left = size
        while left:
            try:
                count = os.copy_file_range(source, self._fd, left)
            except OSError:
                count = os.sendfile(self._fd, source, None, left)
            if count == 0:
                raise CpioError(f"{path} became shorter while it was read")
            left -= count
            self._advance(count)
        self._offset += size
