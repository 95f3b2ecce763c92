#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""clang-tidy with the checks of .clang-tidy over every source of the kernel; a finding is an error.

    check_tidy.py [FILE...]        all but the analyzer's checks, which take most of the time
    check_tidy.py --all [FILE...]  all of them, several minutes: the slow test `analyzer`

The flags are those of build/release without gcc's own.  Headers of ours count as well, lwIP's do not.
"""
import concurrent.futures
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("abi", "lib", "arch", "kernel", "fs", "drivers", "net", "loader")
OUR_HEADERS = f"^{re.escape(TOP)}/({'|'.join(FOLDERS)})/"
GCC_ONLY = ("-fconserve-stack", "-fno-tree-loop-distribute-patterns", "-mmemset-strategy", "-mmemcpy-strategy", "-mpreferred-stack-boundary",
            "-mskip-rax-setup", "--param")


def sources(wanted):
    """The entries of the compilation database that are ours."""
    with open(os.path.join(TOP, "build", "release", "compile_commands.json"), encoding="utf-8") as file:
        commands = json.load(file)
    for command in commands:
        path = os.path.relpath(command["file"], TOP)
        if path.endswith(".c") and path.split("/")[0] in FOLDERS and (not wanted or path in wanted):
            words = [word for word in shlex.split(command["command"]) if word.split("=")[0] not in GCC_ONLY]
            yield dict(command, command=shlex.join(words))


def examine(folder, path, checks):
    """The findings in one file and the headers it includes."""
    command = ["clang-tidy", "-p", folder, "--quiet", "--warnings-as-errors=*", f"--header-filter={OUR_HEADERS}",
               *checks, path]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=TOP)
    if result.returncode == 0:
        return []
    text = (result.stdout + result.stderr).replace(TOP + "/", "")
    return re.split(r"^(?=\S+:\d+:\d+: error: )", text, flags=re.MULTILINE)


def main():
    arguments = sys.argv[1:]
    thorough = "--all" in arguments
    checks = [] if thorough else ["--checks=-clang-analyzer-*"]
    entries = list(sources([a for a in arguments if a != "--all"]))
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "compile_commands.json"), "w", encoding="utf-8") as file:
            json.dump(entries, file)
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(lambda e: examine(folder, e["file"], checks), entries))
    findings = dict.fromkeys(finding for findings in found for finding in findings)  # a header's only once
    print("".join(findings) or f"clang-tidy: {len(entries)} files in order")
    return 1 if findings or not entries else 0


if __name__ == "__main__":
    sys.exit(main())
