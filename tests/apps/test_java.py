# SPDX-License-Identifier: MIT
"""OpenJDK: collectors under load, threads, faults, an HTTP server, thread dump and end by signals."""
import os
import subprocess

import pytest
from conftest import HERE, add, need
from load import run_load

TOOLS = add("sh", "cat", "kill", "seq", "sleep", "wc")
COLLECTORS = [("1", "Serial"), ("1", "G1"), ("2", "G1"), ("2", "Parallel")]


@pytest.fixture(scope="module")
def classes(tmp_path_factory):
    need("java")
    folder = tmp_path_factory.mktemp("java") / "classes"
    subprocess.run([need("javac"), "-d", str(folder), os.path.join(HERE, "java/Machine.java")], check=True, timeout=120)
    return str(folder)


@pytest.mark.parametrize("cpus, collector", COLLECTORS)
def test_features(same_as_linux, classes, cpus, collector):
    same_as_linux([need("java"), f"-XX:+Use{collector}GC", "-Xmx64m", "-cp", classes, "Machine"], timeout=400,
                  env={"PATH": "/usr/bin:/bin"}, options=["--cpus", cpus, "-m", "1G", "--add", classes, *TOOLS])


@pytest.mark.parametrize("cpus", ["1", "2"])
def test_server(machine, classes, cpus):
    vm = machine(need("java"), "-Xmx64m", "-cp", classes, "Machine", "serve", guest_port=8080, timeout=400, may_end=True,
                 options=["--cpus", cpus, "-m", "512M", "--add", classes, *TOOLS])
    assert vm.wait_for_http() == (200, b"Hello from Java\n")
    rate, failures = run_load(vm.port, 3000, 32, timeout=240)
    print(f"{cpus} CPUs: {rate:.0f} requests/s")
    assert failures == []
    assert vm.get("/signal/QUIT")[0] == 204
    vm.wait_for_text("Full thread dump").wait_for_text('"DestroyJavaVM"')  # main() returned before the load
    assert vm.get()[1] == b"Hello from Java\n"
    assert vm.get("/signal/TERM")[0] == 204
    assert vm.process.wait(60) == 143
    assert "shut down" in vm.text()
