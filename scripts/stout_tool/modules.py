# SPDX-License-Identifier: MIT
"""Python modules of a folder that is too large to be taken whole: those that the user's programs import, and what these import.

Imports are found by their words, not by running or parsing anything: parsing takes seconds where this takes
milliseconds, and a word too many only makes the image larger.  A name that is made at run time cannot be found; the user is
told if one of his programs imports so.  His strings that name a module count, since frameworks import by them.
"""
from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .paths import human_size

if TYPE_CHECKING:
    from .tree import OnElf, Skip, Tree

IMPORT = re.compile(rb"(?:^|[;:])[ \t]*(?:from[ \t]+([A-Za-z_]\w*)|import[ \t]+((?:\\\r?\n|[^\r\n;#])+))", re.M)
STRING = re.compile(rb"""["']([A-Za-z_]\w*)(?:[.:][\w.:]+)?["']""")
BY_A_MADE_NAME = re.compile(rb"(?:import_module|__import__)\([ \t]*[^\"' \t)]")
METADATA = (".dist-info", ".egg-info")
SOURCE_MAX = 4 << 20


class LeftOut(NamedTuple):
    folder: str
    skip: Skip
    why: str  # for Tree.because()


class Finder:
    """The modules of the folders by their names, the first folder wins."""

    def __init__(self, folders: list[LeftOut]) -> None:
        self.places: dict[str, tuple[LeftOut, str]] = {}
        self.metadata: dict[str, list[tuple[LeftOut, str]]] = {}
        for left_out in folders:
            for item in sorted(os.listdir(left_out.folder)):
                path = os.path.join(left_out.folder, item)
                if item.endswith(METADATA):
                    for name in modules_of_metadata(path):
                        self.metadata.setdefault(name, []).append((left_out, item))
                elif item.endswith((".py", ".so")) or item.isidentifier() and os.path.isdir(path):
                    self.places.setdefault(item.partition(".")[0], (left_out, item))

    def sources(self, name: str) -> Iterable[str]:
        left_out, item = self.places[name]
        path = os.path.join(left_out.folder, item)
        if not os.path.isdir(path):
            return [path] if path.endswith(".py") else []
        return walk(left_out, path)


def walk(left_out: LeftOut, top: str) -> Iterator[str]:
    for folder, folders, files in os.walk(os.path.realpath(top)):
        folders[:] = [name for name in folders if not left_out.skip(name, True)]
        yield from (os.path.join(folder, name) for name in files if name.endswith(".py"))


def modules_of_metadata(path: str) -> list[str]:
    """The modules that a distribution says it has."""
    try:
        with open(os.path.join(path, "top_level.txt"), encoding="utf-8", errors="replace") as file:
            return file.read().split()
    except OSError:  # none, or metadata that is one file
        return [re.sub(r"-[\d].*", "", os.path.basename(path)).replace("-", "_").lower()]


def imports_in(text: bytes) -> set[str]:
    names = set()
    for one, several in IMPORT.findall(text):
        for part in [one] if one else several.replace(b"\\\n", b" ").split(b","):
            names.add(part.split(b".")[0].split()[0].decode() if part.strip() else "")
    return names


def read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(SOURCE_MAX)
    except OSError:
        return b""


def own_sources(tree: Tree, argv: list[str], folders: list[LeftOut]) -> Iterator[tuple[str, bytes]]:
    """The programs that came for another reason than the interpreter's needs, and what stands on the command line."""
    reasons = {left_out.why for left_out in folders}
    script = next((os.path.abspath(word) for word in argv[1:] if not word.startswith("-")), "")
    for path, entry in tree.entries.items():
        if entry.source and entry.why not in reasons and (path.endswith(".py") or path == script):
            yield path, read(entry.source)
    for option, word in zip(argv[1:], argv[2:]):
        if option in ("-m", "-c"):
            yield f"{option} {word}", (b"import " if option == "-m" else b"") + os.fsencode(word)


def take_imported(folders: list[LeftOut], tree: Tree, argv: list[str], on_elf: OnElf, say: Callable[[str], None]) -> None:
    finder = Finder(folders)
    todo: set[str] = set()
    unclear = []
    for path, text in own_sources(tree, argv, folders):
        todo |= imports_in(text) | {name.decode() for name in STRING.findall(text)}
        if BY_A_MADE_NAME.search(text):
            unclear.append(path)
    taken: set[str] = set()
    before = tree.total
    while todo := {name for name in todo if name in finder.places} - taken:
        name = todo.pop()
        taken.add(name)
        for source in finder.sources(name):
            todo |= imports_in(read(source))
    for name in sorted(taken):
        for left_out, item in [finder.places[name], *finder.metadata.get(name, ())]:
            with tree.because(left_out.why):
                take(os.path.join(left_out.folder, item), left_out, tree, on_elf)
    where = ", ".join(left_out.folder for left_out in folders)
    say(f"took of {where} what is imported: {', '.join(sorted(taken)) or 'nothing'} ({human_size(tree.total - before)}); "
        "use --add for more")
    if unclear:
        sys.stderr.write(f"stout: {unclear[0]} imports by a name that it makes; of {where}, which is large, the modules that are named in "
                         "imports and strings are taken; use --add if more are needed.\n")


def take(path: str, left_out: LeftOut, tree: Tree, on_elf: OnElf) -> None:
    if os.path.isdir(path):
        tree.add_host(path)  # perhaps a link
        tree.add_folder(os.path.realpath(path), skip=left_out.skip, on_elf=on_elf)
    elif os.path.exists(path):
        on_elf(path, tree.add_host(path))
