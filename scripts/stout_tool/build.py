# SPDX-License-Identifier: MIT
"""stout build: gather and pack as for run, then write an image; same input, same bytes."""
from __future__ import annotations

import os
import re
import shutil
import sys
from typing import Any

from . import images
from .bundle import pack
from .disk import FORMS, make_disk
from .errors import usage
from .image import Image
from .iso import make_iso
from .kernel import image_path
from .progress import bytes_below, progress
from .output import STDOUT, publish, refuse_json_on_stdout, scratch_folder, source_epoch, target_of, undisturbed, workshop
from .qemu import default_memory
from .recipes import saying
from .run import RunOptions, kernel_command_line
from .tables import print_json

BUNDLES = ("qemu", "xen")
NOTICES = {
    "aws": "EC2's card (ENA) has no driver yet: the image boots there, but without a network.",
    "azure": "Azure's card (Hyper-V's netvsc) has no driver yet: the image boots there, but without a network.",
}
STREAMS = ["stream", "stream", "stream"]  # whatever this terminal is


def build(kind: str | None, output: str | None, as_json: bool, **values: Any) -> int:
    """Writes the image and prints its path."""
    if kind is None:
        raise usage("-t says which kind of image to make; for example: stout build -t iso PROGRAM.")
    if values.pop("folders", ()):
        raise usage("A folder of this host is shared while a machine runs, and an image is on its own; put the files in "
                    "it with --add.")
    source_epoch()  # a bad one is told before the work
    options = RunOptions(boot="mb2", stdio=STREAMS, **values)
    options.keep_reasons = True
    options.net_manifest = options.network.setting(by_dhcp=True)
    if output == STDOUT:
        refuse_json_on_stdout(as_json)
        return build_to_stdout(kind, options)
    path = target_of(output or default_name(options) + suffix_of(kind))
    paths = targets(kind, path)
    with workshop(path) as folder:
        archive = packed(options)
        with progress(f"making {kind}", measure=lambda: bytes_below(folder)):
            results = make(kind, name_of(path), options, archive, folder)
        with undisturbed():  # no signal comes between two files
            for made, target in zip(results, paths, strict=True):
                publish(made, target)
                images.record(target, kind, options.program)
    if kind in NOTICES:
        notice(NOTICES[kind])
    if as_json:
        print_json([{"path": path, "type": kind, "size": os.stat(path).st_size} for path in paths])
    else:
        print("\n".join(paths))
    return 0


def build_to_stdout(kind: str, options: RunOptions) -> int:
    if kind == "virtualbox":
        raise usage("-t virtualbox makes two files, and standard output takes one; take -t vdi or -t ova.")
    if sys.stdout.isatty():
        raise usage("An image is not for a terminal; send standard output to a file or a program, or name a file with -o.")
    with scratch_folder() as folder:
        (made,) = make(kind, name_of(default_name(options)), options, packed(options), folder)
        with open(made, "rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    if kind in NOTICES:
        notice(NOTICES[kind])
    return 0


def packed(options: RunOptions) -> str:
    """The archive's path."""
    image = Image(options, saying(notice, options.verbose))
    image.gather()
    if options.minimal:
        from .minimal import minimise
        minimise(image, options, notice, fresh=True)
    return image.write()


def notice(text: str) -> None:
    sys.stderr.write(f"stout: {text}\n")


def suffix_of(kind: str) -> str:
    return ".iso" if kind == "iso" else ".tar" if kind in BUNDLES else FORMS[kind][0]


def targets(kind: str, path: str) -> list[str]:
    """Where the files of this kind go: a second one beside the first."""
    if kind != "virtualbox":
        return [path]
    second = os.path.splitext(path)[0] + FORMS["ova"][0]
    if second == path:
        raise usage(f"{path} is where the appliance goes that comes beside the disk; name the disk with -o, or make only the appliance with -t ova.")
    if os.path.isdir(second):
        raise usage(f"{second} is a folder, and the appliance goes there that comes beside the disk; give another name with -o.")
    return [path, target_of(second)]


def name_of(path: str) -> str:
    """What a machine made of it is called: for descriptors, configurations and the names of files in them."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", os.path.splitext(os.path.basename(path))[0]).strip(".-") or "stout"


def make(kind: str, name: str, options: RunOptions, archive: str, folder: str) -> list[str]:
    """The finished files, in the folder."""
    kernel, words = image_path(options), kernel_command_line(options)
    memory = default_memory(os.stat(archive).st_size)
    path = os.path.join(folder, "image")
    if kind == "iso":
        make_iso("mb2", kernel, archive, words, path, folder)
    elif kind in BUNDLES:
        pack(kind, name, kernel, archive, words, memory, path)
    else:
        return make_disk(kind, name, kernel, archive, words, memory, folder)
    return [path]


def default_name(options: RunOptions) -> str:
    """The program's, or that of the package or image which names the program."""
    if options.package or options.image:
        from .packages.from_docker import name_of
        return options.package or name_of(str(options.image))
    return os.path.splitext(os.path.basename(options.program))[0]
