#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Reads every #include "..." against the layers: a folder is a layer, and includes point downwards.

An interface lives with the layer that uses it (kernel/netdev.h), so drivers and net meet without
knowing each other.  The two composition roots see everything.
"""
import os
import re
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# folder -> the prefixes that it may include; the longest matching folder counts
LAYERS = {
    "abi": ["abi/", "lib/"],
    "lib": ["abi/", "lib/"],
    "arch": ["abi/", "lib/", "arch/", "kernel/"],
    "arch/arch.h": ["abi/", "lib/", "arch_inline.h"],
    "arch/x86_64": ["abi/", "lib/", "arch/", "kernel/", "drivers/acpi_tables.h", "drivers/uart16550.h"],
    "arch/host": ["abi/", "lib/", "arch/arch.h", "arch/host/", "kernel/"],
    "kernel": ["abi/", "lib/", "arch/arch.h", "kernel/"],
    "drivers": ["abi/", "lib/", "arch/arch.h", "kernel/", "drivers/"],
    "fs": ["abi/", "lib/", "arch/arch.h", "kernel/", "fs/"],
    "net": ["abi/", "lib/", "arch/arch.h", "kernel/", "fs/file.h", "fs/inode.h", "fs/dcache.h",
            "fs/procfs.h", "fs/sysfs.h", "fs/text.h", "net/", "lwip/", "netif/"],
    "loader": ["abi/", "lib/", "arch/arch.h", "kernel/", "fs/", "loader/"],
}
ROOTS = {"kernel/main.c", "drivers/drivers.c"}
INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"')
SUFFIXES = (".c", ".h", ".S", ".def")


def layer_of(path):
    best = [key for key in LAYERS if path == key or path.startswith(key + "/")]
    return max(best, key=len) if best else None


def check_file(path):
    layer = layer_of(path)
    if layer is None or path in ROOTS:
        return
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            name = found[1]
            if "/" not in name and name != "arch_inline.h" and not path.endswith(".S"):
                yield f"{path}:{number}: \"{name}\": includes are paths from the top of the tree"
            elif "/" in name and not name.startswith(tuple(LAYERS[layer])):
                yield f"{path}:{number}: {layer} may not include \"{name}\""


def main():
    problems = []
    for folder in sorted({key.split("/")[0] for key in LAYERS}):
        for base, _, names in os.walk(os.path.join(TOP, folder)):
            for name in sorted(names):
                if name.endswith(SUFFIXES):
                    problems += check_file(os.path.relpath(os.path.join(base, name), TOP))
    print("\n".join(problems) if problems else "layers: in order")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
