# SPDX-License-Identifier: MIT
"""The cache of images, used by several stout commands at once."""
import os
from types import SimpleNamespace

from stout_tool import image


def test_images_that_vanish_while_room_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr(image, "CACHE_LIMIT", 100)
    (tmp_path / "old.cpio").write_bytes(b"x" * 80)
    os.utime(tmp_path / "old.cpio", (1, 1))
    (tmp_path / "new.cpio").write_bytes(b"x" * 80)
    # An entry that is listed and then gone, as when another stout drops it: its stat() fails the same way.
    os.symlink("gone", tmp_path / "vanished.cpio")
    image.Image._make_room(SimpleNamespace(tree=SimpleNamespace(total=10)), str(tmp_path))
    assert not (tmp_path / "old.cpio").exists()
    assert (tmp_path / "new.cpio").exists()
