# SPDX-License-Identifier: MIT
"""The musl whose system calls are jumps (libc/musl), in place of the one that a program brings."""
from __future__ import annotations

import os
import re
from collections.abc import Callable

from . import kernel
from .errors import StoutError
from .paths import IS_CHECKOUT, TOP, kernel_path
from .tree import FILE, Tree

NAME = "ld-musl-x86_64.so.1"
LOADER = f"/lib/{NAME}"
VERSION = (1, 2, 3)  # of build/sources/musl
JUMPS = "whose system calls are jumps (docs/decisions/0006)"


def version_of(path: str) -> tuple[int, ...] | None:
    """(major, minor, patch) of a musl, as its version string tells, or None."""
    with open(path, "rb") as file:
        found = re.search(rb"\0(\d+)\.(\d+)\.(\d+)(?:[-_][\w.-]+)?\0", file.read())
    return tuple(int(part) for part in found.groups()) if found else None


def shipped() -> str:
    """Its path, beside the kernel; in a checkout built when it is missing or older than what it is made from."""
    path = os.path.join(os.path.dirname(kernel_path()), NAME)
    if IS_CHECKOUT and not os.environ.get("STOUT_NO_BUILD"):
        made_from = [os.path.join(TOP, "libc", "musl", name) for name in ("build", "call.h")]
        if not os.path.isfile(path) or os.stat(path).st_mtime < max(os.stat(name).st_mtime for name in made_from):
            kernel.build("release", [path], targets=["musl"])
    if not os.path.isfile(path):
        raise StoutError(f"{path} is not there")
    return path


def may_replace(own: tuple[int, ...] | None) -> bool:
    """One of the same minor version, and no newer one, whose programs may need what ours lacks."""
    return own is not None and own[:2] == VERSION[:2] and own <= VERSION


def replace(tree: Tree, say: Callable[[str], None]) -> None:
    """Exchanges the musl of the tree, where there is one that ours can stand for."""
    places = (tree.follow(folder + LOADER) for folder in ("", "/usr"))  # /lib may be a link
    entry = next((tree.entries[place] for place in places if place in tree), None)
    if entry is None or entry.kind != FILE:
        return
    own = version_of(entry.source)
    text = f"musl {'.'.join(map(str, own))}" if own else "a musl of unknown version"
    if not may_replace(own):
        say(f"{LOADER} stays the program's own, {text}: {'.'.join(map(str, VERSION))}, {JUMPS}, may lack something")
        return
    try:
        path = shipped()
    except StoutError as error:
        say(f"{LOADER} stays the program's own, {text} ({error.sentence})")
        return
    info = os.stat(path)
    tree.total += info.st_size - entry.size
    entry.source, entry.size, entry.stamp = path, info.st_size, (info.st_mtime_ns, info.st_ino)
    say(f"{LOADER}, {text}, is replaced by {'.'.join(map(str, VERSION))}, {JUMPS}; --own-musl leaves it")
