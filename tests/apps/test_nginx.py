# SPDX-License-Identifier: MIT
"""nginx 1.22, one process and with workers, serving files; wrk as the client."""
import os
import re
import shutil
import subprocess

import pytest
from shell import Shell

CONFIG = """{processes}
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
def site(tmp_path):
    """(nginx's path, the options that add a site and a configuration, the site's large file)"""
    path = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not path:
        pytest.skip("no nginx")

    def make(processes, sendfile="on"):
        (tmp_path / "srv").mkdir()
        (tmp_path / "srv/index.html").write_text("n" * 612)
        (tmp_path / "srv/big").write_bytes(os.urandom(5 << 20))
        (tmp_path / "srv/big").chmod(0o644)
        (tmp_path / "nginx.conf").write_text(CONFIG.format(processes=processes, sendfile=sendfile))
        (tmp_path / "lib").mkdir()
        options = ["--add", f"{tmp_path}/srv:/srv", "--add", f"{tmp_path}/nginx.conf:/etc/nginx/nginx.conf",
                   "--add", f"{tmp_path}/lib:/var/lib/nginx", "--add", f"{tmp_path}/lib:/var/log/nginx"]
        return path, options, (tmp_path / "srv/big").read_bytes()

    return make


@pytest.fixture
def nginx(machine, site):
    def start(processes, sendfile="on"):
        path, options, big = site("daemon off;" + processes, sendfile)
        vm = machine(path, "-c", "/etc/nginx/nginx.conf", guest_port=8080, timeout=200,
                     options=["--cpus", "2", *options])
        assert vm.wait_for_http() == (200, b"n" * 612)
        return vm, big

    return start


def wrk_start(vm, seconds=5, connections=64, more=()):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "15s", *more,
               f"http://127.0.0.1:{vm.port}/"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def wrk_end(process, seconds=70):
    """Requests per second; none of them may have failed."""
    output, _ = process.communicate(timeout=seconds)
    print(output)
    assert process.returncode == 0 and "Socket errors" not in output and "Non-2xx" not in output, output
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def wrk(vm, **more):
    return wrk_end(wrk_start(vm, **more))


@pytest.mark.parametrize("sendfile", ["on", "off"])
def test_one_process(nginx, sendfile):
    vm, big = nginx("master_process off;", sendfile)
    assert vm.get("/big") == (200, big)
    assert vm.get("/none")[0] == 404
    assert wrk(vm) > 100
    assert vm.get("/big") == (200, big)


def test_workers(nginx):
    vm, big = nginx("worker_processes 2;")
    assert vm.get("/big") == (200, big)
    assert wrk(vm) > 100


@pytest.fixture
def master(site):
    """A shell inside that started nginx with four workers: what its administrator would do from there."""
    path, options, _ = site("worker_processes 4;")
    vm = Shell([path], ["pgrep", "seq"], guest_port=8080, timeout=240, options=["--cpus", "2", *options])
    vm.sh("nginx -t && nginx")  # becomes a daemon
    assert vm.wait_for_http() == (200, b"n" * 612)
    yield vm
    vm.stop()


def workers(vm):
    return set(vm.sh("pgrep -P $(cat /run/nginx.pid)").split())


def test_reload_under_load(master):
    """No request fails while all workers are replaced, twice."""
    before = workers(master)
    assert len(before) == 4
    load = wrk_start(master, seconds=12, connections=16, more=["-H", "Connection: close"])
    for _ in range(2):
        master.sh("sleep 2; nginx -s reload")
        old = " ".join(before)
        master.sh_until(f"! kill -0 {old}")
        before = workers(master)
        assert len(before) == 4 and not before & set(old.split())
    assert wrk_end(load) > 20
    assert workers(master) == before


def test_worker_killed(master):
    before = workers(master)
    victim = min(before)
    master.sh(f"kill -9 {victim}")
    master.sh_until(f"test $(pgrep -c -P $(cat /run/nginx.pid)) = 4 && ! kill -0 {victim}")
    assert len(workers(master) & before) == 3
    assert master.get() == (200, b"n" * 612)


def test_graceful_quit(master):
    """A request under way is answered in full, then all processes are gone."""
    with master.connect() as client:
        client.sendall(b"GET /big HTTP/1.0\r\n\r\n")
        start = client.recv(1000)
        master.sh("nginx -s quit; sleep 1; kill -0 $(cat /run/nginx.pid)")  # still there
        size = len(start)
        while part := client.recv(1 << 16):
            size += len(part)
    assert size > 5 << 20
    master.sh_until("! pgrep nginx")
    assert "nginx.pid" not in master.sh("ls /run")
    master.exit(0)
