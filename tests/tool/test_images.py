# SPDX-License-Identifier: MIT
"""stout image: looking into images of every form, and the list of them."""
import json
import os

import pytest
from test_run import refused

PROGRAM = "int main(void) { return 0; }"


@pytest.fixture
def image(stout, home, compiled, kernel, tmp_path):
    """image(kind) -> path of an image with a program and a folder."""
    site = tmp_path / "site"
    site.mkdir()
    (site / "page").write_text("hello\n")
    (site / "link").symlink_to("page")
    program = compiled(PROGRAM)

    def call(kind, name="image"):
        path = str(tmp_path / name)
        result = stout("build", "-t", kind, "-o", path, "--kernel", kernel, "--add", f"{site}:/srv", program)
        assert result.returncode == 0, result.stderr.decode()
        return path

    return call


@pytest.mark.parametrize("kind", ["iso", "raw", "qcow2", "vmdk", "vhd", "gcp"])
def test_every_form(stout, image, kind):
    path = image(kind)
    assert stout("image", "cat", path, "/srv/link", "/srv/page").stdout == b"hello\nhello\n"
    assert {item["path"] for item in json.loads(stout("image", "ls", path, "/srv", "--json").stdout)} == {"/srv/link", "/srv/page"}


def test_ls_tree_cp_inspect(stout, image, tmp_path):
    path = image("raw")
    text = stout("image", "ls", path, "/srv").stdout.decode()
    assert "/srv/link -> page" in text and "-rw-" in text
    text = stout("image", "tree", path, "/srv").stdout.decode()
    assert text.splitlines() == ["/srv", "|-- link -> page", "`-- page (6 bytes)"]
    assert "libc.so.6" in stout("image", "tree", path).stdout.decode()
    out = tmp_path / "out"
    assert json.loads(stout("image", "cp", "--json", path, "/srv", str(out)).stdout) == {"path": "/srv", "target": str(out)}
    assert (out / "page").read_text() == "hello\n" and os.readlink(out / "link") == "page"
    assert stout("image", "cp", path, "/srv/page", str(tmp_path / "copy")).returncode == 0
    refused(stout("image", "cp", path, "/srv", str(tmp_path / "copy")), 2, "exists already")
    reasons = {item["path"]: item for item in json.loads(stout("image", "inspect", path, "--json").stdout)}
    assert reasons["/srv/page"]["reason"] == f"--add {tmp_path}/site" and reasons["/srv/page"]["size"] == 6
    assert "library" in reasons["/usr/lib/x86_64-linux-gnu/libc.so.6"]["reason"]
    assert "every image" in reasons["/etc/passwd"]["reason"] and "program" in reasons[f"{tmp_path}/program"]["reason"]
    sizes = [item["size"] for item in reasons.values()]
    assert sizes == sorted(sizes, reverse=True)
    text = stout("image", "inspect", path, "/srv/*").stdout.decode()
    assert "/srv/page" in text and "passwd" not in text


def test_list_and_delete(stout, image, tmp_path):
    path = image("raw")
    (item,) = json.loads(stout("image", "list", "--json").stdout)
    assert item["path"] == path and item["type"] == "raw" and item["size"] == os.stat(path).st_size
    assert path in stout("image", "list").stdout.decode()
    other = tmp_path / "other"
    other.write_text("mine")
    refused(stout("image", "delete", path, str(other)), 2, "other", "rm")
    assert os.path.exists(path) and other.exists()
    refused(stout("image", "delete", str(tmp_path / "none")), 127, "none")
    assert stout("image", "delete", path).stdout.decode() == f"{path}\n"
    assert not os.path.exists(path) and json.loads(stout("image", "list", "--json").stdout) == []


def test_bad_images(stout, image, home, tmp_path):
    path = image("raw")
    refused(stout("image", "cat", path, "/srv/pag"), 127, "did you mean /srv/page?")
    refused(stout("image", "cat", path, "/srv"), 2, "folder")
    refused(stout("image", "ls", str(tmp_path / "none")), 127, "none")
    for name, data in (("text", b"x" * 10000), ("empty", b""), ("cut", b"070701" + b"0" * 50), ("odd", b"070701" + b"z" * 500)):
        (tmp_path / name).write_bytes(data)
        refused(stout("image", "ls", str(tmp_path / name)), 126, name)
    with open(path, "r+b") as file:
        file.truncate(os.stat(path).st_size // 2)
    result = stout("image", "ls", path)
    assert result.returncode == 126 and result.stderr.count(b"\n") == 1, result.stderr
