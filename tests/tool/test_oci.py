# SPDX-License-Identifier: MIT
"""stout-oci without machines: a fake QEMU takes their place."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONTROL_GROUPS = "/sys/fs/cgroup"
GREETING = r"""
channel['qmp'].sendall(b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": []}}\n')
"""


@pytest.fixture
def runtime(tmp_path, cache, kernel, fake_qemu, compiled):
    """runtime(fake QEMU's script, words...) -> CompletedProcess; the bundle is the working directory."""
    (tmp_path / "rootfs/bin").mkdir(parents=True)
    shutil.copy(compiled("int main(void) { return 0; }", "-static"), tmp_path / "rootfs/bin/true")
    config = {"ociVersion": "1.0.2", "process": {"args": ["true"], "env": ["PATH=/bin"], "cwd": "/"}, "root": {"path": "rootfs"},
              "linux": {"namespaces": []}, "annotations": {"stout.accel": "tcg"}}
    (tmp_path / "config.json").write_text(json.dumps(config))

    def call(script, *words):
        environment = dict(os.environ, STOUT_KERNEL=kernel, FAKE_QEMU=script, PATH=fake_qemu + ":" + os.environ["PATH"])
        with open(tmp_path / "output", "w+b") as output:
            result = subprocess.run([os.path.join(TOP, "stout-oci"), "--root", "run", *words], env=environment, check=False, timeout=60,
                                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=tmp_path)
            output.seek(0)
            result.stdout = output.read().decode()
        return result

    return call


def test_a_program_that_ends_while_the_machine_is_started(runtime):
    """QEMU is gone before QMP has answered; that is a short life and no failure to start."""
    assert runtime(GREETING + "channel['control'].sendall(b'exit 5\\n')", "create", "one").returncode == 0
    started = runtime("", "start", "one")
    assert started.returncode == 0, started.stdout
    assert json.loads(runtime("", "state", "one").stdout)["status"] == "stopped"
    assert runtime("", "delete", "one").returncode == 0


def test_a_machine_that_does_not_start(runtime):
    assert runtime("sys.exit('qemu: no such machine')", "create", "one").returncode == 0
    started = runtime("", "start", "one")
    assert started.returncode == 125 and started.stdout == "stout-oci: QEMU did not run the machine: qemu: no such machine.\n"
    assert runtime("", "delete", "one").returncode == 0


def test_create_with_a_terminal_lets_its_output_go(tmp_path, runtime, kernel):
    """containerd's shim reads what create writes until nobody has the pipe any more."""
    import socket
    config = json.loads((tmp_path / "config.json").read_text())
    config["process"]["terminal"] = True
    (tmp_path / "config.json").write_text(json.dumps(config))
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(tmp_path)
        listener.bind("console")
        listener.listen()
        result = subprocess.run([os.path.join(TOP, "stout-oci"), "--root", "run", "create", "--console-socket", "console", "one"],
                                env=dict(os.environ, STOUT_KERNEL=kernel), capture_output=True, text=True, timeout=30, check=False)
        assert result.returncode == 0, result.stderr
    assert runtime("", "delete", "--force", "one").returncode == 0


def groups_of(pid):
    with open(f"/proc/{pid}/cgroup", encoding="ascii") as file:
        return dict(line.rstrip("\n").split(":", 2)[1:] for line in file)


def needs_control_groups():
    places = [os.path.join(CONTROL_GROUPS, name) for name in ("cpu", "unified", "")]
    if os.geteuid() or not any(os.path.exists(f"{place}/cgroup.procs") and os.access(place, os.W_OK) for place in places):
        pytest.skip("control groups cannot be made here")


def test_control_group(runtime, tmp_path):
    """The monitor, whose child QEMU is, goes where the bundle says, with the share of processor time; afterwards nothing is left."""
    needs_control_groups()
    path = f"/stout-test-{os.getpid()}/one"
    config = json.loads((tmp_path / "config.json").read_text())
    config["linux"] |= {"cgroupsPath": path, "resources": {"cpu": {"quota": 50000, "period": 100000, "shares": 512}}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    created = runtime("", "create", "one")
    assert created.returncode == 0, created.stdout
    groups = groups_of(json.loads(runtime("", "state", "one").stdout)["pid"])
    if "" in groups and len(groups) == 1:
        place, expected = CONTROL_GROUPS + path, {"cpu.max": "50000 100000", "cpu.weight": "20"}
        assert groups[""] == path
    else:
        place, expected = f"{CONTROL_GROUPS}/cpu{path}", {"cpu.cfs_quota_us": "50000", "cpu.shares": "512"}
        assert groups["cpu"] == groups["memory"] == path
    for name, text in expected.items():
        if os.path.exists(os.path.join(place, name)):  # what of it the kernel has
            with open(os.path.join(place, name), encoding="ascii") as file:
                assert file.read().strip() == text
    assert runtime("", "delete", "--force", "one").returncode == 0
    assert not os.path.exists(os.path.dirname(place))


def test_control_groups_of_both_versions():
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool.errors import StoutError
    from stout_tool.oci import cgroup
    resources = {"cpu": {"quota": 150000, "shares": 1024, "cpus": "0"}}
    assert cgroup.settings(resources, True) == [("cpu.max", "150000 100000"), ("cpu.weight", "39"), ("cpuset.cpus", "0")]
    assert cgroup.settings(resources, False) == [("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "150000"), ("cpu.shares", "1024"), ("cpuset.cpus", "0")]
    assert cgroup.settings({"cpu": {"quota": -1}}, True) == [] and cgroup.join(1, {}, print) == []
    said = []
    assert cgroup.join(1, {"cgroupsPath": "user.slice:libpod:one"}, said.append) == [] and "systemd" in said[0]
    with pytest.raises(StoutError):
        cgroup.join(1, {"cgroupsPath": "/a/../../b"}, said.append)
    assert cgroup.join(1, {"cgroupsPath": "/a"}, said.append, "/nowhere") == [] and "cannot be used" in said[1]
    unified = os.path.join(CONTROL_GROUPS, "unified")
    if os.geteuid() == 0 and os.path.exists(f"{unified}/cgroup.controllers"):
        with subprocess.Popen(["sleep", "60"]) as process:
            made = cgroup.join(process.pid, {"cgroupsPath": f"stout-test-{os.getpid()}/two"}, said.append, unified)
            try:
                assert groups_of(process.pid)[""].endswith("/two"), said
            finally:
                process.kill()
                process.wait()
        cgroup.leave(made)
        assert len(made) == 2 and not os.path.exists(made[1])


def kept_archives():
    """Name of the container -> path."""
    folder = os.path.join(os.environ["STOUT_CACHE"], "oci")
    paths = [os.path.join(folder, name) for name in os.listdir(folder)]
    return {os.path.basename(os.readlink(os.path.join(path, "owner"))): os.path.join(path, "archive.cpio") for path in paths}


def test_archives_of_containers_that_are_gone(runtime, tmp_path, monkeypatch):
    """A restart of the host takes the states in /run away, and leaves the cache; those of other roots are theirs."""
    monkeypatch.setenv("STOUT_CACHE", str(tmp_path / "cache"))
    assert runtime("", "create", "one").returncode == runtime("", "create", "gone").returncode == 0
    assert runtime("", "--root", "other", "create", "two").returncode == 0
    os.kill(json.loads(runtime("", "state", "gone").stdout)["pid"], 9)
    shutil.rmtree(tmp_path / "run/gone")
    failed = runtime("", "create", "--pid-file", "/nowhere/pid", "three")
    assert failed.returncode == 1 and sorted(kept_archives()) == ["one", "two"], failed.stdout
    assert runtime("", "create", "gone").returncode == 0 and sorted(kept_archives()) == ["gone", "one", "two"]
    for words in (["one"], ["gone"], ["--root", "other", "two"]):
        *more, name = words
        assert os.path.getsize(kept_archives()[name]) > 1000
        assert runtime("", *more, "delete", "--force", name).returncode == 0
    assert kept_archives() == {}


def test_archives_without_hard_links(runtime, tmp_path, monkeypatch):
    """The cache's folder for them is on another file system."""
    monkeypatch.setenv("STOUT_CACHE", str(tmp_path / "cache"))
    if os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("there is one file system only")
    with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
        (tmp_path / "cache").mkdir()
        (tmp_path / "cache/oci").symlink_to(other)
        created = runtime("", "create", "one")
        assert created.returncode == 0 and os.path.getsize(kept_archives()["one"]) > 1000, created.stdout
        assert runtime("", "delete", "--force", "one").returncode == 0 and os.listdir(other) == []


@pytest.fixture
def bundle(tmp_path):
    """bundle(annotations, resources) -> Bundle of a container with these."""
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool.oci.bundle import Bundle
    (tmp_path / "rootfs").mkdir()

    def call(annotations, resources=None):
        config = {"ociVersion": "1.0.2", "process": {"args": ["true"], "cwd": "/"}, "root": {"path": "rootfs"},
                  "linux": {"resources": resources or {}}, "annotations": annotations}
        (tmp_path / "config.json").write_text(json.dumps(config))
        return Bundle(str(tmp_path))

    return call


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """The path of the administrator's file, which is not there yet."""
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool.oci import settings as module
    path = tmp_path / "oci.json"
    monkeypatch.setattr(module, "PATH", str(path))
    return path


UNSAFE = {"stout.qemu-args": "-fsdev local,id=x,path=/,security_model=none", "stout.kernel-options": "loglevel=2"}


@pytest.mark.parametrize("name", UNSAFE)
def test_annotations_that_reach_past_the_machine(bundle, settings, name):
    """An image brings annotations too: only the host's administrator lets them reach QEMU."""
    from stout_tool.errors import StoutError
    with pytest.raises(StoutError, match=f"{name} is refused.*{settings}"):
        bundle({name: UNSAFE[name]})
    settings.write_text(json.dumps({"allow": [other for other in UNSAFE if other != name]}))
    settings.chmod(0o644)
    with pytest.raises(StoutError, match=f"{name} is refused"):
        bundle({name: UNSAFE[name]})
    if os.geteuid():
        pytest.skip("a file of root's needs root")
    settings.write_text(json.dumps({"allow": [name]}))
    options = bundle({name: UNSAFE[name]}).options()
    assert options["qemu_args"] == [UNSAFE[name]] or options["kernel_options"] == [UNSAFE[name]]
    with pytest.raises(StoutError, match="stout.qemu-args -name 'x: a quote is not closed"):
        settings.write_text(json.dumps({"allow": list(UNSAFE)}))
        bundle(UNSAFE | {"stout.qemu-args": "-name 'x"})
    settings.chmod(0o666)
    with pytest.raises(StoutError, match="must belong to root"):
        bundle({name: UNSAFE[name]})
    settings.chmod(0o644)
    os.chown(settings, 1234, 0)
    with pytest.raises(StoutError, match="must belong to root"):
        bundle({name: UNSAFE[name]})
    assert bundle({"stout.cpus": "2"}).options()["cpus"] == 2  # asks nobody


@pytest.mark.parametrize("text", ["[]", "{", '{"allow": "stout.qemu-args"}', '{"allow": ["stout.*"]}', '{"allowed": ["stout.qemu-args"]}'])
def test_a_wrong_file_of_the_administrator(bundle, settings, text):
    from stout_tool.errors import StoutError
    settings.write_text(text)
    settings.chmod(0o644)
    if os.geteuid():
        pytest.skip("a file of root's needs root")
    with pytest.raises(StoutError, match="is wrong: write"):
        bundle(UNSAFE)


def test_annotations_take_no_more_than_the_engine_gives(bundle, settings):
    from stout_tool.errors import StoutError
    for name, text in (("machine", "q35,dumpdtb=/tmp/x"), ("accel", "tcg,thread=single"), ("cpus", "\N{SUPERSCRIPT TWO}"), ("machine", "none")):
        with pytest.raises(StoutError, match=f"stout.{name} is .*; it must be "):
            bundle({f"stout.{name}": text}).options()
    limits = {"memory": {"limit": 128 << 20}, "cpu": {"quota": 50000, "period": 100000}}
    for memory, cpus, expected in (("8G", "16", ("128M", 1)), ("64M", "1", ("64M", 1))):
        options = bundle({"stout.memory": memory, "stout.cpus": cpus}, limits).options()
        assert (options["memory"], options["cpus"]) == expected
    options = bundle({"stout.memory": "8G", "stout.cpus": "16"}).options()
    assert (options["memory"], options["cpus"]) == ("8G", 16)
