# SPDX-License-Identifier: MIT
"""Makes names out of a crash report's addresses, with the files of this host.

The kernel prints where each file lies ("module FROM-TO PATH", FROM is where the file's first byte
is or would be) and bare addresses; an address in a module becomes path+offset, the function and,
with debug information, file and line.  Kernel addresses are looked up in stout.elf.
"""
import bisect
import os
import re

RANGE = re.compile(r"\bmodule ([0-9a-f]+)-([0-9a-f]+) (/.*\S)")
ADDRESS = re.compile(r"\b(?:0x)?([0-9a-f]{8,16})\b")
KERNEL_BASE = 0xFFFFFFFF80000000
FUNCTION_MAX = 1 << 18  # farther from the last symbol, an address belongs to none
LIMIT = 64


def resolve(lines, tree, root, kernel):
    """Lines "address  name" for every address of the report that lies in a known file."""
    modules = find_modules(lines)
    finder = Finder(tree, root, kernel, modules)
    result, seen = [], set()
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


def find_modules(lines):
    modules = []
    for line in lines:
        found = RANGE.search(line)
        if found:
            start, end = int(found[1], 16), int(found[2], 16)
            if start < end:
                modules.append((start, end, found[3]))
    return sorted(modules)


class Finder:
    def __init__(self, tree, root, kernel, modules):
        self.tree, self.root, self.kernel, self.modules = tree, root, kernel, modules
        self._tables = {}

    def describe(self, address):
        if address >= KERNEL_BASE:
            name = self._function(self.kernel, address)
            return f"stout.elf {name}" if name else None
        for start, end, path in self.modules:
            if start <= address < end:
                host = self._host_path(path)
                if host is None:
                    return f"{path}+0x{address - start:x}"
                virtual = address - start + self._bias(host)
                name = self._function(host, virtual)
                line = self._line(host, virtual)
                return f"{path}+0x{virtual:x}" + (f" {name}" if name else "") + (f" at {line}" if line else "")
        return None

    def _host_path(self, path):
        entry = self.tree.entries.get(self.tree.follow(path))
        if entry is not None and entry.source:
            return entry.source
        host = self.root.host(path)
        return host if os.path.isfile(host) else None

    def _table(self, path):
        """(program headers, sorted function addresses, names, has debug information)"""
        if path in self._tables:
            return self._tables[path]
        from elftools.common.exceptions import ELFError
        from elftools.elf.elffile import ELFFile
        segments, functions = [], {}
        try:
            with open(path, "rb") as file:
                elf = ELFFile(file)
                segments = [(s["p_offset"], s["p_vaddr"], s["p_filesz"]) for s in elf.iter_segments()
                            if s["p_type"] == "PT_LOAD"]
                for name in (".symtab", ".dynsym"):
                    section = elf.get_section_by_name(name)
                    for symbol in section.iter_symbols() if section else ():
                        if symbol["st_info"]["type"] in ("STT_FUNC", "STT_NOTYPE") and symbol["st_value"]:
                            functions.setdefault(symbol["st_value"], symbol.name)
                    if functions:
                        break
        except (OSError, ELFError):
            pass
        addresses = sorted(functions)
        self._tables[path] = (segments, addresses, functions)
        return self._tables[path]

    def _bias(self, path):
        """The address that the file's first byte was linked at."""
        segments = self._table(path)[0]
        return segments[0][1] - segments[0][0] if segments else 0

    def _function(self, path, address):
        _, addresses, names = self._table(path)
        index = bisect.bisect_right(addresses, address) - 1
        if index < 0:
            return None
        start = addresses[index]
        if not names[start] or address - start > FUNCTION_MAX:
            return None
        return f"{names[start]}+0x{address - start:x}"

    @staticmethod
    def _line(path, address):
        """By addr2line where binutils are installed: reading DWARF in Python takes seconds."""
        import shutil
        import subprocess
        if not shutil.which("addr2line"):
            return None
        result = subprocess.run(["addr2line", "-e", path, hex(address)], capture_output=True, text=True, check=False)
        text = result.stdout.strip()
        return None if not text or text.startswith("??") or text.endswith(":?") else text.split(" (")[0]
