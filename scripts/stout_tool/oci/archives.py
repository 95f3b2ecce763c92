# SPDX-License-Identifier: MIT
"""The archives of containers: links to those of the cache, or copies, which stay when the cache drops its own.

    CACHE/oci/archive-NAME/archive.cpio    what QEMU loads
    CACHE/oci/archive-NAME/owner           a symbolic link: the container's folder

The states of containers are gone after a restart of the host (/run), the cache is not: what no container has any more goes
when the next is created.
"""
from __future__ import annotations

import os
import shutil

from ..errors import StoutError
from ..instances.create import take_file
from ..instances.state import is_alive, read_json
from ..output import UNFINISHED, fresh_folder
from ..paths import cache_dir
from .container import MACHINE, STATE

PREFIX, ARCHIVE, OWNER = "archive-", "archive.cpio", "owner"


def base() -> str:
    path = os.path.abspath(os.path.join(cache_dir(), "oci"))
    os.makedirs(path, mode=0o700, exist_ok=True)
    return path


def keep(source: str, owner: str) -> str:
    """The new folder, which the owner's machine.json is to name; until then its creator lives."""
    sweep()
    with fresh_folder(base()) as folder:
        os.symlink(owner, os.path.join(folder, OWNER))
        take_file(source, os.path.join(folder, ARCHIVE), link=True)
        kept = os.path.join(base(), PREFIX + os.path.basename(folder).removeprefix(UNFINISHED))
        os.rename(folder, kept)
    return kept


def sweep() -> None:
    for item in list(os.scandir(base())):
        if item.name.startswith(PREFIX) and not is_owned(item.path):
            shutil.rmtree(item.path, ignore_errors=True)


def is_owned(kept: str) -> bool:
    """In doubt it is.  Names are not used again, so that what nobody owns stays so."""
    try:
        owner = os.readlink(os.path.join(kept, OWNER))
        state = read_json(os.path.join(owner, STATE))
        if state is None:
            return os.path.isdir(owner)  # a container that begins
        if is_alive(state.get("creator")):
            return True
        machine = read_json(os.path.join(owner, MACHINE))  # after the creator's end: as it stays
    except FileNotFoundError:
        return False  # another process removes it
    except (OSError, StoutError):
        return True
    return machine is not None and machine.get("kept") == kept
