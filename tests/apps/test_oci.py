# SPDX-License-Identifier: MIT
"""stout-oci driven by hand, as the OCI runtime specification says: bundles of a busybox root, each in a machine."""
import array
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

import pytest
from conftest import ACCEL, TOP, free_port, need, written

RUNTIME = os.path.join(TOP, "stout-oci")
WAIT = "trap 'echo got TERM; exit 3' TERM; trap 'echo got USR1' USR1; echo ready; while :; do sleep 0.1; done"


def make_root(path):
    """busybox with its applets as links, as in a small musl image."""
    (path / "bin").mkdir(parents=True)
    (path / "etc").mkdir()
    (path / "tmp").mkdir()
    shutil.copy(need("busybox"), path / "bin/busybox")
    for name in subprocess.run([path / "bin/busybox", "--list"], capture_output=True, text=True, check=True).stdout.split():
        if name != "busybox":
            (path / "bin" / name).symlink_to("busybox")
    (path / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nweb:x:1000:1000::/home/web:/bin/sh\n")
    return path


class Container:
    """One bundle, and the runtime's commands on it."""
    count = 0

    def __init__(self, folder, rootfs, *args, **more):
        Container.count += 1
        self.name = f"test{Container.count}"
        self.root, self.bundle = str(folder / "run"), folder / self.name
        self.inside = []  # the start of a command that runs in another network
        self.bundle.mkdir()
        self.config = {
            "ociVersion": "1.0.2", "root": {"path": str(rootfs)}, "hostname": "box", "annotations": {"stout.accel": ACCEL},
            "process": {"args": list(args), "env": ["PATH=/bin"], "cwd": "/"}, "linux": {"namespaces": []}}
        for key, value in more.items():
            if isinstance(value, dict) and key in self.config:
                self.config[key] |= value
            else:
                self.config[key] = value
        self.out = open(folder / f"{self.name}.out", "w+b")
        self.err = open(folder / f"{self.name}.err", "w+b")
        self.pid_file = folder / f"{self.name}.pid"

    def __call__(self, *words, status=0, **more):
        result = subprocess.run([*self.inside, RUNTIME, "--root", self.root, *words], check=False, capture_output=True, text=True, timeout=60, **more)
        assert result.returncode == status, result.stdout + result.stderr
        return result.stdout

    def create(self, *options, status=0, stdin=subprocess.DEVNULL):
        (self.bundle / "config.json").write_text(json.dumps(self.config))
        result = subprocess.run([*self.inside, RUNTIME, "--root", self.root, "create", "--bundle", self.bundle, "--pid-file", self.pid_file,
                                 *options, self.name],
                                stdin=stdin, stdout=self.out, stderr=self.err, timeout=120, check=False)
        assert result.returncode == status, self.text(self.err)
        return self

    def start(self):
        self("start", self.name)
        return self

    def state(self):
        return json.loads(self("state", self.name))

    def text(self, file=None):
        return written(file or self.out)

    def wait_for_text(self, text):
        self.wait_for(lambda: text in self.text())

    def wait_for(self, look, seconds=60):
        deadline = time.monotonic() + seconds
        while not look():
            assert time.monotonic() < deadline, self.text() + self.text(self.err)
            time.sleep(0.02)

    def wait(self):
        self.wait_for(lambda: self.state()["status"] == "stopped")
        return self.text()

    def status(self):
        """Of the monitor: our child, since its parent has gone and we are a subreaper."""
        return os.waitstatus_to_exitcode(os.waitpid(int(self.pid_file.read_text()), 0)[1])

    def remove(self):
        subprocess.run([RUNTIME, "--root", self.root, "delete", "--force", self.name], check=True, capture_output=True, timeout=60)
        self.out.close()
        self.err.close()


@pytest.fixture(scope="module", autouse=True)
def subreaper():
    """As conmon and containerd's shim are (prctl(2), PR_SET_CHILD_SUBREAPER)."""
    import ctypes
    libc = ctypes.CDLL(None)
    libc.prctl(36, 1, 0, 0, 0)
    yield
    libc.prctl(36, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory):
    return make_root(tmp_path_factory.mktemp("image") / "rootfs")


@pytest.fixture
def container(tmp_path, rootfs):
    made = []

    def make(*args, **more):
        made.append(Container(tmp_path, rootfs, *args, **more))
        return made[-1]

    yield make
    for item in made:
        item.remove()


def test_life(container):
    box = container("sh", "-c", "echo $GREETING from $(hostname) in $PWD as $(id -u):$(id -g) $HOME; echo oops >&2; cat; exit 7",
                    process={"env": ["PATH=/bin", "GREETING=hello"], "cwd": "/tmp", "user": {"uid": 1000, "gid": 1000}})
    read, write = os.pipe()
    box.create(stdin=read)
    os.close(read)
    state = box.state()
    assert state["status"] == "created" and state["pid"] == int(box.pid_file.read_text()) and state["bundle"] == str(box.bundle)
    assert state["ociVersion"] == "1.1.0" and state["id"] == box.name and state["annotations"] == {"stout.accel": ACCEL}
    assert box.text() == ""
    box.start()
    assert box.state()["status"] == "running"
    os.write(write, b"typed\n")
    os.close(write)
    assert box.status() == 7
    assert box.text() == "hello from box in /tmp as 1000:1000 /home/web\ntyped\n" and box.text(box.err) == "oops\n"
    assert box.state()["status"] == "stopped" and "pid" not in box.state()
    box("start", box.name, status=125)
    box("delete", box.name)
    box("state", box.name, status=125)
    assert os.listdir(box.root) == []


def test_signals(container):
    box = container("sh", "-c", WAIT).create().start()
    box.wait_for_text("ready")
    box("delete", box.name, status=125)
    box("kill", box.name, "USR1")
    box.wait_for_text("got USR1")
    os.kill(box.state()["pid"], signal.SIGTERM)  # an engine may also signal the process itself
    assert box.status() == 3
    assert "got TERM" in box.text()
    box("kill", box.name, status=125)
    box("kill", "--all", box.name)


def test_kill_ends_the_machine(container):
    box = container("sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done").create().start()
    box.wait_for_text("ready")
    pid = box.state()["pid"]
    children = open(f"/proc/{pid}/task/{pid}/children", encoding="ascii").read().split()
    box("kill", box.name, "9")
    assert box.status() == -signal.SIGKILL
    assert children and not any(os.path.exists(f"/proc/{child}") for child in children)


def test_killed_before_it_was_started(container):
    box = container("true").create()
    box("kill", box.name, "TERM")
    assert box.status() == 128 + signal.SIGTERM
    box = container("true").create()
    box("delete", box.name, status=125)
    box("delete", "--force", box.name)
    assert box.status() == -signal.SIGKILL and not os.path.exists(os.path.join(box.root, box.name))


def test_pause(container):
    box = container("sh", "-c", "while :; do echo tick; sleep 0.05; done").create().start()
    box.wait_for_text("tick")
    box("pause", box.name)
    assert box.state()["status"] == "paused"
    before = box.text()
    time.sleep(0.3)
    assert box.text() == before
    box("resume", box.name)
    box.wait_for(lambda: box.text() != before)


def test_terminal(container, tmp_path):
    """The master of the terminal comes over the console socket; its size is that of the guest's."""
    console = str(tmp_path / "console")
    box = container("sh", "-c", "tty >/dev/null && stty size; read line; echo got $line; trap 'stty size; exit 5' WINCH; echo waits; "
                    "while :; do sleep 0.1; done", process={"terminal": True, "consoleSize": {"height": 33, "width": 101}})
    box.create(status=1)
    assert "--console-socket" in box.text(box.err)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(console)
        listener.listen()
        box.create("--console-socket", console)
        peer, _ = listener.accept()
        with peer:
            name, control, _, _ = peer.recvmsg(100, socket.CMSG_SPACE(4))
    assert name.startswith(b"/dev/pts/")
    master = array.array("i", control[0][2])[0]
    box.start()
    seen = b""

    def read_until(text):
        nonlocal seen
        while text not in seen:
            assert select.select([master], [], [], 30)[0], seen
            seen += os.read(master, 1000)

    read_until(b"33 101\r\n")
    os.write(master, b"word\r")
    read_until(b"got word\r\nwaits\r\n")
    import termios
    termios.tcsetwinsize(master, (44, 55))
    read_until(b"44 55\r\n")
    assert box.status() == 5
    os.close(master)


def test_limits(container):
    box = container("sh", "-c", "grep MemTotal /proc/meminfo; grep -c ^processor /proc/cpuinfo",
                    linux={"resources": {"memory": {"limit": 96 << 20}, "cpu": {"quota": 150000, "period": 100000}}})
    total, cpus = box.create().start().wait().splitlines()
    assert 60 << 10 < int(total.split()[1]) <= 96 << 10
    assert int(cpus) == min(2, len(os.sched_getaffinity(0)))


def test_groups_and_rlimits(container):
    box = container("sh", "-c", "id -G; ulimit -n; ulimit -Hn; ulimit -c", process={
        "user": {"uid": 1000, "gid": 1000, "additionalGids": [20, 44]},
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": (1 << 64) - 1, "hard": (1 << 64) - 1}]})
    assert box.create().start().wait() == "1000 20 44\n100\n200\nunlimited\n"


def test_mounts(container, tmp_path):
    """Folders are shared, files are copied, a tmpfs hides what the image has; the program may be in a folder."""
    for name in ("rw", "ro", "app"):
        (tmp_path / name).mkdir()
    (tmp_path / "ro/file").write_text("from the host\n")
    (tmp_path / "hosts").write_text("10.1.2.3 other\n")
    program = tmp_path / "app/run"
    (tmp_path / "rw/there").write_text("the folder's\n")
    program.write_text("#!/bin/sh\ncat /ro/file /etc/hosts /rw/there /rw/deep/in/it; echo x >/rw/empty/x; echo made >/rw/new; echo no 2>/dev/null >/ro/new || echo kept; ls -A /etc/empty; "
                       "echo x >/etc/empty/x && echo writable\n")
    program.chmod(0o755)
    binds = [{"destination": f"/{name}", "source": str(tmp_path / name), "type": "bind", "options": ["rbind", name if name != "app" else "ro"]}
             for name in ("rw", "ro", "app")]
    box = container("/app/run", mounts=[
        {"destination": "/proc", "type": "proc", "source": "proc"}, *binds, {"destination": "/etc/empty", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/rw/empty", "type": "tmpfs", "source": "tmpfs"},  # these are in a folder of the host
        *({"destination": f"/{place}", "source": str(tmp_path / "hosts"), "options": ["bind", "ro"]} for place in ("etc/hosts", "rw/there", "rw/deep/in/it"))])
    box.create().start()
    assert box.wait() == "from the host\n" + 3 * "10.1.2.3 other\n" + "kept\nwritable\n"
    assert (tmp_path / "rw/new").read_text() == "made\n" and not (tmp_path / "ro/new").exists()
    assert (tmp_path / "rw/there").read_text() == "the folder's\n" and not os.listdir(tmp_path / "rw/empty")


def test_read_only_root(container):
    box = container("sh", "-c", "for at in /etc /tmp /bin; do echo x >$at/x && echo $at; done; rm /etc/passwd || echo kept",
                    mounts=[{"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"}])
    box.config["root"]["readonly"] = True
    assert box.create().start().wait() == "/tmp\nkept\n"
    assert box.text(box.err).count("Read-only file system") == 3


def test_hooks(container, tmp_path):
    hook = tmp_path / "hook"
    hook.write_text("#!/bin/sh\n{ echo $1; cat; echo; } >>$FILE\n")
    hook.chmod(0o755)
    seen = tmp_path / "seen"
    kinds = ("prestart", "createRuntime", "poststart", "poststop")
    box = container("true", hooks={kind: [{"path": str(hook), "args": ["hook", kind], "env": [f"FILE={seen}"]}] for kind in kinds})
    box.create().start().wait()
    box("delete", box.name)
    lines = seen.read_text().split("\n")
    states = [json.loads(line) for line in lines[1::2] if line]
    assert lines[0::2][:4] == list(kinds)
    assert [state["status"] for state in states[:2]] == ["creating", "creating"] and states[3]["status"] == "stopped"
    assert states[0]["pid"] == int(box.pid_file.read_text()) and states[0]["id"] == box.name
    failing = container("true", hooks={"createRuntime": [{"path": "/bin/false"}]})
    failing.create(status=125)
    assert "/bin/false" in failing.text(failing.err) and not os.path.exists(os.path.join(failing.root, failing.name))


def test_host_network(container):
    """In the host's namespace, the annotation names the ports."""
    port = free_port()
    box = container("sh", "-c", "mkdir /www; echo page >/www/index.html; exec httpd -f -p 80 -h /www",
                    annotations={"stout.ports": f"127.0.0.1:{port}:80"})
    box.create().start()

    def page():
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
        except OSError:
            return None

    box.wait_for(page)
    assert page() == b"page\n"
    box("kill", box.name, "KILL")


PLUG = """#!/bin/sh
# What Docker's hook and Kubernetes' network plug-ins do: a pair of devices, one end in the container's namespace.
set -e
pid=$(sed 's/.*"pid": \\([0-9]*\\).*/\\1/')
ip link add host0 type veth peer name eth0 netns $pid
ip addr add 10.9.0.1/24 dev host0
ip link set host0 up
nsenter -t $pid -n sh -c 'ip link set lo up; ip addr add 10.9.0.2/24 dev eth0; ip link set eth0 up; ip route add default via 10.9.0.1'
"""


@pytest.fixture
def network():
    """The start of a command that runs in a network namespace of the test's own."""
    if os.geteuid():
        pytest.skip("networks need root")
    holder = subprocess.Popen([need("unshare"), "--net", "sh", "-c", "ip link set lo up && echo ready && exec sleep infinity"], stdout=subprocess.PIPE)
    assert holder.stdout.readline() == b"ready\n"
    yield [need("nsenter"), "--net", "--target", str(holder.pid), "--"]
    holder.kill()
    holder.wait()


def served(network, seconds=30):
    """What the machine at the container's address answers."""
    deadline = time.monotonic() + seconds
    while True:
        result = subprocess.run([*network, need("curl"), "-s", "-m", "5", "http://10.9.0.2/"], capture_output=True, check=False)
        if result.returncode == 0:
            return result.stdout
        assert time.monotonic() < deadline
        time.sleep(0.1)


def web(text):
    return ("sh", "-c", f"mkdir /www; echo {text} >/www/index.html; exec httpd -f -p 80 -h /www")


def test_a_network_that_a_hook_makes(container, network, tmp_path):
    plug = tmp_path / "plug"
    plug.write_text(PLUG)
    plug.chmod(0o755)
    box = container(*web("page"), linux={"namespaces": [{"type": "network"}]}, hooks={"prestart": [{"path": str(plug), "env": ["PATH=/usr/sbin:/usr/bin:/bin"]}]})
    box.inside = network
    box.create().start()
    assert served(network) == b"page\n"


def test_a_pod(container, network, tmp_path):
    """The sandbox holds the namespace without a machine; one machine after the other has its network, and not two at once."""
    plug = tmp_path / "plug"
    plug.write_text(PLUG)
    plug.chmod(0o755)
    sandbox = container("/pause", linux={"namespaces": [{"type": "network"}]}, annotations={"io.kubernetes.cri.container-type": "sandbox"},
                        hooks={"createRuntime": [{"path": str(plug), "env": ["PATH=/usr/sbin:/usr/bin:/bin"]}]})
    sandbox.inside = network
    sandbox.create().start()
    assert sandbox.state()["status"] == "running"
    namespaces = {"namespaces": [{"type": "network", "path": f"/proc/{sandbox.state()['pid']}/ns/net"}]}
    first, second = (container(*web(text), linux=namespaces) for text in ("first", "second"))
    first.create().start()
    assert served(network) == b"first\n"
    second.create(status=125)
    assert "network of its own" in second.text(second.err)
    first("kill", first.name, "KILL")
    first.wait()
    second.create().start()
    assert served(network) == b"second\n"
    sandbox("kill", sandbox.name, "TERM")
    assert sandbox.status() == 128 + signal.SIGTERM


def test_many_at_once(container):
    """Of commands with the same id at the same time one wins; a killed creation leaves something that can be deleted."""
    box = container("true")
    (box.bundle / "config.json").write_text(json.dumps(box.config))
    command = [RUNTIME, "--root", box.root, "create", "-b", box.bundle, box.name]
    creators = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(4)]
    assert sorted(process.wait(120) == 0 for process in creators) == [False, False, False, True]
    starters = [subprocess.Popen([RUNTIME, "--root", box.root, "start", box.name], stderr=subprocess.DEVNULL) for _ in range(3)]
    assert sorted(process.wait(60) == 0 for process in starters) == [False, False, True]
    box.wait()
    box("delete", box.name)
    for delay in (0.1, 0.2, 0.3):
        creator = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(delay)  # somewhere on its way
        creator.kill()
        creator.wait()
        if os.path.exists(os.path.join(box.root, box.name)):
            box("delete", "--force", box.name)
    end = time.monotonic() + 20
    while left := monitors(box):  # they end when they see that their creator has
        assert time.monotonic() < end, left
        time.sleep(0.1)


def monitors(box):
    """Processes of this container, whatever its state says."""
    text = subprocess.run(["pgrep", "-f", f"stout_tool.oci.monitor {os.path.join(box.root, box.name)}"], capture_output=True, text=True, check=False)
    return text.stdout.split()


@pytest.mark.parametrize("change, words", [
    ({"process": {"args": ["nothing"]}}, ["nothing", "looked for /bin/nothing"]),
    ({"process": {"args": []}}, ["config.json", "specification"]),
    ({"ociVersion": "9.0"}, ["9.0"]),
    ({"root": {"path": "/nowhere"}}, ["/nowhere"]),
    ({"mounts": [{"destination": "/x", "type": "nfs"}]}, ["/x", "nfs"]),
    ({"mounts": [{"destination": "/x", "type": "bind", "source": "/nowhere"}]}, ["/nowhere", "does not exist"]),
    ({"mounts": [{"destination": "/x", "type": "bind", "source": "/dev/null"}]}, ["/dev/null", "device"]),
    ({"hooks": {"startContainer": [{"path": "/bin/true"}]}}, ["startContainer"]),
    ({"process": {"args": ["true"], "rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}}, ["RLIMIT_X"]),
    ({"annotations": {"stout.colour": "red"}}, ["stout.colour", "stout.ports"]),
    ({"linux": {"uidMappings": [{"containerID": 0, "hostID": 5, "size": 1}]}}, ["--userns"]),
    ({"linux": {"namespaces": [{"type": "network", "path": "/nowhere"}]}}, ["network namespace", "/nowhere"]),
    ({"linux": {"resources": {"memory": {"limit": 1 << 20}}}}, ["not enough"]),
])
def test_refusals(container, tmp_path, change, words):
    """One sentence, on stderr and in the log, and nothing is left."""
    box = container("true", **change)
    (box.bundle / "config.json").write_text(json.dumps(box.config))
    log = tmp_path / "log.json"
    result = subprocess.run([RUNTIME, "--root", box.root, "--log", log, "--log-format", "json", "create", "-b", box.bundle, box.name],
                            capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode not in (0, 2) and result.stderr.startswith("stout-oci: ") and result.stderr.count("\n") == 1, result.stderr
    record = json.loads(log.read_text().splitlines()[-1])
    assert record["level"] == "error" and record["msg"] in result.stderr
    assert all(word in record["msg"] for word in words), record["msg"]
    assert not os.path.exists(os.path.join(box.root, box.name))


def test_other_commands(container):
    box = container("true").create()
    assert "--version" not in box("--version") and "spec: 1.1.0" in box("--version")
    assert json.loads(box("features"))["ociVersionMin"] == "1.0.0"
    assert json.loads(box("list", "-f", "json"))[0]["id"] == box.name
    assert json.loads(box("ps", "-f", "json", box.name)) == [int(box.pid_file.read_text())]
    for name in ("exec", "checkpoint", "restore", "update", "events", "spec"):
        box(name, "--some", "option", box.name, status=126)
    box("state", "absent", status=125)
    box("delete", "--force", "absent")
    box("kill", box.name, "NONSENSE", status=1)
    box.create(status=1)
    assert "already" in box.text(box.err)
