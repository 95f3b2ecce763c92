# SPDX-License-Identifier: MIT
"""What a command answers: a table for people, JSON for programs."""
from __future__ import annotations

import json
import sys
from typing import Any, Callable, Sequence

from .errors import StoutError


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_names(names: Sequence[str], as_json: bool) -> None:
    """What a command made, changed or deleted: a line each."""
    if as_json:
        print_json([{"name": name} for name in names])
    else:
        print(*names, sep="\n")


def each_name(names: Sequence[str], action: Callable[[str], None], as_json: bool) -> int:
    """For all the names: what goes wrong with one does not keep the others."""
    status, answers = 0, []
    for name in dict.fromkeys(names):
        try:
            action(name)
            answers.append({"name": name})
            if not as_json:
                print(name)
        except StoutError as error:
            answers.append({"name": name, "error": error.sentence})
            sys.stderr.write(f"stout: {error.sentence}\n")
            status = status or error.status
    if as_json:
        print_json(answers)
    return status


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
