# SPDX-License-Identifier: MIT
"""Disks that boot by GRUB under BIOS and UEFI, in the forms that hypervisors and clouds import.

One partition (MBR, type ef, active) holds a FAT filesystem with kernel, archive and EFI/BOOT/BOOTX64.EFI.  GRUB for BIOS
stands in the MiB before it: its boot.img is the MBR, its core image follows in the next sectors, where boot.img and the
core's own block list look for it when nobody patches them.
"""
from __future__ import annotations

import os
import re
import struct
import zlib
from typing import IO

from .errors import StoutError
from .grub import LIBRARY, SECTOR, Boot, make_fat, room_for, run_tool
from .output import source_epoch
from .ova import pack_ova

MIB = 1 << 20
GIB = 1 << 30
# Kind -> suffix, qemu-img's format (None: as it is) and options.  What EC2 and Azure import is what their forms are here already:
# an MBR with one primary partition from 1 MiB on, and whole MiB.
FORMS = {
    "raw": (".raw", None, None),
    "qcow2": (".qcow2", "qcow2", None),
    "vmdk": (".vmdk", "vmdk", "subformat=streamOptimized"),
    "vdi": (".vdi", "vdi", None),
    "virtualbox": (".vdi", "vdi", None),
    "vhd": (".vhd", "vpc", "subformat=fixed,force_size=on"),
    "aws": (".raw", None, None),
    "azure": (".vhd", "vpc", "subformat=fixed,force_size=on"),
    "gcp": (".tar.gz", None, None),
    "ova": (".ova", "vmdk", "subformat=streamOptimized"),
}


class Disk:
    """One disk, in as many forms as are asked for; folder is for what is made on the way."""

    def __init__(self, kernel: str, archive: str, options: str, folder: str, unit: int = MIB) -> None:
        self._folder = folder
        self._boot = Boot("mb2", kernel, archive, options, folder)
        self._raw = os.path.join(folder, "disk.raw")
        make_raw(self._boot, self._raw, unit)
        self.capacity = os.stat(self._raw).st_size

    def write(self, kind: str, path: str) -> None:
        _, form, more = FORMS[kind]
        if kind == "gcp":
            pack_gcp(self._folder, path)
        elif form is None:
            os.rename(self._raw, path)
        else:
            self._convert(form, more, path)

    def _convert(self, form: str, more: str | None, path: str) -> None:
        run_tool("qemu-img", "convert", "-f", "raw", "-O", form, *(["-o", more] if more else []), self._raw, path)
        steady = {"vmdk": settle_vmdk, "vdi": settle_vdi, "vpc": settle_vhd}.get(form)
        if steady:
            with open(path, "r+b") as file:
                steady(file, self._boot.digest.digest())


def make_disk(kind: str, name: str, kernel: str, archive: str, options: str, memory: int, folder: str) -> list[str]:
    """The finished files in the folder, the one that was asked for first."""
    disk = Disk(kernel, archive, options, folder, GIB if kind == "gcp" else MIB)
    made = []
    for form in ("virtualbox", "ova") if kind == "virtualbox" else (kind,):
        path = os.path.join(folder, f"image-{form}")
        disk.write(form, path)
        if form == "ova":
            pack_ova(name, path, disk.capacity, memory, path + ".ova")
            path += ".ova"
        made.append(path)
    return made


def make_raw(boot: Boot, path: str, unit: int) -> None:
    core = boot.image("i386-pc", "biosdisk")
    folders = [boot.files, boot.efi_folder()]
    size = room_for(folders)
    with open(path, "wb") as file:
        file.truncate(MIB + size)
        file.write(master_boot_record(size, boot.digest.digest()[:4]))
        with open(core, "rb") as source:
            data = source.read()
        if len(data) > MIB - SECTOR:
            raise StoutError("GRUB's core image does not fit before the partition.")
        file.write(data)
    make_fat(path, MIB, size, folders, boot.name[:8])
    os.truncate(path, -(-(MIB + size) // unit) * unit)  # after mformat, which writes the file's size into the boot sector's unused entries


def master_boot_record(size: int, signature: bytes) -> bytes:
    with open(os.path.join(LIBRARY, "i386-pc", "boot.img"), "rb") as file:
        record = bytearray(file.read(SECTOR))
    record[0x66:0x68] = b"\x90\x90"  # as grub-bios-setup for a hard disk: trust no drive number below 0x80
    far = b"\xfe\xff\xff"            # cylinder, head and sector: beyond what they can say
    record[0x1b8:0x1bc] = signature
    record[0x1bc:0x1be] = b"\0\0"
    record[0x1be:0x1fe] = struct.pack("<B3sB3sII", 0x80, far, 0xef, far, MIB // SECTOR, size // SECTOR).ljust(64, b"\0")
    record[0x1fe:] = b"\x55\xaa"
    return bytes(record)


def pack_gcp(folder: str, path: str) -> None:
    """Compute Engine takes a tar in the old GNU form with one sparse file, disk.raw, of whole GiB."""
    run_tool("tar", "-C", folder, "--format=oldgnu", "--sparse", "--hole-detection=raw", "--owner=0", "--group=0",
             "--numeric-owner", "--mode=0644", f"--mtime=@{source_epoch()}", "--use-compress-program=gzip -n", "-cf", path,
             "disk.raw")


def settle_vmdk(file: IO[bytes], identity: bytes) -> None:
    """The descriptor's CID is random, and has fewer digits if it begins with zeros."""
    file.seek(SECTOR)
    area = file.read(20 * SECTOR)
    wanted = b"\nCID=%08x\n" % (zlib.crc32(identity) & 0xfffffffe)  # ffffffff means none
    text, count = re.subn(rb"\nCID=[0-9a-f]+\n", wanted, area.rstrip(b"\0"))
    if count != 1 or len(text) >= len(area):
        raise StoutError("qemu-img made a VMDK without a CID.")
    file.seek(SECTOR)
    file.write(text.ljust(len(area), b"\0"))


def settle_vdi(file: IO[bytes], identity: bytes) -> None:
    """The identities of the image and of its last snapshot, at 0x188 of the header."""
    file.seek(0x188)
    file.write(as_uuid(identity) + as_uuid(identity[::-1]))


def settle_vhd(file: IO[bytes], identity: bytes) -> None:
    """The footer's date (from 2000), identity and checksum."""
    file.seek(-SECTOR, os.SEEK_END)
    footer = bytearray(file.read(SECTOR))
    footer[24:28] = struct.pack(">I", max(0, source_epoch() - 946684800))
    footer[68:84] = as_uuid(identity)
    footer[64:68] = bytes(4)
    footer[64:68] = struct.pack(">I", ~sum(footer) & 0xffffffff)
    file.seek(-SECTOR, os.SEEK_END)
    file.write(footer)


def as_uuid(identity: bytes) -> bytes:
    """Version 4 in form, so that nothing that reads it complains."""
    value = bytearray(identity[:16])
    value[6] = value[6] & 0x0f | 0x40
    value[8] = value[8] & 0x3f | 0x80
    return bytes(value)
