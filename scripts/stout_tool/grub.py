# SPDX-License-Identifier: MIT
"""GRUB on discs and disks: its images for BIOS and UEFI, and FAT filesystems.

The images hold all modules they need.  They look for a file whose name is a checksum of what is to
be started, so another disk with another Stout on it does not get in the way.
"""
from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from typing import Any

from .errors import StoutError
from .host import GRUB, missing
from .output import source_epoch

LIBRARY = "/usr/lib/grub"
MODULES = ("normal", "search", "search_fs_file", "part_msdos", "fat", "iso9660", "multiboot", "multiboot2", "all_video",
           "boot")
PROTOCOLS = {"mb2": ("multiboot2", "module2"), "uefi": ("multiboot2", "module2"), "mb1": ("multiboot", "module")}
EARLY = """search.file /boot/{name} root
set prefix=($root)/boot/grub
"""
CONFIG = """set timeout=0
terminal_output console
insmod all_video
{kernel} /boot/stout.elf {options}
{module} /boot/image.cpio
boot
"""
SECTOR = 512


def run_tool(*command: Any, **more: Any) -> None:
    """A tool of this host, in a fixed time and time zone; its last words become the error."""
    environment = dict(os.environ, LC_ALL="C", TZ="UTC", SOURCE_DATE_EPOCH=str(source_epoch()))
    try:
        result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                env=environment, check=False, **more)
    except FileNotFoundError:
        raise missing(command[0]) from None
    if result.returncode:
        lines = result.stdout.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        reason = next((line for line in lines if "FAILURE" in line), lines[-1]).strip()
        raise StoutError(f"{command[0]} failed: {reason.removesuffix('.')}.")


class Boot:
    """What GRUB is to start: the files below /boot and GRUB's images, in a folder."""

    def __init__(self, protocol: str, kernel: str, archive: str, options: str, folder: str) -> None:
        self.folder = folder
        self.files = os.path.join(folder, "files")
        kernel_word, module_word = PROTOCOLS[protocol]
        config = CONFIG.format(kernel=kernel_word, module=module_word, options=options).encode("utf-8", "surrogateescape")
        self.digest = hashlib.blake2b(config, digest_size=16)
        for path in (kernel, archive):
            with open(path, "rb") as file:
                while chunk := file.read(1 << 20):
                    self.digest.update(chunk)
        self.name = self.digest.hexdigest()
        boot = os.path.join(self.files, "boot")
        os.makedirs(os.path.join(boot, "grub"))
        link_or_copy(kernel, os.path.join(boot, "stout.elf"))
        link_or_copy(archive, os.path.join(boot, "image.cpio"))
        self._write(os.path.join(boot, "grub", "grub.cfg"), config)
        self._write(os.path.join(boot, self.name), b"")
        self._early = os.path.join(folder, "early.cfg")
        self._write(self._early, EARLY.format(name=self.name).encode())

    @staticmethod
    def _write(path: str, data: bytes) -> None:
        with open(path, "wb") as file:
            file.write(data)

    def image(self, target: str, *modules: str) -> str:
        """GRUB for one kind of firmware: i386-pc, i386-pc-eltorito or x86_64-efi."""
        path = os.path.join(self.folder, target)
        if not os.path.isdir(os.path.join(LIBRARY, target.removesuffix("-eltorito"))):
            raise StoutError(f"GRUB's files for {target} are not in {LIBRARY}; apt-get install {GRUB}.")
        run_tool("grub-mkimage", "-O", target, "-o", path, "-p", "/boot/grub", "-c", self._early, *MODULES, *modules)
        return path

    def efi_folder(self) -> str:
        """EFI/BOOT/BOOTX64.EFI, as firmware looks for it on a medium."""
        path = os.path.join(self.folder, "efi")
        os.makedirs(os.path.join(path, "EFI", "BOOT"), exist_ok=True)
        os.rename(self.image("x86_64-efi", "efi_gop"), os.path.join(path, "EFI", "BOOT", "BOOTX64.EFI"))
        return path


def link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def make_fat(path: str, offset: int, size: int, folders: list[str], serial: str) -> None:
    """A FAT filesystem of size bytes at an offset of the file, with all that is in the folders."""
    sectors = size // SECTOR
    place = f"{path}@@{offset}"
    run_tool("mformat", "-i", place, "-T", str(sectors), "-h", "16", "-s", "63", "-H", str(offset // SECTOR), "-N", serial,
             "-v", "STOUT", "::")
    for folder in folders:
        run_tool("mcopy", "-i", place, "-s", "-p", "-Q", *(os.path.join(folder, name) for name in sorted(os.listdir(folder))),
                 "::/")


def room_for(folders: list[str]) -> int:
    """Bytes that a FAT filesystem needs for these folders: clusters of at most 32 KiB, tables, directories."""
    total = 1 << 20
    for folder in folders:
        for where, names, files in os.walk(folder):
            sizes = [os.stat(os.path.join(where, name)).st_size for name in files] + [0] * len(names)
            total += sum((size >> 15) + 1 << 15 for size in sizes)
    return total + (total >> 6) + (1 << 20) - 1 >> 20 << 20
