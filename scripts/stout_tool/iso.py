# SPDX-License-Identifier: MIT
"""Discs that boot by GRUB: multiboot 2 under BIOS and UEFI, multiboot 1 under BIOS."""
import os
import shutil
import subprocess
import tempfile

from .errors import StoutError, usage

OVMF = ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/ovmf/OVMF.fd")
PROTOCOLS = {"mb2": ("multiboot2", "module2"), "uefi": ("multiboot2", "module2"), "mb1": ("multiboot", "module")}
CONFIG = """set timeout=0
terminal_output console
insmod all_video
{kernel} /boot/stout.elf {options}
{module} /boot/image.cpio
boot
"""


def make_iso(protocol, kernel, archive, options, path):
    """Writes the disc to path."""
    if not shutil.which("grub-mkrescue") or not shutil.which("xorriso"):
        raise StoutError("grub-mkrescue or xorriso is not on PATH; run scripts/setup, or apt-get install "
                         "grub-common grub-pc-bin grub-efi-amd64-bin xorriso mtools.")
    kernel_word, module_word = PROTOCOLS[protocol]
    with tempfile.TemporaryDirectory(prefix="stout-iso-") as folder:
        boot = os.path.join(folder, "boot", "grub")
        os.makedirs(boot)
        shutil.copyfile(kernel, os.path.join(folder, "boot", "stout.elf"))
        try:
            os.link(archive, os.path.join(folder, "boot", "image.cpio"))
        except OSError:
            shutil.copyfile(archive, os.path.join(folder, "boot", "image.cpio"))
        with open(os.path.join(boot, "grub.cfg"), "w", encoding="ascii") as file:
            file.write(CONFIG.format(kernel=kernel_word, module=module_word, options=options))
        result = subprocess.run(["grub-mkrescue", "-o", path, folder], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if result.returncode:
        lines = result.stdout.decode("utf-8", "replace").strip().splitlines() or ["no message"]
        raise StoutError(f"grub-mkrescue failed: {lines[-1]}")


def boot_arguments(protocol, kernel, archive, options):
    """QEMU's arguments for a disc of its own, cached beside the archive."""
    stamp = f"{os.stat(kernel).st_mtime_ns:x}-{abs(hash_text(options)):x}"
    kind = PROTOCOLS[protocol][0]
    path = f"{archive.removesuffix('.cpio')}-{kind}-{stamp}.iso"
    if not os.path.exists(path):
        temporary = f"{path}.{os.getpid()}"
        try:
            make_iso(protocol, kernel, archive, options, temporary)
            os.rename(temporary, path)
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)
    # A drive of its own interface: AHCI on q35, IDE on pc.
    arguments = ["-cdrom", path, "-boot", "d"]
    if protocol == "uefi":
        arguments += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={find_ovmf()}"]
    return arguments


def hash_text(text):
    import zlib
    return zlib.crc32(text.encode())


def find_ovmf():
    for path in OVMF:
        if os.path.isfile(path):
            return path
    raise StoutError("There is no UEFI firmware for QEMU here; apt-get install ovmf.")


def build(output, **values):
    """stout build -t iso"""
    from .image import Image
    from .kernel import image_path
    from .run import RunOptions, kernel_command_line
    options = RunOptions(boot="mb2", **values)
    options.stdio = ["stream", "stream", "stream"]
    if options.net == "user":
        options.net_manifest = "dhcp"
    image = Image(options, lambda text: None)
    image.gather()
    archive = image.write()
    path = os.path.abspath(output or os.path.splitext(os.path.basename(options.program))[0] + ".iso")
    if os.path.isdir(path):
        raise usage(f"{path} is a folder; give the name of a file with -o.")
    make_iso("mb2", image_path(options), archive, kernel_command_line(options), path)
    print(path)
    return 0


