# SPDX-License-Identifier: MIT
"""Where things are: the checkout, the kernel image, the user's cache."""
import os

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.path.join(TOP, "scripts", "stout_tool")


def build_dir(preset):
    return os.path.join(TOP, "build", preset)


def cache_dir():
    """The user's own cache, made on demand; nobody else may write there."""
    base = os.environ.get("STOUT_CACHE")
    if not base:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(
            os.path.expanduser("~"), ".cache")
        base = os.path.join(home, "stout")
    os.makedirs(base, mode=0o700, exist_ok=True)
    return base


def human_size(size):
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024 or unit == "GiB":
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 10 else f"{size:.1f} {unit}"
        size /= 1024
    return str(size)
