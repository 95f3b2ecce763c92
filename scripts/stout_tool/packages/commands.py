# SPDX-License-Identifier: MIT
"""stout pkg list, describe, contents, remove, add: what only looks at the store or moves packages in and out."""
from __future__ import annotations

import dataclasses
import fnmatch
import shlex
import stat
import sys
from typing import Any

from ..errors import StoutError
from ..paths import human_size
from ..tables import print_json, print_names, print_table
from .manifest import DIRECTORY, LINK, Manifest
from .store import Package, Store


def list_packages(as_json: bool) -> int:
    show(all_packages(Store()), as_json)
    return 0


def all_packages(store: Store) -> list[Package]:
    """Those that can be read; of the others one line each on stderr."""
    found = []
    for name in store.names():
        try:
            found.append(store.open(name))
        except StoutError as error:
            sys.stderr.write(f"stout: {error.sentence}\n")
    return found


def show(packages: list[Package], as_json: bool) -> None:
    if as_json:
        print_json([package.manifest.summary() for package in packages])
    elif packages:
        print_table(("NAME", "SIZE", "FILES", "COMMAND", "FROM"), [
            (package.name, human_size(package.manifest.size), package.manifest.summary()["file_count"],
             shorten(shlex.join(package.manifest.command([]))), package.manifest.origin) for package in packages], right=(1, 2))
    else:
        print("No packages; stout pkg get node_v20.11.1 fetches one, stout pkg from-dir makes one.")


def shorten(text: str, width: int = 48) -> str:
    return text if len(text) <= width else text[:width - 3] + "..."


def describe(name: str, as_json: bool) -> int:
    import time
    package = Store().open(name)
    summary = package.manifest.summary()
    if as_json:
        print_json({**summary, "digest": package.digest()})
        return 0
    lines: dict[str, Any] = {
        "Name": name, "Description": summary["description"], "From": summary["origin"], "Architecture": summary["architecture"],
        "Command": shlex.join(package.manifest.command([])), "Variables": " ".join(f"{k}={v}" for k, v in summary["env"].items()),
        "Directory": summary["workdir"], "User": summary["user"], "Ports": ", ".join(summary["ports"]),
        "Volumes": ", ".join(summary["volumes"]), "Files": f"{summary['file_count']}, {human_size(summary['size'])}",
        "Made": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(summary["created"])), "SHA-256": package.digest()}
    for title, value in lines.items():
        if value:
            print(f"{title + ':':14}{value}")
    return 0


def contents(name: str, pattern: str | None, as_json: bool) -> int:
    manifest = Store().open(name).manifest
    chosen = {path: entry for path, entry in sorted(manifest.files.items()) if not pattern or fnmatch.fnmatchcase(path, pattern)}
    if as_json:
        print_json([{"path": path, **dataclasses.asdict(entry)} for path, entry in chosen.items()])
        return 0
    for path, entry in chosen.items():
        kind = {DIRECTORY: stat.S_IFDIR, LINK: stat.S_IFLNK}.get(entry.type, stat.S_IFREG)
        arrow = f" -> {entry.target}" if entry.type == LINK else ""
        print(f"{stat.filemode(kind | entry.mode)} {entry.uid:>5}:{entry.gid:<5} {entry.size:>11} {path}{arrow}")
    return 0


def remove(names: tuple[str, ...], as_json: bool) -> int:
    store = Store()
    for name in names:
        if name not in store:
            store.open(name)  # says that it is not there
    for name in names:
        store.remove(name)
    print_names(names, as_json)
    return 0


def tell_made(manifest: Manifest, as_json: bool) -> int:
    """The end of every command that makes a package."""
    if as_json:
        print_json(manifest.summary())
    else:
        print(f"{manifest.name}: {human_size(manifest.size)}; run it with: stout pkg load {manifest.name}")
    return 0
