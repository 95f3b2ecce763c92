#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Compiles every header alone (it must be self-contained), and checks its first lines and its source's order.

Each header begins with the SPDX line and #pragma once; x.c includes its own x.h first.
"""
import json
import os
import re
import shlex
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("abi", "lib", "arch", "kernel", "fs", "drivers", "net", "loader")
SPDX = "// SPDX-License-Identifier: MIT\n"


def files(suffix):
    for folder in FOLDERS:
        for base, _, names in os.walk(os.path.join(TOP, folder)):
            for name in sorted(names):
                if name.endswith(suffix):
                    yield os.path.relpath(os.path.join(base, name), TOP)


def compiler_flags(preset):
    """The flags of one kernel source per folder, from the build's own list."""
    path = os.path.join(TOP, "build", preset, "compile_commands.json")
    with open(path, encoding="utf-8") as file:
        commands = json.load(file)
    flags = {}
    for command in commands:
        folder = os.path.relpath(command["file"], TOP).split("/")[0]
        if command["file"].endswith(".c") and folder in FOLDERS and folder not in flags:
            words = shlex.split(command["command"])
            flags[folder] = words[:words.index("-o")]
    return flags


def check_text(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        text = file.read()
    if not text.startswith(SPDX):
        yield f"{path}: the first line is not the SPDX line"
    if path.endswith(".h") and "#pragma once" not in text[:400]:
        yield f"{path}: no #pragma once"
    own = os.path.splitext(path)[0] + ".h"
    if path.endswith(".c") and os.path.exists(os.path.join(TOP, own)):
        first = re.search(r'#include [<"]([^">]+)', text)
        if not first or first[1] != own:
            yield f"{path}: its own header is not the first one included"


def check_alone(path, flags):
    command = flags.get(path.split("/")[0]) or next(iter(flags.values()))
    result = subprocess.run([*command, "-fsyntax-only", "-x", "c", "-"], input=f'#include "{path}"\n', text=True,
                            capture_output=True, cwd=TOP, check=False)
    if result.returncode:
        line = next((l for l in result.stderr.splitlines() if "error" in l), result.stderr[:200])
        yield f"{path}: not self-contained: {line.strip()}"


def main():
    problems = []
    for suffix in (".h", ".c", ".S"):
        for path in files(suffix):
            problems += check_text(path)
    try:
        flags = compiler_flags("release")
    except (OSError, ValueError):
        print("headers: no build/release to take the compiler's flags from; run cmake --preset release")
        return 1
    for path in files(".h"):
        if not path.startswith(("arch/host", "loader/vdso")):
            problems += check_alone(path, flags)
    print("\n".join(problems) if problems else "headers: in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
