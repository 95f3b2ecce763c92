# SPDX-License-Identifier: MIT
"""nginx 1.22, one process and with workers, serving files; wrk as the client."""
import os
import re
import shutil
import subprocess

import pytest

CONFIG = """daemon off;
{processes}
user root;
error_log stderr;
pid /run/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile {sendfile};
    types {{ text/html html; }}
    server {{ listen 8080; root /srv; }}
}}
"""


@pytest.fixture
def nginx(machine, tmp_path):
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not path:
        pytest.skip("no nginx")

    def start(processes="master_process off;", sendfile="on"):
        (tmp_path / "srv").mkdir()
        (tmp_path / "srv/index.html").write_text("n" * 612)
        (tmp_path / "srv/big").write_bytes(os.urandom(5 << 20))
        (tmp_path / "srv/big").chmod(0o644)
        (tmp_path / "nginx.conf").write_text(CONFIG.format(processes=processes, sendfile=sendfile))
        (tmp_path / "lib").mkdir()
        vm = machine(path, "-c", "/etc/nginx/nginx.conf", guest_port=8080, timeout=200, options=[
            "--cpus", "2", "--add", f"{tmp_path}/srv:/srv", "--add", f"{tmp_path}/nginx.conf:/etc/nginx/nginx.conf",
            "--add", f"{tmp_path}/lib:/var/lib/nginx", "--add", f"{tmp_path}/lib:/var/log/nginx"])
        assert vm.wait_for_http() == (200, b"n" * 612)
        return vm, (tmp_path / "srv/big").read_bytes()

    return start


def wrk(vm, seconds=5, connections=64):
    result = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "15s", f"http://127.0.0.1:{vm.port}/"],
                            capture_output=True, text=True, timeout=seconds + 60, check=True)
    print(result.stdout)
    assert "Socket errors" not in result.stdout and "Non-2xx" not in result.stdout, result.stdout
    return float(re.search(r"Requests/sec:\s+([\d.]+)", result.stdout)[1])


@pytest.mark.parametrize("sendfile", ["on", "off"])
def test_one_process(nginx, sendfile):
    vm, big = nginx(sendfile=sendfile)
    assert vm.get("/big") == (200, big)
    assert vm.get("/none")[0] == 404
    assert wrk(vm) > 100
    assert vm.get("/big") == (200, big)


def test_workers(nginx):
    vm, big = nginx("worker_processes 2;")
    assert vm.get("/big") == (200, big)
    assert wrk(vm) > 100
