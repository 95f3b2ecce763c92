# SPDX-License-Identifier: MIT
"""The names of a crash report's addresses, by the files that the instance was started with: those of the host may have changed."""
from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable

from ..cpio_reader import Archive
from ..errors import StoutError
from ..symbols import resolve

FILE_MAX = 512 << 20  # a larger file stays without names


def names_in(lines: Iterable[bytes]) -> list[bytes]:
    """In the instance's folder.  Nothing if the archive cannot be read: the report stands without them."""
    texts = [line.decode("utf-8", "replace") for line in lines]
    try:
        with tempfile.TemporaryDirectory(dir=".") as folder, open("archive", "rb") as file:
            archive = Archive(file, "archive")
            files: dict[str, str] = {}

            def find(path: str) -> str | None:
                member = archive.members.get(path)
                if member is None or member.is_directory or member.is_link or member.size > FILE_MAX:
                    return None
                if path not in files:
                    files[path] = os.path.join(folder, str(len(files)))
                    with open(files[path], "wb") as copy:
                        copy.writelines(archive.pieces(member))
                return files[path]

            return [text.encode("utf-8", "replace") for text in resolve(texts, find, "kernel")]
    except (OSError, StoutError):
        return []
