# SPDX-License-Identifier: MIT
"""What a command answers: a table for people, JSON for programs."""
from __future__ import annotations

import json
from typing import Any, Sequence


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_table(titles: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> None:
    for line in format_table(titles, rows, right):
        print(line)


def format_table(titles: Sequence[str], rows: Sequence[Sequence[Any]], right: Sequence[int] = ()) -> list[str]:
    """Columns as wide as they must be; right: the columns of numbers."""
    lines = []
    cells = [list(titles), *([str(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    for row in cells:
        words = [cell.rjust(width) if column in right else cell.ljust(width) for column, (cell, width) in enumerate(zip(row, widths))]
        lines.append("  ".join(words).rstrip())
    return lines
