# SPDX-License-Identifier: MIT
"""Debian's dockerd and containerd with stout-oci as a runtime, in a network namespace of their own."""
import os
import pty
import select
import shutil
import subprocess
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
IMAGE = "stout-test:1"


@pytest.fixture(scope="module")
def docker(tmp_path_factory):
    """docker(words...) -> CompletedProcess; .inside runs a command in the daemon's network namespace."""
    if os.geteuid() or not shutil.which("dockerd"):
        pytest.skip("dockerd needs root and Debian's docker.io")
    place = tmp_path_factory.mktemp("docker")
    socket = f"unix://{place}/socket"
    command = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", "dockerd", "--data-root", f"{place}/data", "--exec-root",
               f"{place}/exec", "-H", socket, "--pidfile", f"{place}/pid", "--storage-driver", "vfs", "--iptables=false", "--ip6tables=false",
               "--bip", "10.199.0.1/24", "--exec-opt", "native.cgroupdriver=cgroupfs", "--add-runtime", f"stout={TOP}/stout-oci"]
    with open(place / "log", "wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def call(*words, **more):
        return subprocess.run(["docker", "-H", socket, *words], capture_output=True, text=True, timeout=120, check=False, **more)

    def inside(*words):
        return subprocess.run(["nsenter", f"--net=/proc/{daemon.pid}/ns/net", *words], capture_output=True, timeout=60, check=True).stdout

    call.socket, call.inside = socket, inside
    try:
        deadline = time.monotonic() + 60
        while call("version").returncode:
            assert daemon.poll() is None and time.monotonic() < deadline, (place / "log").read_text()[-2000:]
            time.sleep(0.2)
        root = place / "root/bin"
        root.mkdir(parents=True)
        shutil.copy("/bin/busybox", root)
        for name in ("sh", "echo", "cat", "id", "httpd"):
            (root / name).symlink_to("busybox")
        archive = subprocess.run(["tar", "-C", place / "root", "-c", "."], capture_output=True, check=True).stdout
        subprocess.run(["docker", "-H", socket, "import", "-", IMAGE], input=archive, check=True, stdout=subprocess.DEVNULL)
        yield call
    finally:
        for name in call("ps", "-aq").stdout.split():
            call("rm", "-f", name)
        daemon.terminate()
        daemon.wait(60)


def run_words(*options):
    return ["run", "--rm", "--runtime", "stout", "--network", "none", *options, IMAGE]


def test_status_streams_and_settings(docker):
    result = docker(*run_words("-i", "-e", "X=docker", "-u", "33:44", "-w", "/bin", "-m", "128m", "--read-only"), "/bin/sh", "-c",
                    "cat; echo $X $(id -u):$(id -g) $PWD; echo bad >&2; echo >/new; exit 7", input="word\n")
    assert result.returncode == 7 and result.stdout == "word\ndocker 33:44 /bin\n", result.stderr
    assert result.stderr.startswith("bad\n") and "Read-only file system" in result.stderr
    missing = docker(*run_words(), "/nonexistent")
    assert missing.returncode == 127 and "/nonexistent is not in the root folder" in missing.stderr


def test_terminal(docker):
    pid, master = pty.fork()
    if pid == 0:
        os.execvp("docker", ["docker", "-H", docker.socket, *run_words("-it"), "/bin/sh", "-c", "echo ready; read x; echo got $x; exit 3"])
    seen, answered, deadline = b"", False, time.monotonic() + 60
    while time.monotonic() < deadline:
        if not select.select([master], [], [], 1)[0]:
            continue
        try:
            seen += os.read(master, 1000)
        except OSError:
            break
        if b"ready" in seen and not answered:
            answered = os.write(master, b"word\r")
    assert b"got word" in seen, seen
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    os.close(master)


def test_server(docker, tmp_path):
    """A volume, the bridge, figures of the control group, exec refused, stop and start."""
    (tmp_path / "page").write_bytes(os.urandom(1 << 20))
    started = docker("run", "-d", "--runtime", "stout", "--name", "web", "--cpus", "1", "-v", f"{tmp_path}:/data:ro", IMAGE, "/bin/httpd", "-f", "-p", "80",
                     "-h", "/data")
    assert started.returncode == 0, started.stderr
    address = docker("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web").stdout.strip()
    fetch = ("curl", "-sS", "--retry", "20", "--retry-delay", "1", "--retry-connrefused", "-m", "10", f"http://{address}/page")
    assert docker.inside(*fetch) == (tmp_path / "page").read_bytes()
    memory = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", "web").stdout
    assert "MiB" in memory or "GiB" in memory.split("/")[0], memory
    refused = docker("exec", "web", "/bin/id")
    assert refused.returncode == 126 and "run a second container" in refused.stdout + refused.stderr
    assert docker("stop", "-t", "10", "web").returncode == 0
    assert docker("inspect", "-f", "{{.State.ExitCode}}", "web").stdout.strip() == "143"
    assert docker("start", "web").returncode == 0
    assert docker.inside(*fetch) == (tmp_path / "page").read_bytes()
    assert docker("kill", "web").returncode == 0 and docker("rm", "-f", "web").returncode == 0
