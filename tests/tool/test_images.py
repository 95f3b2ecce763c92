# SPDX-License-Identifier: MIT
"""stout image: looking into images of every form, and the list of them."""
import json
import os
import resource
import subprocess

import pytest
from stout_tool.cli import IMAGE_KINDS
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


@pytest.mark.parametrize("kind", IMAGE_KINDS)
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


def test_cp_leaves_what_was_there(stout, image, tmp_path):
    """A limit on the size of files plays the full disk."""
    path, out = str(tmp_path / "image/image.cpio"), tmp_path / "out"
    subprocess.run(["tar", "-C", tmp_path, "-xf", image("qemu", "image.tar")], check=True)
    out.mkdir()
    (out / "libc").write_text("old")
    limit = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))}
    refused(stout("image", "cp", path, "/lib/x86_64-linux-gnu/libc.so.6", str(out / "libc"), **limit), 125, f"{out}/libc", "nothing was left")
    refused(stout("image", "cp", path, "/usr", str(out / "usr"), **limit), 125, f"{out}/usr")
    assert os.listdir(out) == ["libc"] and (out / "libc").read_text() == "old"
    assert stout("image", "cp", path, "/lib/x86_64-linux-gnu/libc.so.6", str(out / "libc")).returncode == 0
    assert os.stat(out / "libc").st_size > 1000000
    (out / "link").symlink_to("libc")
    assert stout("image", "cp", path, "/etc/passwd", str(out / "link")).returncode == 0
    assert (out / "link").is_symlink() and (out / "libc").read_text().startswith("root:")
    os.mkfifo(out / "pipe")
    reader = os.open(out / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    assert stout("image", "cp", path, "/etc/passwd", str(out / "pipe")).returncode == 0 and os.read(reader, 5) == b"root:"
    os.close(reader)


@pytest.mark.parametrize("kind", ["iso", "raw", "qcow2", "qemu"])
def test_no_room_for_temporary_files(stout_in_small, image, kind):
    """It is not the image that is at fault, whatever the program says that was looking into it."""
    result = stout_in_small("image", "ls", image(kind))
    refused(result, 125, f"{stout_in_small.folder}: no space left on device", "TMPDIR")


def test_no_folder_for_temporary_files(stout, image):
    refused(stout("image", "ls", image("raw"), env={"TMPDIR": "/none"}), 2, "/none", "TMPDIR")


def test_create_is_build(stout, home, compiled, kernel, tmp_path):
    result = stout("image", "create", "-t", "raw", "-o", str(tmp_path / "a"), "--kernel", kernel, compiled(PROGRAM))
    assert (result.returncode, result.stdout.decode()) == (0, f"{tmp_path}/a\n"), result.stderr


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
    refused(stout("image", "ls", str(tmp_path / "none")), 127, "none", "stout image list")
    refused(stout("image", "cp", path, "/srv", str(tmp_path / "none/srv")), 2, f"{tmp_path}/none", "make it")
    for name, data in (("text", b"x" * 10000), ("empty", b""), ("cut", b"070701" + b"0" * 50), ("odd", b"070701" + b"z" * 500)):
        (tmp_path / name).write_bytes(data)
        refused(stout("image", "ls", str(tmp_path / name)), 126, name)
    with open(path, "r+b") as file:
        file.truncate(os.stat(path).st_size // 2)
    result = stout("image", "ls", path)
    assert result.returncode == 126 and result.stderr.count(b"\n") == 1, result.stderr
