#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The baseline: the same program in a minimal Linux guest on the same emulated machine.

    linux_guest.py [-m MIB] [-c CPUS] [-p HOST:GUEST] PROGRAM [ARG...]

Debian's cloud kernel and an initramfs of busybox, the modules for virtio-net, the program and its
libraries; no distribution.  /init mounts what programs expect, brings eth0 up as 10.0.2.15 and runs the
program, whose status is printed as "guest-exit: N" before the guest switches itself off.
Needs apt-get for the kernel's package, busybox-static and QEMU.
"""
import argparse
import glob
import os
import shlex
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(TOP, "scripts"))

from stout_tool.cpio import CpioWriter  # noqa: E402
from stout_tool.libraries import Resolver, Root  # noqa: E402
from stout_tool.paths import cache_dir  # noqa: E402
from stout_tool.qemu import processors  # noqa: E402
from stout_tool.tree import Tree  # noqa: E402

NET_MODULES = ("drivers/virtio/virtio_ring", "drivers/virtio/virtio", "drivers/virtio/virtio_pci_legacy_dev",
               "drivers/virtio/virtio_pci_modern_dev", "drivers/virtio/virtio_pci", "net/core/failover",
               "drivers/net/net_failover", "drivers/net/virtio_net")
KVM_MODULES = ("virt/lib/irqbypass", "drivers/crypto/ccp/ccp", "arch/x86/kvm/kvm", "arch/x86/kvm/kvm-amd")
INIT = """#!/.guest/busybox sh
B=/.guest/busybox
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
$B mkdir -p /dev/pts /dev/shm; $B mount -t devpts pts /dev/pts; $B mount -t tmpfs shm /dev/shm
for m in {modules}; do [ -e /.guest/$m.ko ] && $B insmod /.guest/$m.ko; done
$B ip link set lo up; $B ip link set eth0 up 2>/dev/null
$B ip addr add 10.0.2.15/24 dev eth0 2>/dev/null; $B ip route add default via 10.0.2.2 2>/dev/null
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
cd {cwd}
{command}
echo "guest-exit: $?"; $B poweroff -f
"""


def kernel_folder():
    """vmlinuz and k/ with the modules of Debian's cloud kernel, fetched once."""
    folder = os.path.join(cache_dir(), "linux-guest")
    if os.path.exists(os.path.join(folder, "vmlinuz")):
        return folder
    os.makedirs(folder, exist_ok=True)
    text = subprocess.run(["apt-cache", "depends", "linux-image-cloud-amd64"], capture_output=True, text=True,
                          check=True).stdout
    package = next(line.split()[1] for line in text.splitlines() if "Depends: linux-image" in line)
    subprocess.run(["apt-get", "download", package], cwd=folder, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)
    archive = glob.glob(os.path.join(folder, f"{package}_*.deb"))[0]
    subprocess.run(["dpkg", "-x", archive, os.path.join(folder, "k")], check=True)
    os.unlink(archive)
    shutil.copyfile(glob.glob(os.path.join(folder, "k/boot/vmlinuz-*"))[0], os.path.join(folder, "vmlinuz"))
    return folder


def module_path(folder, name):
    return next(iter(glob.glob(os.path.join(folder, "k/lib/modules/*/kernel", name + ".ko"))), None)


def make_initramfs(path, command, cwd="/", extra=(), folders=(), modules=NET_MODULES, init=INIT, tree=None):
    """command: argv, its first element a program of this host.  extra: more files; folders: (host, guest); tree: more
    of everything, which is changed."""
    tree, resolver, folder = tree or Tree(), Resolver(Root()), kernel_folder()
    program = os.path.abspath(command[0]) if "/" in command[0] else shutil.which(command[0])
    for name in (program, *extra):
        with open(name, "rb") as file:
            is_elf = file.read(4) == b"\x7fELF"
        for part in resolver.add(name) if is_elf else [name]:
            tree.add_host(part)
    for host, guest in folders:
        tree.add_folder(host, guest)
    for directory in ("/proc", "/sys", "/dev", "/run", "/etc", "/root", "/.guest", "/var/log", "/var/lib"):
        tree.make_directory(directory)
    tree.make_directory("/tmp", 0o1777)
    tree.make_directory(cwd)
    tree.add_host("/bin/busybox", "/.guest/busybox")
    for name in modules:
        module = module_path(folder, name)
        if module:
            tree.add_host(module, f"/.guest/{os.path.basename(name)}.ko")
    defaults = {"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
                "/etc/group": "root:x:0:\nnogroup:x:65534:\n", "/etc/hosts": "127.0.0.1 localhost\n",
                "/etc/resolv.conf": "nameserver 10.0.2.3\n"}
    for name, text in defaults.items():
        tree.add_bytes(name, text)
    names = " ".join(os.path.basename(name) for name in modules)
    words = shlex.join([program, *command[1:]])
    tree.add_bytes("/init", init.format(modules=names, command=words, cwd=shlex.quote(cwd)), 0o755)
    with open(path, "wb") as file:
        writer = CpioWriter(file)
        tree.write(writer)
        writer.close()
    return path


def qemu_command(initramfs, memory=1024, cpus=1, forwards=(), machine="q35", more=()):
    """forwards: (host port, guest port)."""
    forward = "".join(f",hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, guest in forwards)
    return ["qemu-system-x86_64", "-M", machine, "-accel", "tcg", "-cpu", "max", "-smp", processors(cpus, "tcg"), "-m", str(memory),
            "-display", "none", "-serial", "stdio", "-no-reboot", "-nodefaults",
            "-kernel", os.path.join(kernel_folder(), "vmlinuz"), "-initrd", initramfs,
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off",
            "-netdev", f"user,id=n0{forward}", "-device", "virtio-net-pci,netdev=n0,romfile=", *more]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-m", type=int, default=1024, metavar="MIB")
    parser.add_argument("-c", type=int, default=1, metavar="CPUS")
    parser.add_argument("-p", action="append", default=[], metavar="HOST:GUEST")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.command:
        parser.error("no program")
    with tempfile.NamedTemporaryFile(suffix=".cpio") as file:
        extra = [arg for arg in map(os.path.abspath, options.command[1:]) if os.path.isfile(arg)]
        make_initramfs(file.name, options.command, os.getcwd(), extra)
        forwards = [pair.split(":") for pair in options.p]
        return subprocess.run(qemu_command(file.name, options.m, options.c, forwards), stdin=subprocess.DEVNULL,
                              check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
