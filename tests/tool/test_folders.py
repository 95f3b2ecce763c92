# SPDX-License-Identifier: MIT
"""stout run -v: what the machine and the manifest are told, and the sentences for folders that cannot be."""
import os
import shlex

import pytest
from test_config import config  # noqa: F401 (a fixture)
from test_run import dry, manifest_of, refused

PROGRAM = "int main(void) { return 0; }"


@pytest.mark.parametrize("machine,device", [("microvm", "virtio-9p-device"), ("q35", "virtio-9p-pci")])
def test_machine_and_manifest(stout, compiled, tmp_path, machine, device):
    inner = tmp_path / "in,ner"
    inner.mkdir()
    command = dry(stout("run", "--dry-run", "--machine", machine, "-v", f"{inner}:/srv/in//ner/:ro", "-v", f"{tmp_path}:/srv",
                        compiled(PROGRAM)))
    mounts = [record for record in manifest_of(command) if record.startswith("mount=")]
    assert mounts == ["mount=9p:host0:rw:/srv", "mount=9p:host1:ro:/srv/in/ner"]  # the outer one first
    text = shlex.join(command)
    assert f"local,id=host0,path={tmp_path},security_model=none,multidevs=remap " in text
    assert f"id=host1,path={tmp_path}/in,,ner,security_model=none,multidevs=remap,readonly=on" in text
    assert f"{device},fsdev=host0,mount_tag=host0" in text


def test_what_is_an_ordinary_users_is_the_programs(tmp_path, monkeypatch):
    from stout_tool.folders import Folder

    def record(uid, gid, *owner):
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        monkeypatch.setattr(os, "getegid", lambda: gid)
        return Folder(f"{tmp_path}:/a").mount("host0", *owner)

    assert record(1000, 100, 0, 0) == "9p:host0:rw,swapuid=1000/0,swapgid=100/0:/a"
    assert record(1000, 100, 33, 100) == "9p:host0:rw,swapuid=1000/33,swapgid=100/100:/a"
    assert record(1000, 100, 1000, 100) == "9p:host0:rw:/a"
    assert record(0, 0, 33, 33) == "9p:host0:rw:/a"


def test_relative_folder(stout, compiled, tmp_path):
    (tmp_path / "public").mkdir()
    command = dry(stout("run", "--dry-run", "-v", "./public:/srv:rw", compiled(PROGRAM), cwd=tmp_path))
    assert f"path={tmp_path}/public," in shlex.join(command)


@pytest.mark.parametrize("text,word", [
    ("public", "HOST:GUEST"), (":/srv", "HOST:GUEST"), ("public:", "HOST:GUEST"), ("public:srv", "absolute path"),
    ("public:/", "root"), ("public:/srv:z", "neither ro nor rw"), ("absent:/srv", "mkdir -p absent"), ("file:/srv", "--add file:/srv"),
])
def test_bad_folders(stout, compiled, tmp_path, text, word):
    (tmp_path / "public").mkdir()
    (tmp_path / "file").write_text("")
    refused(stout("run", "--dry-run", "-v", text, compiled(PROGRAM), cwd=tmp_path), 2, word)


def test_too_many_and_twice(stout, compiled, tmp_path):
    program = compiled(PROGRAM)
    many = [word for number in range(5) for word in ("-v", f"{tmp_path}:/srv{number}")]
    refused(stout("run", "--dry-run", *many, program), 2, "--machine q35")
    dry(stout("run", "--dry-run", "--machine", "q35", *many, program))
    refused(stout("run", "--dry-run", "-v", f"{tmp_path}:/a", "-v", f"{tmp_path}:/b/../a", program), 2, "/a is given twice")


def test_config_and_build(stout, compiled, tmp_path, config):  # noqa: F811
    (tmp_path / "public").mkdir()
    program = compiled(PROGRAM)
    path = config({"program": program, "folders": ["public:/srv:ro"]})
    command = dry(stout("run", "-c", path, "--dry-run", "-v", f"{tmp_path}:/all"))
    assert [record for record in manifest_of(command) if record.startswith("mount=")] == [
        "mount=9p:host0:ro:/srv", "mount=9p:host1:rw:/all"]
    refused(stout("build", "-t", "iso", "-c", path), 2, "--add")
    refused(stout("build", "-t", "iso", "-v", f"{tmp_path}:/srv", program), 2, "--add")
