# SPDX-License-Identifier: MIT
"""Folders of this host in a machine (stout run -v): served, edited meanwhile, built in, and kept by git."""
import concurrent.futures
import os
import subprocess
import threading
import time

import pytest
from conftest import add, need
from shell import Shell
from test_languages import TOOLS, compiler

SERVER = """
const fs = require('fs');
require('http').createServer((request, response) => {
    try {
        response.end(fs.readFileSync('/site' + request.url));
    } catch (error) {
        response.statusCode = error.code == 'ENOENT' ? 404 : 500;
        response.end(error.code);
    }
}).listen(8080);
"""
NGINX = """daemon off; master_process off; user root; error_log stderr; pid /run/nginx.pid;
events {}
http { access_log off; sendfile on; server { listen 8080; root /site; } }
"""
MAKEFILE = """all: out.txt
out.txt: part.txt
\tcat part.txt part.txt > out.txt
part.txt: source.txt
\tcat source.txt > part.txt
"""
MAPPER = """
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
int main(void)
{
    char *map = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, open("/site/map", O_RDWR), 0);
    memcpy(map + 4094, "left", 4);
    return map[0] == 'a' ? 0 : 1; /* and nothing is synchronised */
}
"""
APPENDER = """
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
int main(void)
{
    int fd = open("/site/log", O_WRONLY | O_APPEND);
    char line[32];
    for (int i = 0; i < 300; i++) {
        int len = snprintf(line, sizeof line, "guest %d\\n", i);
        if (write(fd, line, len) != len)
            return 1;
    }
    return 0;
}
"""


FILLER = """
#include <fcntl.h>
#include <sys/mman.h>
#define PAGES (64 << 8)
int main(void)
{
    int (*map)[1024] = mmap(0, PAGES * 4096L, PROT_READ | PROT_WRITE, MAP_SHARED, open("/site/map", O_RDWR), 0);
    for (int i = 0; i < PAGES; i++)
        map[i][0] = i + 1;
    for (int i = 0; i < PAGES; i++)
        if (map[i][0] != i + 1)
            return 1;
    return 0;
}
"""


def replace(path, text):
    """As editors save: another file takes the name."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


@pytest.fixture
def site(tmp_path):
    path = tmp_path / "site"
    path.mkdir()
    (path / "page").write_text("first")
    (path / "big").write_bytes(os.urandom(1 << 20))
    return path


def check_edits(vm, site):
    assert vm.wait_for_http("/page") == (200, b"first")
    assert vm.get("/big") == (200, (site / "big").read_bytes())
    (site / "page").write_text("written over")
    assert vm.get("/page") == (200, b"written over")
    replace(site / "page", "replaced")
    assert vm.get("/page") == (200, b"replaced")
    assert vm.get("/later")[0] == 404
    (site / "later").write_text("made")
    assert vm.get("/later") == (200, b"made")
    (site / "later").unlink()
    assert vm.get("/later")[0] == 404


def test_node_serves_a_folder(machine, site, tmp_path):
    script = tmp_path / "server.js"
    script.write_text(SERVER)
    vm = machine(need("node"), str(script), guest_port=8080, timeout=200, options=["-v", f"{site}:/site:ro"])
    check_edits(vm, site)


def test_nginx_serves_a_folder(machine, site, tmp_path):
    path = "/usr/sbin/nginx"
    if not os.path.exists(path):
        pytest.skip("no nginx")
    (tmp_path / "nginx.conf").write_text(NGINX)
    (tmp_path / "lib").mkdir()
    vm = machine(path, "-c", "/etc/nginx/nginx.conf", guest_port=8080, timeout=200, options=[
        "-v", f"{site}:/site:ro", "--add", f"{tmp_path}/nginx.conf:/etc/nginx/nginx.conf", "--add",
        f"{tmp_path}/lib:/var/lib/nginx", "--add", f"{tmp_path}/lib:/var/log/nginx"])
    check_edits(vm, site)


def test_git_and_make(tmp_path):
    repo, fixed = tmp_path / "repo", tmp_path / "fixed"
    repo.mkdir()
    fixed.mkdir()
    (fixed / "file").write_text("stays")
    for name, text in (("Makefile", MAKEFILE), ("source.txt", "line\n")):
        (repo / name).write_text(text)
    vm = Shell(programs=[need("git"), need("make")], tools=["sh"], timeout=300, options=[
        "-v", f"{repo}:/repo", "-v", f"{fixed}:/fixed:ro", "-e", "HOME=/tmp"])
    try:
        vm.sh("cd /repo; git config --global user.name Tester; git config --global user.email t@example.org; "
              "git config --global gc.auto 0; git init -q -b main . && git add . && git commit -qm first")
        assert vm.sh("git status --short") == ""
        assert "cat part.txt part.txt" in vm.sh("make")
        again = vm.sh("make")
        assert "Nothing to be done" in again and "Clock skew" not in again  # the machine's date is not behind the host's
        assert (repo / "out.txt").read_text() == "line\nline\n"
        (repo / "source.txt").write_text("changed here\n")
        os.utime(repo / "source.txt", (time.time() + 5,) * 2)
        assert "cat source.txt" in vm.sh("make")
        assert vm.sh("git status --short").split() == ["M", "source.txt", "??", "out.txt", "??", "part.txt"]
        vm.sh("git checkout -q -b side && git add . && git commit -qm second && git checkout -q main && git merge -q side")
        vm.sh("git gc -q && git clone -q . /tmp/copy && git clone -q /repo /repo/copy && git -C /tmp/copy branch new && git -C /tmp/copy push -q origin new")
        assert vm.sh("git -C /tmp/copy log --format=%s").split() == ["second", "first"]
        assert vm.sh("git status --short") == "?? copy/" and "main" in vm.sh("git branch -l main new")
        vm.sh("rm -r copy")
        assert "Read-only file system" in vm.sh("echo no > /fixed/file", status=1)
        assert "Read-only file system" in vm.sh("rm /fixed/file", status=1)
        assert vm.sh("cat /fixed/file") == "stays"
        vm.exit()
    finally:
        vm.stop()
    git = ["git", "-c", f"safe.directory={repo}", "-C", str(repo)]
    assert subprocess.check_output([*git, "log", "--format=%s"], text=True).split() == ["second", "first"]
    subprocess.run([*git, "fsck", "--strict"], check=True)
    assert subprocess.check_output([*git, "status", "--short"]) == b""


def test_git_in_a_folder_of_an_ordinary_user(tmp_path):
    """The server's user 1234 is inside user 0, as where QEMU runs as an ordinary user; here it is root, so that owners can be seen to change."""
    repo = tmp_path / "repo"
    repo.mkdir()
    (repo / "file").write_text("text")
    (repo / "roots").write_text("text")
    try:
        for path in (repo, repo / "file"):
            os.chown(path, 1234, 1235)
    except PermissionError:
        pytest.skip("only root may give files away")
    vm = Shell(programs=[need("git"), need("mount"), need("umount")], tools=["ln", "stat", "tar"], timeout=200, options=["-v", f"{repo}:/repo"])
    try:
        vm.sh("umount /repo && mount -t 9p -o trans=virtio,swapuid=1234/0,swapgid=1235/0 host0 /repo && cd /repo")
        assert vm.sh("stat -c '%u:%g' . file roots").split() == ["0:0", "0:0", "1234:1235"]
        vm.sh("git init -q -b main . && git add file && git -c user.name=T -c user.email=t@example.org commit -qm first")
        assert vm.sh("git status --short") == "?? roots"
        vm.sh("chown 77:78 file && mkdir d && ln -s file d/link && tar -cf a.tar d && rm -r d && tar -xpf a.tar")
        assert vm.sh("stat -c '%u:%g' file d d/link").split() == ["77:78", "0:0", "0:0"]
        assert "unknown mount option" not in vm.text()
        vm.sh("cd /; umount /repo")
        for bad in ("swapuid=1234", "swapuid=x/0", "swapgid=1/4294967296", "swapgid=1/0/0", "swap"):
            vm.sh(f"mount -t 9p -o trans=virtio,{bad} host0 /repo", status=32)
        vm.exit()
    finally:
        vm.stop()
    owners = {name: (info.st_uid, info.st_gid) for name in ("file", "roots", "d", "d/link", ".git/HEAD") for info in [os.lstat(repo / name)]}
    assert owners == {"file": (77, 78), "roots": (0, 0), "d": (1234, 1235), "d/link": (1234, 1235), ".git/HEAD": (1234, 1235)}


def test_c_is_built_in_a_folder(run, tmp_path):
    for name, text in (("Makefile", "CC = gcc\nprog: a.o b.o\n\tgcc -o prog a.o b.o\n"), ("a.c", "int b(void);\nint main(void) { return b(); }\n"),
                       ("b.c", "int b(void) { return 0; }\n")):
        (tmp_path / name).write_text(text)
    need("gcc")
    result = run(need("sh"), "-c", "make && make && ./prog && echo ran", timeout=200, options=[
        "-m", "512M", "-v", f"{tmp_path}:/work", "-w", "/work", *TOOLS, *compiler()])
    assert result.returncode == 0 and result.stdout.endswith("make: 'prog' is up to date.\nran\n"), result.stdout + result.stderr
    assert "Clock skew" not in result.stderr
    subprocess.run([tmp_path / "prog"], check=True)


def test_npm_runs_a_script_in_a_folder(run, tmp_path):
    (tmp_path / "node_modules/dep").mkdir(parents=True)
    (tmp_path / "node_modules/dep/index.js").write_text("module.exports = 'of the dependency';\n")
    (tmp_path / "build.js").write_text("require('fs').writeFileSync('out.txt', 'built ' + require('dep') + '\\n');\n")
    (tmp_path / "package.json").write_text('{"name": "app", "version": "1.0.0", "scripts": {"build": "node build.js && cat out.txt"}}')
    result = run(need("npm"), "run", "build", timeout=200, options=["-v", f"{tmp_path}:/app", "-w", "/app", *add("sh", "cat")])
    assert result.returncode == 0 and result.stdout.endswith("\nbuilt of the dependency\n"), result.stdout + result.stderr
    assert (tmp_path / "out.txt").read_text() == "built of the dependency\n"


def test_mapping_is_kept_at_the_end(run, site, tmp_path):
    (tmp_path / "mapper.c").write_text(MAPPER)
    subprocess.run(["gcc", "-o", tmp_path / "mapper", tmp_path / "mapper.c"], check=True)
    (site / "map").write_text("a" * 8192)
    result = run(str(tmp_path / "mapper"), options=["-v", f"{site}:/site"])
    assert result.returncode == 0, result.stderr
    assert (site / "map").read_text() == "a" * 4094 + "left" + "a" * 4094


def test_more_is_written_to_a_mapping_than_there_is_memory(run, site, tmp_path):
    """64 MiB in 48 MiB: what was written goes to the host to make room, and comes back when it is read."""
    (tmp_path / "filler.c").write_text(FILLER)
    subprocess.run(["gcc", "-O1", "-o", tmp_path / "filler", tmp_path / "filler.c"], check=True)
    (site / "map").write_bytes(b"")
    os.truncate(site / "map", 64 << 20)
    result = run(str(tmp_path / "filler"), options=["-m", "48M", "-v", f"{site}:/site"])
    assert result.returncode == 0 and "out of memory" not in result.stderr, result.stderr
    pages = (site / "map").read_bytes()
    assert [int.from_bytes(pages[at:at + 4], "little") for at in range(0, 64 << 20, 4096)] == list(range(1, (64 << 8) + 1))


def append_until(path, is_over):
    """Lines of this host; how many."""
    count = 0
    with open(path, "ab", buffering=0) as log:
        while not is_over.is_set():
            log.write(b"host %d\n" % count)
            count += 1
    return count


def test_both_sides_append(run, site, tmp_path):
    (tmp_path / "appender.c").write_text(APPENDER)
    subprocess.run(["gcc", "-o", tmp_path / "appender", tmp_path / "appender.c"], check=True)
    (site / "log").touch()
    is_over = threading.Event()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        count = pool.submit(append_until, site / "log", is_over)
        try:
            result = run(str(tmp_path / "appender"), options=["-v", f"{site}:/site"])
        finally:
            is_over.set()
    assert result.returncode == 0, result.stderr
    lines = (site / "log").read_text().splitlines()
    assert [line for line in lines if line.startswith("guest")] == [f"guest {i}" for i in range(300)]
    assert [line for line in lines if not line.startswith("guest")] == [f"host {i}" for i in range(count.result())]


@pytest.mark.parametrize("machine_type", ["microvm", "q35"])
def test_machines(run, site, machine_type):
    result = run("/bin/cat", "/site/page", "/proc/mounts", options=["--machine", machine_type, "-v", f"{site}:/site:ro"])
    assert result.stdout.startswith("first") and "host0 /site 9p ro," in result.stdout, result.stderr
