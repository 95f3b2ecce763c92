# SPDX-License-Identifier: MIT
"""Finds a program's shared libraries as its own dynamic loader would, without executing it.

glibc (ld.so(8)): DT_RPATH of the file and of those that loaded it, DT_RUNPATH of the file,
/etc/ld.so.conf, the default directories.  musl: the same RPATH rule for both, then the list of
/etc/ld-musl-x86_64.path; its C library is the loader itself.  All paths are looked up below `root`,
so the same code serves --root.
"""
from __future__ import annotations

import os

from .elf import ElfFile, is_elf
from .errors import StoutError, cannot_run

GLIBC_DEFAULT = ("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64",
                 "/lib", "/usr/lib")
MUSL_DEFAULT = ("/lib", "/usr/local/lib", "/usr/lib")
# Loaded by name while the program runs (thread cancellation, backtrace), so no DT_NEEDED shows it.
GLIBC_DLOPENED = ("libgcc_s.so.1",)
MUSL_BUILTIN = ("libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet.",
                "libcrypt.", "libresolv.")


class Root:
    """Paths of the program's world, on this host; mounts are places of it that folders and files elsewhere stand at."""

    def __init__(self, top: str = "/", mounts: dict[str, str] | None = None) -> None:
        self.top = os.path.realpath(top)
        self.mounts = mounts or {}

    def host(self, path: str) -> str:
        """The host's path of an absolute path inside the root; links stay inside it."""
        if self.top == "/":
            return path
        parts, hops = path.split("/")[::-1], 0
        at: list[str] = []
        while parts:
            part = parts.pop()
            if part in ("", "."):
                continue
            if part == "..":
                at = at[:-1]
                continue
            full = self._below(at + [part])
            if os.path.islink(full):
                hops += 1
                if hops > 40:
                    break
                target = os.readlink(full)
                at = [] if target.startswith("/") else at
                parts += target.split("/")[::-1]
                continue
            at.append(part)
        return self._below(at)

    def _below(self, parts: list[str]) -> str:
        for count in range(len(parts), 0, -1) if self.mounts else ():
            source = self.mounts.get("/" + "/".join(parts[:count]))
            if source:
                return os.path.join(source, *parts[count:])
        return os.path.join(self.top, *parts)

    def is_file(self, path: str) -> bool:
        return os.path.isfile(self.host(path))

    def real(self, path: str) -> str:
        """The path inside the root without links."""
        return os.path.realpath(path) if self.top == "/" else "/" + os.path.relpath(self.host(path), self.top)


def read_ld_conf(root: Root, path: str = "/etc/ld.so.conf", depth: int = 0) -> list[str]:
    """The directories of ld.so.conf, its include lines followed."""
    import glob
    directories: list[str] = []
    try:
        with open(root.host(path), encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read().splitlines()
    except OSError:
        return directories
    for line in lines:
        words = line.split("#")[0].replace(",", " ").replace(":", " ").split()
        if not words or words[0] == "hwcap":
            continue
        if words[0] != "include":
            directories += [word for word in words if word.startswith("/")]
            continue
        for pattern in words[1:]:
            pattern = os.path.join(os.path.dirname(path), pattern)
            top = "" if root.top == "/" else root.top
            for found in sorted(glob.glob(top + pattern)):
                if depth < 8:
                    directories += read_ld_conf(root, found[len(top):], depth + 1)
    return directories


def musl_directories(root: Root) -> list[str]:
    try:
        with open(root.host("/etc/ld-musl-x86_64.path"), encoding="utf-8",
                  errors="surrogateescape") as file:
            return [d for d in file.read().replace("\n", ":").split(":") if d]
    except OSError:
        return list(MUSL_DEFAULT)


class Resolver:
    """The libraries of any number of programs in one root; each file is read once."""

    def __init__(self, root: Root) -> None:
        self.root = root
        self.files: dict[str, ElfFile] = {}   # path in the root -> ElfFile
        self.by_name: dict[str, str] = {}    # soname as asked for -> path, of what system directories gave (ld.so.cache)
        self._system: dict[bool, list[str]] = {}
        self._directories: dict[str, set[str]] = {}

    def add(self, path: str, optional: bool = False) -> list[str]:
        """Adds the ELF file at `path` and all it needs; the paths, itself first."""
        found: dict[str, None] = {}
        self._add(path, (), None, found, optional)
        return list(found)

    def read(self, path: str) -> ElfFile:
        if path not in self.files:
            elf = ElfFile(self.root.host(path))
            elf.path = path
            self.files[path] = elf
        return self.files[path]

    def _add(self, path: str, chain: tuple[ElfFile, ...], musl: bool | None, found: dict[str, None], optional: bool) -> None:
        if path in found:
            return
        elf = self.read(path)
        found[path] = None
        if elf.interpreter:
            musl = "ld-musl" in elf.interpreter
            self._add_interpreter(elf, found, optional)
        elif musl is None:
            musl = any("musl" in name for name in elf.needed)
        needed = list(elf.needed)
        if elf.interpreter and not musl:
            needed += [n for n in GLIBC_DLOPENED if self._find_system(n, musl) and n not in needed]
        for name in needed:
            if musl and name.startswith(MUSL_BUILTIN):
                continue
            library = self._find(name, elf, chain, musl)
            if library is None:
                if optional:
                    continue
                raise cannot_run(f"The library {name}, which {elf.path} needs, is not on this host; "
                                 f"install the package that has it ({hint(name)}) or name its "
                                 "folder in LD_LIBRARY_PATH.")
            if os.path.basename(library).startswith("ld-linux") and library in found:
                continue
            self._add(library, (elf,) + chain, musl, found, optional)

    def _add_interpreter(self, elf: ElfFile, found: dict[str, None], optional: bool) -> None:
        path = elf.interpreter
        assert path is not None
        if not self.root.is_file(path):
            if optional:
                return
            what = "musl" if "musl" in path else "libc6"
            raise cannot_run(f"{elf.path} needs the dynamic loader {path}, which is not "
                             f"{'on this host' if self.root.top == '/' else 'in the root folder'}; "
                             f"install it (Debian: apt-get install {what}).")
        found[path] = None

    def _find(self, name: str, elf: ElfFile, chain: tuple[ElfFile, ...], musl: bool) -> str | None:
        if "/" in name:
            path = name if name.startswith("/") else os.path.join(os.path.dirname(elf.path), name)
            return path if self._fits(path) else None
        for directory in self._search_path(elf, chain, musl):
            path = os.path.join(directory, name)
            if self._has(directory, name) and self._fits(path):
                return path
        return self._find_system(name, musl)

    def finds(self, name: str) -> bool:
        """Is a library of this name in a system directory, whichever C library it is for?"""
        return any(self._find_system(name, musl) for musl in (False, True))

    def _find_system(self, name: str, musl: bool) -> str | None:
        if name in self.by_name and not musl:
            return self.by_name[name]
        for directory in self._system_directories(musl):
            path = os.path.join(directory, name)
            if self._has(directory, name) and self._fits(path):
                if not musl:
                    self.by_name[name] = path
                return path
        return None

    def _search_path(self, elf: ElfFile, chain: tuple[ElfFile, ...], musl: bool) -> list[str]:
        rpaths: list[str] = []
        if musl:  # musl treats both alike and asks the loaders' too
            for item in (elf,) + chain:
                rpaths += self._expand(item, item.runpath or item.rpath)
        elif not elf.runpath:
            for item in (elf,) + chain:
                if not item.runpath:
                    rpaths += self._expand(item, item.rpath)
        environment = os.environ.get("LD_LIBRARY_PATH", "") if self.root.top == "/" else ""
        rpaths += [d for d in environment.split(":") if d.startswith("/")]
        if not musl:
            rpaths += self._expand(elf, elf.runpath)
        return rpaths

    def _expand(self, elf: ElfFile, directories: list[str]) -> list[str]:
        origin = os.path.dirname(self.root.real(elf.path))
        result = []
        for directory in directories:
            for word in ("$ORIGIN", "${ORIGIN}"):
                directory = directory.replace(word, origin)
            directory = directory.replace("$LIB", "lib/x86_64-linux-gnu").replace(
                "$PLATFORM", "x86_64")
            if directory.startswith("/"):
                result.append(os.path.normpath(directory))
        return result

    def _system_directories(self, musl: bool) -> list[str]:
        if musl not in self._system:
            if musl:
                self._system[musl] = musl_directories(self.root)
            else:
                self._system[musl] = read_ld_conf(self.root) + list(GLIBC_DEFAULT)
        return self._system[musl]

    def _has(self, directory: str, name: str) -> bool:
        """Is there such an entry?  Directories are read once: most lookups fail."""
        if directory not in self._directories:
            try:
                self._directories[directory] = set(os.listdir(self.root.host(directory)))
            except OSError:
                self._directories[directory] = set()
        return name in self._directories[directory]

    def _fits(self, path: str) -> bool:
        """Like ld.so: a file of another machine is passed over, not an error."""
        host = self.root.host(path)
        if not os.path.isfile(host) or not is_elf(host):
            return False
        try:
            self.read(path)
            return True
        except StoutError:
            return False


def hint(name: str) -> str:
    """The name a Debian package would have: libfoo.so.1 -> libfoo1."""
    base, _, version = name.partition(".so")
    return base + ("-" if base[-1:].isdigit() else "") + version.lstrip(".").split(".")[0]
