#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The documents agree with the tree: the generated pages are current, and links and `path/file.c` names exist."""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TOP, "scripts"))
FOLDERS = "abi|lib|arch|kernel|fs|drivers|net|loader|libc|scripts|tests|docs|cmake"
NAMED = re.compile(rf"`((?:{FOLDERS})/[\w./-]+\.\w+)`(?:\s+`(\w+)(?:\(\))?`)?")
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")


def documents():
    for name in ("README.md", "CONTRIBUTING.md"):
        yield name
    for base, _, names in os.walk(os.path.join(TOP, "docs")):
        for name in sorted(names):
            if name.endswith(".md"):
                yield os.path.relpath(os.path.join(base, name), TOP)


def check_document(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        text = file.read()
    for target in LINK.findall(text):
        if not os.path.exists(os.path.join(TOP, os.path.dirname(path), target)):
            yield f"{path}: the link to {target} leads nowhere"
    for name, function in NAMED.findall(text):
        full = os.path.join(TOP, name)
        if not os.path.exists(full):
            yield f"{path}: {name} does not exist"
        elif function:
            with open(full, encoding="utf-8") as file:
                if not re.search(rf"\b{function}\b", file.read()):
                    yield f"{path}: {name} does not have {function}"


def main():
    import gen_locking_doc
    import gen_syscalls_doc
    problems = []
    for path in documents():
        if os.path.exists(os.path.join(TOP, path)):
            problems += check_document(path)
        else:
            problems.append(f"{path} does not exist")
    status = gen_syscalls_doc.main(["--check"]) | gen_locking_doc.main(["--check"])
    print("\n".join(problems) if problems else "docs: links and names are right")
    return 1 if problems or status else 0


if __name__ == "__main__":
    sys.exit(main())
