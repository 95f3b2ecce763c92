# SPDX-License-Identifier: MIT
"""What the tool remembers: folders and small JSON files that several processes read and change at once.

A file is replaced as a whole (rename), so a reader without a lock sees an old or a new one, never half of it.  Locks
are flock(): the kernel drops them with their holder, however that ends, so nothing is ever locked by the dead.
A process is known by its pid, its start time and the host's boot: pids come again.
"""
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
from collections.abc import Iterator
from typing import Any

from ..errors import StoutError, usage

FORMAT = 1  # of config.json and network.json
NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}\Z")


def state_dir(kind: str) -> str:
    """The folder of instances or networks, made on demand; nobody else may look into it."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "share")
    path = os.path.join(base, "stout", kind)
    try:
        os.makedirs(path, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoutError(f"{path} cannot be made ({(error.strerror or '').lower()}); name another place in "
                         "XDG_STATE_HOME.") from None
    return path


def connect_in(folder: str, name: str) -> socket.socket:
    """To the socket NAME in a folder whose path may be too long for a socket's name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(f"/proc/self/fd/{descriptor}/{name}")
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(descriptor)
    return sock


def check_name(name: str, what: str) -> str:
    if not NAME.match(name):
        raise usage(f"{name!r} cannot be the name of {what}; use up to 63 letters, digits, '-', '_' and '.', the first a "
                    "letter or digit.")
    return name


def read_json(path: str) -> dict[str, Any] | None:
    """None: there is no such file."""
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise StoutError(f"{path} is damaged; delete the folder {os.path.dirname(path)}.")
    return document


def is_newer(document: dict[str, Any]) -> bool:
    return bool(document.get("format", FORMAT) != FORMAT)


def check_format(document: dict[str, Any], what: str) -> None:
    if is_newer(document):
        raise StoutError(f"{what} was made by a newer stout (format {document['format']}; this one knows {FORMAT}): update stout, or name "
                         "another place in XDG_STATE_HOME.")


def write_json(path: str, document: dict[str, Any]) -> None:
    temporary = f"{path}.{os.getpid()}"
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def lock_file(path: str, wait: bool = True) -> int | None:
    """A descriptor that holds the lock until it is closed; None if another process has it and wait is false."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def locked(path: str) -> Iterator[None]:
    descriptor = lock_file(path)
    assert descriptor is not None
    try:
        yield
    finally:
        os.close(descriptor)


def is_locked(path: str) -> bool:
    """Whether somebody holds the lock now."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def boot_id() -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def process_stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (proc(5), field 3), or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()
    except (OSError, IndexError):
        return None


def identify(pid: int) -> dict[str, Any]:
    fields = process_stat(pid)
    return {"pid": pid, "start": fields[19] if fields else None, "boot": boot_id()}


def is_alive(identity: dict[str, Any] | None) -> bool:
    """Whether exactly this process still runs."""
    if not identity or identity["boot"] != boot_id():
        return False
    fields = process_stat(identity["pid"])
    return fields is not None and fields[0] not in "ZX" and fields[19] == identity["start"]
