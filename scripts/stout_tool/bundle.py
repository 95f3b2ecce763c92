# SPDX-License-Identifier: MIT
"""Kernel and archive for hypervisors that load them themselves, in a tar: with a script for QEMU, or a domain for Xen's xl.

Xen: the domain is a fully virtualised one, because the card that such a domain shows by itself, an emulated e1000, has a driver.
"""
from __future__ import annotations

import os
import shlex

from .ova import write_tar
from .qemu import processors

MIB = 1 << 20
SCRIPT = """#!/bin/sh
# Starts {name} in QEMU.  The ports it is to be reached by come first, as HOST:GUEST; the rest goes to QEMU.
here=$(dirname "$0")
ports=
while :; do
    case $1 in
    [0-9]*:[0-9]*) ports="$ports,hostfwd=tcp:127.0.0.1:${{1%%:*}}-:${{1##*:}}"; shift ;;
    *) break ;;
    esac
done
accel="tcg -cpu max"
case " $* " in
*" -smp "*) ;;
*) accel="$accel -smp {smp}" ;;
esac
if grep -qE '^flags.* (vmx|svm) ' /proc/cpuinfo && [ -w /dev/kvm ]; then
    accel="kvm -cpu host"
fi
exec qemu-system-x86_64 -M microvm,acpi=off,x-option-roms=off,isa-serial=on,rtc=on,auto-kernel-cmdline=on \\
    -accel $accel -m {memory} -nodefaults -no-user-config -display none -no-reboot \\
    -global virtio-mmio.force-legacy=false -serial stdio -device virtio-rng-device \\
    -netdev "user,id=n0$ports" -device virtio-net-device,netdev=n0 \\
    -kernel "$here/stout.elf" -initrd "$here/image.cpio" -append {options} "$@"
"""
DOMAIN = """# xl create {name}.cfg, from this folder
name = {quoted}
type = "hvm"
kernel = "stout.elf"
ramdisk = "image.cpio"
cmdline = {options}
memory = {memory}
vcpus = 1
vif = [ "model=e1000" ]
serial = "pty"
vga = "none"
on_poweroff = "destroy"
on_reboot = "destroy"
on_crash = "destroy"
"""


def quote(text: str) -> str:
    """A string of xl.cfg(5); its quotes know backslashes."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def pack(kind: str, name: str, kernel: str, archive: str, options: str, memory: int, path: str) -> None:
    if kind == "qemu":
        text = SCRIPT.format(name=name, smp=processors(1, "tcg"), memory=f"{memory // MIB}M", options=shlex.quote(options))
        start = ("run", text.encode(), 0o755)
    else:
        text = DOMAIN.format(name=name, quoted=quote(name), memory=memory // MIB, options=quote(options))
        start = (f"{name}.cfg", text.encode(), 0o644)
    members: list[tuple[str, bytes | str, int]] = [start, ("stout.elf", kernel, 0o644), ("image.cpio", archive, 0o644)]
    write_tar(path, [(os.path.join(name, member), source, mode) for member, source, mode in members])
