# SPDX-License-Identifier: MIT
"""The kernel's lines about samples (kernel/profile_report.c has the grammar).

What runs in the guest may have broken the kernel, so a line that makes no sense is counted and left out.
"""
from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass, field

LINE_MAX = 1 << 17
JIT_MAX = 1 << 20        # symbols of one process
PROCESSES_MAX = 1 << 16
U64 = 1 << 64
IN_INTERRUPT = 1


@dataclass
class Mapping:
    start: int
    end: int
    offset: int
    path: str  # "": anonymous


class MapSet:
    """What a process could execute, for a while."""

    def __init__(self) -> None:
        self.maps: list[Mapping] = []
        self._starts: list[int] = []

    def add(self, mapping: Mapping) -> None:
        at = bisect_right(self._starts, mapping.start)
        self._starts.insert(at, mapping.start)
        self.maps.insert(at, mapping)

    def find(self, address: int) -> Mapping | None:
        at = bisect_right(self._starts, address) - 1
        return self.maps[at] if at >= 0 and address < self.maps[at].end else None


class JitMap:
    """The lines of perf-PID.map; a later one replaces what it overlaps."""

    def __init__(self) -> None:
        self._symbols: dict[int, tuple[int, str]] = {}
        self._starts: list[int] | None = None

    def add(self, line: str) -> bool:
        words = line.split(" ", 2)
        if len(words) != 3 or len(self._symbols) >= JIT_MAX:
            return False
        start, size = number(words[0]), number(words[1])
        self._symbols[start] = (start + size, words[2].strip())
        self._starts = None
        return True

    def find(self, address: int) -> str | None:
        if self._starts is None:
            self._starts = sorted(self._symbols)
        at = bisect_right(self._starts, address) - 1
        for start in self._starts[max(at - 3, 0):at + 1][::-1]:  # what was freed may lie around what came later
            end, name = self._symbols[start]
            if address < end:
                return name
        return None


@dataclass
class Sample:
    cpu: int
    time: int
    pid: int
    tid: int
    flags: int
    name: str
    kernel: list[int]
    words: list[int]
    pc: int = 0
    sp: int = 0
    fp: int = 0
    bytes: int = 0  # of the stack, from sp on, that were looked at
    stack: dict[int, int] = field(default_factory=dict)  # address -> word
    maps: MapSet = field(default_factory=MapSet)


@dataclass
class Counts:
    idle: int = 0
    lost: int = 0
    late: int = 0


class Samples:
    """Everything the kernel has said."""

    def __init__(self) -> None:
        self.hz = 0
        self.cpus = 0
        self.is_over = False
        self.nbad = 0
        self.samples: list[Sample] = []
        self.counts: dict[int, Counts] = {}
        self.jit: dict[int, JitMap] = {}
        self._maps: dict[int, MapSet] = {}

    def feed(self, line: str) -> None:
        """A line of the control channel, "profile" and the blank taken off."""
        word, _, rest = line.partition(" ")
        handle = getattr(self, f"_on_{word}", None)
        try:
            if handle is None or len(line) > LINE_MAX or len(self._maps) > PROCESSES_MAX:
                raise ValueError(line)
            handle(rest)
        except (ValueError, IndexError):
            self.nbad += 1

    def _on_begin(self, rest: str) -> None:
        hz, cpus = numbers(rest.split())
        if not hz or not cpus:
            raise ValueError(rest)
        self.hz, self.cpus = hz, cpus

    def _on_end(self, rest: str) -> None:
        self.is_over = True

    def _on_maps(self, rest: str) -> None:
        self._maps[number(rest)] = MapSet()

    def _on_map(self, rest: str) -> None:
        words = rest.split(" ", 4)
        pid, start, end, offset = numbers(words[:4])
        if start >= end or pid not in self._maps:
            raise ValueError(rest)
        self._maps[pid].add(Mapping(start, end, offset, words[4] if len(words) == 5 else ""))

    def _on_jit(self, rest: str) -> None:
        pid, _, line = rest.partition(" ")
        if not self.jit.setdefault(number(pid), JitMap()).add(line):
            raise ValueError(rest)

    def _on_counts(self, rest: str) -> None:
        cpu, idle, lost, late = numbers(rest.split())
        self.counts[cpu] = Counts(idle, lost, late)

    def _on_sample(self, rest: str) -> None:
        words = rest.split(" ")
        cpu, time, pid, tid, flags = numbers(words[:5])
        parts: dict[str, list[str]] = {}
        part: list[str] = []
        for word in words[6:]:
            if word in ("k", "w", "u", "s"):
                part = parts[word] = []
            else:
                part.append(word)
        sample = Sample(cpu, time, pid, tid, flags, words[5], numbers(parts.get("k", [])), numbers(parts.get("w", [])),
                        maps=self._maps.get(pid, MapSet()))
        if "u" in parts:
            sample.pc, sample.sp, sample.fp, sample.bytes = numbers(parts["u"])
            base = sample.sp & ~7
            for item in parts.get("s", ()):
                offset, _, value = item.partition(":")
                sample.stack[base + number(offset)] = number(value)
        self.samples.append(sample)


def number(text: str) -> int:
    if not text or not text.isascii() or not text.isalnum():
        raise ValueError(text)
    value = int(text, 16)
    if value >= U64:
        raise ValueError(text)
    return value


def numbers(texts: list[str]) -> list[int]:
    return [number(text) for text in texts]
