# SPDX-License-Identifier: MIT
"""stout init: a first configuration, from what lies in the folder."""
from __future__ import annotations

import json
import os
import re
import shlex
from typing import Any

from .errors import usage
from .output import publish, workshop
from .tables import print_names

NAME = "stout.yaml"
HEAD = "# For: stout run -c {name}   (stout run --help lists what else can stand here)\n"
PYTHON_NAMES = ("app.py", "main.py", "server.py", "wsgi.py", "manage.py")
NODE_NAMES = ("server.js", "index.js", "app.js", "main.js")


def init(folder: str, output: str | None, as_json: bool) -> int:
    """Writes the file and prints its path."""
    import yaml
    folder = os.path.abspath(folder)
    if not os.path.isdir(folder):
        raise usage(f"{folder} is not a folder; give the one with the program.")
    path = os.path.abspath(output or os.path.join(folder, NAME))
    if os.path.exists(path):
        raise usage(f"{path} exists already; delete it, or name another file with -o.")
    options = look(folder)
    options["program"] = os.path.relpath(os.path.join(folder, options["program"]), os.path.dirname(path))
    with workshop(path) as place:
        made = os.path.join(place, NAME)
        with open(made, "w", encoding="utf-8") as file:
            file.write(HEAD.format(name=os.path.basename(path)) + yaml.safe_dump(options, sort_keys=False, allow_unicode=True))
        publish(made, path)
    print_names((path,), as_json)
    return 0


def look(folder: str) -> dict[str, Any]:
    """Options, the program as a path in the folder."""
    options = from_dockerfile(folder)
    for find in (from_package_json, from_python, from_go, from_binary, from_script):
        if found := find(folder):
            return {**found, **options}
    raise usage(f"Nothing in {folder} looks like a program (package.json, requirements.txt, go.mod with its binary, one "
                "executable file, server.js, app.py); write stout.yaml by hand, for example: program: server.js")


def read(folder: str, name: str) -> str | None:
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, IsADirectoryError):
        return None


def first_file(folder: str, names: list[str] | tuple[Any, ...]) -> str | None:
    return next((name for name in names if name and os.path.isfile(os.path.join(folder, name))), None)


def from_package_json(folder: str) -> dict[str, list[str] | str] | None:
    text = read(folder, "package.json")
    if text is None:
        return None
    try:
        package = json.loads(text)
    except ValueError as error:
        raise usage(f"{folder}/package.json is not JSON ({error}); correct it.") from None
    if not isinstance(package, dict):
        raise usage(f"{folder}/package.json is not an object; correct it.")
    scripts = package.get("scripts")
    start = scripts.get("start") if isinstance(scripts, dict) else None
    words = start.split() if isinstance(start, str) else []
    main = package.get("main") if isinstance(package.get("main"), str) else None
    if words[:1] == ["node"] and len(words) > 1 and first_file(folder, words[1:2]):
        return {"program": words[1], **({"args": words[2:]} if words[2:] else {})}
    found = first_file(folder, (main, main and main + ".js", *NODE_NAMES))
    if found is None:
        raise usage(f"{folder}/package.json names no file that is there; set main in it.")
    return {"program": found}


def from_python(folder: str) -> dict[str, str] | None:
    if not first_file(folder, ("requirements.txt", "pyproject.toml")):
        return None
    found = first_file(folder, PYTHON_NAMES)
    return {"program": found} if found else None


def from_go(folder: str) -> dict[str, str] | None:
    text = read(folder, "go.mod")
    module = re.search(r"^module\s+(\S+)", text, re.M) if text is not None else None
    if not module:
        return None
    name = module[1].strip('"').rsplit("/", 1)[-1]
    if not first_file(folder, (name,)):
        raise usage(f"{folder} has go.mod but not the program {name}; build it first with: go build")
    return {"program": name}


def from_binary(folder: str) -> dict[str, str] | None:
    """The one ELF program of the folder."""
    found = []
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        if item.is_file() and os.access(item.path, os.X_OK) and ".so" not in item.name:
            with open(item.path, "rb") as file:
                if file.read(4) == b"\x7fELF":
                    found.append(item.name)
    return {"program": found[0]} if len(found) == 1 else None


def from_script(folder: str) -> dict[str, str] | None:
    """A script with one of the usual names and no package around it."""
    found = first_file(folder, (*NODE_NAMES, *PYTHON_NAMES, "index.php"))
    return {"program": found} if found else None


def from_dockerfile(folder: str) -> dict[str, Any]:
    """Ports and variables; what the file installs is the business of the image it makes."""
    text = read(folder, "Dockerfile")
    options: dict[str, Any] = {}
    env: dict[str, str] = {}
    for line in re.sub(r"\\\r?\n", " ", text or "").splitlines():
        word, _, rest = line.strip().partition(" ")
        if word.upper() == "EXPOSE":
            ports = [port.removesuffix("/tcp") for port in rest.split() if re.fullmatch(r"\d+(/tcp|/udp)?", port)]
            options.setdefault("publish", []).extend(ports)
        elif word.upper() == "ENV" and "$" not in rest:
            try:
                words = shlex.split(rest)
            except ValueError:
                continue
            env.update({name: value for name, equals, value in (word.partition("=") for word in words) if name and equals})
    if env:
        options["env"] = env
    return options
