# SPDX-License-Identifier: MIT
"""Go: static and cgo programs, an HTTP server under load."""
import os
import shutil
import subprocess

import pytest
from conftest import add
from load import run_load

HERE = os.path.dirname(os.path.abspath(__file__))


@pytest.fixture(scope="module")
def go(tmp_path_factory):
    if not shutil.which("go"):
        pytest.skip("no go")
    folder = tmp_path_factory.mktemp("go")

    def build(name, cgo="0"):
        path = str(folder / f"{name}{cgo}")
        if not os.path.exists(path):
            env = dict(os.environ, CGO_ENABLED=cgo, GO111MODULE="off", GOFLAGS="",
                       GOCACHE=os.path.join(HERE, "../../build/go-cache"))
            env["GOCACHE"] = os.path.abspath(env["GOCACHE"])
            subprocess.run(["go", "build", "-o", path, os.path.join(HERE, "go", f"{name}.go")], check=True, env=env)
        return path

    return build


@pytest.mark.parametrize("cpus", ["1", "4"])
def test_features(go, same_as_linux, cpus):
    same_as_linux([go("features")], options=["--cpus", cpus])


@pytest.mark.parametrize("cpus", ["1", "2"])
def test_processes(go, same_as_linux, cpus):
    same_as_linux([go("processes")], timeout=200, env={"PATH": "/usr/bin:/bin"},
                  options=["--cpus", cpus, "-m", "512M",
                           *add("sh", "echo", "cat", "grep", "id", "seq", "sleep", "tr", "true", "wc")])


def test_cgo(go, same_as_linux):
    same_as_linux([go("cgo", "1")], options=["--cpus", "2"])


@pytest.mark.parametrize("cgo", ["0", "1"])
def test_server(go, machine, cgo):
    vm = machine(go("server", cgo), guest_port=8080, options=["--cpus", "2"], timeout=240)
    assert vm.wait_for_http() == (200, b"Hello from Go\n")
    assert vm.get("/work")[1] == b"total 9950\n"
    rate, failures = run_load(vm.port, 5000, 64, timeout=200)
    print(f"{rate:.0f} requests/s")
    assert failures == []
    assert vm.get("/work")[1] == b"total 9950\n"
