# SPDX-License-Identifier: MIT
"""stout pkg from-docker, and run --image: a container image as a package, with docker's rules for its configuration."""
from __future__ import annotations

import os
import re
import shutil
import sys
import time

from ..errors import StoutError, cannot_run
from ..paths import cache_dir, from_top, human_size, is_number
from ..progress import progress
from .commands import tell_made
from .layers import DamagedArchive, Layer
from .manifest import Manifest
from .oci import ContainerImage, open_image
from .store import Package, Store, check_name
from .writer import PackageWriter, UnsafePath

CACHE_LIMIT = 4 << 30  # of images that were only run


def from_docker(reference: str, name: str | None, force: bool, as_json: bool) -> int:
    store = Store()
    with open_image(reference) as image:
        manifest = describe(image, check_name(name or name_of(reference)), reference)
        make(store, image, manifest, force)
    return tell_made(manifest, as_json)


def name_of(reference: str) -> str:
    """docker.io/library/nginx:1.25 and nginx:1.25 are nginx_1.25; of a file it is the name."""
    base = re.sub(r"^[a-z-]+:(//)?(?=[^/]*/)", "", reference) if not os.path.exists(reference) else reference
    base = os.path.basename(os.path.normpath(base)).partition("@")[0]
    base = re.sub(r"\.(tar(\.\w+)?|tgz)$", "", base)
    return re.sub(r"[^A-Za-z0-9._+-]", "_", base).lstrip("._+-")


def describe(image: ContainerImage, name: str, reference: str) -> Manifest:
    settings = image.settings
    try:
        env = dict(text.split("=", 1) for text in settings.get("Env") or () if "=" in text)
        manifest = Manifest(
            name, env=env, workdir=from_top(settings.get("WorkingDir") or ""), user=settings.get("User") or None,
            ports=[port.removesuffix("/tcp") for port in settings.get("ExposedPorts") or {}], volumes=list(settings.get("Volumes") or {}),
            default_args=list(settings.get("Cmd") or ()), origin=f"image {os.path.basename(reference)}", created=int(time.time()),
            description=str((settings.get("Labels") or {}).get("org.opencontainers.image.description", "")))
        words = settings.get("Entrypoint") or []
        manifest.program, manifest.args = (words[0], list(words[1:])) if words else (None, [])
        if not all(isinstance(word, str) for word in (*words, *manifest.default_args, *manifest.ports, *manifest.volumes, *env.values())):
            raise TypeError
    except (TypeError, AttributeError, ValueError):
        raise image.source.damaged("its configuration makes no sense") from None
    return manifest


def make(store: Store, image: ContainerImage, manifest: Manifest, force: bool = False) -> None:
    with store.making(manifest.name, force) as place:
        writer = PackageWriter(place, manifest)
        try:
            for number in range(len(image.layers)):
                with image.layer(number) as stream, progress(f"layer {number + 1} of {len(image.layers)}", measure=lambda: writer.written):
                    Layer(writer, whiteouts=True).apply(stream)
            for volume in manifest.volumes:
                if writer.find("/" + volume.strip("/")) is None:
                    writer.add_directory(volume)
        except UnsafePath as error:
            raise cannot_run(f"The image {image.source.path} is refused: {error}; an image must keep to its own root.") from None
        except DamagedArchive as error:
            raise image.source.damaged(f"a layer is not a whole tar archive ({error})") from None
        manifest.user = resolve_user(writer, manifest.user)
        writer.finish()


def resolve_user(writer: PackageWriter, user: str | None) -> str | None:
    """A number without a group has that of passwd, or 0: docker's rule."""
    if not user or ":" in user or not is_number(user):
        return user
    place = writer.find("/etc/passwd")
    if place is not None and os.path.isfile(path := writer.place(place)) and not os.path.islink(path):
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            for line in file:
                fields = line.split(":")
                if len(fields) > 3 and fields[2] == user:
                    return f"{user}:{fields[3]}"
    return f"{user}:0"


def open_run_image(reference: str) -> Package:
    """For run --image: unpacked once, under the digest of its configuration."""
    store = Store(os.path.join(cache_dir(), "containers"))
    with open_image(reference) as image:
        name = image.digest if re.fullmatch("[0-9a-f]{64}", image.digest) else "-".join(image.diff_ids)[-64:]
        if name not in store:
            make_room(store)
            try:
                make(store, image, describe(image, name, reference))
            except StoutError:
                if name not in store:  # another stout made it in the meantime
                    raise
        package = store.open(name)
    os.utime(store.folder(name))
    return package


def make_room(store: Store) -> None:
    """Drops the images that were not run for the longest time."""
    found = []
    for name in store.names():
        try:
            found.append((os.stat(store.folder(name)).st_mtime, store.open(name).manifest.size, name))
        except (StoutError, OSError):
            shutil.rmtree(store.folder(name), ignore_errors=True)
    total = sum(size for _, size, _ in found)
    for _, size, name in sorted(found):
        if total <= CACHE_LIMIT:
            break
        sys.stderr.write(f"stout: dropping an unpacked image of {human_size(size)} that was not run for long.\n")
        store.remove(name)
        total -= size
