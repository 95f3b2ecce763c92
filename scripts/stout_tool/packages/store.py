# SPDX-License-Identifier: MIT
"""The store: ~/.local/share/stout (XDG_DATA_HOME; STOUT_HOME is another place for all of it).

    format          the number of this layout; a store from a newer stout is left alone
    packages/NAME   package.json, its digest, and the files below root/
    checked/NAME    which files were as the manifest says, with the times and inodes they had then
    new/            packages in the making; what a killed stout left there goes when the next one comes by

A package is made in a folder of new/, written to the disk, and gets its name by one rename.  Commands that
rename hold the lock.
"""
from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import re
from typing import IO, Iterator

from ..errors import StoutError, not_found, usage
from ..output import fresh_folder
from ..progress import progress
from . import manifest as manifests
from .manifest import FILE, LINK, FileEntry, Manifest, damaged

FORMAT = 1
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+@-]{0,127}")
AT_FDCWD, RENAME_EXCHANGE = -100, 2


def home_dir() -> str:
    if place := os.environ.get("STOUT_HOME"):
        return os.path.abspath(place)
    data = os.environ.get("XDG_DATA_HOME", "")
    if not data.startswith("/"):  # the specification: relative paths are to be ignored
        data = os.path.join(os.path.expanduser("~"), ".local", "share")
    return os.path.join(data, "stout")


def check_name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise usage(f"{name!r} cannot be a package's name; use letters, digits and . _ + @ - (at most 128, not . first).")
    return name


class Package:
    """One package of the store."""

    def __init__(self, store: Store, name: str, manifest: Manifest) -> None:
        self.store, self.name, self.manifest = store, name, manifest
        self.root = os.path.join(store.folder(name), "root")

    def digest(self) -> str:
        return manifests.read_file(self.store.folder(self.name), manifests.DIGEST).decode().strip()

    def verify(self) -> None:
        """Refuses a package whose files are not those of the manifest.

        What was read once and has the same times and inode since is not read again: nobody but root can set a file's
        change time.
        """
        cache = os.path.join(self.store.home, "checked", self.name)
        seen = read_stamps(cache)
        stamps: dict[str, list[int]] = {}
        with progress("checking", self.manifest.size) as bar:
            for path, entry in self.manifest.files.items():
                self._verify_file(path, entry, seen, stamps)
                bar.advance(entry.size)
        if stamps != seen:
            write_stamps(cache, stamps)

    def _verify_file(self, path: str, entry: FileEntry, seen: dict[str, list[int]], stamps: dict[str, list[int]]) -> None:
        place = self.root + path
        try:
            info = os.lstat(place)
            if entry.type == LINK:
                good = os.readlink(place) == entry.target
            elif entry.type != FILE:
                good = os.path.isdir(place) and not os.path.islink(place)
            else:
                stamps[path] = [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]
                good = seen.get(path) == stamps[path] or sha256_of(place) == entry.sha256
        except OSError:
            raise damaged(self.name, f"{path} is missing") from None
        if not good:
            raise damaged(self.name, f"{path} was changed")


def read_stamps(path: str) -> dict[str, list[int]]:
    try:
        with open(path, encoding="utf-8") as file:
            stamps = json.load(file)
        return stamps if isinstance(stamps, dict) else {}
    except (OSError, ValueError):
        return {}


def write_stamps(path: str, stamps: dict[str, list[int]]) -> None:
    """A convenience: where it cannot be written, the next start reads the files again."""
    with contextlib.suppress(OSError):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        temporary = f"{path}.{os.getpid()}~"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(stamps, file)
        os.rename(temporary, path)


def sha256_of(path: str) -> str:
    import hashlib
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Store:
    def __init__(self, home: str | None = None) -> None:
        self.home = home or home_dir()
        self.packages = os.path.join(self.home, "packages")
        self._check_format()

    def _check_format(self) -> None:
        try:
            with open(os.path.join(self.home, "format"), encoding="ascii") as file:
                found = int(file.read(16))
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            raise StoutError(f"{self.home}/format cannot be read ({error}); is this a store of stout?  Name another folder in "
                             "STOUT_HOME.") from None
        if found > FORMAT:
            raise StoutError(f"The store {self.home} has format {found}, made by a newer stout; this one knows {FORMAT}: update "
                             "stout, or name another folder in STOUT_HOME.")

    def folder(self, name: str) -> str:
        return os.path.join(self.packages, check_name(name))

    def __contains__(self, name: str) -> bool:
        return os.path.isdir(self.folder(name))

    def names(self) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.packages) if NAME.fullmatch(name))
        except FileNotFoundError:
            return []

    def open(self, name: str) -> Package:
        if name not in self:
            import difflib
            near = difflib.get_close_matches(name, self.names(), 1)
            remedy = f"did you mean {near[0]}?" if near else "stout pkg list shows what there is, stout pkg get fetches."
            raise not_found(f"There is no package {name} in {self.home}; {remedy}")
        return Package(self, name, manifests.read(self.folder(name), name))

    def remove(self, name: str) -> None:
        if name not in self:
            self.open(name)
        with self._locked(), self._workplace() as place:
            os.rename(self.folder(name), os.path.join(place, "old"))
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.home, "checked", name))

    @contextlib.contextmanager
    def making(self, name: str, replace: bool = False) -> Iterator[str]:
        """A folder that becomes the package NAME when the block ends well, and nothing when it does not."""
        target = self.folder(name)
        self._check_absent(name, replace)
        try:
            with self._workplace() as place:
                made = os.path.join(place, "package")
                os.mkdir(made)
                yield made
                sync(made)
                with self._locked():
                    self._check_absent(name, replace)
                    exchange(made, target) if os.path.isdir(target) else os.rename(made, target)
        except OSError as error:
            raise StoutError(f"The package {name} cannot be written to {self.home}: {(error.strerror or str(error)).lower()}; nothing was "
                             "left behind.  Make room, or name another folder in STOUT_HOME.") from None

    def _check_absent(self, name: str, replace: bool) -> None:
        if name in self and not replace:
            raise usage(f"The package {name} exists already; give --force to replace it, or another name with --name.")

    @contextlib.contextmanager
    def _workplace(self) -> Iterator[str]:
        """A folder of new/, gone at the end, whatever ends the work."""
        for name in ("packages", "new"):
            os.makedirs(os.path.join(self.home, name), mode=0o700, exist_ok=True)
        self._mark()
        with fresh_folder(os.path.join(self.home, "new"), "") as place:
            yield place

    def _mark(self) -> None:
        path = os.path.join(self.home, "format")
        if not os.path.exists(path):
            temporary = f"{path}.{os.getpid()}"
            with open(temporary, "w", encoding="ascii") as file:
                file.write(f"{FORMAT}\n")
            os.rename(temporary, path)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        with open(os.path.join(self.home, "lock"), "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file


def exchange(new: str, old: str) -> None:
    """Each gets the other's name, in one step where the filesystem can."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old), RENAME_EXCHANGE) == 0:
        return
    aside = new + ".old"
    os.rename(old, aside)
    os.rename(new, old)


def sync(folder: str) -> None:
    """The data are on the disk before the name is; one call for all files of the filesystem."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    finally:
        os.close(descriptor)
