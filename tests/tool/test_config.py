# SPDX-License-Identifier: MIT
"""stout run -c: what a file says, what the command line says above it, and the sentences for bad files."""
import json
import os
import shlex

import pytest
from test_run import archive_of, dry, listing, manifest_of, refused

PROGRAM = "int main(void) { return 0; }"


@pytest.fixture
def config(tmp_path):
    def write(content, name="app.yaml"):
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(path)

    return write


def test_own_keys(stout, compiled, config):
    path = config(f"program: {compiled(PROGRAM)}\nargs: [a b, '7']\nenv: {{A: 1, B: x=y}}\nmemory: 96M\ncpus: 3\n"
                  "publish: [18431, '18432:80']\nhostname: box\nmachine: q35\nnic: e1000\nworkdir: /srv\nuser: 33:33\n")
    command = dry(stout("run", "-c", path, "--dry-run"))
    records = manifest_of(command)
    for record in ("arg=a b", "arg=7", "env=A=1", "env=B=x=y", "hostname=box", "cwd=/srv"):
        assert record in records
    text = shlex.join(command)
    assert "-m 96M" in text and "-smp 3" in text and "-M q35" in text and "-device e1000," in text
    assert "127.0.0.1:18431-10.0.2.15:18431" in text and "127.0.0.1:18432-10.0.2.15:80" in text


def test_command_line_wins(stout, compiled, config):
    path = config("program: /bin/false\nargs: [fromfile]\nenv: {A: file, B: file}\nmemory: 96M\ncpus: 3\npublish: [18431]\n")
    program = compiled(PROGRAM)
    command = dry(stout("run", "-c", path, "--dry-run", "-e", "A=line", "-m", "64M", "--cpus", "1", "-p", "18433", program, "x"))
    records, text = manifest_of(command), shlex.join(command)
    assert f"program={program}" in records and "arg=x" in records and "arg=fromfile" not in records
    assert "env=A=line" in records and "env=B=file" in records
    assert "-m 64M" in text and "-smp 1" in text and "18433" in text and "18431" not in text
    assert "arg=fromfile" in manifest_of(dry(stout("run", "-c", path, "--dry-run", program)))


def test_ops_keys_and_paths_beside_the_file(stout, compiled, config, tmp_path):
    compiled(PROGRAM)
    for name in ("site/index.html", "data/one", "mapped/two"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    path = config({"Program": "program", "Args": ["--go"], "Env": {"K": "V"}, "Dirs": ["site"], "Files": ["data/one"],
                   "MapDirs": {"mapped/*": "/srv/m"}, "Klibs": ["gcp"],
                   "RunConfig": {"Ports": ["18434"], "UDPPorts": [18435], "Memory": "64m", "CPUs": 2}}, "config.json")
    result = stout("run", "-c", path, "--dry-run", cwd="/")
    command = dry(result)
    assert b"Klibs of ops is not used" in result.stderr
    files, records, text = listing(archive_of(command)), manifest_of(command), shlex.join(command)
    for name in ("site/index.html", "data/one", "srv/m/two"):
        assert name in files
    assert f"program={tmp_path}/program" in records and "arg=--go" in records and "env=K=V" in records and "cwd=/" in records
    assert "hostfwd=tcp:127.0.0.1:18434-" in text and "hostfwd=udp:127.0.0.1:18435-" in text and "-m 64M" in text


@pytest.mark.parametrize("content, words", [
    ("memory: lots", ("memory", "512M")),
    ("cpus: 0", ("cpus", "1 to 64")),
    ("memroy: 64M", ("memroy", "did you mean memory?")),
    ("env: {A: true}", ("env.A", "quotes")),
    ("args: [1]", ("args.0", "quotes")),
    ("RunConfig: {Memory: []}", ("RunConfig.Memory", "512M")),
    ("RunConfig: {Port: [1]}", ("RunConfig.Port", "did you mean RunConfig.Ports?")),
    ("a: [", ("line 1", "YAML")),
    ("- x", ("no options", "program")),
    ("", ("no options",)),
    ("{1: 2}", ("no key 1",)),
    ("\x00", ("YAML",)),
])
def test_bad_files(stout, config, content, words):
    path = config(content)
    refused(stout("run", "-c", path), 2, path, *words)


def test_bad_json_absent_file_and_no_program(stout, config, tmp_path):
    refused(stout("run", "-c", config('{"cpus": 1,\n}', "config.json")), 2, "line 2", "JSON")
    refused(stout("run", "-c", str(tmp_path / "none")), 2, "none", "no such file")
    result = stout("run", "-c", config("cpus: 1\n"))
    assert result.returncode == 2 and b"PROGRAM" in result.stderr
    result = stout("run")
    assert result.returncode == 2 and b"PROGRAM" in result.stderr


@pytest.mark.parametrize("content, words", [
    ("NameServers: [dns.example]", ("--dns dns.example", "IPv4")),
    ("Mounts: {a: /b}", ("Mounts", "folders")),
    ("ManifestPassthrough: {}", ("ManifestPassthrough", "stout run --help")),
    ("TargetRoot: /x", ("TargetRoot", "root")),
    ("RunConfig: {BridgeName: br0}", ("RunConfig.BridgeName", "TapName")),
    ("RunConfig: {Nics: []}", ("RunConfig.Nics", "stout network create")),
    ("RunConfig: {IPAddress: 10.0.0.2, NetMask: 255.0.255.0}", ("NetMask 255.0.255.0", "255.255.255.0")),
    ("RunConfig: {GPUs: 1}", ("RunConfig.GPUs", "no driver")),
    ("restart: no", ("restart", "quotes")),
])
def test_keys_of_ops_that_are_refused(stout, config, content, words):
    refused(stout("run", "-c", config(f"program: /bin/true\n{content}")), 2, *words)


def test_network_of_ops(stout, compiled, config):
    path = config({"Program": compiled(PROGRAM), "NameServers": ["9.9.9.9"],
                   "RunConfig": {"IPAddress": "192.168.7.2", "NetMask": "255.255.0.0", "Gateway": "192.168.0.1", "TapName": "tap7"}}, "config.json")
    command = dry(stout("run", "-c", path, "--dry-run"))
    assert "net=static:192.168.7.2/16:192.168.0.1:9.9.9.9" in manifest_of(command)
    assert "ifname=tap7," in " ".join(command)


def test_keys_of_ops_that_mean_nothing_here(stout, compiled, config, tmp_path):
    compiled(PROGRAM)
    (tmp_path / "below").mkdir()
    (tmp_path / "below/one").write_text("1")
    path = config({"Program": "program", "Files": ["one"], "LocalFilesParentDirectory": "below", "RebootOnExit": True, "NightlyBuild": False,
                   "RunConfig": {"Zone": "a", "Tags": [{"key": "a", "value": "b"}], "Accel": True}}, "config.json")
    result = stout("run", "-c", path, "--dry-run")
    assert "one" in listing(archive_of(dry(result)))
    assert b"NightlyBuild, RunConfig.Zone, RunConfig.Tags, RunConfig.Accel of ops are not used here" in result.stderr


def test_keys_of_instances(config):
    """They are options of instance create, and nothing to run."""
    from stout_tool import config as module
    path = config({"program": "/bin/true", "networks": ["backend"], "restart": "on-failure:3", "stop_timeout": 2.5, "tty": True,
                   "RunConfig": {"InstanceName": "web"}})
    values = module.read(path).values
    assert (values["name"], values["networks"], values["restart"], values["stop_timeout"], values["tty"]) == (
        "web", ["backend"], "on-failure:3", 2.5, True)
    assert module.read(config({"RebootOnExit": True})).values["restart"] == "always"


def test_keys_that_a_command_does_not_use_are_told(stout, compiled, config, tmp_path, kernel):
    own = config(f"program: {compiled(PROGRAM)}\nname: web\nnetworks: [backend]\nrestart: always\n")
    result = stout("run", "-c", own, "--dry-run")
    assert result.returncode == 0
    assert f"stout: {own}: stout run does not use name, networks, restart; stout instance create does.\n" in result.stderr.decode()
    ops = config({"Program": compiled(PROGRAM), "RebootOnExit": True, "RunConfig": {"Memory": "96M", "InstanceName": "web"}}, "config.json")
    assert "does not use RunConfig.InstanceName, RebootOnExit; stout" in stout("run", "-c", ops, "--dry-run").stderr.decode()
    built = stout("build", "-t", "qemu", "--kernel", kernel, "-o", str(tmp_path / "made"), "-c", ops).stderr.decode()
    assert "stout build does not use RunConfig.Memory, RunConfig.InstanceName, RebootOnExit." in built


@pytest.mark.parametrize("name, is_beside", [
    ("nginx:1.25", False), ("registry.example.com:5000/team/app:2", False), ("docker://nginx", False), ("layout", True), ("layout:two", True),
    ("./nginx", True), ("../nginx:1", True), ("/srv/nginx", True), ("images/absent.tar", True), ("absent.tar.gz", True), ("absent.tgz:two", True),
])
def test_image_is_a_file_or_a_name(config, tmp_path, name, is_beside):
    from stout_tool.config import read
    (tmp_path / "layout").mkdir()
    path = config({"image": name})
    assert read(path).values["image"] == (os.path.join(str(tmp_path), name) if is_beside else name)


def test_image_of_a_registry(stout, config):
    refused(stout("run", "-c", config("image: nginx:1.25\n"), env={"PATH": "/nowhere"}), 127, "nginx:1.25 is no file here", "skopeo")


def test_which_variable_wins(stout, compiled, config, tmp_path):
    """Each with all before it: the file's env_file, its env, the command line's --env-file, its -e."""
    compiled(PROGRAM)
    names = "ABCDEF"
    for number, file in enumerate(("first", "second", "third", "fourth")):
        (tmp_path / file).write_text("".join(f"{name}={file}\n" for name in names[number + (number > 1):]))
    path = config({"program": "program", "env_file": ["first", "second"], "env": {name: "env" for name in names[2:]}})
    records = manifest_of(dry(stout("run", "-c", path, "--dry-run", "-e", "F=line", "--env-file", str(tmp_path / "third"), "--env-file",
                                    str(tmp_path / "fourth"))))
    found = dict(record[4:].split("=") for record in records if record.startswith("env=") and record[4] in names and record[5] == "=")
    assert found == {"A": "first", "B": "second", "C": "env", "D": "third", "E": "fourth", "F": "line"}
