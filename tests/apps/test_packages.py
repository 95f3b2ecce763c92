# SPDX-License-Identifier: MIT
"""Container images made on the spot by umoci, and packages, started as machines."""
import json
import os
import shutil
import subprocess

import pytest
from conftest import ACCEL, STOUT, need
from test_images import SERVER

DEBIAN = ("base-files", "dash", "bash", "coreutils", "libc6", "libc-bin", "libtinfo6", "libselinux1", "libpcre2-8-0", "libacl1", "libattr1",
          "libgmp10", "debianutils")
SCRIPT = """#!/bin/bash
set -e
echo "$(whoami || id -u):$(id -g) $PWD $GREETING $HOME $#:$*"
. /etc/os-release; echo "$ID"
test ! -e /etc/removed && test -d /data && echo layers
echo sum $(seq 1 100 | sort -rn | head -3 | tr '\\n' ' ')
exec "$@"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("STOUT_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STOUT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "home"


@pytest.fixture
def layout(tmp_path):
    """layout(root folder, configuration words) -> DIR:TAG of an OCI image; more calls of umoci may follow."""
    path = tmp_path / "layout"

    def call(root, *config):
        umoci = need("umoci")
        if not path.exists():
            subprocess.run([umoci, "init", "--layout", str(path)], check=True)
        image = f"{path}:test"
        subprocess.run([umoci, "new", "--image", image], check=True)
        subprocess.run([umoci, "insert", "--image", image, str(root), "/"], check=True)
        if config:
            subprocess.run([umoci, "config", "--image", image, *config], check=True)
        return image

    return call


def installed_files(packages):
    for name in packages:
        for path in subprocess.run(["dpkg", "-L", name], capture_output=True, text=True, check=True).stdout.splitlines():
            if path.startswith("/") and not path.startswith(("/usr/share/", "/.")) and os.path.lexists(path):
                yield path


def debian_root(root):
    """The files of some installed packages, as debootstrap would lay them out."""
    for folder in ("bin", "sbin", "lib", "lib64"):
        (root / "usr" / folder).mkdir(parents=True)
        (root / folder).symlink_to(f"usr/{folder}")
    for path in installed_files(DEBIAN):
        place = f"{root}{path}"
        if os.path.islink(path):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            if not os.path.lexists(place):
                os.symlink(os.readlink(path), place)
        elif os.path.isdir(path):
            os.makedirs(place, exist_ok=True)
        elif not os.path.lexists(place):
            os.makedirs(os.path.dirname(place), exist_ok=True)
            shutil.copy2(path, place)
    (root / "etc/removed").write_text("x")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nworker:x:1000:1001::/home/worker:/bin/bash\n")
    (root / "etc/group").write_text("root:x:0:\nworkers:x:1001:\n")
    (root / "entry.sh").write_text(SCRIPT)
    (root / "entry.sh").chmod(0o755)


@pytest.mark.usefixtures("home")
def test_debian_image(layout, tmp_path):
    """A script as entry point, a user, a whiteout, and processes: from the layout, and from the archive of docker save."""
    root = tmp_path / "root"
    root.mkdir()
    debian_root(root)
    image = layout(root, "--config.entrypoint", "/entry.sh", "--config.cmd", "echo", "--config.cmd", "default", "--config.env",
                   "GREETING=good day", "--config.workingdir", "/srv/app", "--config.user", "worker", "--config.volume", "/data")
    subprocess.run(["umoci", "insert", "--image", image, "--whiteout", "/etc/removed"], check=True)
    expected = ["worker:1001 /srv/app good day /home/worker 2:echo {}", "debian", "layers", "sum 100 99 98", "{}"]
    run = [STOUT, "run", "--accel", ACCEL, "--image"]
    result = subprocess.run([*run, image], capture_output=True, text=True, timeout=150, check=False)
    assert result.stdout.splitlines() == [line.format("default") for line in expected], result.stderr
    archive = str(tmp_path / "save.tar")
    subprocess.run([need("skopeo"), "copy", "-q", f"oci:{image}", f"docker-archive:{archive}:app:1"], check=True)
    result = subprocess.run([*run, archive, "echo", "mine"], capture_output=True, text=True, timeout=150, check=False)
    assert result.stdout.splitlines() == [line.format("mine") for line in expected], result.stderr


@pytest.mark.usefixtures("home")
def test_musl_image_serves(layout, machine, tmp_path):
    """A root as of Alpine: musl's loader, busybox and a server; fetched from outside."""
    root = tmp_path / "root"
    (root / "lib").mkdir(parents=True)
    (root / "bin").mkdir()
    (tmp_path / "server.c").write_text(SERVER)
    subprocess.run([need("musl-gcc"), "-o", str(root / "bin/server"), str(tmp_path / "server.c")], check=True)
    shutil.copy(os.path.realpath("/lib/ld-musl-x86_64.so.1"), root / "lib/ld-musl-x86_64.so.1")
    shutil.copy(need("busybox"), root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    image = layout(root, "--config.cmd", "sh", "--config.cmd", "-c", "--config.cmd", "busybox id -u; exec server", "--config.user", "65534",
                   "--config.exposedports", "8083/tcp")
    started = machine(guest_port=8083, options=["--image", image])
    assert started.wait_for(lambda: started.get(), "an answer")[1] == b"served\n"
    assert "65534" in started.text()


def test_package_with_a_script_of_the_user(home, tmp_path):
    """from-dir of this host's node, then the user's script on top, with an argument and a file."""
    root = tmp_path / "runtime"
    (root / "bin").mkdir(parents=True)
    shutil.copy(os.path.realpath(need("node")), root / "bin/node")
    subprocess.run([STOUT, "pkg", "from-dir", str(root), "--program", "node"], check=True, stdout=subprocess.DEVNULL)
    assert json.loads((home / "packages/runtime/package.json").read_text())["program"] == "/bin/node"
    app = tmp_path / "app"
    app.mkdir()
    (app / "lib.js").write_text("exports.text = 'from a neighbour'\n")
    (app / "main.js").write_text("console.log(require('./lib').text, process.argv.slice(2), require('fs').existsSync('.env'))\n")
    (app / ".env").write_text("SECRET=1\n")
    result = subprocess.run([STOUT, "pkg", "load", "runtime", "--accel", ACCEL, "-a", "main.js", "-a", "--word"], cwd=app, capture_output=True,
                            text=True, timeout=150, check=False)
    assert result.stdout == "from a neighbour [ '--word' ] false\n", result.stderr
    assert ".env" in result.stderr
