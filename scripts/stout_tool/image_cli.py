# SPDX-License-Identifier: MIT
"""The commands of stout image."""
from __future__ import annotations

import sys

import click

from .cli import CONTEXT


@click.group(context_settings=CONTEXT)
def image() -> None:
    """Images that stout build made: what is in them, and why.

    \b
    stout image inspect disk.qcow2
    stout image cat disk.qcow2 /etc/passwd
    """


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@image.command("list", context_settings=CONTEXT)
@json_option
def list_command(as_json: bool) -> None:
    """List the images that were built and are still there."""
    from .images import list_images
    sys.exit(list_images(as_json))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("path", default="/")
@json_option
def ls(file: str, path: str, as_json: bool) -> None:
    """List a folder of an image."""
    from .images import ls as show
    sys.exit(show(file, path, as_json))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("path", default="/")
@json_option
def tree(file: str, path: str, as_json: bool) -> None:
    """Draw an image's folders and files."""
    from .images import tree as show
    sys.exit(show(file, path, as_json))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
def cat(file: str, paths: tuple[str, ...]) -> None:
    """Write files of an image to standard output."""
    from .images import cat as show
    sys.exit(show(file, paths))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("path")
@click.argument("target")
def cp(file: str, path: str, target: str) -> None:
    """Copy a file or folder out of an image."""
    from .images import cp as copy
    sys.exit(copy(file, path, target))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("pattern", required=False)
@click.option("--left-out", is_flag=True, help="Instead, the files that build --minimal did not pack.")
@json_option
def inspect(file: str, pattern: str | None, left_out: bool, as_json: bool) -> None:
    """Say how large each file is and why it is there, or those that match a PATTERN such as '/usr/lib/*'."""
    from .images import inspect as look
    sys.exit(look(file, pattern, left_out, as_json))


@image.command(context_settings=CONTEXT)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
def delete(files: tuple[str, ...], as_json: bool) -> None:
    """Delete images that are in the list."""
    from .images import delete as take_out
    sys.exit(take_out(files, as_json))
