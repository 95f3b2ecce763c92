# SPDX-License-Identifier: MIT
"""The kernel image: built by itself when a source is newer."""
from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Sequence
from typing import IO, TYPE_CHECKING

from .errors import StoutError
from .host import missing
from .paths import IS_CHECKOUT, TOP, build_dir, kernel_path

if TYPE_CHECKING:
    from .run import RunOptions

SOURCES = ("abi", "arch", "cmake", "drivers", "fs", "kernel", "lib", "libc", "loader", "net")


def newest_source() -> float:
    newest = 0.0
    todo = [os.path.join(TOP, name) for name in SOURCES]
    for name in ("CMakeLists.txt", "CMakePresets.json"):
        newest = max(newest, os.stat(os.path.join(TOP, name)).st_mtime)
    while todo:
        try:
            items = list(os.scandir(todo.pop()))
        except FileNotFoundError:
            continue
        for item in items:
            if item.is_dir(follow_symlinks=False):
                todo.append(item.path)
            elif not item.name.startswith("."):
                newest = max(newest, item.stat().st_mtime)
    return newest


def image_path(options: RunOptions) -> str:
    """The kernel to start; options.kernel names another one."""
    if options.kernel:
        if not os.path.isfile(options.kernel):
            raise StoutError(f"The kernel image {options.kernel} does not exist; check --kernel.")
        return os.path.abspath(options.kernel)
    return current()


def current() -> str:
    """The kernel that belongs to this tool, built if need be."""
    path = kernel_path()
    if not IS_CHECKOUT or os.environ.get("STOUT_NO_BUILD"):
        if os.path.isfile(path):
            return path
        if not IS_CHECKOUT:
            raise StoutError(f"The kernel image {path}, which was installed with stout, is gone; install stout again.")
    try:
        built = os.stat(path).st_mtime
    except OSError:
        built = 0
    if built < newest_source():
        build("release", [path])
    return path


def build(preset: str, products: Sequence[str] = (), targets: Sequence[str] = (), definitions: Sequence[str] = ()) -> None:
    """Configures when needed and builds; one line of progress, the compiler's output only on failure."""
    folder = build_dir(preset)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        sys.stderr.write(f"stout: building ({preset}) ...\n")
        sys.stderr.flush()
        log = os.path.join(folder, "stout-build.log")
        with open(log, "wb") as output:
            if definitions or not os.path.exists(os.path.join(folder, "cmake_install.cmake")):  # written last
                run_step(["cmake", "--preset", preset, *definitions], output, log)
            command = ["cmake", "--build", folder, "-j", str(os.cpu_count() or 1)]
            run_step(command + (["--target", *targets] if targets else []), output, log)
        for path in products:
            if not os.path.isfile(path):
                raise StoutError(f"The build ended without {path}; see {log}.")
            os.utime(path)


def run_step(command: list[str], output: IO[bytes], log: str) -> None:
    try:
        result = subprocess.run(command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=output,
                                stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError:
        raise missing(command[0]) from None
    if result.returncode:
        output.flush()
        with open(log, "rb") as file:
            lines = file.read().decode("utf-8", "replace").splitlines()
        errors = [line for line in lines if "rror" in line or "undefined reference" in line]
        sys.stderr.write("\n".join((errors or lines[-20:])[:20]) + "\n")
        raise StoutError(f"The kernel could not be built; the whole output is in {log}.")
