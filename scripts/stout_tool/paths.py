# SPDX-License-Identifier: MIT
"""Where things are: the checkout or the installed tool, the kernel image, the user's cache."""
from __future__ import annotations

import os

TOOL = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(TOOL))
IS_CHECKOUT = os.path.isfile(os.path.join(TOP, "CMakePresets.json"))
IMAGE = "stout.elf.stripped"


def build_dir(preset: str) -> str:
    return os.path.join(TOP, "build", preset)


def kernel_path() -> str:
    """Of a checkout, where it is built; installed, it came with the tool."""
    return os.path.join(build_dir("release") if IS_CHECKOUT else os.path.join(TOOL, "data"), IMAGE)


def cache_dir() -> str:
    """The user's own cache, made on demand; nobody else may write there."""
    base = os.environ.get("STOUT_CACHE")
    if not base:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(
            os.path.expanduser("~"), ".cache")
        base = os.path.join(home, "stout")
    os.makedirs(base, mode=0o700, exist_ok=True)
    return base


def is_number(text: str) -> bool:
    """int() also takes digits of other scripts, and isdigit() some that int() does not."""
    return text.isascii() and text.isdigit() and len(text) < 20


def from_top(path: str) -> str:
    """A path of the guest without `.`, `..` and doubled slashes, which normpath() keeps at the front."""
    return os.path.normpath("/" + path.lstrip("/"))


def human_size(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return str(size)
