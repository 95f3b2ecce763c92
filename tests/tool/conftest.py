# SPDX-License-Identifier: MIT
"""Fixtures of the tool's own tests: a cache of their own, the tool as a command, a fake QEMU."""
import os
import resource
import subprocess
import sys

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "scripts"), os.path.join(TOP, "tests")]


@pytest.fixture(scope="session")
def cache(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("cache"))
    os.environ["STOUT_CACHE"] = path
    return path


@pytest.fixture(scope="session")
def kernel(tmp_path_factory):
    path = tmp_path_factory.mktemp("kernel") / "stout.elf"
    path.write_bytes(b"\0" * 1000)
    return str(path)


@pytest.fixture
def stout(cache, kernel):
    """stout("run", ...) -> CompletedProcess; the kernel image is a dummy."""
    def call(*args, env=None, **more):
        environment = dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), **(env or {}))
        args = list(args)
        at = 1 if args[0] == "run" else 2 if args[:2] == ["pkg", "load"] else None
        if at:
            args[at:at] = ["--kernel", kernel, "--accel", "tcg"]
        return subprocess.run(["/usr/bin/python3", "-m", "stout_tool", *args], env=environment, check=False,
                              capture_output=True, timeout=60, **more)

    return call


@pytest.fixture
def stout_in_small(cache, tmp_path):
    """stout_in_small("image", ...) -> CompletedProcess, with 400 KiB for temporary files, in .folder; what it leaves there is printed."""
    if os.geteuid():
        pytest.skip("mounting needs root")
    folder = tmp_path / "small"
    folder.mkdir()
    script = 'mount -t tmpfs -o size=400k tmpfs "$TMPDIR" && "$@"; status=$?; ls -A "$TMPDIR"; exit $status'

    def call(*words):
        return subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", "/usr/bin/python3", "-m", "stout_tool", *words], capture_output=True,
                              env=dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), TMPDIR=str(folder)), check=False, timeout=60)

    call.folder = str(folder)
    return call


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The path of a store of the test's own."""
    path = tmp_path / "home"
    monkeypatch.setenv("STOUT_HOME", str(path))
    return path


def processor_times(function, rounds):
    """(The least of the children that function waits for, that of a bare interpreter), in turns: a fast or a busy host changes both."""
    def of_children(call):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        call()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime

    pairs = [(of_children(function), of_children(lambda: subprocess.run(["/usr/bin/python3", "-c", "pass"], check=True))) for _ in range(rounds)]
    return tuple(min(times) for times in zip(*pairs))


FAKE_QEMU = r"""#!/usr/bin/python3
# Plays the part of QEMU: finds the channels on the command line, then does what FAKE_QEMU says.
import os, re, socket, sys, time
if "--version" in sys.argv:
    sys.exit(0)
channel = {}
for word in sys.argv:
    found = re.match(r"socket,fd=(\d+),id=(\w+)", word)
    if found:
        channel[found[2]] = socket.socket(fileno=int(found[1]))
exec(os.environ["FAKE_QEMU"])
"""


@pytest.fixture
def fake_qemu(tmp_path):
    """A directory to put before PATH."""
    path = tmp_path / "bin" / "qemu-system-x86_64"
    path.parent.mkdir()
    path.write_text(FAKE_QEMU)
    path.chmod(0o755)
    return str(path.parent)


@pytest.fixture
def compiled(tmp_path):
    """compiled(source, *flags) -> path of the program."""
    def call(source, *flags, name="program", compiler="gcc"):
        text = tmp_path / f"{name}.c"
        text.write_text(source)
        path = str(tmp_path / name)
        subprocess.run([compiler, "-o", path, str(text), *flags], check=True)
        return path

    return call
