# SPDX-License-Identifier: MIT
"""From a package and the command line's options to what is run: docker's rules for command, variables, user and directory."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import cannot_run, usage
from ..libraries import Root
from .manifest import ARCHITECTURE, DIRECTORY, LINK
from .store import Package, Store

if TYPE_CHECKING:
    from ..run import RunOptions
    from ..tree import Tree


def open_package(options: RunOptions) -> Package:
    """Checks the package and completes the options with what it says; what the user said wins."""
    from .get import open_or_get
    package = open_or_get(Store(), options.package)
    manifest = package.manifest
    if manifest.architecture != ARCHITECTURE:
        raise cannot_run(f"The package {package.name} is for {manifest.architecture}, and Stout runs {ARCHITECTURE} programs; get it "
                         f"for {ARCHITECTURE}.")
    package.verify()
    options.root = package.root
    options.env = {**manifest.env, **options.env}
    options.user = options.user or manifest.user
    words = [word for word in (options.program, *options.args) if word is not None]
    options.workdir = options.workdir or manifest.workdir
    if options.workdir is None and any(is_own_file(word, "/", package) for word in words):
        options.workdir = os.getcwd()
    options.user_files = [word for word in words if is_own_file(word, options.workdir or "/", package)]
    if options.workdir != os.getcwd():
        words = [os.path.abspath(word) if word in options.user_files else word for word in words]
    command = [options.entrypoint, *words] if options.entrypoint else manifest.command(words)
    if not command:
        raise usage(f"The package {package.name} names no program; give one, for example: stout pkg load {package.name} -a /bin/sh")
    options.program, *options.args = command
    return package


def is_own_file(word: str, cwd: str, package: Package) -> bool:
    """Is it a file of this host that the package does not have?"""
    if not os.path.isfile(word) or word.startswith(("-", "/dev/", "/proc/", "/sys/")):
        return False
    return not os.path.lexists(Root(package.root).host(os.path.join(cwd, word)))


def fill_tree(package: Package, tree: Tree) -> None:
    """With the owners and modes of the manifest; the store's files belong to the user."""
    from ..tree import Entry
    from ..tree import DIRECTORY as TREE_DIRECTORY, FILE as TREE_FILE, SYMLINK
    for path, entry in package.manifest.files.items():
        if path == "/":
            continue
        if entry.type == LINK:
            tree.put(path, Entry(SYMLINK, 0o777, data=entry.target))
        elif entry.type == DIRECTORY:
            tree.put(path, Entry(TREE_DIRECTORY, entry.mode, entry.mtime, entry.uid, entry.gid, keep_time=True))
        else:
            tree.put(path, Entry(TREE_FILE, entry.mode, entry.mtime, entry.uid, entry.gid, source=package.root + path, size=entry.size,
                                 stamp=entry.sha256))
