# SPDX-License-Identifier: MIT
"""Makes names out of a crash report's addresses, with the files of the program.

The kernel prints where each file lies ("module FROM-TO PATH", FROM is where the file's first byte
is or would be) and bare addresses; an address in a module becomes path+offset, the function and,
with debug information, file and line.  Kernel addresses are looked up in stout.elf.
"""
from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .elf_symbols import PT_LOAD, SymbolFile, map_file

if TYPE_CHECKING:
    from .libraries import Root
    from .tree import Tree

RANGE = re.compile(r"\bmodule ([0-9a-f]+)-([0-9a-f]+) (/.*\S)")
ADDRESS = re.compile(r"\b(?:0x)?([0-9a-f]{8,16})\b")
KERNEL_BASE = 0xFFFFFFFF80000000
LIMIT = 64


Find = Callable[[str], "str | None"]  # where a file of the guest lies on this host, or None


def resolve(lines: list[str], find: Find, kernel: str) -> list[str]:
    """Lines "address  name" for every address of the report that lies in a known file."""
    modules = find_modules(lines)
    finder = Finder(find, kernel, modules)
    result: list[str] = []
    seen: set[int] = set()
    for line in lines:
        if RANGE.search(line):
            continue
        for found in ADDRESS.finditer(line):
            address = int(found[1], 16)
            if address in seen or len(seen) > LIMIT:
                continue
            text = finder.describe(address)
            if text:
                seen.add(address)
                result.append(f"{address:016x}  {text}")
    return (["addresses:"] + result) if result else []


def find_modules(lines: list[str]) -> list[Any]:
    modules = []
    for line in lines:
        found = RANGE.search(line)
        if found:
            start, end = int(found[1], 16), int(found[2], 16)
            if start < end:
                modules.append((start, end, found[3]))
    return sorted(modules)


def host_path(tree: Tree, root: Root, path: str) -> str | None:
    """Where a file of the guest lies on this host, or None."""
    entry = tree.entries.get(tree.follow(path))
    if entry is not None and entry.source:
        return entry.source
    host = root.host(path)
    return host if os.path.isfile(host) else None


class Finder:
    def __init__(self, find: Find, kernel: str, modules: list[Any]) -> None:
        self.find, self.kernel, self.modules = find, kernel, modules
        self._files: dict[str, Any] = {}
        self._has_lines = True

    def describe(self, address: int) -> str | None:
        if address >= KERNEL_BASE:
            name = self._function(self.kernel, address)
            return f"stout.elf {name}" if name else None
        for start, end, path in self.modules:
            if start <= address < end:
                host = self.find(path)
                if host is None:
                    return f"{path}+0x{address - start:x}"
                virtual = address - start + self._bias(host)
                name = self._function(host, virtual)
                line = self._line(host, virtual)
                return f"{path}+0x{virtual:x}" + (f" {name}" if name else "") + (f" at {line}" if line else "")
        return None

    def _symbols(self, path: str) -> Any:
        if path not in self._files:
            self._files[path] = SymbolFile(map_file(path) or b"")
        return self._files[path]

    def _bias(self, path: str) -> Any:
        """The address that the file's first byte was linked at."""
        loads = [(offset, address) for kind, offset, address, _ in self._symbols(path).elf.segments if kind == PT_LOAD]
        return loads[0][1] - loads[0][0] if loads else 0

    def _function(self, path: str, address: int) -> Any:
        found = self._symbols(path).find(address)
        return f"{found[0]}+0x{address - found[1]:x}" if found else None

    def _line(self, path: str, address: int) -> Any:
        """By addr2line where binutils are installed: reading DWARF in Python takes seconds.  One that hangs is asked once."""
        import shutil
        import subprocess
        if not self._has_lines or not shutil.which("addr2line"):
            return None
        try:
            result = subprocess.run(["addr2line", "-e", path, hex(address)], capture_output=True, text=True, check=False, timeout=5)
        except subprocess.TimeoutExpired:
            self._has_lines = False
            return None
        text = result.stdout.strip()
        return None if not text or text.startswith("??") or text.endswith(":?") else text.split(" (")[0]
