# SPDX-License-Identifier: MIT
"""The store of packages: from-dir, list, describe, contents, remove, load, and what may not be loaded."""
import json
import os
import random
import resource
import subprocess
import time

import pytest
from conftest import TOP
from test_run import archive_of, content, dry, listing, manifest_of, refused

PROGRAM = "int main(void) { return 0; }"


@pytest.fixture
def folder(tmp_path, compiled):
    """A folder with one program, a data file and a link."""
    path = tmp_path / "app"
    (path / "bin").mkdir(parents=True)
    os.rename(compiled(PROGRAM), path / "bin/server")
    (path / "etc").mkdir()
    (path / "etc/conf").write_text("x = 1\n")
    (path / "etc/conf").chmod(0o640)
    (path / "conf").symlink_to("etc/conf")
    return path


@pytest.fixture
def made(stout, home, folder):
    """The package `app` in the store."""
    result = stout("pkg", "from-dir", str(folder), "--program", "server", "-a", "--quiet", "-e", "MODE=a b", "-w", "/srv", "-p", "80")
    assert result.returncode == 0, result.stderr.decode()
    return home / "packages/app"


def test_from_dir_list_describe_contents_remove(stout, made):
    manifest = json.loads((made / "package.json").read_text())
    assert (manifest["format"], manifest["program"], manifest["args"]) == (1, "/bin/server", ["--quiet"])
    assert manifest["env"] == {"MODE": "a b"} and manifest["ports"] == ["80"] and manifest["architecture"] == "x86_64"
    assert manifest["files"]["/conf"] == {"type": "link", "target": "etc/conf"}
    assert manifest["files"]["/etc/conf"]["mode"] == "0640" and len(manifest["files"]["/etc/conf"]["sha256"]) == 64
    assert "/lib64/ld-linux-x86-64.so.2" in manifest["files"]  # the program's libraries are this host's
    (summary,) = json.loads(stout("pkg", "list", "--json").stdout)
    assert summary["name"] == "app" and "files" not in summary
    assert b"app" in stout("pkg", "list").stdout
    text = stout("pkg", "describe", "app").stdout.decode()
    assert "/bin/server --quiet" in text and "MODE=a b" in text
    assert json.loads(stout("pkg", "describe", "app", "--json").stdout)["digest"] == (made / "digest").read_text().strip()
    assert stout("pkg", "contents", "app", "/etc/*").stdout.decode().split() == ["-rw-r-----", "0:0", "6", "/etc/conf"]
    paths = [entry["path"] for entry in json.loads(stout("pkg", "contents", "app", "--json").stdout)]
    assert paths == sorted(manifest["files"])
    assert json.loads(stout("pkg", "remove", "app", "--json").stdout) == [{"name": "app"}]
    assert not made.exists() and json.loads(stout("pkg", "list", "--json").stdout) == []
    refused(stout("pkg", "remove", "app"), 127, "no package app")


def test_which_program(stout, home, folder):
    """The only one, at the top or where programs are; as it is named, with one slash before it."""
    words = ("pkg", "from-dir", str(folder), "--force", "--json")
    assert json.loads(stout(*words).stdout)["program"] == "/bin/server"
    for name in ("server", "bin/server", "/bin/server", "//bin//server"):
        assert json.loads(stout(*words, "--program", name).stdout)["program"] == "/bin/server", name
    (folder / "other").write_text("#!/bin/server\n")
    (folder / "other").chmod(0o755)
    refused(stout(*words), 2, "Which program", "--program")


def test_load(stout, made, tmp_path):
    (tmp_path / "own.txt").write_text("mine")
    command = dry(stout("pkg", "load", "app", "-p", "8431:80", "-a", "own.txt", "--dry-run", "-a", "-v", "-e", "MORE=1", cwd=tmp_path))
    records, archive = manifest_of(command), archive_of(command)
    own = f"{tmp_path}/own.txt"
    assert records[1:6] == ["program=/bin/server", "arg=/bin/server", "arg=--quiet", f"arg={own}", "arg=-v"]
    for record in ("env=MODE=a b", "env=MORE=1", "cwd=/srv"):
        assert record in records
    files = listing(archive)
    assert files["etc/conf"].startswith("-rw-r-----") and files["conf"].startswith("lrwxrwxrwx")
    assert content(archive, own[1:]) == b"mine"
    assert "hostfwd=tcp:127.0.0.1:8431-10.0.2.15:80" in " ".join(command)


def test_run_with_a_package(stout, made, tmp_path):
    command = dry(stout("run", "--package", "app", "--dry-run", "word"))
    assert "arg=word" in manifest_of(command)
    assert "arg=--quiet" not in manifest_of(dry(stout("run", "--package", "app", "--entrypoint", "/bin/server", "--dry-run", "word")))
    config = tmp_path / "app.yaml"
    config.write_text("package: app\nargs: [a, b]\nworkdir: /etc\n")
    records = manifest_of(dry(stout("run", "--dry-run", "-c", str(config))))
    assert records[2:6] == ["arg=/bin/server", "arg=--quiet", "arg=a", "arg=b"] and "cwd=/etc" in records
    refused(stout("run", "--package", "app", "--root", "/", "x"), 2, "--root", "--package")
    refused(stout("run", "--entrypoint", "x", "y"), 2, "--package")
    refused(stout("run", "--package", "ap", "x"), 127, "did you mean app?")
    refused(stout("run", "--package", "app", "--entrypoint", "nothing"), 127, "not in the package app")


def test_build_with_a_package(stout, made, kernel, tmp_path):
    for words, name in ((["--package", "app"], "app.raw"), (["--package", "app", "--entrypoint", "server", "-o", "x.raw"], "x.raw")):
        result = stout("build", "-t", "raw", "--kernel", kernel, *words, cwd=tmp_path)
        assert (result.returncode, result.stdout) == (0, f"{tmp_path / name}\n".encode()), result.stderr
        assert (tmp_path / name).stat().st_size > 1 << 20


def test_load_reads_the_package_and_not_the_host(stout, made):
    """An argument that names a file of the package stays what it is, also if this host has one of that name."""
    command = dry(stout("pkg", "load", "app", "-a", "/etc/conf", "--dry-run"))
    assert content(archive_of(command), "etc/conf") == b"x = 1\n"


@pytest.mark.parametrize("key", ["program: other", "Program: other", "image: other.tar", "package: other"])
def test_load_says_what_it_does_not_use(stout, made, tmp_path, key):
    """The package says what it runs, and which it is the command line."""
    config = tmp_path / "app.yaml"
    config.write_text(f"{key}\nargs: [word]\n")
    result = stout("pkg", "load", "app", "--dry-run", "-c", str(config))
    assert result.returncode == 0 and "arg=word" in manifest_of(dry(result))
    assert f"stout: {config}: stout pkg load does not use {key.partition(':')[0].lower()}.\n".encode() in result.stderr
    config.write_text("package: app\n")
    assert b"does not use" not in stout("pkg", "load", "app", "--dry-run", "-c", str(config)).stderr


@pytest.mark.parametrize("change, words", [
    (lambda p: (p / "root/etc/conf").write_text("x = 2\n"), ("/etc/conf", "changed")),
    (lambda p: (p / "root/etc/conf").unlink(), ("/etc/conf", "missing")),
    (lambda p: ((p / "root/conf").unlink(), (p / "root/conf").symlink_to("/etc/shadow")), ("/conf", "changed")),
    (lambda p: edit(p, "x86_64", "arm64x"), ("manifest was changed",)),
    (lambda p: (p / "package.json").write_text("{"), ("not JSON",)),
    (lambda p: (p / "package.json").write_text("[]"), ("no format",)),
    (lambda p: edit(p, '"format": 1', '"format": 9'), ("format 9", "update stout")),
    (lambda p: sign(p, '"/etc/conf"', '"/etc/../../conf"'), ("makes no sense",)),
    (lambda p: sign(p, '"--quiet"', "7"), ("makes no sense",)),
    (lambda p: sign(p, '"x86_64"', '"aarch64"'), ("aarch64", "x86_64")),
    (lambda p: (p / "digest").unlink(), ("cannot be read",)),
])
def test_changed_packages_are_refused(stout, made, change, words):
    dry(stout("pkg", "load", "app", "--dry-run"))  # what has been checked once is remembered; a change is seen
    change(made)
    result = stout("pkg", "load", "app", "--dry-run")
    refused(result, 126 if "aarch64" in words else 125, "app", *words)


def test_a_change_with_the_old_time_is_seen(stout, made):
    path = made / "root/etc/conf"
    dry(stout("pkg", "load", "app", "--dry-run"))
    before = os.stat(path)
    path.write_text("x = 2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    refused(stout("pkg", "load", "app", "--dry-run"), 125, "/etc/conf", "changed")


def edit(package, old, new):
    text = (package / "package.json").read_text()
    assert old in text
    (package / "package.json").write_text(text.replace(old, new))


def sign(package, old, new):
    """A change by somebody who knows how the digest is made."""
    import hashlib
    edit(package, old, new)
    (package / "digest").write_text(hashlib.sha256((package / "package.json").read_bytes()).hexdigest())


def test_store_from_a_newer_version(stout, made, home):
    (home / "format").write_text("2\n")
    for words in (("list",), ("load", "app"), ("remove", "app"), ("describe", "app")):
        refused(stout("pkg", *words), 125, "format 2", "update stout", str(home))
    (home / "format").write_text("what\n")
    refused(stout("pkg", "list"), 125, "STOUT_HOME")


def test_places_of_the_store(stout, folder, tmp_path, monkeypatch):
    monkeypatch.delenv("STOUT_HOME", raising=False)
    for variables, place in (({"XDG_DATA_HOME": str(tmp_path / "data"), "HOME": "/nonexistent"}, tmp_path / "data/stout"),
                             ({"XDG_DATA_HOME": "relative", "HOME": str(tmp_path)}, tmp_path / ".local/share/stout")):
        assert stout("pkg", "from-dir", str(folder), "--program", "server", env=variables).returncode == 0
        assert (place / "packages/app/package.json").exists()


def test_bad_input(stout, made, folder, home, tmp_path):
    refused(stout("pkg", "from-dir", str(tmp_path / "none")), 2, "not a folder")
    refused(stout("pkg", "from-dir", str(folder / "etc")), 2, "--program")
    refused(stout("pkg", "from-dir", str(folder), "--program", "nothing"), 127, "nothing is not in")
    refused(stout("pkg", "from-dir", str(folder), "--program", "server"), 2, "exists already", "--force")
    refused(stout("pkg", "from-dir", str(folder), "--program", "server", "-n", "../x"), 2, "'../x'", "name")
    for command in ("describe", "contents", "load"):
        refused(stout("pkg", command, "absent"), 127, "no package absent")
        refused(stout("pkg", command, ".."), 2, "name")
    assert os.listdir(home / "new") == []


def test_replaced_in_one_step(stout, made, folder, home):
    (folder / "etc/conf").write_text("x = 3\n")
    assert stout("pkg", "from-dir", str(folder), "--program", "server", "--force").returncode == 0
    assert (made / "root/etc/conf").read_text() == "x = 3\n" and os.listdir(home / "new") == []
    assert "program=/bin/server" in manifest_of(dry(stout("pkg", "load", "app", "--dry-run")))


def test_secrets_stay_out(stout, home, folder):
    (folder / ".git").mkdir()
    (folder / ".git/config").write_text("url = https://token@host\n")
    (folder / ".env").write_text("KEY=1\n")
    (folder / "key.pem").write_text("-----BEGIN EC PRIVATE KEY-----\n")
    (folder / "cert.pem").write_text("-----BEGIN CERTIFICATE-----\n")
    result = stout("pkg", "from-dir", str(folder), "--program", "server")
    text = result.stderr.decode()
    assert ".git" in text and ".env" in text and "key.pem" in text and "cert.pem" not in text and "--secrets" in text
    names = os.listdir(home / "packages/app/root")
    assert "cert.pem" in names and not {".git", ".env", "key.pem"} & set(names)
    result = stout("pkg", "from-dir", str(folder), "--program", "server", "--secrets", "--force")
    assert result.stderr == b"" and {".git", ".env", "key.pem"} <= set(os.listdir(home / "packages/app/root"))


def test_secrets_stay_out_of_an_image(stout, compiled, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    for name in (".env", "page"):
        (site / name).write_text("x")
    add = ["--add", f"{site}:/srv"]
    result = stout("run", "--dry-run", *add, compiled(PROGRAM))
    assert b"left out" in result.stderr and b".env" in result.stderr
    assert "srv/page" in listing(archive_of(dry(result))) and "srv/.env" not in listing(archive_of(dry(result)))
    assert "srv/.env" in listing(archive_of(dry(stout("run", "--dry-run", "--secrets", *add, compiled(PROGRAM)))))
    named = dry(stout("run", "--dry-run", *add, "--add", f"{site}/.env:/srv/.env", compiled(PROGRAM)))
    assert "srv/.env" in listing(archive_of(named))


def make(folder, home, name="app", **more):
    return subprocess.Popen(["/usr/bin/python3", "-m", "stout_tool", "pkg", "from-dir", str(folder), "--program", "server", "-n", name],
                            env=dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), STOUT_HOME=str(home)),
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)


def test_two_at_once(home, folder):
    """One makes the package, the other is told that it exists; a third of another name is not in their way."""
    processes = [make(folder, home), make(folder, home), make(folder, home, "other")]
    results = [(process.communicate()[1], process.returncode) for process in processes]
    assert sorted(status for _, status in results[:2]) == [0, 2] and results[2][1] == 0
    assert os.listdir(home / "new") == [] and sorted(os.listdir(home / "packages")) == ["app", "other"]


def test_disk_full(home, folder):
    with open(folder / "large", "wb") as file:
        file.truncate(8 << 20)
    process = make(folder, home, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20)))
    text = process.communicate()[1].decode()
    assert process.returncode == 125 and "nothing was left behind" in text and text.count("\n") == 1
    assert os.listdir(home / "new") == [] and os.listdir(home / "packages") == []


def test_a_folder_in_it_that_may_not_be_read(folder, tmp_path, monkeypatch):
    from stout_tool.errors import StoutError
    from stout_tool.packages.manifest import Manifest
    from stout_tool.packages.writer import PackageWriter

    def scandir(path, real=os.scandir):
        if path == str(folder / "etc"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)  # root may read all
    (tmp_path / "package").mkdir()
    with pytest.raises(StoutError, match=f"{folder}/etc cannot be read: permission denied; run stout as a user"):
        PackageWriter(str(tmp_path / "package"), Manifest("app")).add_folder(str(folder))


@pytest.mark.parametrize("number, status", [(2, 130), (15, 143), (9, -9)])
def test_interrupted(stout, home, folder, number, status):
    """Whatever ends the work: no half package, and the next command clears away what a kill left."""
    os.mkfifo(folder / "etc/pipe")  # not taken
    with open(folder / "large", "wb") as file:
        file.truncate(4 << 30)  # takes long
    process = make(folder, home)
    deadline = time.monotonic() + 30
    while not list(home.glob("new/*/package/root/large")):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    assert b"Traceback" not in process.communicate()[1]
    assert process.returncode == status and os.listdir(home / "packages") == []
    if number != 9:
        assert os.listdir(home / "new") == []
    os.unlink(folder / "large")
    assert stout("pkg", "from-dir", str(folder), "--program", "server").returncode == 0
    assert os.listdir(home / "new") == []


def test_starts_quickly(stout, monkeypatch):
    """What is imported takes most of the time, of which hosts differ: so it is counted."""
    monkeypatch.setenv("PYTHONPROFILEIMPORTTIME", "1")
    lines = stout("pkg", "list").stderr.decode().splitlines()
    names = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert "stout_tool.packages.commands" in names and len(names) < 150, len(names)
    assert not names & {"asyncio", "http.client", "jsonschema", "socket", "ssl", "subprocess", "tarfile", "yaml"}


def test_add_a_package_of_a_store(stout, made, tmp_path):
    """As an archive of the folder in the store: the same files, owners, modes; a changed one is refused."""
    before = json.loads(stout("pkg", "contents", "app", "--json").stdout)
    archive = tmp_path / "app.tar.gz"
    subprocess.run(["tar", "-C", str(made.parent), "-czf", str(archive), "app"], check=True)
    refused(stout("pkg", "add", str(archive)), 2, "app", "--force")
    refused(stout("pkg", "add", str(archive), "-n", "x", "--program", "y"), 2, "--program")
    assert stout("pkg", "add", str(archive), "-n", "copy").returncode == 0
    assert json.loads(stout("pkg", "contents", "copy", "--json").stdout) == before
    summary = json.loads(stout("pkg", "describe", "copy", "--json").stdout)
    assert (summary["program"], summary["args"], summary["env"]) == ("/bin/server", ["--quiet"], {"MODE": "a b"})
    assert stout("pkg", "add", str(made), "-n", "from-folder").returncode == 0
    (made / "root/etc/conf").write_text("x = 2\n")
    refused(stout("pkg", "add", str(made), "-n", "changed"), 125, "/etc/conf", "changed")
    assert "changed" not in stout("pkg", "list").stdout.decode()


def test_add_files(stout, home, folder, tmp_path):
    archive = tmp_path / "plain.tar.xz"
    subprocess.run(["tar", "-C", str(folder), "-cJf", str(archive), "."], check=True)
    (made,) = [json.loads(stout("pkg", "add", str(archive), "--program", "server", "-a", "x", "--json").stdout)]
    assert (made["name"], made["program"], made["args"]) == ("plain", "/bin/server", ["x"])
    assert stout("pkg", "add", str(folder), "--program", "server").returncode == 0
    refused(stout("pkg", "add", str(tmp_path / "none")), 127, "none", "does not exist")
    archive.write_bytes(archive.read_bytes()[:200])
    refused(stout("pkg", "add", str(archive)), 126, "not a whole tar archive")


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz"])
def test_add_a_damaged_archive(stout, home, folder, tmp_path, kind):
    """What the tar archive itself does not tell: the checksum at the end, and what lies between the files' bytes."""
    (folder / "noise").write_bytes(random.Random(1).randbytes(200000))
    archive = tmp_path / f"app.tar.{kind}"
    subprocess.run(["tar", "-C", str(folder), "-caf", str(archive), "."], check=True)
    whole = archive.read_bytes()
    half = len(whole) // 2
    for data in (whole[:half] + bytes(64) + whole[half + 64:], whole[:-6], whole[:-1], whole[:half], whole[:-8] + bytes(8)):
        archive.write_bytes(data)
        refused(stout("pkg", "add", str(archive), "--program", "server"), 126, "not a whole tar archive")
        assert json.loads(stout("pkg", "list", "--json").stdout) == []
    archive.write_bytes(whole)
    assert stout("pkg", "add", str(archive), "--program", "server").returncode == 0


def test_add_a_package_of_ops(stout, home, folder, tmp_path):
    package = tmp_path / "tool_1.2"
    (package / "sysroot/etc").mkdir(parents=True)
    (package / "sysroot/etc/tool.conf").write_text("y")
    os.rename(folder / "bin/server", package / "tool")
    (package / "package.manifest").write_text(json.dumps({"Program": "tool_1.2/tool", "Args": ["tool", "--serve"], "Env": {"A": "1"}, "Version": "1.2"}))
    made = json.loads(stout("pkg", "add", str(package), "--json").stdout)
    assert (made["name"], made["program"], made["args"], made["env"]) == ("tool_1.2", "/tool_1.2/tool", ["--serve"], {"A": "1"})
    records = manifest_of(dry(stout("pkg", "load", "tool_1.2", "--dry-run")))
    assert "program=/tool_1.2/tool" in records and "arg=--serve" in records
    (package / "package.manifest").write_text("[]")
    refused(stout("pkg", "add", str(package)), 126, "package.manifest", "Program")


def test_add_refuses_what_leaves_the_folder(stout, home, tmp_path):
    import io
    import tarfile
    for name, link in (("../out", None), ("a/b", "/etc")):
        with tarfile.open(tmp_path / "bad.tar", "w") as tar:
            if link:
                first = tarfile.TarInfo("a")
                first.type, first.linkname = tarfile.SYMTYPE, link
                tar.addfile(first)
            member = tarfile.TarInfo(name)
            member.size = 1
            tar.addfile(member, io.BytesIO(b"x"))
        refused(stout("pkg", "add", str(tmp_path / "bad.tar"), "--program", "x"), 126, "refused")
    with tarfile.open(tmp_path / "bad.tar", "w") as tar:
        disk = tarfile.TarInfo("dev/sda")
        disk.type, disk.devmajor, disk.devminor = tarfile.BLKTYPE, 8, 0
        tar.addfile(disk)
    refused(stout("pkg", "add", str(tmp_path / "bad.tar"), "--program", "x"), 126, "dev/sda")


def test_terminated_while_removing(home):
    """A signal during the removal of what is half made waits for its end, and is not forgotten."""
    code = """if True:
        import os, shutil, signal
        from stout_tool.packages.store import Store
        remove = shutil.rmtree

        def interrupted(path, **more):
            os.kill(os.getpid(), signal.SIGTERM)
            remove(path, **more)

        with Store()._workplace() as place:
            open(place + "/file", "w").close()
            shutil.rmtree = interrupted
    """
    result = subprocess.run(["/usr/bin/python3", "-c", code], env=dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts")),
                            capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr, os.listdir(home / "new")) == (143, "", [])


def test_terminated_add_leaves_nothing(home, folder, tmp_path):
    """Whatever it was doing when SIGTERM came: unpacking, copying, or done."""
    import signal
    archive, scratch = tmp_path / "big.tar", tmp_path / "scratch"
    scratch.mkdir()
    for number in range(300):
        (folder / f"file{number}").write_bytes(os.urandom(20000))
    subprocess.run(["tar", "-C", str(folder), "-cf", str(archive), "."], check=True)
    for delay in (0.15, 0.25, 0.4):
        process = subprocess.Popen(["/usr/bin/python3", "-m", "stout_tool", "pkg", "add", "-f", str(archive), "--program", "server"],
                                   env=dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), TMPDIR=str(scratch)), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=30)[1]
        assert process.returncode in (0, 143, -15) and errors == "", errors
        if process.returncode != -15:  # which is the tool before it began
            assert os.listdir(scratch) == []
            assert not (home / "new").exists() or os.listdir(home / "new") == []


def test_what_looks_secret(tmp_path):
    from stout_tool.private import looks_secret
    for name in (".env", "prod.env", ".vault-token", "host.keytab", "terraform.tfstate", "id_ed25519_sk", "office.ovpn", "bash_history"):
        assert looks_secret(str(tmp_path / name), False), name
    for name in (".env.example", "environment", "state.tf", "id_card.png", "README"):
        assert not looks_secret(str(tmp_path / name), False), name
    for name, text in (("server.key", "-----BEGIN PRIVATE KEY-----"), ("chain.pem", "-----BEGIN CERTIFICATE-----")):
        (tmp_path / name).write_text(text)
        assert looks_secret(str(tmp_path / name), False) == ("PRIVATE" in text)
