# SPDX-License-Identifier: MIT
"""A bar on stderr for work that takes long; nothing at all where that is no terminal, or the work is done soon.

A thread of its own draws it, so that it moves while the tool waits for apt, npm or qemu-img.  The thread blocks all signals: they are
the main thread's, which may have put them off (output.undisturbed).
"""
from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator

DELAY = 0.5     # work that is shorter needs no bar; rich takes long to import
INTERVAL = 0.1


class Bar:
    """total: in bytes, None if nobody knows; measure: what says how many are done, instead of advance()."""

    def __init__(self, what: str, total: int | None = None, measure: Callable[[], int] | None = None) -> None:
        self.what, self.total, self._measure = what, total, measure
        self._done = 0
        self._over = threading.Event()

    def advance(self, count: int) -> None:
        self._done += count

    def draw(self) -> None:
        if self._over.wait(DELAY):
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
        size = [DownloadColumn(binary_units=True)] if self.total or self._measure else []
        with Progress(TextColumn("{task.description}"), BarColumn(), *size, TimeElapsedColumn(), console=Console(stderr=True), transient=True,
                      auto_refresh=False) as view:
            task = view.add_task(self.what, total=self.total)
            while True:
                view.update(task, completed=self._measure() if self._measure else self._done)
                view.refresh()
                if self._over.wait(INTERVAL):
                    return

    def end(self) -> None:
        self._over.set()


@contextlib.contextmanager
def progress(what: str, total: int | None = None, measure: Callable[[], int] | None = None) -> Iterator[Bar]:
    bar = Bar(what, total, measure)
    if not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb" or threading.active_count() > 1:  # in another bar's work
        yield bar
        return
    thread = threading.Thread(target=bar.draw, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        yield bar
    finally:
        bar.end()
        thread.join()


def bytes_below(folder: str) -> int:
    """What a download has brought so far."""
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_size
    return total
