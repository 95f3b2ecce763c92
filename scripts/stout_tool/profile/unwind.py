# SPDX-License-Identifier: MIT
"""The callers in an application's stack, from the words of it that a sample brought.

By the unwind tables of the program's files where there are any (.eh_frame through the sorted index of .eh_frame_hdr: Linux
Standard Base 5.0 Core, 10.6; DWARF 5, 6.4), else by frame pointers (what V8, Go and the JVM's interpreter keep), else by
the next word on the stack that may be a return address.  Of the registers only the stack pointer, the frame pointer and the
return address are followed: they are what compilers address frames by.
"""
from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

from ..elf_symbols import PT_GNU_EH_FRAME, ElfData

FRAMES_MAX = 256
SCAN_WORDS = 64
BEHIND_MAX = 1 << 20  # the size of one frame
INDEX_MAX = 8 << 20  # bytes of .eh_frame that are read in full
RBP, RSP, RA = 6, 7, 16
EXPRESSION_STEPS = 64
U64 = (1 << 64) - 1


class Rule(NamedTuple):
    """Where the caller's registers are: CFA = register + offset (register -1: an expression's bytes)."""
    register: int
    offset: int
    return_at: int | None     # the return address at CFA + this; None: there is no caller
    fp_at: int | None         # likewise the frame pointer; None: unchanged
    expression: bytes = b""
    is_signal: bool = False   # the "caller" was interrupted: its address is not behind a call


class UnwindError(Exception):
    pass


class Reader:
    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def take(self, size: int) -> bytes:
        if self.at + size > len(self.data):
            raise UnwindError("the end of the table")
        self.at += size
        return self.data[self.at - size:self.at]

    def u8(self) -> int:
        return self.take(1)[0]

    def _leb(self) -> tuple[int, int, int]:
        """The number, how many bits it has, its last byte."""
        value = shift = 0
        while shift < 70:
            byte = self.u8()
            value |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                return value, shift, byte
        raise UnwindError("a number without an end")

    def uleb(self) -> int:
        return self._leb()[0]

    def sleb(self) -> int:
        value, bits, last = self._leb()
        return value - (1 << bits) if last & 64 else value

    def fixed(self, form: str) -> int:
        return int(struct.unpack(form, self.take(struct.calcsize(form)))[0])

    def pointer(self, encoding: int, place: int) -> int:
        """DW_EH_PE_*; place: the address of the byte at self.data[0]."""
        here = place + self.at
        forms = {0: "<Q", 2: "<H", 3: "<I", 4: "<Q", 10: "<h", 11: "<i", 12: "<q"}
        kind = encoding & 15
        value = self.uleb() if kind == 1 else self.sleb() if kind == 9 else self.fixed(forms[kind]) if kind in forms else None
        if value is None or encoding & 0x70 not in (0, 0x10):
            raise UnwindError("an encoding that is not known")
        return (value + (here if encoding & 0x10 else 0)) & U64


class Cie(NamedTuple):
    code_align: int
    data_align: int
    encoding: int
    has_augmentation: bool
    is_signal: bool
    program: bytes


class UnwindTable:
    """The tables of one file.  Addresses are as it was linked."""

    def __init__(self, elf: ElfData) -> None:
        self.elf = elf
        self._starts: list[int] = []
        self._entries: list[int] = []
        self._rules: dict[int, Rule | None] = {}
        self._cies: dict[int, Cie] = {}
        try:
            self._read_index()
        except (UnwindError, struct.error, ValueError, OverflowError):
            self._starts, self._entries = [], []

    def _read_index(self) -> None:
        for kind, offset, address, size in self.elf.segments:
            if kind != PT_GNU_EH_FRAME or size < 12:
                continue
            data = bytes(self.elf.data[offset:offset + size])
            reader = Reader(data)
            version, frame, count, table = reader.take(4)
            if version != 1 or table != 0x3B or count != 3:  # datarel sdata4, udata4: what linkers write
                return
            reader.pointer(frame, address)
            n = min(reader.fixed("<I"), (size - reader.at) // 8)
            values = struct.unpack_from(f"<{2 * n}i", data, reader.at)
            self._starts = [address + value for value in values[::2]]
            self._entries = [address + value for value in values[1::2]]
            return
        self._make_index()

    def _make_index(self) -> None:
        """A static program may have the table without its index."""
        _, _, size, _, address = self.elf.sections.get(".eh_frame", (0, 0, 0, 0, 0))
        end, found = address + min(size, INDEX_MAX), []
        while address + 8 <= end:
            reader, place = self._record(address)
            if not reader.data:
                break
            pointer = reader.fixed("<I")
            if pointer:
                start = reader.pointer(self._cie(place - pointer).encoding, place)
                found.append((start, address))
            address = place + len(reader.data)
        found.sort()
        self._starts, self._entries = [start for start, _ in found], [entry for _, entry in found]

    def rule(self, pc: int) -> Rule | None:
        """None: the table says nothing of this place."""
        if pc not in self._rules:
            try:
                self._rules[pc] = self._find(pc)
            except (UnwindError, IndexError, struct.error, OverflowError):
                self._rules[pc] = None
        return self._rules[pc]

    def _record(self, address: int) -> tuple[Reader, int]:
        """A CIE or FDE behind its length; the reader's place is at the second result."""
        head = self.elf.at(address, 4)
        if head is None:
            raise UnwindError("outside of the file")
        length = struct.unpack("<I", head)[0]
        body = self.elf.at(address + 4, length) if length < 1 << 20 else None
        if body is None:
            raise UnwindError("a length that makes no sense")
        return Reader(body), address + 4

    def _cie(self, address: int) -> Cie:
        if address not in self._cies:
            self._cies[address] = self._read_cie(address)
        return self._cies[address]

    def _read_cie(self, address: int) -> Cie:
        reader, place = self._record(address)
        reader.take(4)
        version = reader.u8()
        augmentation = reader.data[reader.at:reader.data.find(b"\0", reader.at)]
        reader.take(len(augmentation) + 1)
        code_align, data_align = reader.uleb(), reader.sleb()
        if version == 1:
            reader.u8()
        else:
            reader.uleb()
        encoding = 0
        if augmentation.startswith(b"z"):
            end = reader.uleb()
            end += reader.at
            for letter in augmentation[1:]:
                if letter == ord("R"):
                    encoding = reader.u8()
                elif letter == ord("P"):
                    kind = reader.u8()
                    reader.pointer(kind & 0x7F, place)
                elif letter == ord("L"):
                    reader.u8()
            reader.at = end
        return Cie(code_align, data_align, encoding, augmentation.startswith(b"z"), b"S" in augmentation, reader.data[reader.at:])

    def _find(self, pc: int) -> Rule | None:
        index = bisect_right(self._starts, pc) - 1
        if index < 0:
            return None
        reader, place = self._record(self._entries[index])
        cie = self._cie(place - reader.fixed("<I"))
        start = reader.pointer(cie.encoding, place)
        length = reader.pointer(cie.encoding & 15, place)
        if not start <= pc < start + length:
            return None
        if cie.has_augmentation:
            size = reader.uleb()
            reader.take(size)
        state = State(cie)
        state.run(Reader(cie.program), start, pc)
        state.begin = dict(state.rules)
        state.run(Reader(reader.data[reader.at:]), start, pc)
        return state.rule()


class State:
    """The machine of DWARF 5, 6.4.2, for the registers that are followed."""

    def __init__(self, cie: Cie) -> None:
        self.cie = cie
        self.register, self.offset, self.expression = RSP, 8, b""
        self.rules: dict[int, int | None] = {}  # register -> CFA offset; None: undefined
        self.begin: dict[int, int | None] = {}
        self.stack: list[tuple[int, int, bytes, dict[int, int | None]]] = []

    def rule(self) -> Rule:
        return_at = self.rules.get(RA, -8)
        return Rule(self.register, self.offset, return_at, self.rules.get(RBP), self.expression, self.cie.is_signal)

    def run(self, reader: Reader, location: int, pc: int) -> None:
        while reader.at < len(reader.data):
            op = reader.u8()
            high, low = op >> 6, op & 63
            if high == 1:
                location += low * self.cie.code_align
            elif high == 2:
                self.rules[low] = reader.uleb() * self.cie.data_align
            elif high == 3:
                self._restore(low)
            elif low in (1, 2, 3, 4):  # set_loc, advance_loc1, 2, 4
                location = reader.pointer(self.cie.encoding, 0) if low == 1 else \
                    location + reader.fixed({2: "<B", 3: "<H", 4: "<I"}[low]) * self.cie.code_align
            else:
                self._other(low, reader)
            if location > pc:
                return

    def _restore(self, register: int) -> None:
        if register in self.begin:
            self.rules[register] = self.begin[register]
        else:
            self.rules.pop(register, None)

    def _other(self, op: int, reader: Reader) -> None:
        scale = self.cie.data_align
        if op == 0x05:    # offset_extended
            register = reader.uleb()
            self.rules[register] = reader.uleb() * scale
        elif op == 0x11:  # offset_extended_sf
            register = reader.uleb()
            self.rules[register] = reader.sleb() * scale
        elif op == 0x06:  # restore_extended
            self._restore(reader.uleb())
        elif op == 0x07:  # undefined
            self.rules[reader.uleb()] = None
        elif op == 0x08:  # same_value
            self.rules.pop(reader.uleb(), None)
        elif op in (0x0A, 0x0B):
            self._remember(op == 0x0A)
        elif op in (0x0C, 0x12):  # def_cfa, def_cfa_sf
            self.register, self.expression = reader.uleb(), b""
            self.offset = reader.uleb() if op == 0x0C else reader.sleb() * scale
        elif op == 0x0D:
            self.register, self.expression = reader.uleb(), b""
        elif op in (0x0E, 0x13):
            self.offset = reader.uleb() if op == 0x0E else reader.sleb() * scale
        elif op == 0x0F:  # def_cfa_expression
            size = reader.uleb()
            self.expression = reader.take(size)
        elif op in (0x10, 0x16):  # expression, val_expression: of registers that matter only in signal frames
            register = reader.uleb()
            size = reader.uleb()
            if register in (RBP, RA):
                raise UnwindError("a register found by an expression")
            reader.take(size)
        elif op == 0x2E:  # GNU_args_size
            reader.uleb()
        elif op in (0x09, 0x14, 0x15):  # register, val_offset
            if reader.uleb() in (RBP, RA):
                raise UnwindError("a register kept in another")
            reader.uleb()
        elif op != 0:
            raise UnwindError("an operation that is not known")

    def _remember(self, saves: bool) -> None:
        if saves:
            self.stack.append((self.register, self.offset, self.expression, dict(self.rules)))
        elif self.stack:
            self.register, self.offset, self.expression, self.rules = self.stack.pop()


def evaluate(expression: bytes, registers: dict[int, int], stack: dict[int, int]) -> int:
    """The operations that linkers' PLT entries and C libraries' stubs use."""
    reader, values = Reader(expression), [0]
    for _ in range(EXPRESSION_STEPS):
        if reader.at >= len(expression):
            return values[-1] & U64
        op = reader.u8()
        if 0x30 <= op <= 0x4F:    # lit0 to lit31
            values.append(op - 0x30)
        elif 0x70 <= op <= 0x8F:  # breg0 to breg31
            if op - 0x70 not in registers:
                break
            values.append(registers[op - 0x70] + reader.sleb())
        elif op == 0x06 and values[-1] & U64 in stack:
            values.append(stack[values.pop() & U64])
        elif op == 0x23:          # plus_uconst
            values.append(values.pop() + reader.uleb())
        elif op in (0x08, 0x09):
            values.append(reader.fixed("<B" if op == 0x08 else "<b"))
        elif op in BINARY and len(values) > 2:
            right, left = values.pop(), values.pop()
            values.append(BINARY[op](left, right))
        else:
            break
    raise UnwindError("an expression that is not understood")


BINARY: dict[int, Callable[[int, int], int]] = {
    0x1A: lambda a, b: a & b, 0x1C: lambda a, b: a - b, 0x21: lambda a, b: a | b, 0x22: lambda a, b: a + b,
    0x24: lambda a, b: a << min(b, 64), 0x2A: lambda a, b: int(a >= b), 0x29: lambda a, b: int(a == b),
}


class Place(NamedTuple):
    """What an address is in: the file's table (None: it has none, or this is no file) and the address in it."""
    table: UnwindTable | None
    address: int


class Stack:
    """One sample's application stack, from the innermost frame out."""

    def __init__(self, pc: int, sp: int, fp: int, size: int, words: dict[int, int], locate: Callable[[int], Place | None]) -> None:
        """size: bytes of the stack that words come from; locate(address): None if that cannot be executed."""
        self.pc, self.sp, self.fp, self.words, self.locate = pc, sp, fp, words, locate
        self._end = sp + size
        self._is_call = False  # pc is a return address: the call is before it

    def frames(self) -> list[int]:
        """Addresses within the innermost instruction, then within the calls."""
        found = [self.pc]
        while len(found) < FRAMES_MAX:
            place = self.locate(self.pc - self._is_call)
            if place is None and len(found) > 1:
                break
            if not self._step(place):
                break
            found.append(self.pc - self._is_call)
        return found

    def _step(self, place: Place | None) -> bool:
        rule = place.table.rule(place.address) if place and place.table else None
        if rule is not None:
            if rule.return_at is None:
                return False
            found = self._by_rule(rule)
            if found is not None:
                return found
        return self._by_frame_pointer() or self._by_scan()

    def _by_rule(self, rule: Rule) -> bool | None:
        """None: it does not fit this stack.  False: what it asks for lies behind what was copied."""
        registers = {RBP: self.fp, RSP: self.sp, RA: self.pc}
        try:
            if rule.expression:
                cfa = evaluate(rule.expression, registers, self.words)
            elif rule.register in registers:
                cfa = (registers[rule.register] + rule.offset) & U64
            else:
                return None
        except (UnwindError, IndexError):
            return None
        at = (cfa + (rule.return_at or 0)) & U64
        if cfa <= self.sp:
            return None
        if at not in self.words:
            return False if self._end <= at < self._end + BEHIND_MAX else None
        fp = self.fp if rule.fp_at is None else self.words.get((cfa + rule.fp_at) & U64, 0)
        return self._go(self.words[at], cfa, fp, not rule.is_signal) or None

    def _by_frame_pointer(self) -> bool:
        fp = self.fp
        if fp < self.sp or fp % 8 or fp + 8 not in self.words:
            return False
        return self._go(self.words[fp + 8], fp + 16, self.words.get(fp, 0), True)

    def _by_scan(self) -> bool:
        first = (self.sp + 7) & ~7
        for at in range(first, first + SCAN_WORDS * 8, 8):
            word = self.words.get(at)
            if word is not None and self.locate(word - 1) is not None:
                return self._go(word, at + 8, self.fp, True)
        return False

    def _go(self, pc: int, sp: int, fp: int, is_call: bool) -> bool:
        if self.locate(pc - is_call) is None:
            return False
        self.pc, self.sp, self.fp, self._is_call = pc, sp, fp, is_call
        return True
