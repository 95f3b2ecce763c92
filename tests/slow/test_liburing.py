# SPDX-License-Identifier: MIT
"""liburing's own tests: those of liburing.txt, from the pinned source package, in one machine."""
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SCRIPT = """cd /tmp; for t in {names}; do
/bin/busybox timeout 60 /tests/$t >/tmp/out 2>&1; echo "$t: $?"; done"""


def listed():
    with open(os.path.join(HERE, "liburing.txt"), encoding="utf-8") as file:
        return [line.split()[0] for line in file if line.strip() and not line.startswith("#")]


def build(names, out):
    sources = os.path.join(TOP, "build", "sources")
    subprocess.run([os.path.join(TOP, "scripts", "fetch-sources"), sources, "liburing"], check=True)
    top = os.path.join(sources, "liburing")
    if not os.path.exists(os.path.join(top, "config-host.h")):
        subprocess.run(["./configure"], cwd=top, check=True, stdout=subprocess.DEVNULL)
    for name in names:
        subprocess.run(["gcc", "-O1", "-w", "-D_GNU_SOURCE", "-include", "../config-host.h", "-I../src/include", "-I.",
                        "-o", os.path.join(out, name), f"{name}.c", "helpers.c", "-luring", "-lpthread"],
                       cwd=os.path.join(top, "test"), check=True)


def test_liburing(tmp_path):
    names = listed()
    build(names, str(tmp_path))
    result = subprocess.run(
        [os.path.join(TOP, "stout"), "run", "--accel", "tcg", "--cpus", "2", "-m", "1G", "--add", f"{tmp_path}:/tests",
         "/bin/busybox", "sh", "-c", SCRIPT.format(names=" ".join(names))],
        stdout=subprocess.PIPE, timeout=1800, check=False)
    status = dict(line.split(": ") for line in result.stdout.decode().splitlines() if ": " in line)
    assert {name: status.get(name) for name in names} == {name: "0" for name in names}
