# SPDX-License-Identifier: MIT
"""The commands of stout image."""
from __future__ import annotations

import copy
import sys

import click

from .cli import CONTEXT, Group, build, json_option


@click.group(cls=Group, context_settings=CONTEXT)
def image() -> None:
    """Images that stout build made: what is in them, and why.

    \b
    stout image inspect disk.qcow2
    stout image cat disk.qcow2 /etc/passwd
    """


create = copy.copy(build)  # as ops has it
create.help = "Make a bootable image of PROGRAM, as stout build does.\n\n\b\nstout image create -t qcow2 -o web.qcow2 server.js"
image.add_command(create, "create")


@image.command("list", context_settings=CONTEXT)
@json_option
def list_command(as_json: bool) -> None:
    """List the images that were built and are still there.

    \b
    stout image list
    """
    from .images import list_images
    sys.exit(list_images(as_json))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("path", default="/")
@json_option
def ls(file: str, path: str, as_json: bool) -> None:
    """List a folder of an image.

    \b
    stout image ls disk.qcow2 /etc
    """
    from .images import ls as show
    sys.exit(show(file, path, as_json))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("path", default="/")
@json_option
def tree(file: str, path: str, as_json: bool) -> None:
    """Draw an image's folders and files.

    \b
    stout image tree disk.qcow2 /usr/lib
    """
    from .images import tree as show
    sys.exit(show(file, path, as_json))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
def cat(file: str, paths: tuple[str, ...]) -> None:
    """Write files of an image to standard output.

    \b
    stout image cat disk.qcow2 /etc/passwd
    """
    from .images import cat as show
    sys.exit(show(file, paths))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("path")
@click.argument("target")
@json_option
def cp(file: str, path: str, target: str, as_json: bool) -> None:
    """Copy a file or folder out of an image.

    \b
    stout image cp disk.qcow2 /etc ./etc-of-the-image
    """
    from .images import cp as copy_out
    sys.exit(copy_out(file, path, target, as_json))


@image.command(context_settings=CONTEXT)
@click.argument("file")
@click.argument("pattern", required=False)
@click.option("--left-out", is_flag=True, help="Instead, the files that build --minimal did not pack.")
@json_option
def inspect(file: str, pattern: str | None, left_out: bool, as_json: bool) -> None:
    """Say how large each file is and why it is there, or those that match a PATTERN such as '/usr/lib/*'.

    \b
    stout image inspect disk.qcow2
    stout image inspect --left-out disk.qcow2
    """
    from .images import inspect as look
    sys.exit(look(file, pattern, left_out, as_json))


@image.command(context_settings=CONTEXT)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@json_option
def delete(files: tuple[str, ...], as_json: bool) -> None:
    """Delete images that are in the list.

    \b
    stout image delete disk.qcow2
    """
    from .images import delete as take_out
    sys.exit(take_out(files, as_json))
