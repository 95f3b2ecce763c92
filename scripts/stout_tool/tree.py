# SPDX-License-Identifier: MIT
"""The file tree of an image, gathered before anything is written.

An entry is keyed by its absolute path in the image.  Adding a path of the host brings
the symbolic links on the way too (/lib -> usr/lib), so that the image looks as the host does.
The entries, with sizes and times, are also the key under which the finished archive is cached.
"""
from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .errors import StoutError

if TYPE_CHECKING:
    from .cpio import CpioWriter
    from .image import User

Skip = Callable[[str, bool], bool]  # a relative path; is it a folder?
OnElf = Callable[[str, str], None]  # where a file is here, and its place in the image
FILE, DIRECTORY, SYMLINK, BYTES = "file", "dir", "link", "bytes"


class Entry:
    __slots__ = ("kind", "mode", "mtime", "uid", "gid", "source", "data", "target", "size", "stamp", "keep_time", "why")

    def __init__(self, kind: str, mode: int = 0o755, mtime: int = 0, uid: int = 0, gid: int = 0, source: str = "",
                 data: bytes = b"", target: str = "", size: int = 0, stamp: object = 0, keep_time: bool = False) -> None:
        self.kind, self.mode, self.mtime = kind, mode, mtime
        self.uid, self.gid = uid, gid
        self.source, self.data, self.target, self.size, self.stamp = source, data, target, size, stamp
        self.why = ""
        self.keep_time = keep_time  # a directory's; else it is that of the newest file in it


class Tree:
    """Paths of the image and what stands there."""

    def __init__(self, keep_owner: bool = False) -> None:
        self.entries: dict[str, Entry] = {}
        self._keep_owner = keep_owner
        self.total = 0
        self.why = ""  # for the entries that are put now: stout image inspect shows it

    @contextlib.contextmanager
    def because(self, why: str) -> Iterator[None]:
        before, self.why = self.why, why
        try:
            yield
        finally:
            self.why = before

    def __contains__(self, path: str) -> bool:
        return path in self.entries

    def make_directory(self, path: str, mode: int = 0o755, owner: User | None = None) -> str:
        """A directory and its parents, through links of the tree; owner has a uid and a gid."""
        at = ""
        for part in path.strip("/").split("/"):
            if not part:
                continue
            at = self.follow(f"{at}/{part}")
            if at not in self.entries:
                uid, gid = (owner.uid, owner.gid) if owner and at == path else (0, 0)
                self.entries[at] = Entry(DIRECTORY, mode if at == path else 0o755, uid=uid, gid=gid)
        return at or "/"

    def follow(self, path: str) -> str:
        """The place that a path of the tree stands for, when it is a link."""
        for _ in range(40):
            entry = self.entries.get(path)
            if entry is None or entry.kind != SYMLINK:
                return path
            path = os.path.normpath(os.path.join(os.path.dirname(path), entry.target))
        return path

    def locate(self, path: str) -> str:
        """The path with the links of its directories followed; makes these directories."""
        parent, name = os.path.split(os.path.normpath(path))
        parent = self.make_directory(parent) if parent != "/" else ""
        return f"{parent}/{name}"

    def add_bytes(self, path: str, data: bytes | str, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
        path = self.locate(path)
        if isinstance(data, str):
            data = os.fsencode(data)
        self.put(path, Entry(BYTES, mode, uid=uid, gid=gid, data=data, size=len(data)))

    def add_symlink(self, path: str, target: str) -> None:
        path = self.locate(path)
        self.put(path, Entry(SYMLINK, 0o777, target=target))

    def add_host(self, path: str, guest: str | None = None) -> str:
        """One file, link or (empty) directory of the host at `guest`, default the same path.

        Returns its final path in the image.  Links on the way come too.
        """
        if guest is not None and guest != path:
            return self._add_one(os.path.realpath(path), self.locate(guest))
        path = os.path.normpath(path)
        at = ""
        parts = path.strip("/").split("/")
        for index, part in enumerate(parts):
            here = f"{at}/{part}"
            if os.path.islink(here):
                target = os.readlink(here)
                if here not in self.entries:
                    self.put(here, Entry(SYMLINK, 0o777, target=target))
                rest = "/".join(parts[index + 1:])
                where = os.path.normpath(os.path.join(at or "/", target))
                return self.add_host(os.path.join(where, rest) if rest else where)
            if index < len(parts) - 1:
                if here not in self.entries:
                    self._add_one(here, self.locate(here))
            at = here
        return self._add_one(path, self.locate(path))  # which is path, unless the tree began as a root with other links

    def add_folder(self, top: str, guest: str | None = None, skip: Skip | None = None, on_elf: OnElf | None = None) -> None:
        """A folder of the host with all in it; skip(relative path, is_dir) leaves something out."""
        guest = os.path.normpath(guest or top)
        if guest == os.path.normpath(top):
            guest = self.add_host(top)
        else:
            guest = self.make_directory(guest) if guest != "/" else ""
        top = os.path.realpath(top)
        self._add_below(top, guest.rstrip("/"), "", skip, on_elf)

    def _add_below(self, top: str, guest: str, relative: str, skip: Skip | None, on_elf: OnElf | None) -> None:
        try:
            items = sorted(os.scandir(os.path.join(top, relative)), key=lambda item: item.name)
        except PermissionError as error:
            raise StoutError(f"{error.filename} cannot be read: permission denied; run stout as "
                             "a user who may read it, or leave it out.") from None
        for item in items:
            below = f"{relative}/{item.name}" if relative else item.name
            is_dir = item.is_dir(follow_symlinks=False)
            if skip and skip(below, is_dir):
                continue
            place = f"{guest}/{below}"
            if item.is_symlink():
                self.put(place, Entry(SYMLINK, 0o777, target=os.readlink(item.path)))
            elif is_dir:
                self._add_one(item.path, place)
                self._add_below(top, guest, below, skip, on_elf)
            elif item.is_file(follow_symlinks=False):
                self._add_one(item.path, place)
                if on_elf:
                    on_elf(item.path, place)

    def _add_one(self, source: str, place: str) -> str:
        try:
            info = os.stat(source)
        except OSError as error:
            raise StoutError(f"{source} cannot be read: {error.strerror.lower()}.") from None
        mode = stat.S_IMODE(info.st_mode)
        owner = (info.st_uid, info.st_gid) if self._keep_owner else (0, 0)
        if stat.S_ISDIR(info.st_mode):
            if place not in self.entries or self.entries[place].kind != DIRECTORY:
                self.put(place, Entry(DIRECTORY, mode, int(info.st_mtime), *owner, keep_time=self._keep_owner))
            return place
        if not stat.S_ISREG(info.st_mode):
            raise StoutError(f"{source} is neither a file nor a folder; it cannot be put in an image.")
        if not os.access(source, os.R_OK):
            raise StoutError(f"{source} cannot be read: permission denied; run stout as a user "
                             "who may read it, or leave it out.")
        self.put(place, Entry(FILE, mode, int(info.st_mtime), *owner, source=source,
                               size=info.st_size, stamp=(info.st_mtime_ns, info.st_ino)))
        return place

    def put(self, path: str, entry: Entry) -> None:
        old = self.entries.get(path)
        self.total += entry.size - (old.size if old else 0)
        entry.why = self.why
        self.entries[path] = entry

    def remove(self, path: str) -> None:
        self.total -= self.entries.pop(path).size

    def key(self) -> str:
        """Changes whenever the archive would; see _directory_times."""
        digest = hashlib.blake2b(digest_size=20)
        for path in sorted(self.entries):
            entry = self.entries[path]
            is_dir = entry.kind == DIRECTORY
            digest.update(os.fsencode(repr((
                path, entry.kind, entry.mode, 0 if is_dir and not entry.keep_time else entry.mtime, entry.uid, entry.gid,
                entry.size, 0 if is_dir else entry.stamp, entry.source, entry.data, entry.target))))
        return digest.hexdigest()

    def _directory_times(self) -> dict[str, int]:
        """A directory of this host changes with every file made beside the ones that are taken.

        So it gets the time of the newest file in it that is taken; in a root, whose owners are kept, all are.
        """
        times: dict[str, int] = {}
        kept: dict[str, int] = {}
        for path, entry in self.entries.items():
            if entry.kind == DIRECTORY:
                if entry.keep_time:
                    kept[path] = entry.mtime
            else:
                parent = os.path.dirname(path)
                times[parent] = max(times.get(parent, 0), entry.mtime)
        return {**times, **kept}

    def write(self, writer: CpioWriter) -> None:
        """Parents before children; within a directory by name."""
        times = self._directory_times()
        for path in sorted(self.entries, key=lambda p: p.split("/")):
            entry, name = self.entries[path], path.lstrip("/")
            if entry.kind == DIRECTORY:
                writer.add_directory(name, entry.mode, times.get(path, 0), entry.uid, entry.gid)
            elif entry.kind == SYMLINK:
                writer.add_symlink(name, entry.target, entry.mtime)
            elif entry.kind == BYTES:
                writer.add_bytes(name, entry.data, entry.mode, entry.mtime, entry.uid, entry.gid)
            else:
                writer.add_file(name, entry.source, entry.mode, entry.mtime, entry.uid, entry.gid)
