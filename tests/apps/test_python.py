# SPDX-License-Identifier: MIT
"""CPython 3.11: http.server, threads, asyncio, sqlite3, subprocesses."""
import os

import pytest
from conftest import add

HERE = os.path.dirname(os.path.abspath(__file__))
PYTHON = "/usr/bin/python3"


def test_features(same_as_linux):
    same_as_linux([PYTHON, os.path.join(HERE, "python/features.py")], timeout=180,
                  options=["--cpus", "2", "-m", "1G", "--add", "/bin/echo", "--add", "/bin/sh"])


@pytest.mark.parametrize("cpus, method", [("1", ""), ("2", "fork"), ("2", "spawn"), ("1", "forkserver")])
def test_processes(same_as_linux, cpus, method):
    same_as_linux([PYTHON, os.path.join(HERE, "python/processes.py"), *method.split()], timeout=300,
                  env={"PATH": "/usr/bin:/bin"}, options=["--cpus", cpus, "-m", "1G", *add(
                      "sh", "cat", "echo", "false", "id", "seq", "sleep", "stty", "true", "wc")])


def test_sockets_shown(same_as_linux):
    """ss, of sockets of all kinds that a program has."""
    same_as_linux([PYTHON, os.path.join(HERE, "python/sockets_shown.py")], env={"PATH": "/usr/bin:/bin"},
                  options=["--net", "none", *add("ss")])


def test_http_server(machine, tmp_path):
    (tmp_path / "page.html").write_text("<p>page</p>")
    (tmp_path / "big").write_bytes(os.urandom(3 << 20))
    vm = machine(PYTHON, "-m", "http.server", "8000", "--directory", "/srv", guest_port=8000, timeout=200,
                 options=["--add", f"{tmp_path}:/srv", "-m", "1G"])
    assert b"page.html" in vm.wait_for_http()[1]
    assert vm.get("/page.html") == (200, b"<p>page</p>")
    assert vm.get("/big")[1] == (tmp_path / "big").read_bytes()
    assert vm.get("/none")[0] == 404
    for _ in range(200):
        assert vm.get("/page.html")[0] == 200


def test_exit_status(run, tmp_path):
    script = tmp_path / "app" / "exit.py"
    script.parent.mkdir()
    script.write_text("import sys\nprint('out'); print('err', file=sys.stderr)\nsys.exit(37)\n")
    result = run(str(script))
    assert (result.returncode, result.stdout, result.stderr) == (37, "out\n", "err\n")
    script.write_text("raise RuntimeError('why')\n")
    result = run(str(script))
    assert result.returncode == 1 and "RuntimeError: why" in result.stderr
