# SPDX-License-Identifier: MIT
"""Writes /etc/ld.so.cache, which tells glibc's loader where each library of the image is.

With it libraries outside the default directories are found (the image runs no ldconfig), and
the loader opens each library at once instead of trying directories.
"""
from __future__ import annotations

import functools
import struct

MAGIC = b"glibc-ld.so.cache1.1"
HEADER = 48
ENTRY = 24
FLAGS_X86_64_LIBC6 = 0x0303
LITTLE_ENDIAN = 2


def compare(left: str, right: str) -> int:
    """glibc's order of names: runs of digits compare as numbers (dl-cache: _dl_cache_libcmp)."""
    i = j = 0
    while i < len(left):
        if j >= len(right):
            return 1
        if left[i].isdigit() and right[j].isdigit():
            start_i, start_j = i, j
            while i < len(left) and left[i].isdigit():
                i += 1
            while j < len(right) and right[j].isdigit():
                j += 1
            difference = int(left[start_i:i]) - int(right[start_j:j])
            if difference:
                return difference
        elif left[i].isdigit():
            return 1
        elif right[j].isdigit():
            return -1
        elif left[i] != right[j]:
            return ord(left[i]) - ord(right[j])
        else:
            i += 1
            j += 1
    return -(j < len(right))


def make_cache(libraries: dict[str, str]) -> bytes:
    """libraries: name -> path.  The file's bytes."""
    names = sorted(libraries, key=functools.cmp_to_key(compare), reverse=True)
    strings, entries = bytearray(), bytearray()
    base = HEADER + ENTRY * len(names)
    for name in names:
        key = base + len(strings)
        strings += name.encode() + b"\0"
        value = base + len(strings)
        strings += libraries[name].encode() + b"\0"
        entries += struct.pack("<iIIIQ", FLAGS_X86_64_LIBC6, key, value, 0, 0)
    head = MAGIC + struct.pack("<IIB3xI12x", len(names), len(strings), LITTLE_ENDIAN, 0)
    return bytes(head + entries + strings)
