# SPDX-License-Identifier: MIT
"""README.md as somebody types it: each command of its blocks is typed as it stands, or says here why it is not."""
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile

import pytest
from conftest import TOP, need
from terminal import Terminal
from test_tutorial import blocks

SERVER = """const fs = require('fs'), http = require('http');
const text = fs.existsSync('/srv/page') ? fs.readFileSync('/srv/page') : `${process.env.NODE_ENV} on ${require('os').cpus().length}\\n`;
http.createServer((request, response) => response.end(text)).listen(8080, () => console.log('listening: ' + text));
"""
# Command -> what is to be seen; for a server (Ctrl-C ends it), also what is typed in a second terminal, and what that shows.
SHOWN = {
    "./stout run -p 8083 examples/node-hello/server.js": ("Server running", "curl -s http://127.0.0.1:8083/", "Hello from Unikernel!"),
    "curl http://127.0.0.1:8083/": None,  # the command before it
    "./stout run /bin/echo hello": ("hello",),
    "./stout run -p 8080 --add site:/srv python3 -m http.server 8080 --directory /srv": (
        "Serving HTTP", "curl -s http://127.0.0.1:8080/page", "of the site"),
    "./stout run -p 8080 -v ./public:/srv:ro app/server.js": ("listening: in public", "curl -s http://127.0.0.1:8080/", "in public"),
    "./stout run -p 6379 redis-server --protected-mode no --save ''": ("Ready to accept", "redis-cli ping", "PONG"),
    "./stout run -m 1G --cpus 4 -e NODE_ENV=production app/server.js": ("listening: production on 4", "true", ""),
    "./stout run --root ./rootfs /usr/bin/app": ("in a root of its own",),
    "./stout run --trace syscalls /bin/ls /": ("getdents64",),
    "./stout profile -p 8080 app/server.js": ("listening", "curl -s http://127.0.0.1:8080/", "undefined on 1"),
    "./stout run --image nginx.tar": ("in a root of its own",),
    "./stout init; ./stout run -c stout.yaml": ("listening", "cat stout.yaml", "app/server.js"),
    "./stout build -t iso -o hello.iso /bin/echo hello": ("hello.iso",),
    "./stout build -t qcow2 server.js": ("server.qcow2",),
}
NOT_TYPED = {
    "./stout test": "this is one of its tests",
    "./stout pkg load node_v14.2.0 -p 8083 -a server.js": "the tutorial has it, and test_tutorial.py types it",
    "scripts/build-deb && sudo apt-get install ./build/stout_0.1.0_amd64.deb": "it changes the host; test_install.py installs the package in a root",
    "pip install .": "it changes the host; test_install.py installs into a folder",
}


def docker_archive(path, program, place="app", settings=None):
    """What docker save writes of an image with one file, or one folder at its top."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(program, arcname=place)
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": settings or {"Cmd": ["/app"]},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()]}}).encode()
    manifest = json.dumps([{"Config": "config.json", "RepoTags": ["nginx:1"], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in (("layer.tar", layer.getvalue()), ("config.json", config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def terminal(tmp_path):
    for name in ("redis-server", "redis-cli", "node", "curl"):
        need(name)
    made = Terminal(tmp_path)
    home = tmp_path / "home"
    for name in ("stout", "examples", "scripts"):
        (home / name).symlink_to(os.path.join(TOP, name))
    for name, text in (("site/page", "of the site\n"), ("public/page", "in public\n"), ("app/server.js", SERVER), ("server.js", SERVER),
                       ("package.json", json.dumps({"name": "app", "main": "app/server.js"}))):
        (home / name).parent.mkdir(exist_ok=True)
        (home / name).write_text(text)
    (home / "rootfs/usr/bin").mkdir(parents=True)
    subprocess.run(["gcc", "-static", "-o", home / "rootfs/usr/bin/app", "-xc", "-"], check=True, text=True,
                   input='#include <stdio.h>\nint main(void) { puts("in a root of its own"); return 0; }\n')
    docker_archive(home / "nginx.tar", home / "rootfs/usr/bin/app")
    yield made
    made.close()


def commands():
    for block in blocks("README.md"):
        for line in block.splitlines():
            yield re.split(r" +# ", line.strip())[0].replace(" [ARG...]", "")


def test_readme(terminal, tmp_path):
    first, second = terminal.window(), terminal.window("second")
    known = SHOWN | NOT_TYPED
    assert [line for line in commands() if line not in known] == [] and set(known) == set(commands())
    for line in commands():
        if not SHOWN.get(line):
            continue
        seen, *client = SHOWN[line]
        if not client:
            status, text = first.run(line)
            assert status == 0 and seen in text and "Traceback" not in text, f"{line}: {status}\n{text}"
            continue
        number = first.wait(first.prompt, "a prompt")[0]
        written = first.start(line)
        first.wait(lambda: seen in written(), f"{seen!r} of {line!r}")
        status, text = second.run(client[0])
        assert status == 0 and client[1] in text, f"{line}: {client[0]}: {status}\n{text}\n{written()}"
        first.key("C-c")
        assert first.end(number) == 130, line
    assert (tmp_path / "home/profile.svg").stat().st_size > 1000
    terminal.check_nothing_left()
