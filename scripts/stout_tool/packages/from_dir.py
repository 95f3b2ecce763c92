# SPDX-License-Identifier: MIT
"""stout pkg from-dir: a folder of this host as a package.

A folder without the dynamic loader that its programs name is not a whole root: it gets the libraries of this host.
"""
from __future__ import annotations

import os
import time
from typing import Any

from ..elf import is_linked
from ..errors import StoutError, not_found, usage
from ..libraries import Resolver, Root
from ..paths import from_top
from ..private import SecretFilter
from ..progress import progress
from .commands import tell_made
from .manifest import FILE, Manifest
from .store import Store, check_name
from .writer import PackageWriter, UnsafePath

SETTINGS = ("args", "env", "workdir", "user", "ports", "description")
FOLDERS = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")


def from_dir(folder: str, name: str | None, program: str | None, force: bool, secrets: bool, as_json: bool, **settings: Any) -> int:
    if not os.path.isdir(folder):
        raise usage(f"{folder} is not a folder; give the one that is to be a package.")
    folder = os.path.abspath(folder)
    manifest = Manifest(check_name(name or os.path.basename(folder)), origin=f"folder {os.path.basename(folder)}",
                        created=int(time.time()), **{key: settings[key] for key in SETTINGS if settings.get(key)})
    manifest.program = find_program(folder, program)
    private = SecretFilter(secrets)
    with Store().making(manifest.name, force) as place:
        writer = PackageWriter(place, manifest)
        try:
            with progress("copying", measure=lambda: writer.written):
                writer.add_folder(folder, skip=lambda below, is_dir: private.leaves_out(os.path.join(folder, below), is_dir))
            bring_libraries(writer)
        except UnsafePath as error:
            raise StoutError(f"{folder} cannot be a package: {error}.") from None
        writer.finish()
    private.tell()
    return tell_made(manifest, as_json)


def find_program(folder: str, program: str | None) -> str:
    """The guest's path of the program that was named, or of the only one in the folder."""
    root = Root(folder)
    if program:
        candidates = [program] if "/" in program else [f"{place}/{program}" for place in ("", *FOLDERS)]
        for path in candidates:
            path = from_top(path)
            if root.is_file(path):
                return path
        raise not_found(f"{program} is not in {folder}; give --program a path in the folder.")
    found = {root.real(from_top(f"{place}/{name}")) for place in ("", *FOLDERS) for name in programs_in(root, place)}
    if len(found) == 1:
        return found.pop()
    raise usage(f"Which program of {folder} is to run?  Name it with --program, for example --program /bin/server.")


def programs_in(root: Root, folder: str) -> list[str]:
    place = root.host(from_top(folder))
    return [name for name in (os.listdir(place) if os.path.isdir(place) else ())
            if ".so" not in name and os.path.isfile(path := root.host(from_top(f"{folder}/{name}"))) and os.access(path, os.X_OK)]


def bring_libraries(writer: PackageWriter) -> None:
    """What programs and modules of the package need and do not find in it, from this host."""
    inside = Root(writer.root)
    resolver = Resolver(Root("/"))
    real: dict[str, str] = {}
    for path in [path for path, entry in writer.files.items() if entry.type == FILE]:
        source = writer.place(path)
        if not (entry_may_be_elf(path, writer) and is_linked(source)):
            continue
        elf = resolver.read(source)
        if elf.interpreter and inside.is_file(elf.interpreter):
            continue  # a root with a C library of its own
        for library in resolver.add(source, optional=not elf.interpreter):
            if library != source and not library.startswith(writer.root + "/"):
                add_library(writer, library, real)


def entry_may_be_elf(path: str, writer: PackageWriter) -> bool:
    return writer.files[path].mode & 0o111 != 0 or path.endswith((".so", ".node")) or ".so." in path


def add_library(writer: PackageWriter, path: str, real: dict[str, str]) -> None:
    """At the path by which the loader asks for it; what is there already is the package's own.

    real: where a file stands already, by its real path; it gets a link then.
    """
    try:
        place = writer.locate(path)
    except UnsafePath:
        return
    if place in writer.files:
        return
    source = os.path.realpath(path)
    if source in real:
        writer.add_link(place, real[source])
    else:
        real[source] = writer.add_host(place, path)
