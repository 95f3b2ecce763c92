# SPDX-License-Identifier: MIT
"""What a profile is printed as: folded stacks, a table of functions, JSON; flamegraph.py draws."""
from __future__ import annotations

import json
from collections import Counter
from typing import Any

from .names import KERNEL, Stacks
from .samples import Samples

TOP_MAX = 40
WIDTH = 100


def folded(stacks: Stacks) -> str:
    """A line a stack, "a;b;c N", as flamegraph.pl, speedscope and inferno read them."""
    lines = [";".join(name.replace(";", ":").replace("\n", " ") for name in stack) + f" {count}" for stack, count in stacks.items()]
    return "".join(line + "\n" for line in sorted(lines))


def functions(stacks: Stacks) -> list[tuple[str, int, int]]:
    """Each function: samples in itself, samples in it and what it called; the former's order."""
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for stack, count in stacks.items():
        own[stack[-1]] += count
        for name in set(stack[1:]):  # the first is the thread's name
            total[name] += count
    names = sorted(total, key=lambda name: (-own[name], -total[name], name))
    return [(name, own[name], total[name]) for name in names]


def top(stacks: Stacks) -> str:
    everything = sum(stacks.values()) or 1
    lines = ["  SELF   TOTAL  FUNCTION"]
    for name, own, total in functions(stacks)[:TOP_MAX]:
        where = "  (kernel)" if name.endswith(KERNEL) else ""
        lines.append(f"{100 * own / everything:5.1f} %{100 * total / everything:6.1f} %  {name.removesuffix(KERNEL)[:WIDTH]}{where}")
    return "\n".join(lines) + "\n"


def summary(samples: Samples) -> str:
    """One line about the sampling itself."""
    counts = samples.counts.values()
    idle, lost, late = (sum(getattr(count, name) for count in counts) for name in ("idle", "lost", "late"))
    parts = [f"{len(samples.samples)} samples at {samples.hz} Hz", f"{idle} more found the processors idle"]
    if late:
        parts.append(f"{late} periods passed without one (the host was busy, or interrupts were off)")
    if lost:
        parts.append(f"{lost} were lost for want of room")
    if samples.nbad:
        parts.append(f"{samples.nbad} lines made no sense")
    return "; ".join(parts)


def as_json(samples: Samples, stacks: Stacks) -> str:
    document: dict[str, Any] = {
        "hz": samples.hz, "cpus": samples.cpus, "samples": len(samples.samples),
        "idle": {str(cpu): counts.idle for cpu, counts in samples.counts.items()},
        "lost": sum(counts.lost for counts in samples.counts.values()),
        "late": sum(counts.late for counts in samples.counts.values()),
        "functions": [{"name": name, "self": own, "total": total} for name, own, total in functions(stacks)],
        "stacks": [{"frames": list(stack), "samples": count} for stack, count in sorted(stacks.items())]}
    return json.dumps(document, indent=2) + "\n"
