# SPDX-License-Identifier: MIT
"""The shipped musl takes the place of a program's own where it can stand for it, and only there."""
import os
import shutil

import pytest
from stout_tool import musl
from stout_tool.errors import StoutError
from stout_tool.tree import Tree


@pytest.fixture
def image(tmp_path, monkeypatch):
    """image(version, place) -> what is packed as the loader, and what is said."""
    ours = tmp_path / "ours"
    ours.write_bytes(b"ours")
    monkeypatch.setattr(musl, "shipped", lambda: str(ours))

    def call(version, place=musl.LOADER, links=()):
        own = tmp_path / "own"
        own.write_bytes(b"\x7fELF...\0" + version + b"\0...")
        tree, said = Tree(), []
        for link, target in links:
            tree.add_symlink(link, target)
        tree.add_host(str(own), place)
        before = tree.total
        musl.replace(tree, said.append)
        entry = tree.entries[tree.follow(place)]
        assert tree.total - before == entry.size - os.stat(own).st_size
        return entry.source == str(ours), said

    return call


@pytest.mark.parametrize("version", [b"1.2.3", b"1.2.0", b"1.2.1_git20200101"])
def test_replaces_same_minor_version(image, version):
    replaced, said = image(version)
    assert replaced and len(said) == 1 and "--own-musl" in said[0]


@pytest.mark.parametrize("version", [b"1.2.4", b"1.2.5-r9", b"1.3.0", b"2.0.0", b"1.1.24", b"no number"])
def test_keeps_what_ours_cannot_stand_for(image, version):
    replaced, said = image(version)
    assert not replaced and len(said) == 1 and "stays the program's own" in said[0]


def test_finds_it_through_links(image):
    assert image(b"1.2.3", "/usr/lib/ld-musl-x86_64.so.1", [("/lib", "usr/lib")])[0]  # merged folders
    assert image(b"1.2.3", "/usr/lib/libc.so", [(musl.LOADER, "/usr/lib/libc.so")])[0]  # Debian's


def test_an_image_without_musl_stays_as_it_is(image, tmp_path, monkeypatch):
    monkeypatch.setattr(musl, "shipped", lambda: pytest.fail("not needed"))
    musl.replace(Tree(), pytest.fail)


def test_one_that_is_gone_is_no_error(image, monkeypatch):
    def gone():
        raise StoutError("gone")
    monkeypatch.setattr(musl, "shipped", gone)
    replaced, said = image(b"1.2.3")
    assert not replaced and said[0].endswith("(gone)")


def test_installed_tool_has_it_beside_its_kernel(tmp_path, monkeypatch):
    monkeypatch.setattr(musl, "IS_CHECKOUT", False)
    monkeypatch.setattr(musl, "kernel_path", lambda: str(tmp_path / "data" / "stout.elf.stripped"))
    with pytest.raises(StoutError, match="is not there"):
        musl.shipped()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / musl.NAME).write_bytes(b"")
    assert musl.shipped() == str(tmp_path / "data" / musl.NAME)


@pytest.mark.skipif(not shutil.which("musl-gcc"), reason="no musl-gcc")
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("by_file", [False, True])
def test_switch(stout, compiled, tmp_path, own, by_file):
    program = compiled("int main(void) { return 0; }", compiler="musl-gcc")
    (tmp_path / "config.yaml").write_text(f"own_musl: {str(own).lower()}\n")
    options = ["-c", str(tmp_path / "config.yaml")] if by_file else ["--own-musl"] * own
    result = stout("run", "--verbose", "--dry-run", *options, program, env={"STOUT_NO_BUILD": "1"})
    assert result.returncode == 0, result.stderr
    assert (musl.LOADER.encode() in result.stderr) is not own
    assert musl.version_of(os.path.realpath(musl.LOADER)) is not None
