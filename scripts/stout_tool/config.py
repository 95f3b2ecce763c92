# SPDX-License-Identifier: MIT
"""stout run -c FILE: the options in a file, by the names of the command line or by those of an ops config.json.

Paths are relative to the file.  The command line wins; variables and --add come together.
"""
from __future__ import annotations

import difflib
import json
import os
import re
import sys
from typing import Any

import click
from collections.abc import Iterable

from .errors import usage

SCHEMA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "config-schema.json")
SAME = ("args", "workdir", "hostname", "trace", "net", "ip", "gw", "dns", "cpus", "interactive", "verbose", "accel", "machine", "nic",
        "boot", "kernel_options", "qemu_args", "package", "entrypoint", "secrets", "own_musl", "compress", "minimal",
        "minimal_seconds", "exercise", "name", "networks", "restart", "stop_timeout", "tty")
OF_INSTANCES = {"name", "networks", "restart", "stop_timeout", "tty"}
OPS_NAMES = {"name": "RunConfig.InstanceName", "restart": "RebootOnExit", "publish": "RunConfig.Ports", "memory": "RunConfig.Memory", "cpus": "RunConfig.CPUs"}
TOGETHER = ("env", "add", "folders")  # from the file first, so that the command line wins
ARCHIVE = re.compile(r"\.{0,2}/|.*\.(tar(\.\w+)?|tgz)(:[^/]*)?\Z")  # what names a file, be it there or not


def merge(context: click.Context, path: str | None, values: dict[str, Any]) -> dict[str, Any]:
    """The values of the command line with those of the file where nothing was given."""
    if path:
        found = read(path)
        put_env_together(found.values, values)
        own = {parameter.name for parameter in context.command.params} & set(values)
        tell_unused(context, path, [name for name, value in found.values.items() if value and name not in own and value != values.get(name)],
                    found.document)
        for name, value in found.values.items():
            if name not in own:
                continue
            given = values[name] if name == "args" else context.get_parameter_source(name) != click.core.ParameterSource.DEFAULT
            if name in TOGETHER:
                values[name] = [*value, *values[name]]
            elif not given:
                values[name] = value
    if not values["program"] and not (values.get("package") or values.get("image")):
        raise click.UsageError("Missing argument 'PROGRAM'; give it here, or as program in the file of -c.", context)
    return values


def put_env_together(of_file: dict[str, Any], values: dict[str, Any]) -> None:
    """The command line's --env-file stands behind the file's variables as well."""
    if "env_file" in values:
        from .run import env_lines
        of_file["env"] = [*env_lines(of_file.pop("env_file")), *of_file["env"], *env_lines(values["env_file"])]
        values["env_file"] = ()


def tell_unused(context: click.Context, path: str, names: list[str], document: dict[str, Any]) -> None:
    """One file may serve several commands, but nobody is to wait for what a key does not do."""
    if not names:
        return
    command = context.command_path
    remedy = "; stout instance create does." if set(names) <= OF_INSTANCES and "instance" not in command else "."
    shown = ", ".join(name if name in document else OPS_NAMES.get(name, name) for name in names)
    sys.stderr.write(f"stout: {path}: {command} does not use {shown}{remedy}\n")


def read(path: str) -> Translation:
    document = parse(path)
    check(path, document)
    return Translation(path, document)


def parse(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except OSError as error:
        raise usage(f"-c {path} cannot be read: {error.strerror.lower()}.") from None
    except UnicodeDecodeError:
        raise usage(f"-c {path} is not a text in UTF-8; give a YAML or JSON file.") from None
    import yaml
    try:
        document = json.loads(text) if text.lstrip().startswith("{") and path.endswith(".json") else yaml.safe_load(text)
    except json.JSONDecodeError as error:
        raise usage(f"{path}, line {error.lineno}: {error.msg.lower()}; correct the JSON.") from None
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or "it cannot be understood"
        raise usage(f"{path}{where}: {reason}; correct the YAML.") from None
    if not isinstance(document, dict):
        raise usage(f"{path} holds no options; write for example: program: server.js")
    return document


def check(path: str, document: dict[str, Any]) -> None:
    import jsonschema
    with open(SCHEMA, encoding="utf-8") as file:
        schema = json.load(file)
    error = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(document))
    if error is None:
        return
    key = ".".join(map(str, error.absolute_path))
    if error.validator == "additionalProperties" and error.validator_value is False:
        unknown = next(str(name) for name in error.instance if name not in error.schema["properties"])
        prefix = key + "." if key else ""
        near = difflib.get_close_matches(unknown, error.schema["properties"], 1)
        remedy = f"did you mean {prefix}{near[0]}?" if near else "take it out; stout run --help lists the options."
        raise usage(f"{path}: there is no key {prefix}{unknown}; {remedy}")
    if error.validator == "not":
        raise usage(f"{path}: the key {key} of ops is not to be had here; {error.schema['description']}.")
    remedy = error.schema.get("description") or error.parent and error.parent.schema.get("description")
    if not remedy:
        remedy = nearest_description(schema, error.absolute_path) or "correct it"
    raise usage(f"{path}, key {key or '(top)'}: {error.message.splitlines()[0][:120]}; {remedy}.")


def nearest_description(schema: dict[str, Any], keys: Iterable[str | int]) -> str | None:
    """Of the deepest part of the schema on the way to a value that has one."""
    found = None
    for key in keys:
        schema = schema.get("properties", {}).get(key) or {}
        if "$ref" in schema:
            with open(SCHEMA, encoding="utf-8") as file:
                schema = json.load(file)["$defs"][schema["$ref"].rsplit("/", 1)[1]]
        found = schema.get("description", found)
    return found


class Translation:
    """The document's keys as values of the command line's options."""

    def __init__(self, path: str, document: dict[str, Any]) -> None:
        self.path, self.document = path, document
        self.folder = os.path.dirname(os.path.abspath(path))
        self.values = {name: document[name] for name in SAME if name in document}
        self._own_keys()
        self._ops_keys()

    def _own_keys(self) -> None:
        document, values = self.document, self.values
        if "program" in document:
            values["program"] = self._program(document["program"])
        for name in ("root", "kernel"):
            if name in document:
                values[name] = self._place(document[name])
        if "image" in document:
            values["image"] = self._image(document["image"])
        for name in ("user", "memory"):
            if name in document:
                values[name] = str(document[name])
        if "publish" in document:
            values["publish"] = [str(port) for port in document["publish"]]
        values["env"] = [f"{name}={value}" for name, value in {**document.get("Env", {}), **document.get("env", {})}.items()]
        values["env_file"] = [self._place(name) for name in document.get("env_file", ())]
        values["folders"] = [self._place(text) for text in document.get("folders", ())]
        values["add"] = [self._item(item) for item in document.get("add", ())]

    def _ops_keys(self) -> None:
        document, values = self.document, self.values
        if "Program" in document:
            values.setdefault("program", self._program(document["Program"]))
        if "Args" in document:
            values.setdefault("args", document["Args"])
        above = document.get("LocalFilesParentDirectory", "")
        copied = [f"{self._place(os.path.join(above, name))}:{os.path.join('/', os.path.normpath(name))}"
                  for name in (*document.get("Files", ()), *document.get("Dirs", ()))]
        copied += [f"{self._place(name.removesuffix('/*'))}:{place}" for name, place in document.get("MapDirs", {}).items()]
        if copied:
            values["add"] += copied
            values.setdefault("workdir", "/")  # where ops starts programs
        run = document.get("RunConfig", {})
        ports = [*map(str, run.get("Ports", ())), *(f"{port}/udp" for port in run.get("UDPPorts", ()))]
        if ports:
            values.setdefault("publish", ports)
        if "Memory" in run:
            values.setdefault("memory", str(run["Memory"]))
        if "CPUs" in run:
            values.setdefault("cpus", run["CPUs"])
        self._ops_network(run)
        if "InstanceName" in run:
            values.setdefault("name", run["InstanceName"])
        if document.get("RebootOnExit"):
            values.setdefault("restart", "always")
        self._say_what_is_ignored(run)

    def _ops_network(self, run: dict[str, Any]) -> None:
        """ops has the mask apart from the address."""
        if "IPAddress" in run:
            self.values.setdefault("ip", run["IPAddress"] if "/" in run["IPAddress"] else f"{run['IPAddress']}/{mask_bits(run.get('NetMask', '255.255.255.0'))}")
        for name, place, key in (("gw", run, "Gateway"), ("dns", self.document, "NameServers")):
            if key in place:
                self.values.setdefault(name, place[key])
        if "TapName" in run:
            self.values.setdefault("net", f"tap:{run['TapName']}")

    def _say_what_is_ignored(self, run: dict[str, Any]) -> None:
        with open(SCHEMA, encoding="utf-8") as file:
            properties = json.load(file)["properties"]
        of_run = properties["RunConfig"]["properties"]
        ignored = [name for name in self.document if properties[name].get("$ref") == "#/$defs/ignored"]
        ignored += [f"RunConfig.{name}" for name in run if of_run[name].get("$ref") == "#/$defs/ignored"]
        if ignored:
            sys.stderr.write(f"stout: {self.path}: {', '.join(ignored)} of ops {'are' if len(ignored) > 1 else 'is'} not used here.\n")

    def _place(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def _image(self, name: str) -> str:
        """A file beside the configuration, :TAG behind it or not; else the name that a registry has for it."""
        is_here = any(text and os.path.exists(self._place(text)) for text in (name, name.rpartition(":")[0]))
        return self._place(name) if is_here or ARCHIVE.match(name) else name

    def _program(self, name: str) -> str:
        """A file beside the configuration, or a path; else a command."""
        if {"root", "package", "image"} & set(self.document):
            return name
        return self._place(name) if "/" in name or os.path.isfile(self._place(name)) else name

    def _item(self, item: str) -> str:
        """PATH[:GUESTPATH] of add; a bare name that is no file here is a command's."""
        name = item.rpartition(":")[0] if ":/" in item else item
        return self._place(item) if "/" in name or os.path.exists(self._place(name)) else item


def mask_bits(text: str) -> int:
    import ipaddress
    try:
        return ipaddress.IPv4Network(f"0.0.0.0/{text}").prefixlen
    except ValueError:
        raise usage(f"RunConfig.NetMask {text} is not a network mask; write for example 255.255.255.0.") from None
