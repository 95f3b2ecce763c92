# SPDX-License-Identifier: MIT
"""Unmodified images in Debian's podman with --runtime stout-oci: rootful, in network and mount namespaces of the test's own."""
import os
import shutil
import signal
import subprocess
import tarfile
import time

import pytest
from conftest import ACCEL, TOP, need
from test_images import SERVER
from test_oci import make_root
from test_packages import debian_root

CONF = """[engine]
runtime = "stout-oci"
runtime_supports_nocgroup = ["stout-oci"]
runtime_supports_json = ["stout-oci"]
cgroup_manager = "cgroupfs"
events_logger = "file"
[engine.runtimes]
stout-oci = ["{top}/stout-oci"]
[containers]
cgroups = "disabled"
default_ulimits = []
"""
ALONE = "mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns && ip link set lo up && echo ready && exec sleep infinity"


class Podman:
    """podman with a store of its own; `inside` is the start of a command that runs where its networks are."""

    def __init__(self, folder):
        self.folder = folder
        (folder / "containers.conf").write_text(CONF.format(top=TOP))
        (folder / "policy.json").write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        self.holder = subprocess.Popen([need("unshare"), "--net", "--mount", "--propagation", "private", "sh", "-c", ALONE], stdout=subprocess.PIPE)
        assert self.holder.stdout.readline() == b"ready\n"
        self.inside = ["nsenter", "--net", "--mount", "--target", str(self.holder.pid), "--"]
        self.environment = dict(os.environ, CONTAINERS_CONF=str(folder / "containers.conf"), STOUT_CACHE=str(folder / "cache"))

    def popen(self, *words, **more):
        words = [str(word) for word in words]
        if words[0] in ("run", "create"):
            words[1:1] = ["--annotation", f"stout.accel={ACCEL}"]
        folder = self.folder
        return subprocess.Popen(
            [*self.inside, need("podman"), "--root", folder / "store", "--runroot", folder / "run", "--storage-driver", "vfs",
             "--network-config-dir", folder / "networks", "--tmpdir", folder / "tmp", *words], env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **{"stdin": subprocess.DEVNULL, **more})

    def __call__(self, *words, status=0, text=None):
        """Its output; both streams where it fails, as it is to."""
        process = self.popen(*words, **({"stdin": subprocess.PIPE} if text is not None else {}))
        try:
            out, err = process.communicate(text, timeout=90)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        assert process.returncode == status, out + err
        return out if status == 0 else out + err

    def load(self, name, root, *changes):
        """An image of a folder, with podman's import."""
        archive = self.folder / f"{name}.tar"
        with tarfile.open(archive, "w") as tar:
            tar.add(root, ".")
        self("import", *(word for change in changes for word in ("--change", change)), archive, name)
        archive.unlink()

    def page(self, url):
        """As a client in the namespace gets it."""
        for _ in range(200):
            result = subprocess.run([*self.inside, need("curl"), "-s", "-m", "5", url], capture_output=True, text=True, check=False)
            if result.returncode == 0:
                return result.stdout
            time.sleep(0.1)
        raise AssertionError(f"no answer from {url}")

    def close(self):
        subprocess.run([*self.popen("rm", "-fa", "-t", "0").args], env=self.environment, check=False, capture_output=True, timeout=60)
        self.holder.kill()
        self.holder.wait()


@pytest.fixture(scope="module")
def podman(tmp_path_factory):
    if os.geteuid():
        pytest.skip("rootful podman needs root")
    for name in ("podman", "conmon", "ip", "tc", "iptables", "curl"):
        if not shutil.which(name):
            pytest.skip(f"no {name}")
    made = Podman(tmp_path_factory.mktemp("podman"))
    made.load("musl", make_root(tmp_path_factory.mktemp("musl") / "root"), 'CMD ["sh"]', "ENV PLACE=image", "WORKDIR /tmp")
    yield made
    made.close()


def test_streams_status_and_settings(podman):
    assert podman("run", "--rm", "--network", "none", "-e", "NAME=x", "--hostname", "box", "musl", "sh", "-c",
                  "echo $PLACE $NAME $(pwd) $(hostname); grep -c : /proc/net/dev") == "image x /tmp box\n1\n"
    assert podman("run", "--rm", "-i", "--network", "none", "musl", text="echo from stdin; exit 4\n", status=4) == "from stdin\n"
    said = podman("run", "--rm", "--network", "none", "-u", "web", "musl", "sh", "-c", "echo out; id -u >&2; kill -9 $$", status=137)
    assert said == "out\n1000\n"
    assert "nothing" in podman("run", "--rm", "--network", "none", "musl", "/bin/nothing", status=127)


def test_limits_volumes_and_a_read_only_root(podman, tmp_path):
    (tmp_path / "in").write_text("data")
    script = "grep -c ^processor /proc/cpuinfo; grep MemTotal /proc/meminfo; cat /data/in; echo more >/data/out; touch /etc/x /tmp/y && echo bad; ls /tmp"
    out = podman("run", "--rm", "--network", "none", "-m", "96m", "--cpus", "2", "-v", f"{tmp_path}:/data", "--read-only", "musl",
                 "sh", "-c", script).split("\n")
    assert out[0] == str(min(2, os.cpu_count())) and 60 << 10 < int(out[1].split()[1]) <= 96 << 10 and out[2:] == ["datay", ""]
    assert (tmp_path / "out").read_text() == "more\n"
    podman("volume", "create", "kept")
    for _ in range(2):
        out = podman("run", "--rm", "--network", "none", "-v", "kept:/data", "musl", "sh", "-c", "echo line >>/data/file; cat /data/file")
    assert out == "line\nline\n"


def test_secrets(podman, tmp_path):
    (tmp_path / "word").write_text("open sesame\n")
    for name in ("word", "other"):
        podman("secret", "create", name, tmp_path / "word")
    out = podman("run", "--rm", "--network", "none", "--secret", "word", "--secret", "other,target=mine,uid=1000,mode=0400", "--secret",
                 "word,type=env,target=WORD", "-u", "web", "musl", "sh", "-c", "cd /run/secrets; ls; cat mine; echo $WORD; stat -c '%u %a' word mine")
    assert out == "mine\nword\nopen sesame\nopen sesame\n0 444\n1000 400\n"


def test_control_groups(podman):
    """Where podman makes them there is something to look at and to freeze."""
    if not os.access("/sys/fs/cgroup", os.W_OK):
        pytest.skip("no control groups here")
    podman("run", "-d", "--name", "grouped", "--network", "none", "--cgroups", "enabled", "-m", "128m", "musl", "sh", "-c", "while :; do :; done")
    used = podman("stats", "--no-stream", "--format", "{{.MemUsage}} {{.PIDs}}", "grouped")
    assert "MB / " in used and int(used.split()[-1]) > 1, used
    podman("pause", "grouped")
    assert podman("inspect", "--format", "{{.State.Status}}", "grouped") == "paused\n"
    podman("unpause", "grouped")
    podman("rm", "-f", "-t", "0", "grouped")


def test_a_server(podman, tmp_path):
    """Published ports, other containers, logs, stop with its signal, start again."""
    (tmp_path / "index.html").write_text("page\n")
    podman("run", "-d", "--name", "web", "-p", "8080:80", "-v", f"{tmp_path}:/www:ro", "musl", "httpd", "-f", "-v", "-p", "80", "-h", "/www")
    assert podman.page("http://127.0.0.1:8080/") == "page\n"
    address = podman("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "web").strip()
    assert podman.page(f"http://{address}/") == "page\n"
    assert podman("run", "--rm", "musl", "wget", "-qO-", f"http://{address}/") == "page\n"
    assert podman.popen("logs", "web").communicate()[1].count("response:200") == 3
    assert "second container" in podman("exec", "web", "ls", status=255)
    podman("stop", "-t", "20", "web")
    assert podman("inspect", "-f", "{{.State.ExitCode}}", "web") == "143\n"
    podman("start", "web")
    assert podman.page("http://127.0.0.1:8080/") == "page\n"
    podman("kill", "web")
    assert podman("wait", "web") == "137\n"
    podman("rm", "web")


def test_bulk_over_the_bridge(podman):
    """Segments that the host has not cut, and checksums that nobody has computed, arrive whole both ways."""
    podman("run", "-d", "--name", "bulk", "musl", "sh", "-c", "nc -l -p 9000 | md5sum; nc -l -p 9001 -e sh -c 'yes 0123456789abcde | head -c 20000000'")
    address = podman("inspect", "-f", "{{.NetworkSettings.IPAddress}}", "bulk").strip()
    script = (f"import socket, hashlib, time\n"
              "def connect(port):\n"
              "    for _ in range(200):\n"
              "        try:\n"
              f"            return socket.create_connection(('{address}', port), 10)\n"
              "        except OSError:\n"
              "            time.sleep(0.05)\n"
              "data = bytes(range(256)) * 40000\n"
              "with connect(9000) as sock:\n    sock.sendall(data)\n"
              "got = b''.join(iter(lambda s=connect(9001): s.recv(1 << 16), b''))\n"
              "assert got == b'0123456789abcde\\n' * 1250000, len(got)\n"
              "print(hashlib.md5(data).hexdigest())\n")
    expected = subprocess.run([*podman.inside, "/usr/bin/python3", "-c", script], capture_output=True, text=True, timeout=60, check=True).stdout
    assert podman("logs", "bulk").startswith(expected.strip())
    podman("rm", "-f", "-t", "0", "bulk")


def test_a_debian_root_and_one_with_nothing_but_a_program(podman, tmp_path):
    """Files of Debian's packages, and a static server alone in its root, as distroless images are."""
    debian_root(tmp_path / "debian")
    podman.load("debian", tmp_path / "debian")
    assert podman("run", "--rm", "--network", "none", "debian", "bash", "-c", ". /etc/os-release; echo $ID $(seq 3 | sort -rn | tr '\\n' ' ')"
                  ) == "debian 3 2 1\n"
    shell = tmp_path / "server.c"
    shell.write_text(SERVER)
    (tmp_path / "bare").mkdir()
    subprocess.run(["gcc", "-O1", "-static", "-o", tmp_path / "bare/server", shell], check=True)
    podman.load("bare", tmp_path / "bare", 'ENTRYPOINT ["/server"]')
    podman("run", "-d", "--name", "bare", "-p", "8081:8083", "bare")
    assert podman.page("http://127.0.0.1:8081/")
    podman("rm", "-f", "-t", "0", "bare")


def test_terminal(podman):
    import pty
    master, slave = pty.openpty()
    process = podman.popen("run", "--rm", "-it", "--network", "none", "musl", "sh", "-c", "tty && read word && echo got $word", stdin=slave)
    os.write(master, b"hello\n")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and "/dev/console" in out and "got hello" in out, out + err
    for fd in (master, slave):
        os.close(fd)


def test_a_signal_reaches_the_program(podman):
    process = podman.popen("run", "--rm", "--network", "none", "musl", "sh", "-c", "trap 'echo bye; exit 9' INT; echo ready; while :; do sleep 0.1; done")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60)[0] == "bye\n" and process.returncode == 9
    names = ["HUP", "USR1", "USR2", "QUIT", "WINCH", "CONT", "ALRM"]
    podman("run", "-d", "--name", "sig", "--stop-signal", "USR2", "--network", "none", "musl", "sh", "-c",
           f"for name in {' '.join(names)}; do trap \"echo $name\" $name; done; echo ready; while :; do sleep 0.05; done")

    def wait_for(text):
        for _ in range(200):
            if podman("logs", "sig") == text:
                return
            time.sleep(0.1)
        assert podman("logs", "sig") == text

    said = "ready\n"
    wait_for(said)
    for name in names:
        podman("kill", "-s", name, "sig")
        said += name + "\n"
        wait_for(said)
    podman("stop", "-t", "1", "sig")
    wait_for(said + "USR2\n")  # its own signal came first
    podman("rm", "sig")
