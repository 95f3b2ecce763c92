# SPDX-License-Identifier: MIT
"""The manual pages stout(1), stout-run(1), ..., made from the description of the command line."""
from __future__ import annotations

import os
import re
import sys
import time
from typing import Iterator

import click

from . import __version__
from .cli import main
from .output import source_epoch


def quote(text: str) -> str:
    """Text as roff takes it."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.M)


def commands(command: click.Command, name: str = "stout") -> Iterator[tuple[str, click.Command]]:
    """Each command with its words; groups before what is in them."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            if below is not None and not below.hidden:
                yield from commands(below, f"{name} {word}")


def page(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=name)
    date = time.strftime("%Y-%m-%d", time.gmtime(source_epoch()))
    summary = command.get_short_help_str(200).rstrip(".")
    lines = [f'.TH "{name.replace(" ", "-").upper()}" 1 "{date}" "Stout {__version__}" "Stout"', ".SH NAME",
             f"{quote(name.replace(' ', '-'))} \\- {quote(summary[:1].lower() + summary[1:])}", ".SH SYNOPSIS",
             f".B {quote(name)}", quote(" ".join(command.collect_usage_pieces(context))), ".SH DESCRIPTION", *description(command.help or "")]
    options = [record for parameter in command.get_params(context) if (record := parameter.get_help_record(context))]
    if options:
        lines += [".SH OPTIONS"]
        for left, text in options:
            lines += [".TP", f".B {quote(left)}", quote(text)]
    if isinstance(command, click.Group):
        lines += [".SH COMMANDS"]
        for word in command.list_commands(context):
            below = command.get_command(context, word)
            if below is not None and not below.hidden:
                lines += [".TP", f".BR {quote(name.replace(' ', '-'))}\\-{quote(word)} (1)", quote(below.get_short_help_str(200))]
    if name == "stout":
        lines += STATUS.strip().splitlines()
    return "\n".join(lines) + "\n"


STATUS = r"""
.SH EXIT STATUS
.B stout run
ends with the program's status, 128 and the signal's number if it was killed. The tool's own are 2 for a wrong command line, 125 where the
tool or the machine failed, 126 for a program that cannot be run, 127 for one that was not found, 130 after Ctrl\-C.
.SH ENVIRONMENT
.TP
.B STOUT_HOME
the folder of packages and images' names instead of ~/.local/share/stout
.TP
.B XDG_STATE_HOME
the folder in whose stout instances and networks are, instead of ~/.local/share
.TP
.B STOUT_CACHE
the folder of packed images instead of ~/.cache/stout
.TP
.B STOUT_KERNEL
the kernel to start instead of the tool's own, as by \-\-kernel
.TP
.B STOUT_DEBUG
set, it has an error that the tool did not foresee show where it happened
.TP
.B SOURCE_DATE_EPOCH
the dates in what stout build makes
"""


def description(text: str) -> list[str]:
    """Paragraphs; what stands behind \\b keeps its lines, as click has it."""
    lines: list[str] = []
    for paragraph in re.split(r"\n\s*\n", re.sub(r"(?m)^[ \t]+", "", text).strip()):
        if paragraph.startswith("\b"):
            lines += [".PP", ".nf", *map(quote, paragraph.splitlines()[1:]), ".fi"]
        else:
            lines += [".PP", quote(" ".join(paragraph.split()))]
    return lines[1:]


def write(folder: str) -> int:
    os.makedirs(folder, exist_ok=True)
    for name, command in commands(main):
        with open(os.path.join(folder, name.replace(" ", "-") + ".1"), "w", encoding="utf-8") as file:
            file.write(page(name, command))
    return 0


if __name__ == "__main__":
    sys.exit(write(sys.argv[1]))
