# SPDX-License-Identifier: MIT
"""When the program ends by itself: --restart no, on-failure[:N], always, unless-stopped; the waits are docker's."""
from __future__ import annotations

from ..errors import usage
from ..paths import is_number

WAIT_FIRST, WAIT_MOST, RUNS_WELL = 0.1, 60.0, 10.0  # seconds


def parse_restart(text: str) -> str:
    kind, colon, count = text.partition(":")
    good = kind in ("no", "always", "unless-stopped") and not colon or kind == "on-failure" and (
        not colon or is_number(count) and int(count) > 0)
    if not good:
        raise usage(f"--restart {text} is none of no, on-failure, on-failure:N, always, unless-stopped.")
    return text


class Policy:
    def __init__(self, text: str) -> None:
        self.kind, _, count = text.partition(":")
        self.most = int(count) if count else None
        self._wait = WAIT_FIRST

    def wants(self, failed: bool, restarts: int) -> bool:
        if self.kind == "on-failure":
            return failed and (self.most is None or restarts < self.most)
        return self.kind in ("always", "unless-stopped")

    def ran(self, seconds: float) -> None:
        """So long, this time: what ran well is not punished for what was before."""
        if seconds >= RUNS_WELL:
            self._wait = WAIT_FIRST

    def next_wait(self) -> float:
        wait, self._wait = self._wait, min(self._wait * 2, WAIT_MOST)
        return wait
