# SPDX-License-Identifier: MIT
"""Debian's containerd by itself, with an image imported by ctr, and stout-oci in the place of runc."""
import os
import shutil
import subprocess
import time

import pytest
from conftest import TOP
from test_oci import make_root
from test_readme import docker_archive

IMAGE = "docker.io/library/nginx:1"
CONFIG = """version = 2
root = "{0}/root"
state = "{0}/state"
disabled_plugins = ["io.containerd.grpc.v1.cri"]
[grpc]
  address = "{0}/socket"
[ttrpc]
  address = "{0}/ttrpc"
"""


@pytest.fixture(scope="module")
def ctr(tmp_path_factory):
    """ctr(words...) -> CompletedProcess; .log is the place of a file."""
    if os.geteuid() or not shutil.which("containerd"):
        pytest.skip("containerd needs root and its Debian package")
    place = tmp_path_factory.mktemp("containerd")
    (place / "config.toml").write_text(CONFIG.format(place))
    with open(place / "containerd.log", "wb") as log:
        daemon = subprocess.Popen(["containerd", "-c", place / "config.toml"], stdout=log, stderr=log, start_new_session=True)

    def call(*words):
        words = list(words)
        if words[0] == "run":
            words[1:1] = ["--snapshotter", "native", "--runc-binary", f"{TOP}/stout-oci"]
        return subprocess.run(["ctr", "-a", place / "socket", *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)

    call.log = place / "log"
    try:
        deadline = time.monotonic() + 60
        while call("version").returncode:
            assert daemon.poll() is None and time.monotonic() < deadline, (place / "containerd.log").read_text()[-2000:]
            time.sleep(0.1)
        root = make_root(tmp_path_factory.mktemp("files") / "root")
        docker_archive(place / "image.tar", root, ".", {"Env": ["PATH=/bin", "PLACE=image"], "Cmd": ["sh", "-c", "echo $PLACE"]})
        imported = call("images", "import", "--snapshotter", "native", str(place / "image.tar"))
        assert imported.returncode == 0, imported.stderr
        yield call
    finally:
        for name in call("tasks", "ls", "-q").stdout.split():
            call("tasks", "rm", "-f", name)
        daemon.terminate()
        daemon.wait(60)


def test_status_streams_and_settings(ctr, tmp_path):
    (tmp_path / "page").write_text("shared")
    result = ctr("run", "--rm", IMAGE, "plain")
    assert (result.returncode, result.stdout) == (0, "image\n"), result.stderr
    result = ctr("run", "--rm", "--read-only", "--env", "X=ctr", "--cwd", "/tmp", "--memory-limit", str(128 << 20),
                 "--mount", f"type=bind,src={tmp_path},dst=/data,options=rbind:ro", IMAGE, "settings", "sh", "-c",
                 "echo $X $PWD $(cat /data/page); awk '/MemTotal/ { print $2 / 1024 < 128 }' /proc/meminfo; echo bad >&2; echo >/new; exit 7")
    assert (result.returncode, result.stdout) == (7, "ctr /tmp shared\n1\n"), result.stderr
    assert result.stderr.startswith("bad\n") and "Read-only file system" in result.stderr
    missing = ctr("run", "--rm", IMAGE, "missing", "/nonexistent")
    assert missing.returncode == 1 and "/nonexistent is not in the root folder" in missing.stderr


def test_task(ctr):
    """Detached, with a log: signals, pause and resume, figures, exec refused; one that has ended is known as such."""
    def status():
        return ctr("tasks", "ls").stdout.splitlines()[1].split()[2]

    started = ctr("run", "-d", "--log-uri", f"file://{ctr.log}", IMAGE, "task", "sh", "-c",
                  "trap 'echo ended; exit 5' TERM; echo ready; while :; do sleep 0.1; done")
    assert started.returncode == 0, started.stderr
    deadline = time.monotonic() + 60
    while "ready" not in (ctr.log.read_text() if ctr.log.exists() else ""):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ctr("tasks", "pause", "task").returncode == 0 and status() == "PAUSED"
    assert ctr("tasks", "resume", "task").returncode == 0 and status() == "RUNNING"
    assert "memory.usage_in_bytes" in (figures := ctr("tasks", "metrics", "task").stdout) or "memory.usage" in figures
    refused = ctr("tasks", "exec", "--exec-id", "1", "task", "id")
    assert refused.returncode == 1 and "run a second container" in refused.stderr
    assert ctr("tasks", "kill", "-s", "TERM", "task").returncode == 0
    while status() != "STOPPED":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert ctr.log.read_text() == "ready\nended\n"
    assert "already finished" in ctr("tasks", "kill", "task").stderr
    assert "exit code 5" in ctr("tasks", "rm", "task").stderr
    assert ctr("containers", "rm", "task").returncode == 0
