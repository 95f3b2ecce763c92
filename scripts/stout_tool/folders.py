# SPDX-License-Identifier: MIT
"""Folders of this host in the machine: -v HOST:GUEST[:ro], carried by virtio-9p (fs/ninep)."""
from __future__ import annotations

import os
import posixpath

from .errors import usage

MICROVM_MAX = 4  # what its virtio slots leave besides the console, the network, randomness and one spare


class Folder:
    """One -v, checked."""

    def __init__(self, text: str) -> None:
        body, _, access = text.rpartition(":")
        if access not in ("ro", "rw"):
            body, access = text, "rw"
        host, colon, guest = body.rpartition(":")
        if colon and "/" not in guest and host.rpartition(":")[2].startswith("/"):
            raise usage(f"-v {text}: {guest} is neither ro nor rw; write {host}, or {host}:ro.")
        if not colon or not host or not guest:
            raise usage(f"-v {text} is not HOST:GUEST or HOST:GUEST:ro; write for example -v ./public:/srv.")
        if not guest.startswith("/"):
            raise usage(f"-v {text}: {guest} is not an absolute path; begin it with /.")
        self.access = access
        self.guest = "/" + posixpath.normpath(guest).lstrip("/")
        if self.guest == "/":
            raise usage(f"-v {text}: the root comes with the image; name a folder below it, or use --root.")
        if not os.path.exists(host):
            raise usage(f"The folder {host}, given with -v, does not exist; make it with: mkdir -p {host}")
        if not os.path.isdir(host):
            raise usage(f"{host}, given with -v, is not a folder; share the folder it is in, or take a copy with "
                        f"--add {host}:{guest}.")
        if not os.access(host, os.R_OK | os.X_OK):
            raise usage(f"The folder {host}, given with -v, may not be read; run stout as a user who may.")
        self.host = os.path.realpath(host)

    def mount(self, tag: str, uid: int, gid: int) -> str:
        """The manifest's record.  What belongs to an ordinary user, as whom QEMU runs, is inside the program's own (uid, gid)."""
        ours = (os.geteuid(), os.getegid())
        owner = f",swapuid={ours[0]}/{uid},swapgid={ours[1]}/{gid}" if ours[0] != 0 and ours != (uid, gid) else ""
        return f"9p:{tag}:{self.access}{owner}:{self.guest}"

    def qemu(self, tag: str, bus: str) -> list[str]:
        """Files get QEMU's owner; links and modes are real ones on both sides."""
        path = self.host.replace(",", ",,")
        read_only = ",readonly=on" if self.access == "ro" else ""
        return ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap{read_only}",
                "-device", f"virtio-9p-{bus},fsdev={tag},mount_tag={tag}"]


def parse(texts: list[str] | tuple[str, ...], machine: str) -> list[tuple[str, Folder]]:
    """Outer folders first, so that the inner ones are mounted on them."""
    folders = sorted(map(Folder, texts), key=lambda folder: folder.guest.count("/"))
    seen = set()
    for folder in folders:
        if folder.guest in seen:
            raise usage(f"{folder.guest} is given twice with -v.")
        seen.add(folder.guest)
    if machine == "microvm" and len(folders) > MICROVM_MAX:
        raise usage(f"The machine microvm has room for {MICROVM_MAX} folders; use --machine q35 for {len(folders)}.")
    return [(f"host{index}", folder) for index, folder in enumerate(folders)]
