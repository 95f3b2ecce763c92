# SPDX-License-Identifier: MIT
"""stout run without a machine: what is packed, the QEMU command, and the sentences for bad input."""
import os
import re
import shlex
import shutil
import socket
import struct
import subprocess

import pytest
from conftest import processor_times

HELLO = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 7; }"


def dry(result):
    assert result.returncode == 0, result.stderr.decode()
    return shlex.split(result.stdout.decode())


def archive_of(command):
    return command[command.index("-initrd") + 1]


def listing(path):
    with open(path, "rb") as file:
        text = subprocess.run(["cpio", "-tv", "--quiet"], stdin=file, capture_output=True, text=True,
                              check=True).stdout
    return {line.split()[8]: line for line in text.splitlines()}


def content(path, name):
    with open(path, "rb") as file:
        return subprocess.run(["cpio", "-i", "--to-stdout", "--quiet", name], stdin=file,
                              capture_output=True, check=True).stdout


def manifest_of(command):
    records = content(archive_of(command), ".stout/manifest").split(b"\0")
    assert records[-1] == b""
    return [record.decode() for record in records[:-1]]


def refused(result, status, *words):
    text = result.stderr.decode()
    assert result.returncode == status, text
    assert text.startswith("stout: ") and text.count("\n") == 1, text
    assert result.stdout == b""
    for word in words:
        assert word in text, text


def test_packs_program_and_libraries(stout, compiled):
    program = compiled(HELLO)
    command = dry(stout("run", "--dry-run", program, "a b", ""))
    files = listing(archive_of(command))
    for name in (program[1:], "usr/lib/x86_64-linux-gnu/libc.so.6", "etc/ld.so.cache", "etc/passwd"):
        assert name in files
    assert files["tmp"].startswith("drwxrwxrwt")
    records = manifest_of(command)
    assert records[:5] == ["format=1", f"program={program}", f"arg={program}", "arg=a b", "arg="]
    assert "stdio=null,stream,stream" in records
    assert "net=static:10.0.2.15/24:10.0.2.2:10.0.2.3" in records
    assert "cwd=" + os.getcwd() in records


def test_second_start_uses_the_cache(stout, compiled):
    program = compiled(HELLO)
    first = archive_of(dry(stout("run", "--dry-run", program)))
    before = os.stat(first).st_ino
    assert archive_of(dry(stout("run", "--dry-run", program))) == first
    assert os.stat(first).st_ino == before
    os.utime(program, (1, 1))
    assert archive_of(dry(stout("run", "--dry-run", program))) != first


def test_environment(stout, compiled, tmp_path):
    env_file = tmp_path / "env"
    env_file.write_text("# comment\nA=1\nB=from file\n\nHOSTSECRET\n")
    command = dry(stout("run", "--dry-run", "--env-file", str(env_file), "-e", "B=x=y", "-e", "GIVEN",
                        compiled(HELLO), env={"GIVEN": "host", "OTHER": "no"}))
    env = [r[4:] for r in manifest_of(command) if r.startswith("env=")]
    assert "A=1" in env and "B=x=y" in env and "GIVEN=host" in env
    assert not any(e.startswith("OTHER") for e in env)
    assert "HOME=/root" in env


def test_machines(stout, compiled):
    program = compiled(HELLO)
    text = " ".join(dry(stout("run", "--dry-run", "-p", "8083:80", "-p", "5353:53/udp", program)))
    assert "microvm" in text and "virtio-net-device" in text
    assert "hostfwd=tcp:127.0.0.1:8083-10.0.2.15:80" in text
    assert "hostfwd=udp:127.0.0.1:5353-10.0.2.15:53" in text
    text = " ".join(dry(stout("run", "--dry-run", "--machine", "q35", "--cpus", "4", "-m", "1G", program)))
    assert "-M q35" in text and "virtio-net-pci" in text and "-smp 4" in text and "-m 1024M" in text
    assert "-bios qboot.rom" in text
    for more in (["--qemu-arg", "-device ahci"], ["--nic", "e1000"]):
        assert "qboot" not in " ".join(dry(stout("run", "--dry-run", "--machine", "q35", *more, program)))
    text = " ".join(dry(stout("run", "--dry-run", "--net", "none", program)))
    assert "netdev" not in text
    for machine in ([], ["--machine", "pc"]):
        text = " ".join(dry(stout("run", "--dry-run", "--nic", "e1000e", *machine, program)))
        assert f"-M {machine[1] if machine else 'q35'} " in text and "-device e1000e,netdev=n0,romfile=" in text


def test_addresses(stout, compiled):
    """Where --ip is given nothing waits for DHCP, and QEMU's user network is the one around it."""
    program = compiled(HELLO)

    def of(*words):
        command = dry(stout("run", "--dry-run", *words, program))
        net = next(record for record in manifest_of(command) if record.startswith("net="))
        return net.removeprefix("net="), " ".join(command)

    assert of()[0] == "static:10.0.2.15/24:10.0.2.2:10.0.2.3"
    archive = archive_of(dry(stout("run", "--dry-run", "--ip", "10.9.0.5/24", "--dns", "10.9.0.9", "--dns", "1.1.1.1", "--hostname", "web", program)))
    assert content(archive, "etc/resolv.conf") == b"nameserver 10.9.0.9\nnameserver 1.1.1.1\n"
    assert b"\n10.9.0.5 web\n" in content(archive, "etc/hosts")
    archive = archive_of(dry(stout("run", "--dry-run", "--net", "tap:tap0", "--hostname", "web", program)))
    assert "etc/resolv.conf" not in listing(archive)  # DHCP says it
    assert b"\n127.0.1.1 web\n" in content(archive, "etc/hosts")
    net, text = of("--ip", "192.168.7.1/24", "-p", "8083:80")
    assert net == "static:192.168.7.1/24:192.168.7.2:192.168.7.3"
    assert "user,id=n0,net=192.168.7.0/24,host=192.168.7.2,dns=192.168.7.3,dhcpstart=192.168.7.1,hostfwd=tcp:127.0.0.1:8083-192.168.7.1:80 " in text
    assert of("--ip", "10.9.0.5/28", "--gw", "10.9.0.1", "--dns", "10.9.0.9", "--dns", "1.1.1.1")[0] == "static:10.9.0.5/28:10.9.0.1:10.9.0.9,1.1.1.1"
    net, text = of("--net", "tap:tap0")
    assert net == "dhcp" and "tap,id=n0,ifname=tap0,script=no,downscript=no" in text and "netdev=n0,mac=52:54:00:" in text
    assert of("--net", "tap:tap0", "--ip", "172.16.0.2/30")[0] == "static:172.16.0.2/30"
    assert of("--net", "tap:tap0", "--ip", "172.16.0.2/30", "--dns", "9.9.9.9")[0] == "static:172.16.0.2/30::9.9.9.9"


@pytest.mark.parametrize("words, seen", [
    (["--net", "bridge"], "tap:INTERFACE"), (["--net", "tap:"], "tap:INTERFACE"), (["--net", "none", "--ip", "10.0.0.2/8"], "--net none"),
    (["--ip", "10.0.0.2"], "192.168.7.2/24"), (["--ip", "fe80::1/64"], "IPv4"), (["--ip", "10.0.0.0/8"], "no host's address"),
    (["--ip", "10.0.0.2/30"], "28 bits"), (["--gw", "10.0.0.1"], "--ip"), (["--ip", "10.0.0.2/24", "--gw", "10.0.1.1"], "neighbour"),
    (["--ip", "10.0.0.2/24", "--dns", "x"], "--dns x"), (["--net", "tap:tap0", "-p", "80"], "reachable"), (["--net", "tap:absent0"], "ip tuntap add dev absent0"),
    (["--net", "tap:lo"], "not a tap device"), (["--net", "tap:" + "a" * 20], "no network interface")])
def test_bad_networks(stout, compiled, words, seen):
    refused(stout("run", *words, compiled(HELLO)), 2, seen)


def test_emulated_jvm_takes_turns(stout, compiled, tmp_path):
    """QEMU runs torn code while another emulated processor changes it, as JVMs do."""
    jar = tmp_path / "x.jar"
    jar.write_bytes(b"PK")
    if shutil.which("java") is None:
        pytest.skip("no java")
    run = ["run", "--dry-run", "--accel", "tcg", "--cpus", "2"]
    for program in (["java"], [str(jar)], ["--add", "java", compiled(HELLO)]):
        assert "tcg,thread=single" in dry(stout(*run, *program))
    assert "tcg,thread=single" not in dry(stout(*run[:-1], "1", "java")) + dry(stout(*run, compiled(HELLO)))


def test_node_script_brings_its_package(stout, tmp_path):
    if subprocess.run(["which", "node"], capture_output=True, check=False).returncode:
        pytest.skip("no node")
    app = tmp_path / "app"
    (app / "node_modules/dep").mkdir(parents=True)
    (app / "lib").mkdir()
    (app / "server.js").write_text("require('./lib/x')\n")
    (app / "lib/x.js").write_text("\n")
    (app / "node_modules/dep/index.js").write_text("\n")
    (app / "package.json").write_text("{}")
    (app / ".env").write_text("SECRET=1\n")
    command = dry(stout("run", "--dry-run", "-p", "8083", str(app / "server.js"), "x"))
    files = listing(archive_of(command))
    base = str(app)[1:]
    for name in ("server.js", "lib/x.js", "node_modules/dep/index.js", "package.json"):
        assert f"{base}/{name}" in files
    assert f"{base}/.env" not in files
    records = manifest_of(command)
    assert [r for r in records if r.startswith("arg=")] == ["arg=node", f"arg={app}/server.js", "arg=x"]
    (app / "bin").mkdir()
    (app / "bin/www.js").write_text("require('../server')\n")  # as Express's generator lays it out, and npm itself
    (tmp_path / "links").mkdir()
    (tmp_path / "links/start.js").symlink_to("../app/bin/www.js")
    for script in (app / "bin/www.js", tmp_path / "links/start.js"):
        files = listing(archive_of(dry(stout("run", "--dry-run", str(script)))))
        assert {f"{base}/{name}" for name in ("bin/www.js", "server.js", "lib/x.js", "node_modules/dep/index.js")} <= set(files)


def test_python_script_brings_the_library_with_its_times(stout, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "main.py").write_text("print(1)\n")
    files = listing(archive_of(dry(stout("run", "--dry-run", str(app / "main.py")))))
    name = next(n for n in files if re.search(r"lib/python3\.\d+/os\.py$", n))
    assert any("lib-dynload" in n for n in files) and not any("/test/" in n for n in files)
    assert any("libssl" in n for n in files)  # what _ssl in lib-dynload needs
    source = "/" + name
    year = subprocess.run(["stat", "-c", "%y", source], capture_output=True, text=True, check=True).stdout[:4]
    assert year in files[name] or ":" in files[name]


def test_hashbang(stout, tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!/bin/sh -e\necho hi\n")
    script.chmod(0o755)
    command = dry(stout("run", "--dry-run", str(script), "x"))
    assert manifest_of(command)[1] == f"program={script}"
    assert "bin" in listing(archive_of(command))  # the link to usr/bin
    script.write_text("#!/usr/bin/env python3\nprint(1)\n")
    records = manifest_of(dry(stout("run", "--dry-run", str(script), "x")))
    assert records[1].startswith("program=/") and "python3" in records[1]
    script.write_text("#!/no/such/interpreter\n")
    refused(stout("run", "--dry-run", str(script)), 127, "/no/such/interpreter", "does not exist")
    script.write_text("#!/usr/bin/env nosuchtool\n")
    refused(stout("run", "--dry-run", str(script)), 127, "nosuchtool")
    script.write_text("#!\n")
    refused(stout("run", "--dry-run", str(script)), 126, "names no interpreter")


def test_interpreter_that_is_a_script(stout, tmp_path):
    """Linux follows such a chain, five steps deep; what each needs comes along."""
    names = [tmp_path / f"step{n}" for n in range(7)]
    for name, interpreter in zip(names, ["/bin/sh", *names]):
        name.write_text(f"#!{interpreter}\n")
        name.chmod(0o755)
    command = dry(stout("run", "--dry-run", str(names[4])))
    assert manifest_of(command)[1] == f"program={names[4]}"
    files = listing(archive_of(command))
    assert {str(name)[1:] for name in names[:5]} <= set(files) and any("/ld-linux" in name for name in files)
    refused(stout("run", "--dry-run", str(names[6])), 126, "more than 5 times")


def test_added_script_brings_its_interpreter(stout, compiled, tmp_path):
    script = tmp_path / "tool"
    script.write_text("#!/usr/bin/env -S python3 -u\nprint(1)\n")
    files = listing(archive_of(dry(stout("run", "--dry-run", "--add", str(script), compiled(HELLO)))))
    assert "usr/bin/env" in files and any(name.endswith("/encodings/__init__.py") for name in files)
    script.write_text("#!/no/such/interpreter\n")
    result = stout("run", "--verbose", "--dry-run", "--add", str(script), compiled(HELLO))
    assert result.returncode == 0 and b"/no/such/interpreter" in result.stderr


def test_add(stout, compiled, tmp_path):
    folder = tmp_path / "data"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub/file").write_text("x")
    (folder / "link").symlink_to("sub/file")
    command = dry(stout("run", "--dry-run", "--add", f"{folder}:/srv", "--add", "/bin/ls",
                        "--add", f"{folder}/sub/file:/etc/passwd", compiled(HELLO)))
    files = listing(archive_of(command))
    assert "srv/sub/file" in files and "srv/link" in files and "usr/bin/ls" in files
    assert any("libselinux" in name for name in files)
    assert content(archive_of(command), "etc/passwd") == b"x"
    part = compiled(HELLO, "-c", name="part")  # a compiler in the machine wants object files: they are data
    assert "srv/part.o" in listing(archive_of(dry(stout("run", "--dry-run", "--add", f"{part}:/srv/part.o",
                                                        compiled(HELLO)))))
    refused(stout("run", "--dry-run", "--add", "/no/where", compiled(HELLO)), 127, "/no/where")


def test_add_command(stout, compiled, tmp_path):
    """A bare name is a command; a server brings its files, and what the user adds in their place wins."""
    if not os.path.exists("/usr/sbin/nginx"):
        pytest.skip("no nginx")
    (tmp_path / "nginx.conf").write_text("mine")
    archive = archive_of(dry(stout("run", "--dry-run", "--add", f"{tmp_path}/nginx.conf:/etc/nginx/nginx.conf", "--add",
                                   "nginx", "--add", "sleep", compiled(HELLO))))
    files = listing(archive)
    for name in ("usr/sbin/nginx", "etc/nginx/mime.types", "usr/bin/sleep", "var/lib/nginx", "var/log/nginx"):
        assert name in files
    assert content(archive, "etc/nginx/nginx.conf") == b"mine"
    refused(stout("run", "--dry-run", "--add", "nosuchcommand", compiled(HELLO)), 127, "nosuchcommand")


def test_server_brings_its_files_and_user(stout):
    if not os.path.exists("/usr/lib/postgresql/15/bin/postgres"):
        pytest.skip("no PostgreSQL 15")
    archive = archive_of(dry(stout("run", "--dry-run", "/usr/lib/postgresql/15/bin/postgres")))
    files = listing(archive)
    for name in ("usr/share/postgresql/15/postgres.bki", "usr/lib/postgresql/15/bin/initdb", "run/postgresql",
                 "usr/lib/postgresql/15/lib/plpgsql.so", "usr/bin/dash", "usr/share/zoneinfo/UTC"):
        assert name in files
    assert not any("libLLVM" in name for name in files)
    assert b"\npostgres:x:" in content(archive, "etc/passwd")


def test_root(stout, compiled, tmp_path):
    root = tmp_path / "root"
    (root / "bin").mkdir(parents=True)
    program = compiled(HELLO, "-static")
    os.rename(program, root / "bin/hello")
    command = dry(stout("run", "--dry-run", "--root", str(root), "hello", "x"))
    assert manifest_of(command)[1] == "program=/bin/hello"
    assert "cwd=/" in manifest_of(command)
    files = listing(archive_of(command))
    assert "bin/hello" in files and "etc/resolv.conf" in files
    refused(stout("run", "--dry-run", "--root", str(root), "nothing"), 127, "/bin/nothing")
    refused(stout("run", "--dry-run", "--root", "/no/where", "x"), 2, "/no/where")


def test_programs_that_cannot_run(stout, compiled, tmp_path):
    refused(stout("run", "/no/such/program"), 127, "/no/such/program does not exist")
    refused(stout("run", "no-such-command"), 127, "no-such-command")
    refused(stout("run", str(tmp_path)), 126, "is a folder")
    refused(stout("run", "/dev/null"), 126, "/dev/null is a device")
    text = tmp_path / "text"
    text.write_text("just words\n")
    refused(stout("run", str(text)), 126, "not an ELF program")
    text.write_bytes(b"")
    refused(stout("run", str(text)), 126, "empty file")
    text.write_bytes(b"MZ\x90")
    refused(stout("run", str(text)), 126, "Windows")
    program = compiled(HELLO)
    os.chmod(program, 0o644)
    refused(stout("run", program), 126, "chmod +x")
    with open(program, "r+b") as file:
        file.seek(18)
        file.write(struct.pack("<H", 183))
    os.chmod(program, 0o755)
    refused(stout("run", program), 126, "ARM 64", "x86-64")


def test_missing_dynamic_loader(stout, compiled):
    program = compiled(HELLO, "-Wl,--dynamic-linker=/lib/ld-nothing.so.9")
    refused(stout("run", program), 126, "/lib/ld-nothing.so.9")


def test_script_without_its_interpreter(stout, tmp_path):
    script = tmp_path / "x.rb"
    script.write_text("puts 1\n")
    refused(stout("run", str(script), env={"PATH": "/nonexistent"}), 127, "ruby", "apt-get install")


def test_port_taken(stout, compiled):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen(1)
        port = other.getsockname()[1]
        refused(stout("run", "-p", f"{port}:80", compiled(HELLO)), 125, f"Port {port}", "taken")


@pytest.mark.parametrize("args, words", [
    (["-p", "80:"], "-p 80:"), (["-p", "0:1"], "-p 0:1"), (["-p", "1:70000"], "70000"),
    (["-p", "1:2/sctp"], "sctp"), (["-m", "lots"], "-m lots"), (["-m", "0"], "-m 0"),
    (["--cpus", "0"], "--cpus 0"), (["-e", "=x"], "-e =x"), (["--workdir", "rel"], "--workdir rel"),
    (["--user", "nobodyknows"], "nobodyknows"), (["--net", "none", "-p", "1:1"], "network"),
    (["--env-file", "/no/env"], "/no/env"), (["--boot", "mb2", "--machine", "microvm"], "q35"),
    (["--nic", "e1000", "--machine", "microvm"], "q35"), (["--count-calls", "-"], "name a file"),
    (["-p", "localhost:8080:80"], "localhost is not an IPv4 address"), (["-p", ":8080:80"], "127.0.0.1:8080:80"),
    (["-p", "127.0.0.1,x=y:8080:80"], "is not an IPv4 address"), (["-p", "²:80"], "-p ²:80"), (["-p", "8" * 5000], "from 1 to 65535"),
    (["-m", "²"], "-m ²"), (["-u", "²"], "no user ²"), (["-u", "0:²"], "no group ²"),
    (["--hostname", "a b"], "--hostname 'a b' cannot be"), (["--hostname", "a\n1.2.3.4 b"], "cannot be a host's name"), (["--hostname", "-a"], "not '-'"),
    (["--qemu-arg", "-name 'x"], "--qemu-arg -name 'x: a quote is not closed"), (["--qemu-arg", "x\\"], "nothing follows"),
])
def test_wrong_usage(stout, compiled, args, words):
    refused(stout("run", "--dry-run", *args, compiled(HELLO)), 2, words)


def test_too_little_memory(stout, compiled):
    refused(stout("run", "-m", "4M", compiled(HELLO)), 125, "4.0 MiB", "at least")


def test_long_arguments(stout, compiled, tmp_path):
    env_file = tmp_path / "env"
    env_file.write_text("A=" + "x" * 131000)
    assert stout("run", "--dry-run", "--env-file", str(env_file), compiled(HELLO)).returncode == 0
    env_file.write_text("A=" + "x" * 131072)
    refused(stout("run", "--dry-run", "--env-file", str(env_file), compiled(HELLO)), 2, "too long")
    env_file.write_text("".join(f"V{i}={'x' * 100000}\n" for i in range(22)))
    refused(stout("run", "--dry-run", "--env-file", str(env_file), compiled(HELLO)), 2,
            "argument list is too long")


def test_kvm_unusable_is_said(stout, compiled):
    from stout_tool.qemu import kvm_problem
    if kvm_problem() is None:
        pytest.skip("KVM works here")
    refused(stout("run", "--accel", "kvm", compiled(HELLO)), 125, "KVM cannot be used")


def test_fast(stout, compiled):
    """In starts of a bare interpreter: 6 to 10."""
    program = compiled(HELLO)
    stout("run", "--dry-run", program)
    ours, bare = processor_times(lambda: stout("run", "--dry-run", program), rounds=5)
    assert ours < 20 * bare, (ours, bare)


def test_unknown_trace_class(stout, compiled):
    refused(stout("run", "--trace", "syscalls,steps", compiled(HELLO)), 2, "--trace", "steps", "syscalls, signals, all")
