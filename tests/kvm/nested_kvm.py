#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Boots a kernel image under a real KVM where the host offers none.

    nested_kvm.py [-t SECONDS] [-f FILE]... -- QEMU-ARGUMENTS of the inner guest

An outer QEMU emulates a processor with SVM; a small Linux in it loads kvm-amd and starts QEMU with -accel
kvm.  It proves the paths that only KVM has (kvm-clock, the in-kernel APIC, virtio over real exits) and says
nothing about speed.  Each FILE is placed in the outer guest's /work by its base name.  Prints "guest-exit: N".
"""
import os
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "bench"))

import linux_guest  # noqa: E402

FIRMWARE = ("bios-256k.bin", "bios-microvm.bin", "kvmvapic.bin", "linuxboot_dma.bin", "pvh.bin",
            "multiboot_dma.bin", "qboot.rom")
INNER = ["-L", "/usr/share/qemu", "-accel", "kvm", "-cpu", "host", "-nodefaults", "-display", "none", "-no-reboot"]


def firmware_files():
    for folder in ("/usr/share/qemu", "/usr/share/seabios"):
        for name in FIRMWARE:
            path = os.path.join(folder, name)
            if os.path.exists(path):
                yield path, f"/usr/share/qemu/{name}"


def run_nested(arguments, files=(), seconds=300, program="qemu-system-x86_64"):
    """What the outer guest's console said, the inner QEMU's output in it."""
    with tempfile.TemporaryDirectory() as folder:
        work = os.path.join(folder, "work")
        share = os.path.join(folder, "share")
        os.makedirs(work)
        os.makedirs(share)
        for path in files:
            os.symlink(os.path.abspath(path), os.path.join(work, os.path.basename(path)))
        for name in os.listdir(work):
            target = os.path.realpath(os.path.join(work, name))
            os.unlink(os.path.join(work, name))
            copy(target, os.path.join(work, name))
        for path, name in firmware_files():
            copy(path, os.path.join(share, os.path.basename(name)))
        initramfs = linux_guest.make_initramfs(
            os.path.join(folder, "root.cpio"), [program, *INNER, *arguments], cwd="/work",
            folders=[(work, "/work"), (share, "/usr/share/qemu")], modules=linux_guest.KVM_MODULES)
        command = linux_guest.qemu_command(initramfs, memory=4096)
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds,
                                    check=False)
            return result.stdout.decode("utf-8", "replace") + result.stderr.decode("utf-8", "replace")
        except subprocess.TimeoutExpired as expired:
            return (expired.stdout or b"").decode("utf-8", "replace") + f"\n(still running after {seconds} s)"


def copy(source, target):
    with open(source, "rb") as file, open(target, "wb") as out:
        while chunk := file.read(1 << 20):
            out.write(chunk)


def main(args):
    seconds, files = 300, []
    while args and args[0] != "--":
        if args[0] == "-t" and len(args) > 1:
            seconds, args = int(args[1]), args[2:]
        elif args[0] == "-f" and len(args) > 1:
            files, args = files + [args[1]], args[2:]
        else:
            break
    if len(args) < 2 or args[0] != "--":
        sys.stderr.write(__doc__)
        return 2
    print(run_nested(args[1:], files, seconds))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
