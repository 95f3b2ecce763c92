#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""clang-format on the C sources (not the .def tables, whose columns are made by hand): says which differ.

    check_format.py [--fix] [FILE...]
"""
import os
import re
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("abi", "lib", "arch", "kernel", "fs", "drivers", "net", "loader", "tests")
BATCH = 50  # files a process: clang-format takes longer to start than to look at one


def main(args):
    fix = "--fix" in args
    paths = [arg for arg in args if not arg.startswith("-")]
    if not paths:
        for folder in FOLDERS:
            for base, _, names in os.walk(os.path.join(TOP, folder)):
                paths += [os.path.join(base, name) for name in sorted(names) if name.endswith((".c", ".h"))]
    wrong = []
    for start in range(0, len(paths), BATCH):
        wrong += differing(paths[start:start + BATCH])
    if fix and wrong:
        subprocess.run(["clang-format", "--style=file", "-i", *wrong], check=True, cwd=TOP)
    if fix or not wrong:
        print(f"format: {len(wrong)} files rewritten" if fix else "format: in order")
        return 0
    print("\n".join(os.path.relpath(path, TOP) for path in wrong))
    print(f"format: {len(wrong)} files differ; run scripts/check_format.py --fix")
    return 1


def differing(paths):
    """Those of the files that clang-format would change."""
    result = subprocess.run(["clang-format", "--style=file", "--dry-run", *paths], capture_output=True, text=True, check=True, cwd=TOP)
    found = re.findall(r"^(.+?):\d+:\d+: warning: code should be clang-formatted", result.stderr, re.MULTILINE)
    return sorted(set(found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
