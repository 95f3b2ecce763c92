# SPDX-License-Identifier: MIT
"""stout build: gather and pack as for run, then write an image; same input, same bytes."""
import os

from . import images
from .disk import FORMS, make_disk
from .errors import usage
from .image import Image
from .iso import make_iso
from .kernel import image_path
from .output import publish, source_epoch, workshop
from .run import RunOptions, kernel_command_line

STREAMS = ["stream", "stream", "stream"]  # whatever this terminal is


def build(kind, output, **values):
    """Writes the image and prints its path."""
    if kind is None:
        raise usage("-t says which kind of image to make; for example: stout build -t iso PROGRAM.")
    if values.pop("folders", ()):
        raise usage("A folder of this host is shared while a machine runs, and an image is on its own; put the files in "
                    "it with --add.")
    source_epoch()  # a bad one is told before the work
    options = RunOptions(boot="mb2", stdio=STREAMS, **values)
    options.keep_reasons = True
    if options.net == "user":
        options.net_manifest = "dhcp"
    suffix = FORMS[kind][0] if kind in FORMS else ".iso"
    path = os.path.abspath(output or default_name(options) + suffix)
    with workshop(path) as folder:
        image = Image(options, lambda text: None)
        image.gather()
        archive = image.write()
        made = os.path.join(folder, "image")
        what = (image_path(options), archive, kernel_command_line(options), made, folder)
        if kind == "iso":
            make_iso("mb2", *what)
        else:
            make_disk(kind, *what)
        publish(made, path)
    images.record(path, kind, options.program)
    print(path)
    return 0


def default_name(options):
    """The program's, or that of the package or image which names the program."""
    if options.package or options.image:
        from .packages.from_docker import name_of
        return options.package or name_of(options.image)
    return os.path.splitext(os.path.basename(options.program))[0]
