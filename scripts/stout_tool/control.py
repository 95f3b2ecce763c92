# SPDX-License-Identifier: MIT
"""Lines for the control channel that more than one command writes (kernel/control.h)."""
from __future__ import annotations

import time


def clock_line() -> str:
    """The answer to "clock"."""
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return f"clock {seconds} {nanoseconds}"
