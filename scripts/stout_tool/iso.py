# SPDX-License-Identifier: MIT
"""Discs that boot by GRUB: multiboot 2 under BIOS and UEFI, multiboot 1 under BIOS."""
from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from .errors import StoutError
from .grub import LIBRARY, PROTOCOLS, Boot, make_fat, room_for, run_tool
from .output import publish, source_epoch, workshop

if TYPE_CHECKING:
    from .run import RunOptions

OVMF = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/ovmf/OVMF.fd")


def make_iso(protocol: str, kernel: str, archive: str, options: str, path: str, folder: str) -> None:
    """Writes the disc to path; folder is for what is made on the way."""
    boot = Boot(protocol, kernel, archive, options, folder)
    eltorito = os.path.join(boot.files, "boot", "grub", "eltorito.img")
    os.rename(boot.image("i386-pc-eltorito", "biosdisk"), eltorito)
    efi, partition = boot.efi_folder(), os.path.join(boot.files, "boot", "grub", "efi.img")
    size = room_for([efi])
    with open(partition, "wb") as file:
        file.truncate(size)
    make_fat(partition, 0, size, [efi], boot.name[:8])
    date = time.strftime("%Y%m%d%H%M%S00", time.gmtime(source_epoch()))
    run_tool("xorriso", "-as", "mkisofs", "-o", path, "-r", "-V", "STOUT", "-graft-points",
             "-b", "boot/grub/eltorito.img", "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info",
             "--grub2-mbr", os.path.join(LIBRARY, "i386-pc", "boot_hybrid.img"),
             "--efi-boot", "boot/grub/efi.img", "-efi-boot-part", "--efi-boot-image", "--protective-msdos-label",
             f"--modification-date={date}", "--set_all_file_dates", date, boot.files)


def boot_arguments(protocol: str, kernel: str, archive: str, options: str) -> list[str]:
    """QEMU's arguments for a disc of its own, cached beside the archive."""
    stamp = f"{os.stat(kernel).st_mtime_ns:x}-{abs(hash_text(options)):x}"
    kind = PROTOCOLS[protocol][0]
    path = f"{archive.removesuffix('.cpio')}-{kind}-{stamp}.iso"
    if not os.path.exists(path):
        with workshop(path) as folder:
            temporary = os.path.join(folder, "disc.iso")
            make_iso(protocol, kernel, archive, options, temporary, folder)
            publish(temporary, path)
    # A drive of its own interface: AHCI on q35, IDE on pc.
    arguments = ["-cdrom", path, "-boot", "d"]
    if protocol == "uefi":
        arguments += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={find_ovmf()}"]
    return arguments


def hash_text(text: str) -> int:
    import zlib
    return zlib.crc32(text.encode())


def find_ovmf() -> str:
    for path in OVMF:
        if os.path.isfile(path):
            return path
    raise StoutError("There is no UEFI firmware for QEMU here; apt-get install ovmf.")
