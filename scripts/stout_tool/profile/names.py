# SPDX-License-Identifier: MIT
"""From samples to stacks of names, outermost first."""
from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from typing import Any

from ..elf_symbols import ElfData, SymbolFile, map_file
from .samples import IN_INTERRUPT, Mapping, Sample, Samples
from .unwind import Place, Stack, UnwindTable

KERNEL_BASE = 0xFFFFFFFF80000000
KERNEL = "_[k]"  # what Brendan Gregg's tools mark kernel frames by
COMPILER_PARTS = re.compile(r"\.(lto_priv|constprop|isra|part|cold)(\.\d+)?")
PUSH_FRAME = b"\x55\x48\x89\xe5"  # push %rbp; mov %rsp,%rbp
RETURNS_MAX = 8

Stacks = Counter[tuple[str, ...]]


class File:
    """An ELF file of the guest."""

    def __init__(self, data: Any) -> None:
        self.elf = ElfData(data)
        self.table = UnwindTable(self.elf)
        self.symbols = SymbolFile(data, self.elf)


class Namer:
    def __init__(self, samples: Samples, kernel: str, open_file: Callable[[str], Any]) -> None:
        """kernel: stout.elf; open_file(path in the guest) -> its bytes, or None."""
        self.samples = samples
        self._open = open_file
        self._files: dict[str, File | None] = {}
        self._names: dict[tuple[str, int], str] = {}
        data = map_file(kernel)
        self.kernel = None if data is None else File(data)

    def stacks(self) -> Stacks:
        result: Stacks = Counter()
        for sample in self.samples.samples:
            result[tuple(self.stack(sample))] += 1
        return demangle(result)

    def stack(self, sample: Sample) -> list[str]:
        """The thread's name, the application's frames, the kernel's."""
        frames = [sample.name]
        if sample.pc:
            names = self._application(sample)
            frames += reversed(names)
        frames += reversed(self._kernel(sample))
        return frames

    # ---- The kernel ----

    def _kernel(self, sample: Sample) -> list[str]:
        """Innermost first."""
        addresses = list(sample.kernel)
        handler = []
        if sample.flags & IN_INTERRUPT and addresses:
            handler = [self._kernel_name(addresses.pop(0)), f"[interrupt]{KERNEL}"]
        names = []
        for index, address in enumerate(addresses):
            names.append(self._kernel_name(address - (index > 0)))
            if index == 0:
                names += self._missed_caller(address, sample)
        return handler + [name for name in names if name]

    def _missed_caller(self, pc: int, sample: Sample) -> list[str]:
        """A function that has no frame of its own, or none yet, hides its caller from the chain of frame pointers; the
        return address is still on the stack."""
        found = self.kernel and self.kernel.symbols.find(pc)
        if not found or not self.kernel:
            return []
        code = self.kernel.elf.at(found[1], min(pc - found[1], 256)) or b""
        if PUSH_FRAME in code:
            return []
        for word in sample.words:
            if word >= KERNEL_BASE and self._is_behind_call(word):
                name = self._kernel_name(word - 1)
                return [name] if len(sample.kernel) < 2 or word != sample.kernel[1] else []
        return []

    def _is_behind_call(self, address: int) -> bool:
        if self.kernel is None:
            return False
        before = self.kernel.elf.at(address - 8, 8)
        return before is not None and follows_call(before) and self.kernel.symbols.find(address - 1) is not None

    def _kernel_name(self, address: int) -> str:
        found = self.kernel.symbols.find(address) if self.kernel else None
        return (COMPILER_PARTS.sub("", found[0]) if found else f"0x{address:x}") + KERNEL

    # ---- The application ----

    def _application(self, sample: Sample) -> list[str]:
        def locate(address: int) -> Place | None:
            mapping = sample.maps.find(address)
            if mapping is None:
                return None
            file = self._file(mapping.path)
            return Place(file.table if file else None, file_address(file, mapping, address))

        addresses = Stack(sample.pc, sample.sp, sample.fp, sample.bytes, sample.stack, locate).frames()
        return [self._name(sample, address) for address in addresses]

    def _name(self, sample: Sample, address: int) -> str:
        mapping = sample.maps.find(address)
        if mapping is None:
            return "[unknown]"
        if not mapping.path.startswith("/"):
            jit = self.samples.jit.get(sample.pid)
            return jit and jit.find(address) or "[anonymous code]"
        key = (mapping.path, address - mapping.start + mapping.offset)
        if key not in self._names:
            file = self._file(mapping.path)
            found = file.symbols.find(file_address(file, mapping, address)) if file else None
            self._names[key] = found[0] if found else f"[{os.path.basename(mapping.path)}]"
        return self._names[key]

    def _file(self, path: str) -> File | None:
        if path not in self._files:
            data = self._open(path) if path.startswith("/") else None
            self._files[path] = None if data is None else File(data)
        return self._files[path]


def file_address(file: File | None, mapping: Mapping, address: int) -> int:
    """As the file was linked."""
    offset = address - mapping.start + mapping.offset
    linked = file.elf.address_of(offset) if file else None
    return offset if linked is None else linked


def follows_call(before: bytes) -> bool:
    """arch_follows_call() of arch/x86_64/backtrace.c."""
    if before[3] == 0xE8:
        return True
    return any(before[8 - length] == 0xFF and before[9 - length] >> 3 & 7 == 2 for length in range(2, 8))


def demangle(stacks: Stacks) -> Stacks:
    """C++ and Rust names, by c++filt where binutils are installed."""
    mangled = sorted({name for stack in stacks for name in stack if name.startswith("_Z")})
    if not mangled or not shutil.which("c++filt"):
        return stacks
    result = subprocess.run(["c++filt"], input="\n".join(mangled) + "\n", capture_output=True, text=True, check=False)
    plain = result.stdout.splitlines()
    if len(plain) != len(mangled):
        return stacks
    names = dict(zip(mangled, plain))
    renamed: Stacks = Counter()
    for stack, count in stacks.items():
        renamed[tuple(names.get(name, name) for name in stack)] += count
    return renamed
