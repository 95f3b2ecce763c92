# SPDX-License-Identifier: MIT
"""hello under a real KVM (nested in an emulated processor where the host has none)."""
import os
import re
import shlex
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, HERE)

import nested_kvm  # noqa: E402

CHANNELS = [("file,path=/dev/stdout,id=stdout", "file,path=out,id=stdout"),
            ("file,path=/dev/stderr,id=stderr", "file,path=err,id=stderr"),
            ("null,id=control", "file,path=control,id=control"), ("null,id=log", "stdio,id=log")]


@pytest.fixture(scope="module")
def hello(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kvm")
    (folder / "hello.c").write_text("#include <stdio.h>\n#include <time.h>\nint main(void) { struct timespec t;\n"
                                    "clock_gettime(CLOCK_MONOTONIC, &t); puts(\"hello from kvm\"); return 5; }\n")
    subprocess.run(["gcc", "-static", "-o", str(folder / "hello"), str(folder / "hello.c")], check=True)
    return str(folder / "hello")


@pytest.mark.parametrize("machine, net, program", [("microvm", "user", "qemu-system-x86_64"), ("q35", "user", "qemu-system-x86_64"),
                                                   ("microvm", "none", "qemu-system-x86_64-microvm")])
def test_hello(hello, machine, net, program):
    result = subprocess.run([os.path.join(TOP, "stout"), "run", "--accel", "tcg", "--dry-run", "-m", "128M", "--cpus", "2",
                             "--machine", machine, "--net", net, "--kernel-option", "loglevel=2", hello],
                            capture_output=True, text=True, check=True)
    words = shlex.split(result.stdout)[1:]
    kernel, archive = words[words.index("-kernel") + 1], words[words.index("-initrd") + 1]
    for option in ("-accel", "-cpu"):
        at = words.index(option)
        del words[at:at + 2]
    for flag in ("-nodefaults", "-no-user-config", "-no-reboot"):
        words.remove(flag)
    at = words.index("-display")
    del words[at:at + 2]
    for old, new in CHANNELS:
        words = [word.replace(old, new) for word in words]
    words = [os.path.basename(word) if word in (kernel, archive) else word for word in words]
    # stdout goes to the console too, where it can be seen.
    words = [word.replace("file,path=out,id=stdout", "file,path=/dev/console,id=stdout") for word in words]
    words = [word.replace("file,path=control,id=control", "file,path=/dev/console,id=control") for word in words]
    text = nested_kvm.run_nested(words, [kernel, archive], 400, program)
    assert "hello from kvm" in text, text
    assert re.search(r"exit 5", text), text
    assert "panic on CPU" not in text
