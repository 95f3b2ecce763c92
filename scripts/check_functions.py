#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Sizes: functions of at most 80 lines, files of at most 800, lines of at most 120 columns
(clang-format keeps code within 100; comments are not reflowed).

A function that must be longer carries NOLINT and the reason on the line before it.
"""
import json
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("abi", "lib", "arch", "kernel", "fs", "drivers", "net", "loader", "tests")
FUNCTION_MAX, FILE_MAX, LINE_MAX = 80, 800, 120


def sources():
    for folder in FOLDERS:
        for base, _, names in os.walk(os.path.join(TOP, folder)):
            for name in sorted(names):
                if name.endswith((".c", ".h", ".cc")):
                    yield os.path.relpath(os.path.join(base, name), TOP)


def check_lines(path, lines):
    if len(lines) > FILE_MAX:
        yield f"{path}: {len(lines)} lines, at most {FILE_MAX}"
    for number, line in enumerate(lines, 1):
        if len(line) > LINE_MAX and "NOLINT" not in line:
            yield f"{path}:{number}: {len(line)} columns, at most {LINE_MAX}"


def check_functions(paths, texts):
    result = subprocess.run(["ctags", "--output-format=json", "--fields=+ne", "--kinds-C=f", "--kinds-C++=f",
                             "-I", "__must_check,__noreturn,__cold,__unused,__always_inline", "-f", "-", "-L", "-"],
                            input="\n".join(paths), text=True, capture_output=True, cwd=TOP, check=True)
    for line in result.stdout.splitlines():
        tag = json.loads(line)
        length = tag.get("end", tag["line"]) - tag["line"] + 1
        if length <= FUNCTION_MAX:
            continue
        before = "".join(texts[tag["path"]][max(0, tag["line"] - 4):tag["line"]])
        if "NOLINT" not in before:
            yield f"{tag['path']}:{tag['line']}: {tag['name']} has {length} lines, at most {FUNCTION_MAX}"


def main():
    texts, problems = {}, []
    for path in sources():
        with open(os.path.join(TOP, path), encoding="utf-8") as file:
            texts[path] = file.read().splitlines()
        problems += check_lines(path, texts[path])
    problems += check_functions(list(texts), texts)
    print("\n".join(problems) if problems else "functions: in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
