# SPDX-License-Identifier: MIT
"""Addresses of a crash report become functions and lines."""
import re
import subprocess

from stout_tool.libraries import Root
from stout_tool.symbols import host_path, resolve
from stout_tool.tree import Tree

SOURCE = "int inner(int x) { return x * 3; }\nint main(void) { return inner(2); }\n"


def address_of(path, name):
    text = subprocess.run(["nm", path], capture_output=True, text=True, check=True).stdout
    return int(re.search(rf"^(\w+) T {name}$", text, re.MULTILINE)[1], 16)


def test_pie_and_fixed_programs(compiled):
    for flags, base in ((["-pie"], 0x555555554000), (["-no-pie"], 0x400000)):
        program = compiled(SOURCE, "-g", *flags)
        address = address_of(program, "inner")
        address = address + base if base != 0x400000 else address
        lines = [f"program[1]: segfault at 8 ip {address + 4:016x} sp 00007ffc00000000 signal 11",
                 f"module {base:x}-{base + 0x5000:x} {program}"]
        found = resolve(lines, lambda path: host_path(Tree(), Root(), path), "/nonexistent")
        assert any("inner+0x4" in line and "program.c:1" in line for line in found), found


def test_unknown_addresses_are_left_out(compiled):
    assert resolve(["ip 00007f0000000000 sp 0000000000000001"], lambda path: None, "/nonexistent") == []
