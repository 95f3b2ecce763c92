# SPDX-License-Identifier: MIT
"""Functions' names of an ELF file: its .symtab, that of its separate debug file, or its .dynsym.

Read with struct, in bulk: node has a quarter of a million symbols.  What is damaged has no names.
"""
from __future__ import annotations

import os
import struct
from bisect import bisect_right

PT_LOAD, PT_GNU_EH_FRAME = 1, 0x6474E550
SHT_SYMTAB, SHT_NOTE, SHT_NOBITS, SHT_DYNSYM = 2, 7, 8, 11
STT_NOTYPE, STT_FUNC, STT_GNU_IFUNC = 0, 2, 10
NOTE_BUILD_ID = 3
DEBUG_FOLDER = "/usr/lib/debug/.build-id"
FUNCTION_MAX = 1 << 18  # farther from the last symbol that has no size, an address belongs to none
HEADER = struct.Struct("<16xHHIQQQIHHHHHH")
SECTION = struct.Struct("<IIQQQQIIQQ")
SEGMENT = struct.Struct("<IIQQQQQQ")
SYMBOL = struct.Struct("<IBBHQQ")


class ElfData:
    """An ELF file's segments and sections, and its bytes by address."""

    def __init__(self, data: bytes | memoryview) -> None:
        self.data = data
        self._table: list[tuple[int, ...]] = []
        self.segments: list[tuple[int, int, int, int]] = []  # kind, offset, address, bytes in the file
        self.sections: dict[str, tuple[int, int, int, int, int]] = {}  # name -> kind, offset, size, link, address
        try:
            self._read()
        except (struct.error, IndexError, ValueError, OverflowError):
            self.segments, self.sections = [], {}

    def _read(self) -> None:
        if bytes(self.data[:6]) != b"\x7fELF\x02\x01":
            return
        _, _, _, _, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, shstrndx = HEADER.unpack_from(self.data)
        if phentsize == SEGMENT.size:
            for index in range(phnum):
                kind, _, offset, vaddr, _, filesz, _, _ = SEGMENT.unpack_from(self.data, phoff + index * phentsize)
                self.segments.append((kind, offset, vaddr, filesz))
        if shentsize != SECTION.size or not shoff:
            return
        table = [SECTION.unpack_from(self.data, shoff + index * shentsize) for index in range(shnum)]
        names = table[shstrndx][4]
        for name, kind, _, address, offset, size, link, _, _, _ in table:
            self.sections[self.string(names + name)] = (kind, offset, size, link, address)
        self._table = table

    def string(self, at: int) -> str:
        if not 0 <= at < len(self.data):
            return ""
        chunk = bytes(self.data[at:at + 4096])
        end = chunk.find(b"\0")
        return chunk[:end if end >= 0 else None].decode("utf-8", "replace")

    def address_of(self, offset: int) -> int | None:
        """Of a byte of the file; None: it is in no segment."""
        for kind, start, vaddr, size in self.segments:
            if kind == PT_LOAD and start <= offset < start + size:
                return offset - start + vaddr
        return None

    def at(self, address: int, size: int) -> bytes | None:
        for kind, start, vaddr, filesz in self.segments:
            if kind == PT_LOAD and vaddr <= address and address + size <= vaddr + filesz:
                return bytes(self.data[start + address - vaddr:start + address - vaddr + size])
        return None

    def build_id(self) -> str | None:
        for kind, offset, size, _, _ in self.sections.values():
            if kind != SHT_NOTE or size < 16:
                continue
            name_size, id_size, note = struct.unpack_from("<III", self.data, offset)
            if note == NOTE_BUILD_ID and name_size == 4 and 4 <= id_size <= 64:
                return bytes(self.data[offset + 16:offset + 16 + id_size]).hex()
        return None

    def functions(self) -> dict[int, tuple[int, int]]:
        """address -> size, where the name stands in the file."""
        found: dict[int, tuple[int, int]] = {}
        for wanted in (SHT_SYMTAB, SHT_DYNSYM):
            for kind, offset, size, link, _ in self.sections.values():
                if kind == wanted and offset + size <= len(self.data) and link < len(self._table):
                    self._read_symbols(offset, size, self._table[link][4], found)
            if found:
                break
        return found

    def _read_symbols(self, offset: int, size: int, names: int, found: dict[int, tuple[int, int]]) -> None:
        symbols = memoryview(self.data)[offset:offset + size // SYMBOL.size * SYMBOL.size]
        for name, info, _, section, value, length in SYMBOL.iter_unpack(symbols):
            if info & 15 not in (STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE) or not value or not section or not name:
                continue
            if info & 15 == STT_NOTYPE and (value in found or length == 0 and section >= 0xFF00):
                continue
            known = found.get(value)
            if known is None or (known[0] == 0 and length) or (info >> 4 == 1 and known[0] == length):
                found[value] = (length, names + name)


class SymbolFile:
    """Looks up addresses as the file was linked."""

    def __init__(self, data: bytes | memoryview, elf: ElfData | None = None) -> None:
        self.elf = elf or ElfData(data)
        self._source = self.elf
        functions = self._functions(self.elf)
        self._starts = sorted(functions)
        self._functions_by_start = functions

    def _functions(self, elf: ElfData) -> dict[int, tuple[int, int]]:
        try:
            if not any(kind == SHT_SYMTAB for kind, *_ in elf.sections.values()):
                debug = open_debug_file(elf.build_id())
                if debug is not None and (found := debug.functions()):
                    self._source = debug
                    return found
            return elf.functions()
        except (struct.error, IndexError, ValueError, OverflowError, OSError):
            return {}

    def find(self, address: int) -> tuple[str, int] | None:
        """The function's name and where it begins."""
        index = bisect_right(self._starts, address) - 1
        if index < 0:
            return None
        start = self._starts[index]
        size, name = self._functions_by_start[start]
        if address - start >= (size or FUNCTION_MAX):
            return None
        return self._source.string(name).partition("@")[0], start  # without its version


def open_debug_file(build_id: str | None) -> ElfData | None:
    if not build_id:
        return None
    path = os.path.join(DEBUG_FOLDER, build_id[:2], build_id[2:] + ".debug")
    data = map_file(path)
    return None if data is None else ElfData(data)


def map_file(path: str) -> memoryview | None:
    import mmap
    try:
        with open(path, "rb") as file:
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError):
        return None
