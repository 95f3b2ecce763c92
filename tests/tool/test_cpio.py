# SPDX-License-Identifier: MIT
"""The archive: read back by GNU cpio, and its alignment by a reader of our own."""
import os
import random
import subprocess

from stout_tool.cpio import CpioWriter


def entries(data):
    """(name, mode, data offset, data) of each entry, by the format's description."""
    offset = 0
    while True:
        assert data[offset:offset + 6] == b"070701" and offset % 4 == 0
        fields = [int(data[offset + 6 + 8 * i:offset + 14 + 8 * i], 16) for i in range(13)]
        namesize, size = fields[11], fields[6]
        name = data[offset + 110:offset + 110 + namesize]
        assert namesize <= 4096 and name.endswith(b"\0")
        start = (offset + 110 + namesize + 3) & ~3
        name = name.rstrip(b"\0").decode()
        if name == "TRAILER!!!":
            return
        yield name, fields[1], start, data[start:start + size]
        offset = (start + size + 3) & ~3


def write(path, files):
    with open(path, "wb") as file:
        writer = CpioWriter(file)
        for name, source in files:
            if isinstance(source, bytes):
                writer.add_bytes(name, source)
            else:
                writer.add_file(name, source, 0o755)
        return writer.close()


def test_large_files_begin_on_pages(tmp_path):
    chance = random.Random(1)
    sources = []
    for index in range(300):
        path = tmp_path / f"file{index}"
        path.write_bytes(chance.randbytes(chance.choice([0, 1, 3, 100, 4095, 4096, 4097, 9000])))
        sources.append(("x" * chance.choice([1, 5, 60, 1000, 4000]) + str(index), str(path)))
    archive = tmp_path / "a.cpio"
    size = write(archive, sources)
    data = archive.read_bytes()
    assert len(data) == size
    found = {name: (start, content) for name, _, start, content in entries(data) if name != "."}
    assert list(found) == [name for name, _ in sources]
    for name, source in sources:
        start, content = found[name]
        with open(source, "rb") as file:
            assert content == file.read()
        if len(content) >= 4096:
            assert start % 4096 == 0


def test_elf_files_are_aligned_whatever_their_size(tmp_path):
    (tmp_path / "small").write_bytes(b"\x7fELF tiny")
    archive = tmp_path / "a.cpio"
    write(archive, [("text", b"abc"), ("small", str(tmp_path / "small"))])
    found = {name: start for name, _, start, _ in entries(archive.read_bytes())}
    assert found["small"] % 4096 == 0


def test_gnu_cpio_reads_it(tmp_path):
    (tmp_path / "big").write_bytes(os.urandom(10000))
    archive = tmp_path / "a.cpio"
    with open(archive, "wb") as file:
        writer = CpioWriter(file)
        writer.add_directory("dir", 0o750)
        writer.add_file("dir/big", str(tmp_path / "big"), 0o4755, mtime=86400)
        writer.add_symlink("dir/link", "big")
        writer.add_bytes("dir/text", b"hello")
        writer.close()
    out = tmp_path / "out"
    out.mkdir()
    with open(archive, "rb") as file:
        subprocess.run(["cpio", "-idm", "--quiet"], cwd=out, stdin=file, check=True)
    assert (out / "dir/big").read_bytes() == (tmp_path / "big").read_bytes()
    assert os.readlink(out / "dir/link") == "big"
    assert (out / "dir/text").read_bytes() == b"hello"
    assert int((out / "dir/big").stat().st_mtime) == 86400
    assert (out / "dir").stat().st_mode & 0o777 == 0o750
