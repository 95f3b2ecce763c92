# SPDX-License-Identifier: MIT
"""stout init: a first configuration, from what lies in the folder."""
from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import Any

from .errors import usage
from .output import STDOUT, publish, refuse_json_on_stdout, workshop
from .tables import print_names

NAME = "stout.yaml"
HEAD = "# For: stout run -c {name}   (stout run --help lists what else can stand here)\n"
NO_PORTS = "# publish: ['8080:8080']   # HOST:GUEST, if the program is a server\n"
PYTHON_NAMES = ("app.py", "main.py", "server.py", "wsgi.py", "manage.py")
NODE_NAMES = ("server.js", "index.js", "app.js", "main.js")
INTERPRETER = re.compile(r"(.*/)?(node|nodejs|python[\d.]*|php|ruby|perl|sh|bash)")
ASSIGNMENT = re.compile(r"\w+=")


def init(folder: str, output: str | None, as_json: bool) -> int:
    """Writes the file and prints its path."""
    import yaml
    folder = os.path.abspath(folder)
    if not os.path.isdir(folder):
        raise usage(f"{folder} is not a folder; give the one with the program.")
    path = os.path.abspath(NAME if output == STDOUT else output or os.path.join(folder, NAME))
    if output == STDOUT:
        refuse_json_on_stdout(as_json)
    elif os.path.exists(path):
        raise usage(f"{path} exists already; delete it, or name another file with -o.")
    options = look(folder)
    options["program"] = os.path.relpath(os.path.join(folder, options["program"]), os.path.dirname(path))
    text = HEAD.format(name=os.path.basename(path)) + yaml.safe_dump(options, sort_keys=False, allow_unicode=True)
    text += "" if "publish" in options else NO_PORTS
    if output == STDOUT:
        sys.stdout.write(text)
        return 0
    with workshop(path) as place:
        made = os.path.join(place, NAME)
        with open(made, "w", encoding="utf-8") as file:
            file.write(text)
        publish(made, path)
    print_names((path,), as_json)
    return 0


def look(folder: str) -> dict[str, Any]:
    """Options, the program as a path in the folder."""
    options = from_dockerfile(folder)
    for find in (from_docker_command, from_package_json, from_python, from_go, from_binary, from_script):
        if found := find(folder):
            env = {**found.pop("env", {}), **options.pop("env", {})}
            return {**found, **options, **({"env": env} if env else {})}
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


def split(command: str) -> list[str]:
    try:
        return shlex.split(command)
    except ValueError:
        return []


def from_command(folder: str, words: list[str]) -> dict[str, Any] | None:
    """A file of the folder that a command line starts, by itself or by its interpreter; variables may stand before it."""
    env = {}
    while words and (ASSIGNMENT.match(words[0]) or words[0] == "cross-env"):
        name, equals, value = words[0].partition("=")
        env.update({name: value} if equals else {})
        words = words[1:]
    if words and INTERPRETER.fullmatch(words[0]):
        words = words[1:]
    if not words or words[0].startswith("-") or not first_file(folder, words[:1]) or set(words) & {"&&", "||", "|", ";"}:
        return None
    return {"program": os.path.normpath(words[0]), **({"args": words[1:]} if words[1:] else {}), **({"env": env} if env else {})}


def from_docker_command(folder: str) -> dict[str, Any] | None:
    """ENTRYPOINT and CMD, where the container's working directory is this folder."""
    commands: dict[str, list[str]] = {}
    workdir = "/"
    for word, rest in docker_lines(folder):
        if word == "WORKDIR":
            workdir = os.path.normpath(os.path.join(workdir, rest.strip()))
        elif word in ("ENTRYPOINT", "CMD"):
            try:
                commands[word] = [str(item) for item in json.loads(rest)]
            except (ValueError, TypeError):
                commands[word] = split(rest)
    words = [*commands.get("ENTRYPOINT", ()), *commands.get("CMD", ())]
    return from_command(folder, [os.path.relpath(word, workdir) if word.startswith(workdir + "/") else word for word in words])


def docker_lines(folder: str) -> list[tuple[str, str]]:
    """(INSTRUCTION, the rest) of each."""
    lines = re.sub(r"\\\r?\n", " ", read(folder, "Dockerfile") or "").splitlines()
    return [(word.upper(), rest) for word, _, rest in (line.strip().partition(" ") for line in lines)]


def from_package_json(folder: str) -> dict[str, Any] | None:
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
    if isinstance(start, str) and (command := from_command(folder, split(start))):
        return command
    main = package.get("main") if isinstance(package.get("main"), str) else None
    found = first_file(folder, (main, main and main + ".js", *NODE_NAMES))
    if found is None:
        raise usage(f"{folder}/package.json names no file that is there; set main in it.")
    return {"program": found}


def from_python(folder: str) -> dict[str, Any] | None:
    if not first_file(folder, ("requirements.txt", "pyproject.toml")):
        return None
    found = first_file(folder, PYTHON_NAMES)
    return {"program": found} if found else None


def from_go(folder: str) -> dict[str, Any] | None:
    text = read(folder, "go.mod")
    module = re.search(r"^module\s+(\S+)", text, re.M) if text is not None else None
    if not module:
        return None
    name = module[1].strip('"').rsplit("/", 1)[-1]
    if not first_file(folder, (name,)):
        raise usage(f"{folder} has go.mod but not the program {name}; build it first with: go build")
    return {"program": name}


def from_binary(folder: str) -> dict[str, Any] | None:
    """The one ELF program of the folder."""
    found = []
    for item in sorted(os.scandir(folder), key=lambda item: item.name):
        if item.is_file() and os.access(item.path, os.X_OK) and ".so" not in item.name:
            with open(item.path, "rb") as file:
                if file.read(4) == b"\x7fELF":
                    found.append(item.name)
    return {"program": found[0]} if len(found) == 1 else None


def from_script(folder: str) -> dict[str, Any] | None:
    """A script with one of the usual names and no package around it."""
    found = first_file(folder, (*NODE_NAMES, *PYTHON_NAMES, "index.php"))
    return {"program": found} if found else None


def from_dockerfile(folder: str) -> dict[str, Any]:
    """Ports and variables; what the file installs is the business of the image it makes."""
    options: dict[str, Any] = {}
    env: dict[str, str] = {}
    for word, rest in docker_lines(folder):
        if word == "EXPOSE":
            ports = [port.removesuffix("/tcp") for port in rest.split() if re.fullmatch(r"\d+(/tcp|/udp)?", port)]
            options.setdefault("publish", []).extend(ports)
        elif word == "ENV" and "$" not in rest:
            try:
                words = shlex.split(rest)
            except ValueError:
                continue
            env.update({name: value for name, equals, value in (word.partition("=") for word in words) if name and equals})
    if env:
        options["env"] = env
    return options
