#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Writes docs/syscalls.md from kernel/syscalls.def, the one list of system calls, and kernel/syscalls_absent.def.

    gen_syscalls_doc.py [--check]      --check: only says whether the page is up to date
"""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(TOP, "docs", "syscalls.md")
CALL = re.compile(r"^SYSCALL\((\w+),\s*(\w+)((?:,\s*\(\w+,\s*\w+\))*)\)")
SECTION = re.compile(r"^/\* -+ (.*?) -+ \*/")


def read_table():
    """[(section, [(name, result, [(kind, argument)])])]"""
    sections = []
    with open(os.path.join(TOP, "kernel", "syscalls.def"), encoding="utf-8") as file:
        text = file.read().replace("\\\n", " ")
    text = re.sub(r",\s*\n\s*\(", ", (", text)
    for line in text.splitlines():
        if found := SECTION.match(line):
            sections.append((found[1], []))
        elif found := CALL.match(line):
            if not sections:
                sections.append(("", []))
            sections[-1][1].append((found[1], found[2], re.findall(r"\((\w+),\s*(\w+)\)", found[3])))
    return sections


def read_absent():
    """[(name, why)]"""
    with open(os.path.join(TOP, "kernel", "syscalls_absent.def"), encoding="utf-8") as file:
        return re.findall(r'^ABSENT\((\w+),\s*"(.*?)"\)', file.read(), re.MULTILINE)


def read_numbers():
    with open(os.path.join(TOP, "abi", "syscall_nr.h"), encoding="utf-8") as file:
        return {name: int(number) for name, number in
                re.findall(r"^#define\s+SYS_(\w+)\s+(\d+)", file.read(), re.MULTILINE)}


def make_page():
    sections, numbers = read_table(), read_numbers()
    count = sum(len(calls) for _, calls in sections)
    lines = ["# System calls", "",
             f"Stout implements {count} system calls. This page is made by scripts/gen_syscalls_doc.py from",
             "kernel/syscalls.def; every other number returns -ENOSYS and is named once in the kernel's log.", ""]
    for section, calls in sections:
        if not calls:
            continue
        lines += [f"## {section}", "", "| number | call | returns |", "|---|---|---|"]
        for name, result, arguments in sorted(calls, key=lambda call: numbers.get(call[0], 9999)):
            text = ", ".join(argument for _, argument in arguments)
            lines.append(f"| {numbers.get(name, '?')} | `{name}({text})` | {result.lower()} |")
        lines.append("")
    lines += ["## Deliberately not there", "",
              "These answer -ENOSYS as they do elsewhere (kernel/syscalls_absent.def).", "",
              "| number | call | as |", "|---|---|---|"]
    lines += [f"| {numbers.get(name, '?')} | `{name}` | {why} |"
              for name, why in sorted(read_absent(), key=lambda row: numbers.get(row[0], 9999))]
    lines.append("")
    return "\n".join(lines)


def main(args):
    page = make_page()
    if "--check" in args:
        with open(PAGE, encoding="utf-8") as file:
            if file.read() == page:
                return 0
        print("docs/syscalls.md is older than kernel/syscalls.def; run scripts/gen_syscalls_doc.py")
        return 1
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(page)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
