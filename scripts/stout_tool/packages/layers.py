# SPDX-License-Identifier: MIT
"""Puts tar archives into a package: the layers of a container image, the files of a Debian package.

A layer's archive says what the layer adds and, by names that begin with .wh., what it takes away (OCI image specification,
"Representing changes").  Such archives come from strangers: whatever would leave the root, or is no file at all, is refused.
"""
from __future__ import annotations

import os
import tarfile
from typing import Callable, IO, Protocol, cast

from .manifest import FILE
from .writer import PackageWriter, UnsafePath, normal

WHITEOUT, OPAQUE = ".wh.", ".wh..wh..opq"
ID_MAX = (1 << 32) - 2
# Device nodes that a root may bring and the kernel makes itself (Linux's admin-guide/devices.txt).
KERNELS_DEVICES = {("/dev/null", 1, 3), ("/dev/zero", 1, 5), ("/dev/full", 1, 7), ("/dev/random", 1, 8), ("/dev/urandom", 1, 9),
                   ("/dev/tty", 5, 0), ("/dev/console", 5, 1), ("/dev/ptmx", 5, 2), ("/dev/pts/ptmx", 5, 2)}


class DamagedArchive(Exception):
    """Not a tar archive, or not whole."""


class Readable(Protocol):
    def read(self, size: int) -> bytes: ...


class Padded:
    """A stream with zeros after its end: umoci insert ends archives without padding, and what is whole the checksums tell."""

    def __init__(self, stream: Readable) -> None:
        self._stream, self._zeros = stream, tarfile.BLOCKSIZE + tarfile.RECORDSIZE

    def read(self, size: int) -> bytes:
        data = self._stream.read(size)
        if data or not self._zeros:
            return data
        data = bytes(min(size, self._zeros))
        self._zeros -= len(data)
        return data


class Layer:
    """One archive on its way into the package."""

    def __init__(self, writer: PackageWriter, whiteouts: bool, skip: Callable[[str], bool] = lambda path: False) -> None:
        self.writer, self.whiteouts, self.skip = writer, whiteouts, skip
        self.fresh: set[str] = set()  # what this layer brought: its own whiteouts are for the layers below

    def apply(self, stream: Readable) -> None:
        try:
            with tarfile.open(fileobj=cast(IO[bytes], Padded(stream)), mode="r|", bufsize=1 << 20) as tar:
                self.take(tar)
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise DamagedArchive(str(error) or "it ends too early") from None

    def take(self, tar: tarfile.TarFile) -> None:
        for member in tar:
            setattr(tar, "members", [])  # it is read once; the list would only grow
            self._add(tar, member)

    def _add(self, tar: tarfile.TarFile, member: tarfile.TarInfo) -> None:
        path = normal(member.name)
        if "\0" in path:
            raise UnsafePath("a name with a NUL byte")
        base = os.path.basename(path)
        if self.whiteouts and base.startswith(WHITEOUT):
            self._take_away(path, base)
            return
        if self.skip(path):
            return
        if not (0 <= member.uid <= ID_MAX and 0 <= member.gid <= ID_MAX):
            raise UnsafePath(f"{path} has an owner that makes no sense ({member.uid}:{member.gid})")
        mode, owner, time = member.mode & 0o7777, (member.uid, member.gid), int(member.mtime)
        if member.isdir():
            self._mark(self.writer.add_directory(path, mode, *owner, time))
        elif member.isreg():
            source = tar.extractfile(member)
            assert source is not None
            self._mark(self.writer.add_file(path, source, mode, *owner, time))
        elif member.issym():
            self.writer.add_link(path, member.linkname)
            self._mark(self.writer.locate(path))
        elif member.islnk():
            self._add_hard_link(path, member.linkname)
        elif member.ischr() or member.isblk():
            if member.isblk() or (path, member.devmajor, member.devminor) not in KERNELS_DEVICES:
                raise UnsafePath(f"{path} is a device node ({member.devmajor}:{member.devminor})")
        elif not member.isfifo():
            raise UnsafePath(f"{path} has the unknown type {member.type!r}")

    def _add_hard_link(self, path: str, name: str) -> None:
        old = self.writer.find(normal(name))
        if old is None or self.writer.files[old].type != FILE:
            raise UnsafePath(f"{path} is a hard link to {name}, which is not a file in it")
        self.writer.add_copy(path, old)
        self._mark(self.writer.locate(path))

    def _mark(self, path: str) -> None:
        while path not in self.fresh and path != "/":
            self.fresh.add(path)
            path = os.path.dirname(path)

    def _take_away(self, path: str, base: str) -> None:
        name = base.removeprefix(WHITEOUT)
        if name in ("", ".", ".."):
            raise UnsafePath(f"{path} is a whiteout without a name")
        folder = self.writer.find(os.path.dirname(path))
        if folder is None:
            return  # nothing below has it
        if base == OPAQUE:
            self.writer.remove_below(folder, keep=self.fresh.__contains__)
        elif not base.startswith(WHITEOUT * 2):  # aufs's own notes
            gone = os.path.join(folder, name)
            if gone in self.fresh:
                self.writer.remove_below(gone, keep=self.fresh.__contains__)
            else:
                self.writer.remove(gone)
