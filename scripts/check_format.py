#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""clang-format on the C sources (not the .def tables, whose columns are made by hand): says which differ.

    check_format.py [--fix] [FILE...]
"""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("abi", "lib", "arch", "kernel", "fs", "drivers", "net", "loader", "tests")


def main(args):
    fix = "--fix" in args
    paths = [arg for arg in args if not arg.startswith("-")]
    if not paths:
        for folder in FOLDERS:
            for base, _, names in os.walk(os.path.join(TOP, folder)):
                paths += [os.path.join(base, name) for name in sorted(names) if name.endswith((".c", ".h"))]
    wrong = []
    for path in paths:
        with open(path, "rb") as file:
            text = file.read()
        result = subprocess.run(["clang-format", "--style=file", path], capture_output=True, check=True, cwd=TOP)
        if result.stdout == text:
            continue
        wrong.append(os.path.relpath(path, TOP))
        if fix:
            with open(path, "wb") as file:
                file.write(result.stdout)
    if fix or not wrong:
        print(f"format: {len(wrong)} files rewritten" if fix else "format: in order")
        return 0
    print("\n".join(wrong))
    print(f"format: {len(wrong)} files differ; run scripts/check_format.py --fix")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
