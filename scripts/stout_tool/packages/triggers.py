# SPDX-License-Identifier: MIT
"""What dpkg's triggers and py3compile would make after all packages are unpacked: the loader's cache and compiled modules.

Without the cache, libraries in folders of /etc/ld.so.conf.d are not found.  Without the compiled modules a Python program compiles
what it imports at every start, since what a machine writes is gone with it.  They carry the hash of their source and not its time,
so that a source that is replaced counts.
"""
from __future__ import annotations

import os
import posixpath
import re
import sys

from ..ldcache import make_cache
from ..libraries import GLIBC_DEFAULT
from ..output import scratch_folder
from ..progress import progress
from .manifest import FILE
from .writer import PackageWriter, UnsafePath

LIBRARY = re.compile(r"(lib[^/]+|ld-linux[^/]*)\.so(\.\d+)*")
IDENT = b"\x7fELF\x02\x01"  # 64 bits, little-endian
CACHE = "/etc/ld.so.cache"
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
SOURCE = re.compile(rf"(/usr/lib/python3/dist-packages|/usr/lib/python{re.escape(VERSION)})/(.*/)?([^/]+)\.py")


def run_triggers(writer: PackageWriter) -> None:
    make_loader_cache(writer)
    compile_modules(writer)


def make_loader_cache(writer: PackageWriter) -> None:
    if not any("/ld-linux-" in path for path in writer.files) or writer.find(CACHE):
        return
    found: dict[str, str] = {}
    for folder in [*configured_folders(writer), *GLIBC_DEFAULT]:
        try:
            place = writer.resolve(folder)
        except UnsafePath:
            continue
        for path in sorted(writer.files):
            name = posixpath.basename(path)
            if posixpath.dirname(path) == place and LIBRARY.fullmatch(name) and is_library(writer, path):
                found.setdefault(name, posixpath.join(folder, name))
    writer.add_bytes(CACHE, make_cache(found))


def configured_folders(writer: PackageWriter) -> list[str]:
    """Debian's /etc/ld.so.conf only names the folder of these files, and comes with libc-bin, on which nothing depends."""
    folders = []
    for path in sorted(path for path in writer.files if re.fullmatch(r"/etc/ld\.so\.conf\.d/[^/]+\.conf", path)):
        with open(writer.place(path), encoding="utf-8", errors="replace") as file:
            folders += [line.strip() for line in file if line.startswith("/")]
    return folders


def is_library(writer: PackageWriter, path: str) -> bool:
    try:
        place = writer.resolve(path) if writer.files[path].type != FILE else path
        with open(writer.place(place), "rb") as file:
            return file.read(len(IDENT)) == IDENT
    except (UnsafePath, OSError):
        return False


def compile_modules(writer: PackageWriter) -> None:
    """Only where the package's Python is of the version that runs this, whose form compiled modules have."""
    if not writer.find(f"/usr/bin/python{VERSION}"):
        return
    import py_compile
    import warnings
    sources = [path for path, entry in sorted(writer.files.items()) if entry.type == FILE and SOURCE.fullmatch(path)]
    with scratch_folder() as folder, warnings.catch_warnings(), progress("compiling modules", sum(writer.files[path].size for path in sources)) as bar:
        warnings.simplefilter("ignore")
        made = os.path.join(folder, "module.pyc")
        for path in sources:
            bar.advance(writer.files[path].size)
            top, name = posixpath.split(path)
            target = f"{top}/__pycache__/{name.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
            try:
                py_compile.compile(writer.place(path), made, path, doraise=True, invalidation_mode=py_compile.PycInvalidationMode.CHECKED_HASH)
                writer.add_host(target, made)
            except (py_compile.PyCompileError, UnsafePath):
                continue  # a template, or one for another version
