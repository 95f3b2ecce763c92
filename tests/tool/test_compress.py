# SPDX-License-Identifier: MIT
"""--compress: the form of the files in the archive, and what reads it."""
import gzip
import random
import subprocess

import pytest

from stout_tool import blocked_gzip, images
from stout_tool.cpio import CpioWriter
from stout_tool.cpio_reader import Archive
from stout_tool.errors import StoutError

TEXT = b"".join(b"%d bottles of beer\n" % n for n in range(20000))
NOISE = random.Random(1).randbytes(100000)


def write(path, files):
    with open(path, "wb") as file:
        writer = CpioWriter(file, compress=True)
        for name, data in files.items():
            source = path.parent / name
            source.write_bytes(data)
            writer.add_file(name, str(source))
        return writer.close()


def test_other_tools_read_it():
    blocks = blocked_gzip.pack(TEXT)
    assert gzip.decompress(b"".join(blocks)) == TEXT
    assert [len(gzip.decompress(block)) for block in blocks[:-1]] == [blocked_gzip.BLOCK] * (len(blocks) - 1)
    assert b"".join(blocked_gzip.unpack(b"".join(blocks))) == TEXT


def test_what_gains_nothing_stays_as_it_is(tmp_path):
    assert blocked_gzip.pack(NOISE) is None and blocked_gzip.pack(b"0" * 5000) is None
    size = write(tmp_path / "a.cpio", {"text": TEXT, "noise": NOISE, "small": b"0" * 5000})
    assert len(NOISE) < size < len(NOISE) + len(TEXT) // 2
    with open(tmp_path / "a.cpio", "rb") as file:
        archive = Archive(file, "a.cpio")
        members = archive.members
        assert [members[name].is_compressed for name in ("/text", "/noise", "/small")] == [True, False, False]
        assert members["/text"].size == len(TEXT) and members["/text"].offset % 4096 == 0
        assert archive.data(members["/text"]) == TEXT and archive.data(members["/noise"]) == NOISE


def test_blocks_of_noise_fit():
    mixed = TEXT[:300000] + NOISE
    assert b"".join(blocked_gzip.unpack(b"".join(blocked_gzip.pack(mixed)))) == mixed


def test_image_shows_and_gives_the_files(tmp_path, capsys):
    write(tmp_path / "a.cpio", {"text": TEXT, "noise": NOISE})
    image = str(tmp_path / "a.cpio")
    images.inspect(image, None, False, False)
    out = capsys.readouterr().out
    assert "COMPRESSED" in out and "of files take" in out
    images.inspect(image, "/text", False, True)
    assert f'"size": {len(TEXT)}' in capsys.readouterr().out
    images.cp(image, "/text", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == TEXT
    names = subprocess.run(["cpio", "-t", "--quiet"], stdin=open(image, "rb"), capture_output=True, check=True).stdout.split()
    assert {b"text", b"noise"} <= set(names)


def test_damage_is_said(tmp_path):
    write(tmp_path / "a.cpio", {"text": TEXT})
    data = bytearray((tmp_path / "a.cpio").read_bytes())
    data[4096 + 40000] ^= 0xFF
    (tmp_path / "b.cpio").write_bytes(data)
    with open(tmp_path / "b.cpio", "rb") as file:
        archive = Archive(file, "b.cpio")
        with pytest.raises(StoutError, match="damaged"):
            archive.data(archive.members["/text"])
