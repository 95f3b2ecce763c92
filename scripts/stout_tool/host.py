# SPDX-License-Identifier: MIT
"""Programs of this host that the tool calls: what for, and the Debian package that has them."""
from __future__ import annotations

from typing import NamedTuple

from .errors import StoutError
from .paths import IS_CHECKOUT


class Program(NamedTuple):
    purpose: str
    package: str
    setup: str  # what of scripts/setup installs it


BUILD, TESTS = " --build", " --tests"
GRUB = "grub-common grub-pc-bin grub-efi-amd64-bin"
PROGRAMS = {
    "qemu-system-x86_64": Program("the machine", "qemu-system-x86", ""),
    "setpriv": Program("ending the machine with the tool", "util-linux", ""),
    "node": Program("running .js programs", "nodejs", ""),
    "npm": Program("stout pkg get and from-npm", "npm", TESTS),
    "skopeo": Program("container images by name", "skopeo", TESTS),
    "grub-mkimage": Program("stout build", GRUB, BUILD),
    "xorriso": Program("stout build -t iso", "xorriso", BUILD),
    "mformat": Program("disks of stout build", "mtools", BUILD),
    "mcopy": Program("disks of stout build, and stout image", "mtools", BUILD),
    "qemu-img": Program("disks of stout build, and stout image", "qemu-utils", BUILD),
}
OF_CHECKOUT = {
    "gcc": Program("building the kernel", "gcc", ""),
    "cmake": Program("building the kernel", "cmake", ""),
    "clang": Program("the tests", "clang", TESTS),
    "ctags": Program("the tests", "universal-ctags", TESTS),
    "musl-gcc": Program("the tests", "musl-tools", TESTS),
    "wrk": Program("the measurements", "wrk", TESTS),
}


def missing(command: str) -> StoutError:
    program = (PROGRAMS | OF_CHECKOUT).get(command)
    if program is None:
        return StoutError(f"{command} is not on PATH; install it.")
    setup = f"run scripts/setup{program.setup}, or " if IS_CHECKOUT else ""
    return StoutError(f"{command} is not on PATH; {setup}apt-get install {program.package}.")
