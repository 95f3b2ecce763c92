# SPDX-License-Identifier: MIT
"""stout pkg from-npm: an npm package with its dependencies and a Node to run it.

npm installs into a folder.  Scripts that packages want to run at installation are not run unless --scripts is given.
"""
from __future__ import annotations

import json
import os
import posixpath
import re
import sys
import time
from typing import Any

from ..errors import StoutError, not_found, usage
from ..output import scratch_folder
from . import npm
from .commands import tell_made
from .from_dir import bring_libraries
from .get import NODE, NODE_PLACE, add_certificates, open_or_get
from .manifest import FILE, LINK, Manifest
from .store import Store, check_name
from .writer import PackageWriter

APP = "/app"
SPEC = re.compile(r"((?:@[a-z0-9~-][\w.~-]*/)?[a-zA-Z0-9~-][\w.~-]*)(?:@([\w.^~<>=|* +-]+))?")


def from_npm(spec: str, name: str | None, node: str | None, program: str | None, args: list[str], env: dict[str, str], scripts: bool,
             force: bool, as_json: bool) -> int:
    match = SPEC.fullmatch(spec)
    if match is None:
        raise usage(f"{spec!r} is not the name of an npm package; give NAME or NAME@VERSION, for example http-server@14.")
    store = Store()
    with scratch_folder() as folder:
        package = install(spec, match[1], folder, scripts)
        name = check_name(name or re.sub(r"[^A-Za-z0-9._+-]", "-", match[1]).strip("-") + f"_{package['version']}")
        script = find_script(package, match[1], folder, program)
        manifest = Manifest(name, program=NODE_PLACE, args=[posixpath.join(APP, script), *args], env=env, workdir=APP, origin=f"npm {match[1]}@{package['version']}",
                            created=int(time.time()), description=str(package.get("description", "")))
        with store.making(name, force) as place:
            writer = PackageWriter(place, manifest)
            add_runtime(store, writer, node)
            writer.add_folder(folder, APP)
            bring_libraries(writer)
            add_certificates(writer)
            writer.finish()
    return tell_made(manifest, as_json)


def install(spec: str, name: str, folder: str, scripts: bool) -> dict[str, Any]:
    """The package.json of what was installed."""
    sys.stderr.write(f"stout: installing {spec} from the npm registry ...\n")
    with open(os.path.join(folder, "package.json"), "w", encoding="ascii") as file:
        file.write('{"private": true}\n')
    try:
        npm.npm("install", "--omit=dev", *(() if scripts else ("--ignore-scripts",)), "--", spec, cwd=folder)
    except npm.Absent:
        raise not_found(f"The npm registry has no package {spec}, or one of its dependencies is missing; check the name and version.") from None
    tell_scripts(folder, scripts)
    with open(os.path.join(folder, "node_modules", name, "package.json"), encoding="utf-8") as file:
        package = json.load(file)
    if not isinstance(package, dict) or not isinstance(package.get("version"), str):
        raise StoutError(f"The package.json of {spec} makes no sense; it is not used.")
    return package


def tell_scripts(folder: str, ran: bool) -> None:
    with open(os.path.join(folder, "package-lock.json"), encoding="utf-8") as file:
        packages = json.load(file).get("packages", {})
    names = sorted(path.rpartition("node_modules/")[2] for path, item in packages.items() if item.get("hasInstallScript"))
    if names and not ran:
        sys.stderr.write(f"stout: {', '.join(names)} would run scripts at installation, which were not run; --scripts runs them on this host.\n")


def find_script(package: dict[str, Any], name: str, folder: str, program: str | None) -> str:
    """Its path below the folder: of the command that is named, the one with the package's name, the only one, or main."""
    commands = package.get("bin") or {}
    if isinstance(commands, str):
        commands = {name.rpartition("/")[2]: commands}
    if not isinstance(commands, dict):
        commands = {}
    wanted = program or name.rpartition("/")[2]
    script = commands.get(wanted) or (next(iter(commands.values())) if len(commands) == 1 and not program else None)
    if script is None and program:
        script = program
    if script is None and not commands:
        script = package.get("main") or "index.js"
    top = f"node_modules/{name}"
    for path in (f"{script}", f"{script}.js", f"{script}/index.js"):
        place = posixpath.normpath(f"{top}/{path}")
        if script and place.startswith(top) and os.path.isfile(os.path.join(folder, place)):
            return place
    raise not_found(f"{name} has no command {wanted}; give one with --program" + (f": {', '.join(commands)}." if commands else "."))


def add_runtime(store: Store, writer: PackageWriter, node: str | None) -> None:
    """Node from a package of the store (fetched if need be), or this host's."""
    if node:
        spec = node if NODE.fullmatch(node) else f"node_v{node.removeprefix('v')}"
        package = open_or_get(store, spec)
        package.verify()
        for path, entry in package.manifest.files.items():
            if entry.type == FILE:
                with open(package.root + path, "rb") as source:
                    writer.add_file(path, source, entry.mode, entry.uid, entry.gid, entry.mtime)
            elif entry.type == LINK:
                writer.add_link(path, entry.target)
        return
    from ..recipes import find_on_path, for_interpreter, take_files
    from ..tree import FILE as TREE_FILE, Tree
    found = find_on_path("node") or find_on_path("nodejs")
    if found is None:
        raise not_found("There is no node on PATH to run it with; install one (Debian: apt-get install nodejs), or give --node 20.")
    writer.add_host(NODE_PLACE, os.path.realpath(found))
    recipe, tree = for_interpreter(found), Tree()
    if recipe:  # modules that Debian's node reads from its own place
        take_files(recipe, found, tree, lambda source, place: None, lambda text: None)
        for path, item in tree.entries.items():
            if item.kind == TREE_FILE:
                writer.add_host(path, item.source or "")
