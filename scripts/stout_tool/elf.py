# SPDX-License-Identifier: MIT
"""What starting a program needs to know of an ELF file, and nothing more.

A small reader of its own, because it runs at every start (pyelftools alone takes longer to import than
all of this takes to run) and because its input may be truncated or hostile: every offset is
checked against the file, and what is wrong is said in a sentence.  Symbols and line numbers, which
only a crash needs, are read with pyelftools in symbols.py.
"""
from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING, Any

from .errors import cannot_run

if TYPE_CHECKING:
    from .errors import StoutError

PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE = 1, 2, 3, 4
ET_REL, ET_EXEC, ET_DYN, ET_CORE = 1, 2, 3, 4
DT_NEEDED, DT_STRTAB, DT_STRSZ, DT_SONAME, DT_RPATH, DT_RUNPATH = 1, 5, 10, 14, 15, 29
EM_X86_64 = 62
PAGE = 4096
PHDRS_MAX = 128
STRINGS_MAX = 16 << 20

MACHINES = {
    2: "SPARC", 3: "32-bit x86", 8: "MIPS", 20: "PowerPC", 21: "PowerPC 64", 22: "S390",
    40: "32-bit ARM", 42: "SuperH", 43: "SPARC 64", 50: "Itanium", 183: "ARM 64 (aarch64)",
    243: "RISC-V", 247: "BPF", 258: "LoongArch",
}


class ElfFile:
    """The parsed headers: type, interpreter, needed libraries and search paths."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.interpreter: str | None = None
        self.needed: list[str] = []
        self.soname: str | None = None
        self.rpath: list[str] = []
        self.runpath: list[str] = []
        self.is_go = False
        self.is_dynamic = False
        with open(path, "rb") as file:
            self._size = os.fstat(file.fileno()).st_size
            self._file = file
            self._read_header()
            self._read_segments()
            del self._file

    def _bad(self, what: str) -> StoutError:
        return cannot_run(f"{self.path} is damaged: {what}; copy or download it again.")

    def _read(self, offset: int, size: int, what: str) -> bytes:
        if offset + size > self._size:
            raise self._bad(f"it is truncated ({what} lies behind the end of the file)")
        self._file.seek(offset)
        data = self._file.read(size)
        if len(data) != size:
            raise self._bad(f"{what} cannot be read")
        return data

    def _read_header(self) -> None:
        ident = self._file.read(16)
        check_ident(self.path, ident, self._file.read(4))
        if self._size < 64:
            raise self._bad("it is truncated (shorter than an ELF header)")
        self._file.seek(16)
        (self.type, machine, _, self.entry, phoff, _, _, _, phentsize, phnum) = struct.unpack(
            "<HHIQQQIHHH", self._file.read(42))
        if machine != EM_X86_64:
            raise wrong_machine(self.path, machine)
        if self.type not in (ET_EXEC, ET_DYN):
            kind = {ET_REL: "an object file (.o); link it first",
                    ET_CORE: "a core dump; give the program that it came from"}.get(
                        self.type, "an ELF file of an unknown kind")
            raise cannot_run(f"{self.path} is not a program: it is {kind}.")
        if phentsize != 56 or not 0 < phnum <= PHDRS_MAX:
            raise self._bad("its program headers make no sense")
        table = self._read(phoff, phnum * 56, "the program header table")
        self.segments = [struct.unpack_from("<IIQQQQQQ", table, i * 56) for i in range(phnum)]

    def _read_segments(self) -> None:
        loads = [s for s in self.segments if s[0] == PT_LOAD]
        if not loads:
            raise self._bad("it has no loadable segment")
        for (_, _, offset, vaddr, _, filesz, memsz, _) in loads:
            if filesz > memsz or vaddr + memsz >= 1 << 47:
                raise self._bad("a loadable segment makes no sense")
            if offset + filesz > self._size:
                raise self._bad("it is truncated (a segment lies behind the end of the file)")
        for (kind, _, offset, _, _, filesz, _, _) in self.segments:
            if kind == PT_INTERP:
                if not 1 < filesz <= PAGE:
                    raise self._bad("the name of its dynamic loader makes no sense")
                name = self._read(offset, filesz, "the name of its dynamic loader")
                self.interpreter = os.fsdecode(name.split(b"\0")[0])
            elif kind == PT_NOTE and filesz <= 65536:
                self.is_go |= b"Go\0\0" in self._read(offset, filesz, "a note")
            elif kind == PT_DYNAMIC:
                self.is_dynamic = True
                self._read_dynamic(loads, offset, filesz)

    def _read_dynamic(self, loads: list[tuple[Any, ...]], offset: int, size: int) -> None:
        if size > 1 << 20:
            raise self._bad("its dynamic section makes no sense")
        data = self._read(offset, size, "the dynamic section")
        tags = []
        for tag, value in struct.iter_unpack("<qQ", data[:len(data) & ~15]):
            if tag == 0:
                break
            tags.append((tag, value))
        values = dict(tags)
        if DT_STRTAB not in values:
            return
        strings = self._read_strings(loads, values[DT_STRTAB], values.get(DT_STRSZ, 0))

        def text(at: int) -> str:
            if at >= len(strings):
                raise self._bad("a library's name lies outside its string table")
            return os.fsdecode(strings[at:strings.find(b"\0", at)])

        self.needed = [text(value) for tag, value in tags if tag == DT_NEEDED]
        if DT_SONAME in values:
            self.soname = text(values[DT_SONAME])
        if DT_RPATH in values:
            self.rpath = text(values[DT_RPATH]).split(":")
        if DT_RUNPATH in values:
            self.runpath = text(values[DT_RUNPATH]).split(":")
            self.rpath = []  # ld.so(8): DT_RPATH counts only without DT_RUNPATH

    def _read_strings(self, loads: list[tuple[Any, ...]], address: int, size: int) -> bytes:
        for (_, _, offset, vaddr, _, filesz, _, _) in loads:
            if vaddr <= address < vaddr + filesz:
                size = min(size, vaddr + filesz - address, STRINGS_MAX)
                return self._read(offset + address - vaddr, size, "the dynamic string table")
        raise self._bad("its dynamic string table is in no segment")


def check_ident(path: str, ident: bytes, type_and_machine: bytes) -> None:
    """The sixteen identifying bytes: is it an ELF file for this machine at all?"""
    if ident[:4] != b"\x7fELF":
        raise cannot_run(
            f"{path} is not an ELF program{describe(ident)}; give a Linux x86-64 program or a script "
            "that begins with #! or has a known extension.")
    if len(ident) < 16 or len(type_and_machine) < 4:
        raise cannot_run(f"{path} is damaged: it is truncated; copy or download it again.")
    machine = struct.unpack(">HH" if ident[5] == 2 else "<HH", type_and_machine)[1]
    if ident[4] == 1 and machine == 62:
        raise cannot_run(f"{path} is an x32 program (32-bit pointers); build it for x86-64.")
    if ident[4] != 2 or ident[5] != 1 or machine != EM_X86_64:
        raise wrong_machine(path, machine)


def wrong_machine(path: str, machine: int) -> StoutError:
    name = MACHINES.get(machine, f"an unknown machine (number {machine})")
    return cannot_run(f"{path} is a program for {name}; Stout runs 64-bit x86 (x86-64) programs, "
                      "get that build of it.")


def describe(ident: bytes) -> str:
    """What a file seems to be, for the sentence that refuses it."""
    known = ((b"MZ", " but a Windows program"), (b"\xcf\xfa\xed\xfe", " but a macOS program"),
             (b"\xca\xfe\xba\xbe", " but a Java class or a macOS program"),
             (b"PK\x03\x04", " but a zip archive"), (b"\x1f\x8b", " but a gzip archive"))
    for magic, text in known:
        if ident.startswith(magic):
            return text
    return "" if ident else " but an empty file"


def is_linked(path: str) -> bool:
    """A program or a shared library: what may need libraries, unlike an object file or a core dump."""
    try:
        with open(path, "rb") as file:
            head = file.read(18)
    except OSError:
        return False
    return head[:4] == b"\x7fELF" and int.from_bytes(head[16:18], "little") not in (ET_REL, ET_CORE)


def is_elf(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False
