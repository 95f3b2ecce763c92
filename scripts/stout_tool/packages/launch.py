# SPDX-License-Identifier: MIT
"""From a package and the command line's options to what is run: docker's rules for command, variables, user and directory."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import cannot_run, usage
from ..libraries import Root
from .manifest import ARCHITECTURE, DIRECTORY, LINK
from .store import Package, Store

MACHINES_OWN = ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf")  # containers get them; images have empty ones

if TYPE_CHECKING:
    from ..run import RunOptions
    from ..tree import Tree


def open_package(options: RunOptions) -> Package:
    """Checks the package and completes the options with what it says; what the user said wins."""
    if options.image:
        from .from_docker import open_run_image
        package = open_run_image(options.image)
    else:
        from .get import open_or_get
        package = open_or_get(Store(), str(options.package))
    manifest = package.manifest
    if manifest.architecture != ARCHITECTURE:
        raise cannot_run(f"The package {package.name} is for {manifest.architecture}, and Stout runs {ARCHITECTURE} programs; get it "
                         f"for {ARCHITECTURE}.")
    package.verify()
    options.root = package.root
    options.env = {**manifest.env, **options.env}
    options.user = options.user or manifest.user

    def own(word: str, cwd: str) -> bool:
        return not options.image and is_own_file(word, cwd, package)

    words = [word for word in (options.program, *options.args) if word is not None]
    options.workdir = options.workdir or manifest.workdir
    if options.workdir is None and any(own(word, "/") for word in words):
        options.workdir = os.getcwd()
    options.user_files = [word for word in words if own(word, options.workdir or "/")]
    if options.workdir != os.getcwd():
        words = [os.path.abspath(word) if word in options.user_files else word for word in words]
    command = [options.entrypoint, *words] if options.entrypoint else manifest.command(words)
    if not command:
        raise usage(f"{place_of(options)} names no program; give one with --entrypoint, for example: --entrypoint /bin/sh")
    options.program, *options.args = command
    return package


def place_of(options: RunOptions) -> str:
    return f"the image {options.image}" if options.image else f"the package {options.package}"


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
        if path == "/" or path in MACHINES_OWN and entry.size == 0:
            continue
        if entry.type == LINK:
            tree.put(path, Entry(SYMLINK, 0o777, target=entry.target))
        elif entry.type == DIRECTORY:
            tree.put(path, Entry(TREE_DIRECTORY, entry.mode, entry.mtime, entry.uid, entry.gid, keep_time=True))
        else:
            tree.put(path, Entry(TREE_FILE, entry.mode, entry.mtime, entry.uid, entry.gid, source=package.root + path, size=entry.size,
                                 stamp=entry.sha256))
