# SPDX-License-Identifier: MIT
"""stout profile: what is known to take the time is what the profile shows."""
import json
import os
import subprocess
import time

import pytest
from conftest import ACCEL, HERE, STOUT, free_port, need
from load import run_load


def profile(*args, timeout=120):
    return subprocess.run([STOUT, "profile", "--accel", ACCEL, *args], capture_output=True, text=True, timeout=timeout,
                          check=False, stdin=subprocess.DEVNULL)


@pytest.fixture
def program(tmp_path):
    def build(*flags):
        path = str(tmp_path / "load")
        subprocess.run(["gcc", *flags, "-o", path, os.path.join(HERE, "profile_load.c")], check=True)
        return path

    return build


def share(document, *names):
    """Of all samples of the program, those with the names in this order on their stack."""
    stacks = [stack for stack in document["stacks"] if "main" in stack["frames"]]
    total = sum(stack["samples"] for stack in stacks)
    return sum(stack["samples"] for stack in stacks if in_order(names, stack["frames"])) / total


def in_order(names, frames):
    rest = iter(frames)
    return all(name in rest for name in names)


@pytest.mark.parametrize("flags,cpus", [(["-O2"], "1"), (["-O2", "-static"], "2"), (["-O1", "-fno-omit-frame-pointer"], "1")])
def test_known_shares(program, flags, cpus):
    result = profile("--json", "--hz", "997", "--cpus", cpus, program(*flags), "4")
    assert result.returncode == 0, result.stderr
    document = json.loads(result.stdout)
    three, one = share(document, "main", "three_parts", "count_to"), share(document, "main", "one_part", "count_to")
    reads = share(document, "main", "read_zeros", "sys_read_[k]")
    assert document["samples"] > 100 and document["cpus"] == int(cpus), result.stderr
    assert 2.2 < three / one < 4.1, (three, one, reads)
    assert three + one + reads > 0.9 and reads > 0.02, (three, one, reads)
    if cpus == "2":
        assert sum(document["idle"].values()) > 100  # one of them has nothing to do


def test_formats(program, tmp_path):
    for name, first in (("p.svg", "<?xml"), ("p.folded", ""), ("p.json", "{")):
        result = profile("--top", "-o", str(tmp_path / name), program("-O2"), "1")
        assert result.returncode == 0 and "count_to" in result.stdout, result.stderr
        text = (tmp_path / name).read_text()
        assert text.startswith(first) and "count_to" in text


def test_node_under_load(tmp_path):
    """JavaScript by its name, V8's C++, the kernel below both; --duration ends it."""
    need("node")
    port, output = free_port(), str(tmp_path / "p.json")
    command = [STOUT, "profile", "--accel", ACCEL, "--duration", "30", "-o", output, "-p", f"{port}:8080", "node",
               "--perf-basic-prof", os.path.join(HERE, "profile_server.js")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        end = time.monotonic() + 20
        while time.monotonic() < end:
            run_load(port, 40, 4)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 0, stderr
    with open(output, encoding="utf-8") as file:
        stacks = json.load(file)["stacks"]
    total = sum(stack["samples"] for stack in stacks)

    def count(*parts):
        return sum(stack["samples"] for stack in stacks if all(any(part in frame for frame in stack["frames"]) for part in parts))

    assert count("hotArithmetic") > 0.1 * total, (count("hotArithmetic"), total)
    assert count("node::") > 0 and count("node::", "_[k]") > 0
    assert count("uv_run", "hotArithmetic") > 0  # through the compiled code back to the event loop


def test_instance(program, tmp_path):
    """Into a running machine and out again; twice, and it goes on."""
    environment = dict(os.environ, XDG_STATE_HOME=str(tmp_path / "state"))

    def stout(*args):
        return subprocess.run([STOUT, *args], env=environment, capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL)

    result = stout("instance", "create", "--accel", ACCEL, "--name", "load", program("-O2"), "600")
    assert result.returncode == 0, result.stderr
    try:
        for _ in range(2):
            result = stout("profile", "--instance", "load", "--duration", "3", "--json")
            assert result.returncode == 0, result.stderr
            document = json.loads(result.stdout)
            assert share(document, "main", "three_parts", "count_to") > 0.2, result.stderr
            assert any("sys_read_[k]" in stack["frames"] for stack in document["stacks"])
        assert json.loads(stout("instance", "inspect", "load").stdout)[0]["state"]["status"] == "running"
        assert "nobody" in stout("profile", "--instance", "nobody").stderr
    finally:
        stout("instance", "stop", "-t", "0", "load")
        stout("instance", "delete", "load")
