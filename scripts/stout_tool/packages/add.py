# SPDX-License-Identifier: MIT
"""stout pkg add: a folder or tar archive becomes a package, whatever kind of package it is.

It may be a package of a store (package.json, digest, root/), one of ops (package.manifest, the program, sysroot/), or just files,
as for from-dir.  An archive is unpacked by the reader of container layers, which refuses what would leave the folder.
"""
from __future__ import annotations

import contextlib
import json
import os
import re
import tarfile
import time
import zlib
from lzma import LZMAError
from typing import Any, Iterator

from ..errors import StoutError, cannot_run, not_found, usage
from ..output import scratch_folder, unwinding
from ..paths import from_top
from ..progress import progress
from . import manifest as manifests
from .commands import tell_made
from .from_dir import bring_libraries, from_dir
from .layers import DamagedArchive, Layer
from .manifest import DIRECTORY, LINK, Manifest, damaged
from .store import Store, check_name
from .writer import CHUNK, PackageWriter, UnsafePath

OPS, SYSROOT = "package.manifest", "sysroot"
SUFFIX = re.compile(r"\.(tar(\.(gz|bz2|xz))?|tgz|txz)$")


def add(source: str, name: str | None, force: bool, as_json: bool, **settings: Any) -> int:
    with unwinding(), folder_of(source) as folder:
        own = os.path.isfile(os.path.join(folder, manifests.NAME)) and os.path.isfile(os.path.join(folder, manifests.DIGEST))
        if not own and not os.path.isfile(os.path.join(folder, OPS)):
            base = SUFFIX.sub("", os.path.basename(os.path.abspath(source)))
            return from_dir(folder, name=name or base, force=force, as_json=as_json, **settings)
        given = [key for key, value in settings.items() if value]
        if given:
            raise usage(f"{source} is a package already and says itself what it runs; leave out --{given[0]}.")
        return add_package(folder, name, force, as_json) if own else add_ops(folder, name, force, as_json)


@contextlib.contextmanager
def folder_of(source: str) -> Iterator[str]:
    """The folder, or one with what is in the archive; the one folder that all of it is in."""
    if not os.path.exists(source):
        raise not_found(f"{source} does not exist; give a folder or a tar archive.")
    if os.path.isdir(source):
        yield os.path.abspath(source)
        return
    with scratch_folder() as place:
        writer = PackageWriter(place, Manifest("unpacked"))
        try:
            with tarfile.open(source) as tar, progress("unpacking", measure=lambda: writer.written):
                Layer(writer, whiteouts=False).take(tar)
                assert tar.fileobj is not None
                while tar.fileobj.read(CHUNK):  # at whose end the checksum is
                    pass
        except (tarfile.TarError, EOFError, DamagedArchive, ValueError, zlib.error, LZMAError, OSError) as error:
            if isinstance(error, OSError) and error.errno is not None:  # the host's; what decompresses has no number
                raise
            raise cannot_run(f"{source} is not a whole tar archive (also .gz, .bz2, .xz); pkg add takes these and folders.") from None
        except UnsafePath as error:
            raise cannot_run(f"{source} is refused: {error}; a package must keep to its own folder.") from None
        items = os.listdir(writer.root)
        inner = os.path.join(writer.root, items[0]) if len(items) == 1 else ""
        is_wrapped = inner and not os.path.islink(inner) and any(os.path.isfile(os.path.join(inner, mark)) for mark in (manifests.NAME, OPS))
        yield inner if is_wrapped else writer.root


def add_package(folder: str, name: str | None, force: bool, as_json: bool) -> int:
    """What a store has: every file is held against its checksum on the way."""
    manifest = manifests.read(folder, os.path.basename(folder))
    files, manifest.files = manifest.files, {}
    manifest.name = check_name(name or manifest.name)
    root = os.path.realpath(os.path.join(folder, "root"))
    with Store().making(manifest.name, force) as place:
        writer = PackageWriter(place, manifest)
        try:
            for path, entry in sorted(files.items(), key=lambda item: item[0].split("/")):
                if entry.type == DIRECTORY:
                    writer.add_directory(path, entry.mode, entry.uid, entry.gid, entry.mtime)
                elif entry.type == LINK:
                    writer.add_link(path, entry.target)
                else:
                    at = root + path
                    if os.path.realpath(at) != at or not os.path.isfile(at):
                        raise damaged(manifest.name, f"{path} is missing")
                    with open(at, "rb") as file:
                        made = writer.add_file(path, file, entry.mode, entry.uid, entry.gid, entry.mtime)
                    if writer.files[made].sha256 != entry.sha256:
                        raise damaged(manifest.name, f"{path} was changed")
        except UnsafePath as error:
            raise StoutError(f"{folder} cannot be a package: {error}.") from None
        writer.finish()
    return tell_made(manifest, as_json)


def add_ops(folder: str, name: str | None, force: bool, as_json: bool) -> int:
    """The program stands at the path that the manifest says, sysroot's files at the top."""
    try:
        with open(os.path.join(folder, OPS), encoding="utf-8") as file:
            document = json.load(file)
        program = str(document["Program"])
        args, env = [str(word) for word in document.get("Args") or ()], {str(k): str(v) for k, v in (document.get("Env") or {}).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise cannot_run(f"{folder}/{OPS} is not the manifest of an ops package: it must be JSON with a Program.") from None
    base = os.path.basename(folder)
    version = f"_{document['Version']}" if document.get("Version") and "_" not in base else ""
    manifest = Manifest(check_name(name or base + version), program=from_top(program), args=args[1:], env=env,
                        origin=f"ops package {base}", created=int(time.time()))
    with Store().making(manifest.name, force) as place:
        writer = PackageWriter(place, manifest)
        try:
            if os.path.isdir(os.path.join(folder, SYSROOT)):
                writer.add_folder(os.path.join(folder, SYSROOT))
            inside = program.split("/", 1)[-1]  # ops names its own folder first
            source = next((path for path in (os.path.join(folder, inside), os.path.join(folder, program)) if os.path.isfile(path)), None)
            if source is None and writer.find(manifest.program or "") is None:
                raise not_found(f"{program}, which {OPS} names, is not in {folder}.")
            if source is not None:
                writer.add_host(manifest.program or "", source)
            bring_libraries(writer)
        except UnsafePath as error:
            raise StoutError(f"{folder} cannot be a package: {error}.") from None
        writer.finish()
    return tell_made(manifest, as_json)
