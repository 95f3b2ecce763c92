# SPDX-License-Identifier: MIT
"""Runs a command in a Linux machine with the files of a machine's image: the other half of a comparison.

    linux_machine.py IMAGE.cpio SIZE WORKDIR COMMAND... <INPUT

As linux_root.py, with Debian's cloud kernel on the same emulated processors instead of the host's, for what must
not run on the host.  The command reads INPUT and writes to our standard output; the kernel's log goes nowhere.
"""
import os
import re
import shlex
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(TOP, "tests", "bench"), os.path.join(TOP, "scripts")]

import linux_guest  # noqa: E402
from stout_tool.cpio import CpioWriter  # noqa: E402
from stout_tool.tree import Tree  # noqa: E402

CPUS = 2
INIT = """#!/.guest/busybox sh
B=/.guest/busybox
$B mkdir -p /proc /sys /dev
$B mount -t proc proc /proc; $B mount -t sysfs sys /sys; $B mount -t devtmpfs dev /dev
$B mkdir -p /dev/pts /dev/shm /dev/mqueue; $B mount -t devpts pts /dev/pts; $B mount -t tmpfs shm /dev/shm
$B mount -t mqueue mqueue /dev/mqueue
$B ip link set lo up; $B hostname stout; $B stty -F /dev/ttyS0 raw
cd {workdir}
{command} </.guest/input >/dev/ttyS0 2>&1
$B sync; $B poweroff -f
"""


def make_initramfs(path, image, workdir, command):
    """The image, and behind it an archive that adds the first process and what it needs."""
    tree = Tree()
    tree.make_directory("/.guest")
    tree.add_host("/bin/busybox", "/.guest/busybox")
    tree.add_bytes("/.guest/input", sys.stdin.buffer.read())
    tree.add_bytes("/init", INIT.format(workdir=shlex.quote(workdir), command=shlex.join(command)), 0o755)
    with open(image, "rb") as source, open(path, "wb") as file:
        while data := source.read(1 << 20):
            file.write(data)
        writer = CpioWriter(file)
        tree.write(writer)
        writer.close()


def main():
    image, size, workdir, command = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    with tempfile.NamedTemporaryFile(suffix=".cpio") as file:
        make_initramfs(file.name, image, workdir, command)
        words = linux_guest.qemu_command(file.name, re.sub(r"M$", "", size), CPUS, more=["-serial", "null"])
        words[words.index("-append") + 1] = "console=ttyS1 quiet panic=-1 mitigations=off"
        return subprocess.run(words, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
