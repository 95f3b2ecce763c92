# SPDX-License-Identifier: MIT
"""package.json: what a package runs, and every file of it with owner, mode and checksum.

The files themselves stand below root/ beside it, owned by the user and readable, whatever the guest is to see: so a
package can be made and run without privileges.  The file digest holds the manifest's own checksum, which with the
files' covers the whole package.
"""
from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from typing import Any

from ..errors import StoutError

FORMAT = 1
NAME, DIGEST = "package.json", "digest"
ARCHITECTURE = "x86_64"
FILE, DIRECTORY, LINK = "file", "dir", "link"


@dataclasses.dataclass(slots=True)
class FileEntry:
    """One path of the package; size and sha256 are a file's, target is a link's."""
    type: str
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    size: int = 0
    sha256: str = ""
    target: str = ""


@dataclasses.dataclass
class Manifest:
    """The command is program, args and what the user says, or default_args when he says nothing.

    Without a program the first of these words is one, as in an image that has CMD but no ENTRYPOINT.
    """
    name: str
    program: str | None = None
    args: list[str] = dataclasses.field(default_factory=list)
    default_args: list[str] = dataclasses.field(default_factory=list)
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    workdir: str | None = None
    user: str | None = None
    ports: list[str] = dataclasses.field(default_factory=list)
    volumes: list[str] = dataclasses.field(default_factory=list)
    description: str = ""
    origin: str = ""
    architecture: str = ARCHITECTURE
    created: int = 0
    files: dict[str, FileEntry] = dataclasses.field(default_factory=dict)

    def command(self, words: list[str]) -> list[str]:
        start = [self.program, *self.args] if self.program else []
        return start + (words or self.default_args)

    @property
    def size(self) -> int:
        return sum(entry.size for entry in self.files.values())

    def summary(self) -> dict[str, Any]:
        """All but the files, for people and programs that only look."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "files"}
        return {**fields, "size": self.size, "file_count": sum(entry.type == FILE for entry in self.files.values())}

    def encode(self) -> bytes:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name != "files"}
        files = {path: compact(entry) for path, entry in sorted(self.files.items())}
        return json.dumps({"format": FORMAT, **fields, "files": files}, indent=1).encode()

    def write(self, folder: str) -> None:
        text = self.encode()
        for name, data in ((NAME, text), (DIGEST, digest_of(text).encode() + b"\n")):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(data)


def compact(entry: FileEntry) -> dict[str, Any]:
    """Without the fields that the type does not have; modes as people write them."""
    fields: dict[str, Any] = {"type": entry.type}
    if entry.type == LINK:
        return {**fields, "target": entry.target}
    fields["mode"] = f"{entry.mode:04o}"
    if entry.uid or entry.gid:
        fields |= {"uid": entry.uid, "gid": entry.gid}
    fields["mtime"] = entry.mtime
    if entry.type == FILE:
        fields |= {"size": entry.size, "sha256": entry.sha256}
    return fields


def digest_of(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()


def read(folder: str, name: str) -> Manifest:
    """The manifest of the package in a folder; what is wrong with it is said in a sentence."""
    try:
        text, digest = (read_file(folder, file) for file in (NAME, DIGEST))
    except OSError as error:
        raise StoutError(f"The package {name} cannot be read: {error.filename}: {(error.strerror or str(error)).lower()}; make or get "
                         "it again.") from None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise damaged(name, "its manifest is not JSON") from None
    if not isinstance(document, dict) or not isinstance(document.get("format"), int):
        raise damaged(name, "its manifest has no format")
    if document["format"] > FORMAT:
        raise StoutError(f"The package {name} has format {document['format']}, and this stout knows {FORMAT}; update stout, or make "
                         "the package again with this one.")
    if digest.strip() != digest_of(text).encode():
        raise damaged(name, "its manifest was changed")
    return from_document(name, document)


def read_file(folder: str, name: str) -> bytes:
    with open(os.path.join(folder, name), "rb") as file:
        return file.read()


def from_document(name: str, document: dict[str, Any]) -> Manifest:
    known = {field.name for field in dataclasses.fields(Manifest)} - {"files"}
    try:
        manifest = Manifest(**{key: value for key, value in document.items() if key in known})
        for path, fields in document["files"].items():
            check_path(path)
            known_fields: dict[str, Any] = {**fields, "mode": int(fields.get("mode", "777"), 8)}
            manifest.files[path] = FileEntry(**known_fields)
        check_types(manifest)
    except (TypeError, KeyError, ValueError, AttributeError):
        raise damaged(name, "its manifest makes no sense") from None
    return manifest


def check_path(path: str) -> None:
    if not path.startswith("/") or path != "/" and os.path.normpath(path) != path:
        raise ValueError(path)


def check_types(manifest: Manifest) -> None:
    lists = (manifest.args, manifest.default_args, manifest.ports, manifest.volumes)
    texts = [manifest.name, *(word for words in lists for word in words), *manifest.env, *manifest.env.values()]
    texts += [word for word in (manifest.program, manifest.workdir, manifest.user) if word is not None]
    if not all(isinstance(words, list) for words in lists) or not all(isinstance(text, str) for text in texts):
        raise ValueError("types")
    for entry in manifest.files.values():
        if entry.type not in (FILE, DIRECTORY, LINK) or not all(
                isinstance(number, int) for number in (entry.uid, entry.gid, entry.mtime, entry.size)):
            raise ValueError("types")


def damaged(name: str, what: str) -> StoutError:
    return StoutError(f"The package {name} is damaged: {what}; remove it with stout pkg remove {name}, and make or get it again.")
