# SPDX-License-Identifier: MIT
"""Container images: what `docker save` writes, OCI layouts as folders or archives, and references that skopeo fetches.

All blobs are held against their digests: the configuration and the layers as they are stored, and each layer's tar
archive against the configuration's diff_ids.
"""
from __future__ import annotations

import contextlib
import hashlib
import json
import os
import posixpath
import shutil
import subprocess
import tarfile
import zlib
from lzma import LZMAError
from typing import Any, IO, Iterator, cast

from ..errors import StoutError, cannot_run, not_found, usage
from ..output import scratch_folder
from ..progress import bytes_below, progress

DOCUMENT_MAX = 8 << 20
INDEX_DEPTH = 4
PLATFORM = ("linux", "amd64")
REF = "org.opencontainers.image.ref.name"
TRANSPORTS = ("docker://", "docker-daemon:", "containers-storage:", "oci:", "oci-archive:", "docker-archive:")


class Source:
    """The files of an image, in a folder or an archive."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._tar: tarfile.TarFile | None = None
        if not os.path.isdir(path):
            try:
                self._tar = tarfile.open(path)
                self._members = {posixpath.normpath(member.name): member for member in self._tar}
            except (tarfile.TarError, EOFError, zlib.error, LZMAError, OSError) as error:
                if isinstance(error, OSError) and error.strerror:
                    raise usage(f"{path} cannot be read: {error.strerror.lower()}.") from None
                raise self.damaged("it is not a tar archive, or not whole") from None

    def damaged(self, what: str) -> StoutError:
        return cannot_run(f"The image {self.path} cannot be used: {what}; make or copy it again.")

    def has(self, name: str) -> bool:
        return name in self._members if self._tar else os.path.isfile(os.path.join(self.path, name))

    def open(self, name: str) -> IO[bytes]:
        if self._tar is None:
            place = os.path.join(self.path, name)
            if os.path.realpath(place) != os.path.join(os.path.realpath(self.path), name) or not os.path.isfile(place):
                raise self.damaged(f"{name} is missing")
            return open(place, "rb")
        for _ in range(8):  # docker save writes links for layers that it has written before
            member = self._members.get(posixpath.normpath(name))
            if member is None or not (member.issym() or member.islnk()):
                break
            name = posixpath.join(posixpath.dirname(name), member.linkname) if member.issym() else member.linkname
        if member is None or not member.isreg():
            raise self.damaged(f"{name} is missing")
        file = self._tar.extractfile(member)
        assert file is not None
        return file

    def document(self, name: str, digest: str | None = None) -> Any:
        with self.open(name) as file:
            text = file.read(DOCUMENT_MAX)
        if digest and "sha256:" + hashlib.sha256(text).hexdigest() != digest:
            raise self.damaged(f"{name} does not have its checksum")
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            raise self.damaged(f"{name} is not JSON") from None

    def blob(self, descriptor: dict[str, Any]) -> str:
        algorithm, _, digest = str(descriptor.get("digest")).partition(":")
        if algorithm != "sha256" or len(digest) != 64 or not set(digest) <= set("0123456789abcdef"):
            raise self.damaged(f"a digest makes no sense ({str(descriptor.get('digest'))[:80]})")
        return f"blobs/sha256/{digest}"


class ContainerImage:
    """One image for this architecture: its configuration and its layers, lowest first."""

    def __init__(self, source: Source, tag: str | None) -> None:
        self.source = source
        try:
            if source.has("index.json"):
                self._read_oci(tag)
            elif source.has("manifest.json"):
                self._read_docker(tag)
            else:
                raise source.damaged("it has neither index.json nor manifest.json, so it is not from docker save, skopeo or umoci")
            self.diff_ids = [str(digest) for digest in self.config["rootfs"]["diff_ids"]]
            self.settings = self.config.get("config") or {}
        except (KeyError, TypeError, AttributeError, IndexError):
            raise source.damaged("its documents make no sense") from None
        self._check_platform()
        if len(self.diff_ids) != len(self.layers):
            raise source.damaged(f"it has {len(self.layers)} layers and {len(self.diff_ids)} checksums for them")

    def _read_oci(self, tag: str | None) -> None:
        descriptor = self._choose(self.source.document("index.json")["manifests"], tag)
        for _ in range(INDEX_DEPTH):
            document = self.source.document(self.source.blob(descriptor), descriptor["digest"])
            if "manifests" not in document:
                break
            descriptor = self._choose(document["manifests"], None)
        config = document["config"]
        self.digest = str(config["digest"]).removeprefix("sha256:")
        self.config = self.source.document(self.source.blob(config), config["digest"])
        self.layers = [(self.source.blob(layer), layer["digest"]) for layer in document["layers"]]

    def _choose(self, manifests: list[dict[str, Any]], tag: str | None) -> dict[str, Any]:
        names = [str(item.get("annotations", {}).get(REF, "")) for item in manifests]
        if tag is not None:
            manifests = [item for item, name in zip(manifests, names) if name.rpartition(":")[2] == tag]
            if not manifests:
                raise not_found(f"{self.source.path} has no image with the tag {tag}; it has {listed(names)}.")
        elif len(set(filter(None, names))) > 1:
            raise usage(f"{self.source.path} has more than one image: {listed(names)}; choose one, as in {self.source.path}:TAG.")
        platforms = [(item.get("platform") or {}).get("os", "linux") + "/" + (item.get("platform") or {}).get("architecture", "amd64")
                     for item in manifests]
        fitting = [item for item, platform in zip(manifests, platforms) if platform == "/".join(PLATFORM)]
        if not fitting:
            raise cannot_run(f"{self.source.path} is for {listed(platforms)}, and Stout runs programs for linux/amd64; get the image for "
                             "that platform.")
        return fitting[0]

    def _read_docker(self, tag: str | None) -> None:
        images = self.source.document("manifest.json")
        names = [name for image in images for name in image.get("RepoTags") or ()]
        if tag is not None:
            images = [image for image in images if any(name == tag or name.rpartition(":")[2] == tag for name in image["RepoTags"] or ())]
            if not images:
                raise not_found(f"{self.source.path} has no image with the tag {tag}; it has {listed(names)}.")
        elif len(images) > 1:
            raise usage(f"{self.source.path} has more than one image: {listed(names)}; choose one, as in {self.source.path}:TAG.")
        name = images[0]["Config"]
        self.digest = posixpath.basename(name).removesuffix(".json")
        self.config = self.source.document(name, f"sha256:{self.digest}" if len(self.digest) == 64 else None)
        self.layers = [(layer, None) for layer in images[0]["Layers"]]

    def _check_platform(self) -> None:
        found = (self.config.get("os") or "linux", self.config.get("architecture") or "amd64")
        if found != PLATFORM:
            raise cannot_run(f"{self.source.path} is for {'/'.join(found)}, and Stout runs programs for linux/amd64; get the image for that "
                             "platform.")

    @contextlib.contextmanager
    def layer(self, number: int) -> Iterator[Hashing]:
        """The tar archive of a layer; at the end both checksums are looked at."""
        name, digest = self.layers[number]
        with self.source.open(name) as file:
            stored = Hashing(file)
            with decompressed(stored, self.source) as plain:
                archive = Hashing(plain)
                yield archive
                drain(archive)
            drain(stored)
        if f"sha256:{archive.digest()}" != self.diff_ids[number] or digest not in (None, f"sha256:{stored.digest()}"):
            raise self.source.damaged(f"layer {number + 1} ({name}) does not have its checksum")


def listed(names: list[str]) -> str:
    return ", ".join(sorted(set(filter(None, names)))) or "none with a name"


class Hashing:
    """A file that hashes what is read from it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()


def drain(file: Hashing) -> None:
    while file.read(1 << 20):
        pass


@contextlib.contextmanager
def decompressed(file: Hashing, source: Source) -> Iterator[Any]:
    """The plain bytes of a layer, whatever it is compressed with."""
    import gzip
    peeked = Peeked(file)
    if peeked.head[:2] == b"\x1f\x8b":
        try:
            yield gzip.GzipFile(fileobj=cast(IO[bytes], peeked))
        except (gzip.BadGzipFile, EOFError, zlib.error):
            raise source.damaged("a layer's compression is damaged") from None
        return
    if peeked.head[:4] != b"\x28\xb5\x2f\xfd":
        yield peeked
        return
    if not shutil.which("zstd"):
        raise not_found("A layer of the image is compressed by zstd, which is not on PATH; install it (Debian: apt-get install zstd).")
    with scratch_folder() as folder, open(os.path.join(folder, "compressed"), "w+b") as compressed, open(os.path.join(folder, "plain"), "w+b") as plain:
        shutil.copyfileobj(peeked, compressed)
        compressed.seek(0)
        if subprocess.run(["zstd", "-dcq"], stdin=compressed, stdout=plain, stderr=subprocess.DEVNULL, check=False).returncode:
            raise source.damaged("a layer's compression is damaged")
        plain.seek(0)
        yield plain


class Peeked:
    """A file whose first bytes can be looked at."""

    def __init__(self, file: Hashing) -> None:
        self._file, self.head = file, file.read(4)
        self._left = self.head

    def read(self, size: int = -1) -> bytes:
        if not self._left:
            return self._file.read(size)
        data = self._left if size < 0 else self._left[:size]
        self._left = self._left[len(data):]
        return data + self._file.read(size if size < 0 else size - len(data))


@contextlib.contextmanager
def open_image(text: str) -> Iterator[ContainerImage]:
    """A file or folder of this host, with :TAG where it has several images, or a reference."""
    path, _, tag = text.rpartition(":")
    if os.path.exists(text):
        path, tag = text, ""
    if os.path.exists(path):
        yield ContainerImage(Source(path), tag or None)
        return
    if text.startswith(("/", "./", "../")) or text.endswith((".tar", ".tar.gz", ".tgz")):
        raise not_found(f"{text} does not exist; give the archive of docker save, a folder with an OCI layout, or a name such as nginx:1.25.")
    with scratch_folder() as folder:
        fetch(text, folder)
        yield ContainerImage(Source(folder), None)


def fetch(reference: str, folder: str) -> None:
    """By skopeo, which knows registries, their names and credentials."""
    import sys
    if not shutil.which("skopeo"):
        raise not_found(f"{reference} is no file here, and skopeo, which fetches images, is not on PATH; install it (Debian: apt-get "
                        "install skopeo), or give an archive of docker save.")
    if not reference.startswith(TRANSPORTS):
        reference = "docker://" + reference
    sys.stderr.write(f"stout: fetching {reference.removeprefix('docker://')} ...\n")
    command = ["skopeo", "--override-os", PLATFORM[0], "--override-arch", PLATFORM[1], "copy", "--quiet", reference, f"oci:{folder}:image"]
    with progress("fetching", measure=lambda: bytes_below(folder)):
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False)
    if result.returncode:
        lines = [line for line in result.stderr.strip().splitlines() if line] or ["no message"]
        reason = lines[-1].partition('msg="')[2].rstrip('"').replace('\\"', "'") or lines[-1]
        raise StoutError(f"{reference} cannot be fetched: {reason.rstrip('.')}; check the name and the network.")
