# SPDX-License-Identifier: MIT
"""stout pkg search: what there is, in the store and where get and from-apt fetch from, and the command that brings it."""
from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys

from ..errors import StoutError
from ..tables import print_json, print_table
from . import npm
from .commands import all_packages, shorten
from .get import NODE_PACKAGE
from .store import Store

NODE_NAME = re.compile(r"node(js|\.js)?|node[_:@-]v?(?P<version>[\d.]*)", re.IGNORECASE)

Row = tuple[str, str, str]  # name, the command that uses or makes it, description


def search(text: str, as_json: bool) -> int:
    rows = [*in_store(text), *of_node(text), *of_debian(text)]
    if as_json:
        print_json([dict(zip(("name", "command", "description"), row)) for row in rows])
    elif rows:
        print_table(("NAME", "COMMAND", "DESCRIPTION"), [(name, command, shorten(description, 60)) for name, command, description in rows])
    else:
        sys.stderr.write(f"stout: Nothing is called {text}, in the store or elsewhere.\n")
    return 0 if rows else 1


def in_store(text: str) -> list[Row]:
    return [(package.name, f"stout pkg load {package.name}", package.manifest.description) for package in all_packages(Store())
            if text.lower() in package.name.lower() or text.lower() in package.manifest.description.lower()]


def of_node(text: str) -> list[Row]:
    """The versions of Node.js that get fetches, the newest first."""
    match = NODE_NAME.fullmatch(text)
    if not match:
        return []
    wanted = (match["version"] or "").rstrip(".")
    try:
        found = json.loads(npm.npm("view", NODE_PACKAGE, "versions"))
    except StoutError as error:  # the rest of the answer is worth having
        sys.stderr.write(f"stout: {error.sentence}\n")
        return []
    versions = [version for version in ([found] if isinstance(found, str) else found) if f"{version}.".startswith(f"{wanted}." if wanted else "")]
    return [(f"node_v{version}", f"stout pkg get node_v{version}", "Node.js from the npm registry")
            for version in sorted(versions, key=npm.version_key, reverse=True)]


def of_debian(text: str) -> list[Row]:
    """Debian's packages with that in their names, if this host knows Debian's packages."""
    program = shutil.which("apt-cache")
    if not program or not re.fullmatch(r"[A-Za-z0-9.+-]+", text):
        return []
    result = subprocess.run([program, "search", "--names-only", "--", re.escape(text)], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            errors="replace", check=False)
    lines = [line.partition(" - ") for line in result.stdout.splitlines()]
    return [(name, f"stout pkg from-apt {name}", description) for name, _, description in sorted(lines)]
