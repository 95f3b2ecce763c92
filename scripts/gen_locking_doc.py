#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes docs/locking.md from kernel/lockrank.h, the one list of lock ranks.

usage: gen_locking_doc.py [--check]     --check: say whether the page is current, and write nothing
"""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RANKS = os.path.join(TOP, "kernel", "lockrank.h")
PAGE = os.path.join(TOP, "docs", "locking.md")

HEAD = """# Locks and their order

Generated from `kernel/lockrank.h` by `scripts/gen_locking_doc.py`. A CPU or thread takes locks in the order of this list only, outermost first; debug
builds check it, as well as recursion and sleeping under a spinlock (`kernel/lockrank.c`).

| rank | lock |
|---|---|
"""


def page() -> str:
    """The whole text of docs/locking.md."""
    with open(RANKS, encoding="utf-8") as file:
        text = file.read()
    rows = []
    for name, comment in re.findall(r"^\s*(RANK_\w+),\s*/\*(.*?)\*/", text, re.M | re.S):
        comment = " ".join(re.sub(r"^\s*\*", "", line).strip() for line in comment.splitlines())
        rows.append(f"| `{name}` | {comment.strip()} |\n")
    return HEAD + "".join(rows)


def main(arguments: list[str]) -> int:
    """Writes the page, or compares it."""
    text = page()
    if "--check" in arguments:
        try:
            with open(PAGE, encoding="utf-8") as file:
                if file.read() == text:
                    return 0
        except OSError:
            pass
        print("docs/locking.md is older than kernel/lockrank.h; run scripts/gen_locking_doc.py")
        return 1
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
