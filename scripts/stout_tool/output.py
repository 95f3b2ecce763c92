# SPDX-License-Identifier: MIT
"""Files for the user: they appear whole, or not at all, whatever ends the work (Ctrl-C, SIGTERM, a full disk).

Everything is made in a folder of its own beside the target, so that the last step is a rename within one filesystem.
"""
from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from .errors import StoutError, usage
from .paths import is_number

STDOUT = "-"  # as -o's file
UNFINISHED = ".stout-unfinished-"
FULL = 1 << 16  # bytes: who has less room than this has none
EPOCH = 315532800  # 1980, the oldest date that FAT knows


def target_of(path: str) -> str:
    """The absolute path of a file that is to be made: links lead there.  What is no file is not replaced by one."""
    path = os.path.realpath(path) if os.path.islink(path) else os.path.abspath(path)
    if os.path.isdir(path):
        raise usage(f"{path} is a folder; give the name of a file with -o.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise usage(f"{path} is a device, a pipe or a socket, which a file would replace; give another name with -o.")
    return path


def refuse_json_on_stdout(as_json: bool) -> None:
    if as_json:
        raise usage("-o - writes the file to standard output, where --json would answer; leave out one of them.")


@contextlib.contextmanager
def workshop(path: str) -> Iterator[str]:
    """A temporary folder beside path, gone at the end; what is in it may be published."""
    folder = os.path.dirname(path)
    if not os.path.isdir(folder):
        raise usage(f"The folder {folder} does not exist; make it, or give another place with -o.")
    try:
        with fresh_folder(folder) as name:
            yield name
    except OSError as error:
        raise StoutError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}; nothing was left "
                         "behind.") from None


@contextlib.contextmanager
def unwinding() -> Iterator[None]:
    """SIGTERM and SIGHUP end the block as an exception does, so that it cleans up."""
    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Signals that end the tool wait for the end of the block."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def scratch_folder() -> Iterator[str]:
    """For large things that only this process needs.  What fails while it is full failed for that, which not every program says
    (mcopy leaves half a file and ends with 0)."""
    parent = os.environ.get("TMPDIR") or "/var/tmp"
    if not os.path.isdir(parent):
        raise usage(f"The folder {parent} for temporary files does not exist; make it, or name another in TMPDIR.")
    with fresh_folder(parent) as folder:
        try:
            yield folder
        except (OSError, StoutError):
            if is_full(folder):
                raise no_room(parent) from None
            raise


def no_room(folder: str) -> StoutError:
    return StoutError(f"{folder}: no space left on device for temporary files; free some, or name another folder in TMPDIR.")


def is_full(folder: str) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            os.posix_fallocate(file.fileno(), 0, FULL)
    except OSError as error:
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return False


@contextlib.contextmanager
def fresh_folder(parent: str, prefix: str = UNFINISHED) -> Iterator[str]:
    """A folder to make something in, gone at the end unless renamed, also when a signal comes while it is made or removed;
    what killed makers left goes first."""
    remove_abandoned(parent, prefix)
    made = None
    with unwinding():
        try:
            with undisturbed():
                made = make_locked(parent, prefix)
            yield made[0]
        finally:
            with undisturbed():
                if made is not None:
                    shutil.rmtree(made[0], ignore_errors=True)
                    os.close(made[1])


def make_locked(parent: str, prefix: str) -> tuple[str, int]:
    """A new folder and its lock, which tells that its maker is alive."""
    while True:
        path = tempfile.mkdtemp(dir=parent, prefix=prefix)
        try:
            descriptor = lock_folder(path)
        except FileNotFoundError:
            continue  # taken for abandoned before it was locked
        if os.path.exists(path):
            return path, descriptor
        os.close(descriptor)


def lock_folder(path: str) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def remove_abandoned(parent: str, prefix: str) -> None:
    """Folders with this prefix whose makers are gone: nobody holds their lock any more."""
    for item in list(os.scandir(parent)):
        if not item.name.startswith(prefix) or not item.is_dir(follow_symlinks=False):
            continue
        try:
            descriptor = os.open(item.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(item.path, ignore_errors=True)
        except OSError:
            pass  # in use
        finally:
            os.close(descriptor)


def leave(number: int, _frame: Any) -> None:
    sys.exit(128 + number)


def publish(made: str, path: str) -> None:
    """The finished file gets its name, and what had the name before is gone; the data are on the disk first."""
    descriptor = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    mask = os.umask(0)
    os.umask(mask)
    os.chmod(made, (0o777 if os.access(made, os.X_OK) else 0o666) & ~mask)
    os.rename(made, path)


def is_report_in_place(path: str) -> bool:
    """/dev/stderr, a pipe: nothing to rename to."""
    return os.path.exists(path) and not os.path.isfile(path)


def check_report(option: str, path: str) -> None:
    """Before the work that it tells of: can this file be written?"""
    try:
        if os.path.isdir(path):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if not is_report_in_place(path):
            with tempfile.TemporaryFile(dir=os.path.dirname(os.path.realpath(path))):
                pass
        elif not os.access(path, os.W_OK):  # not opened: the reader of a pipe would see it end
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise unwritable(option, path, error) from None


def write_report(option: str, path: str, text: str) -> None:
    try:
        if is_report_in_place(path):
            with open(path, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
            return
        target = os.path.realpath(path)
        with fresh_folder(os.path.dirname(target)) as folder:
            made = os.path.join(folder, "report")
            with open(made, "w", encoding="utf-8", errors="replace") as file:
                file.write(text)
            publish(made, target)
    except OSError as error:
        raise unwritable(option, path, error) from None


def unwritable(option: str, path: str, error: OSError) -> StoutError:
    return usage(f"{option} {path} cannot be written: {(error.strerror or str(error)).lower()}.")


def source_epoch() -> int:
    """The time that images carry, so that the same input gives the same bytes (reproducible-builds.org)."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if not text:
        return EPOCH
    if not is_number(text) or int(text) >= 1 << 32:
        raise usage(f"SOURCE_DATE_EPOCH is {text}; it must be a number of seconds since 1970.")
    return max(EPOCH, int(text))
