# SPDX-License-Identifier: MIT
"""The compressed form of a file in the boot archive: a blocked gzip file (BGZF, section 4 of the SAM specification).

Each gzip member is 32 KiB of the file, its last one less, and has its own length in the header's extra field, so that the kernel
finds the one that a page is in (fs/ramfs_packed.c).  gunzip reads the whole.  The archive's header says that an entry is
compressed, and how large the file is, in its check field, which the form 070701 leaves unused.
"""
from __future__ import annotations

import concurrent.futures
import os
import struct
import zlib
from typing import Iterator

BLOCK = 32768  # PACKED_BLOCK of fs/ramfs_packed.h
HEADER, TRAILER = struct.Struct("<4BI2BH2BHH"), struct.Struct("<II")
PAGE = 4096
SMALLEST = 4 * PAGE  # files below are left as they are: a page at least is to be gained


def pack_block(data: bytes) -> bytes:
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15, 9)
    body = deflate.compress(data) + deflate.flush()
    size = HEADER.size + len(body) + TRAILER.size
    header = HEADER.pack(0x1F, 0x8B, 8, 4, 0, 0, 255, 6, ord("B"), ord("C"), 2, size - 1)
    return header + body + TRAILER.pack(zlib.crc32(data), len(data))


def pack(data: bytes) -> list[bytes] | None:
    """None where that does not save an eighth of the file's pages.  zlib lets other threads run meanwhile."""
    if len(data) < SMALLEST:
        return None
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        blocks = list(pool.map(pack_block, (data[at:at + BLOCK] for at in range(0, len(data), BLOCK))))
    pages, plain = -(-sum(map(len, blocks)) // PAGE), -(-len(data) // PAGE)
    return blocks if pages <= plain * 7 // 8 else None


def unpack(data: bytes) -> Iterator[bytes]:
    """Block by block; ValueError or zlib.error: damaged."""
    at = 0
    while at < len(data):
        if data[at:at + 4] != b"\x1f\x8b\x08\x04" or len(data) - at < HEADER.size + TRAILER.size:
            raise ValueError
        size = HEADER.unpack_from(data, at)[-1] + 1
        yield zlib.decompress(data[at + HEADER.size:at + size - TRAILER.size], -15)
        at += size
