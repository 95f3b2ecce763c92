# SPDX-License-Identifier: MIT
"""Fills a new package: files below root/, and what the guest is to see of each in the manifest.

Paths are the guest's.  Links on the way are followed inside the package, as in a chroot, and never on this host; a path whose
links lead out of the package is refused.
"""
from __future__ import annotations

import hashlib
import os
import shutil
import stat
from typing import IO, Callable

from ..errors import StoutError
from .manifest import DIRECTORY, FILE, LINK, FileEntry, Manifest

Skip = Callable[[str, bool], bool]  # (path below the folder, is it a folder): is it left out?
CHUNK = 1 << 20
LINKS_MAX = 40


class UnsafePath(Exception):
    """A path that would leave the package; the argument says how."""


class PackageWriter:
    def __init__(self, folder: str, manifest: Manifest) -> None:
        self.folder, self.manifest, self.files = folder, manifest, manifest.files
        self.root = os.path.join(folder, "root")
        os.mkdir(self.root)
        self.written = 0  # bytes of files so far

    def place(self, path: str) -> str:
        return self.root + path

    def locate(self, path: str) -> str:
        """The path with the links of its folders followed and the folders made."""
        parent, name = os.path.split(normal(path))
        if not name:
            return "/"
        parent = self.resolve(parent)
        self.add_directory_at(parent)
        return os.path.join(parent, name)

    def resolve(self, path: str) -> str:
        """The folder that a path leads to; what is missing on the way is a folder to be made."""
        parts, hops = path.split("/")[::-1], 0
        at: list[str] = []
        through_link = 0  # how many of the parts still to come are a link's
        while parts:
            part = parts.pop()
            is_links = through_link > 0
            through_link -= is_links
            if part in ("", "."):
                continue
            if part == "..":
                if not at:
                    raise UnsafePath(f"{path} leads out of the root through a link")
                at.pop()
                continue
            here = "/" + "/".join([*at, part])
            entry = self.files.get(here)
            if entry is None and is_links:
                raise UnsafePath(f"{path} leads through a link to {here}, which is not in it")
            if entry is not None and entry.type == LINK:
                hops += 1
                if hops > LINKS_MAX:
                    raise UnsafePath(f"{path} leads through more than {LINKS_MAX} links")
                at = [] if entry.target.startswith("/") else at
                words = entry.target.split("/")
                parts += words[::-1]
                through_link += len(words)
                continue
            if entry is not None and entry.type == FILE:
                raise UnsafePath(f"{path} leads through {here}, which is not a folder")
            at.append(part)
        return "/" + "/".join(at)

    def find(self, path: str) -> str | None:
        """The place of an existing path, the links of its folders followed; nothing is made."""
        parent, name = os.path.split(path)
        try:
            place = os.path.join(self.resolve(parent), name)
        except UnsafePath:
            return None
        return place if place in self.files or place == "/" else None

    def add_directory_at(self, path: str) -> None:
        """A resolved path and its parents."""
        at = ""
        for part in path.strip("/").split("/"):
            at = f"{at}/{part}"
            if part and at not in self.files:
                os.mkdir(self.place(at))
                self.files[at] = FileEntry(DIRECTORY)

    def add_directory(self, path: str, mode: int = 0o755, uid: int = 0, gid: int = 0, mtime: int = 0) -> str:
        path = self.locate(path)
        entry = FileEntry(DIRECTORY, mode, uid, gid, mtime)
        if path == "/":
            self.files[path] = entry
            return path
        old = self.files.get(path)
        if old is not None and old.type == LINK:
            target = self.resolve(path)
            if (found := self.files.get(target)) is not None and found.type == DIRECTORY:
                return target  # as tar and docker do: a folder over a link to one changes nothing
        if old is None or old.type != DIRECTORY:
            self.remove(path)
            os.mkdir(self.place(path))
        self.files[path] = entry
        return path

    def add_link(self, path: str, target: str) -> None:
        path = self._cleared(path)
        os.symlink(target, self.place(path))
        self.files[path] = FileEntry(LINK, 0o777, target=target)

    def add_file(self, path: str, source: IO[bytes], mode: int = 0o644, uid: int = 0, gid: int = 0, mtime: int = 0) -> str:
        path = self._cleared(path)
        digest, size = hashlib.sha256(), 0
        with open(self.place(path), "xb", opener=executable if mode & 0o111 else plain) as file:
            while chunk := source.read(CHUNK):
                digest.update(chunk)
                file.write(chunk)
                size += len(chunk)
                self.written += len(chunk)
        self.files[path] = FileEntry(FILE, mode, uid, gid, mtime, size, digest.hexdigest())
        return path

    def add_bytes(self, path: str, data: bytes, mode: int = 0o644) -> str:
        import io
        return self.add_file(path, io.BytesIO(data), mode)

    def add_copy(self, path: str, old: str) -> None:
        """A hard link becomes a file of its own: nothing is shared behind the checksums' back."""
        entry = self.files.get(old)
        if entry is None or entry.type != FILE:
            raise UnsafePath(f"{path} is a hard link to {old}, which is not a file in it")
        if path != old:
            with open(self.place(old), "rb") as source:
                self.add_file(path, source, entry.mode, entry.uid, entry.gid, entry.mtime)

    def add_host(self, path: str, source: str, owner: tuple[int, int] = (0, 0)) -> str:
        """A file of this host, links followed."""
        try:
            with open(source, "rb") as file:
                info = os.fstat(file.fileno())
                return self.add_file(path, file, stat.S_IMODE(info.st_mode), *owner, int(info.st_mtime))
        except PermissionError:
            raise StoutError(f"{source} cannot be read: permission denied; run stout as a user who may read it.") from None

    def add_folder(self, top: str, guest: str = "/", skip: Skip | None = None, keep_owner: bool = False) -> None:
        """All that is below a folder of this host; special files are not taken."""
        self._add_items(items_of(top), guest, "", skip, keep_owner)

    def _add_items(self, items: list[os.DirEntry[str]], guest: str, relative: str, skip: Skip | None, keep_owner: bool) -> None:
        for item in items:
            below = f"{relative}{item.name}"
            place = os.path.join(guest, below)
            is_dir = item.is_dir(follow_symlinks=False)
            if skip and skip(below, is_dir):
                continue
            info = item.stat(follow_symlinks=False)
            owner = (info.st_uid, info.st_gid) if keep_owner else (0, 0)
            if item.is_symlink():
                self.add_link(place, os.readlink(item.path))
            elif is_dir:
                self.add_directory(place, stat.S_IMODE(info.st_mode), *owner, int(info.st_mtime))
                self._add_items(items_of(item.path), guest, below + "/", skip, keep_owner)
            elif item.is_file(follow_symlinks=False):
                self.add_host(place, item.path, owner)

    def _cleared(self, path: str) -> str:
        path = self.locate(path)
        if path == "/":
            raise UnsafePath("the root would become a file")
        self.remove(path)
        return path

    def remove(self, path: str) -> None:
        """A path and all below it; path is resolved already."""
        entry = self.files.pop(path, None)
        if entry is None:
            return
        if entry.type != DIRECTORY:
            os.unlink(self.place(path))
            return
        self.remove_below(path)
        shutil.rmtree(self.place(path))

    def remove_below(self, path: str, keep: Callable[[str], bool] = lambda path: False) -> None:
        prefix = path.rstrip("/") + "/"
        for name in sorted((name for name in self.files if name.startswith(prefix) and name != "/"), reverse=True):
            if keep(name):
                continue
            entry = self.files.pop(name)
            (os.rmdir if entry.type == DIRECTORY else os.unlink)(self.place(name))

    def finish(self) -> None:
        self.manifest.write(self.folder)


def items_of(folder: str) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(folder), key=lambda item: item.name)
    except PermissionError:
        raise StoutError(f"{folder} cannot be read: permission denied; run stout as a user who may read it.") from None


def normal(path: str) -> str:
    """An absolute path without empty parts; a name that climbs is refused."""
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnsafePath(f"{path} has .. in it")
    return "/" + "/".join(parts)


def plain(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)


def executable(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o755)
