# SPDX-License-Identifier: MIT
"""stout image: looks into images that stout build made, whatever their form, and keeps a list of them.

Every form holds the same boot archive: on a disc or a FAT partition as /boot/image.cpio.
"""
from __future__ import annotations

import contextlib
import fnmatch
import hashlib
import json
import os
import shutil
import stat
import sys
import time
import zlib
from typing import TYPE_CHECKING, Any, Iterator, IO

from .cpio_reader import Archive, Member
from .errors import StoutError, cannot_run, not_found, usage
from .output import fresh_folder, scratch_folder
from .grub import run_tool
from .host import missing
from .packages.store import home_dir
from .paths import from_top, human_size
from .progress import progress
from .tables import print_json, print_names, print_table

if TYPE_CHECKING:
    from .tree import Tree

REASONS, LEFT_OUT = "/.stout/reasons", "/.stout/left-out"
INSIDE = "/boot/image.cpio"
MIB = 1 << 20


@contextlib.contextmanager
def opened(path: str) -> Iterator[Archive]:
    """The boot archive of an image."""
    try:
        with open(path, "rb") as file:
            head = file.read(262)
            file.seek(0x8001)
            is_disc = file.read(5) == b"CD001"
            if head[:6] == b"070701":
                yield Archive(file, path)
                return
    except FileNotFoundError:
        raise not_found(f"{path} does not exist; stout image list shows the images.") from None
    except OSError as error:
        raise not_found(f"{path} cannot be read: {(error.strerror or str(error)).lower()}.") from None
    with scratch_folder() as folder:
        archive, disk = os.path.join(folder, "image.cpio"), path
        try:
            with progress("looking into the image"):
                if head[257:] == b"ustar":
                    disk = unpack(path, folder, archive)
                if is_disc:
                    run_tool("xorriso", "-osirrox", "on", "-indev", os.path.abspath(path), "-extract", INSIDE, archive)
                elif not os.path.exists(archive):
                    run_tool("mcopy", "-i", f"{raw_disk(disk, head, folder)}@@{MIB}", f"::{INSIDE}", archive)
        except StoutError as error:
            if "not on PATH" in error.sentence:
                raise
            raise cannot_run(f"{path} is not an image that stout build made, or it is damaged ({error.sentence.rstrip('.')}).") from None
        with open(archive, "rb") as file:
            yield Archive(file, path)


def unpack(path: str, folder: str, archive: str) -> str:
    """Of a tar: the disk of an appliance, or else the boot archive, which lies there as it is."""
    import tarfile
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                target = archive if member.name.endswith("/image.cpio") else os.path.join(folder, "disk.vmdk")
                data = tar.extractfile(member) if member.name.endswith(("/image.cpio", ".vmdk")) else None
                if data is not None:
                    with open(target, "wb") as file:
                        shutil.copyfileobj(data, file)
                    return target
    except tarfile.TarError as error:
        raise StoutError(str(error)) from None
    return path


def raw_disk(path: str, head: bytes, folder: str) -> str:
    """The disk without the form that a hypervisor wants; itself if it is raw."""
    raw = os.path.join(folder, "disk.raw")
    if head[:2] == b"\x1f\x8b":
        run_tool("tar", "-xzf", os.path.abspath(path), "-C", folder, "disk.raw")
        return raw
    result = json.loads(output_of("qemu-img", "info", "--output=json", path))
    if result["format"] == "raw":
        return os.path.abspath(path)
    run_tool("qemu-img", "convert", "-f", result["format"], "-O", "raw", path, raw)
    return raw


def output_of(*command: str) -> str:
    import subprocess
    if not shutil.which(command[0]):
        raise missing(command[0])
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        raise StoutError(f"{command[0]} failed: {(result.stderr.strip().splitlines() or ['no message'])[-1]}")
    return result.stdout


def need(archive: Archive, path: str) -> Member:
    member = archive.find(path)
    if member is None:
        import difflib
        near = difflib.get_close_matches(from_top(path), archive.members, 1)
        raise not_found(f"{path} is not in {archive.name}; " + (f"did you mean {near[0]}?" if near else "stout image tree shows what is."))
    return member


def children(archive: Archive, path: str) -> list[Member]:
    return [member for name, member in sorted(archive.members.items()) if os.path.dirname(name) == path and name != path]


def describe(member: Member, archive: Archive) -> dict[str, Any]:
    fields = {"path": member.path, "mode": stat.filemode(member.mode), "uid": member.uid, "gid": member.gid, "size": member.size,
              "mtime": member.mtime}
    return {**fields, "target": os.fsdecode(archive.data(member))} if member.is_link else fields


def print_lines(found: list[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        print_json(found)
        return 0
    for item in found:
        when = time.strftime("%Y-%m-%d %H:%M", time.gmtime(item["mtime"]))
        arrow = f" -> {item['target']}" if "target" in item else ""
        print(f"{item['mode']} {item['uid']:>5}:{item['gid']:<5} {item['size']:>11} {when} {item['path']}{arrow}")
    return 0


def ls(image: str, path: str, as_json: bool) -> int:
    with opened(image) as archive:
        member = need(archive, path)
        found = children(archive, member.path) if member.is_directory else [member]
        return print_lines([describe(item, archive) for item in found], as_json)


def tree(image: str, path: str, as_json: bool) -> int:
    with opened(image) as archive:
        top = need(archive, path)
        if as_json:
            prefix = top.path.rstrip("/") + "/"
            return print_lines([describe(item, archive) for name, item in sorted(archive.members.items()) if name.startswith(prefix)], True)
        below: dict[str, list[Member]] = {}
        for name, member in sorted(archive.members.items()):
            below.setdefault(os.path.dirname(name), []).append(member)
        print(top.path)
        draw(archive, below, top.path, "")
    return 0


def draw(archive: Archive, below: dict[str, list[Member]], path: str, indent: str) -> None:
    items = below.get(path, [])
    for number, member in enumerate(items, 1):
        arrow = f" -> {os.fsdecode(archive.data(member))}" if member.is_link else ""
        size = "" if member.is_directory or member.is_link else f" ({human_size(member.size)})"
        print(f"{indent}{'`-- ' if number == len(items) else '|-- '}{os.path.basename(member.path)}{arrow}{size}")
        if member.is_directory:
            draw(archive, below, member.path, indent + ("    " if number == len(items) else "|   "))


def cat(image: str, paths: tuple[str, ...]) -> int:
    with opened(image) as archive:
        found = [need(archive, path) for path in paths]
        for member in found:
            if member.is_directory:
                raise usage(f"{member.path} of {image} is a folder; stout image ls shows what is in it.")
        for member in found:
            copy_data(archive, member, sys.stdout.buffer)
        sys.stdout.buffer.flush()
    return 0


def copy_data(archive: Archive, member: Member, file: IO[bytes]) -> None:
    for data in archive.pieces(member):
        file.write(data)


def cp(image: str, path: str, target: str, as_json: bool = False) -> int:
    """A file, or a folder with all in it, to this host; owners and device nodes are not carried over, and links stay links."""
    with opened(image) as archive:
        member = need(archive, path)
        if os.path.isdir(target):
            target = os.path.join(target, os.path.basename(member.path) or "root")
        if os.path.lexists(target) and (member.is_directory or os.path.isdir(target)):
            raise usage(f"{target} exists already; name a place that does not.")
        parent = os.path.dirname(os.path.abspath(target))
        if not os.path.isdir(parent):
            raise usage(f"The folder {parent} does not exist; make it, or name another place.")
        is_written_to = os.path.exists(target) and (os.path.islink(target) or not os.path.isfile(target))  # /dev/stdout, a link's file
        try:
            with scratch_folder() if is_written_to else fresh_folder(parent) as folder:
                made = os.path.join(folder, "copy")
                extract(archive, member, made)
                if is_written_to:
                    with open(made, "rb") as source, open(target, "wb") as file:
                        shutil.copyfileobj(source, file)
                else:
                    os.rename(made, target)
        except OSError as error:
            raise StoutError(f"{target} cannot be written: {(error.strerror or str(error)).lower()}; nothing was left behind.") from None
    if as_json:
        print_json({"path": path, "target": os.path.abspath(target)})
    return 0


def extract(archive: Archive, member: Member, target: str) -> None:
    if member.is_link:
        os.symlink(os.fsdecode(archive.data(member)), target)
    elif member.is_directory:
        os.mkdir(target)
        for item in children(archive, member.path):
            extract(archive, item, os.path.join(target, os.path.basename(item.path)))
    else:
        with open(target, "wb") as file:
            copy_data(archive, member, file)
        os.chmod(target, member.mode & 0o755 | 0o600)
        os.utime(target, (member.mtime, member.mtime))


def inspect(image: str, pattern: str | None, left_out: bool, as_json: bool) -> int:
    """Every file with its size, largest first, and why it is there; then the sums by reason."""
    with opened(image) as archive:
        if left_out:
            return show_left_out(read_json(archive, LEFT_OUT), pattern, as_json)
        reasons = read_reasons(archive)
        files = [member for member in archive.members.values() if stat.S_ISREG(member.mode)
                 and (pattern is None or fnmatch.fnmatchcase(member.path, pattern))]
        files.sort(key=lambda member: (-member.size, member.path))
        if as_json:
            print_json([{"path": member.path, "size": member.size, "stored": member.stored, "reason": reasons.get(member.path)} for member in files])
            return 0
        print_files(files, reasons)
        sums: dict[str, list[int]] = {}
        for member in files:
            sums.setdefault(reasons.get(member.path, "unknown"), []).append(member.size)
        print()
        print_table(("SIZE", "FILES", "BECAUSE"), [(human_size(sum(sizes)), len(sizes), reason) for reason, sizes in
                                                   sorted(sums.items(), key=lambda item: -sum(item[1]))], right=(0, 1))
    return 0


def print_files(files: list[Member], reasons: dict[str, str]) -> None:
    """What they take in the image has a column of its own if some are compressed."""
    if not any(member.is_compressed for member in files):
        print_table(("SIZE", "FILE", "BECAUSE"), [(human_size(member.size), member.path, reasons.get(member.path, "unknown")) for member in files],
                    right=(0,))
        return
    print_table(("SIZE", "COMPRESSED", "FILE", "BECAUSE"), [
        (human_size(member.size), human_size(member.stored) if member.is_compressed else "-", member.path, reasons.get(member.path, "unknown"))
        for member in files], right=(0, 1))
    plain, stored = sum(member.size for member in files), sum(member.stored for member in files)
    print(f"\n{human_size(plain)} of files take {human_size(stored)} in the image.")


def show_left_out(sizes: dict[str, Any], pattern: str | None, as_json: bool) -> int:
    """What --minimal did not pack, largest first."""
    rows = sorted(((size, path) for path, size in sizes.items() if pattern is None or fnmatch.fnmatchcase(path, pattern)),
                  key=lambda row: (-row[0], row[1]))
    if as_json:
        print_json([{"path": path, "size": size} for size, path in rows])
    else:
        print_table(("SIZE", "LEFT OUT"), [(human_size(size), path) for size, path in rows], right=(0,))
    return 0


def reasons_of(tree: Tree) -> dict[str, list[str]]:
    """What `stout build` puts in the image: the reasons, each with its paths."""
    reasons: dict[str, list[str]] = {}
    for path, entry in sorted(tree.entries.items()):
        if entry.why:
            reasons.setdefault(entry.why, []).append(path)
    return reasons


def pack_json(value: Any) -> bytes:
    return zlib.compress(json.dumps(value, sort_keys=True).encode(), 9)


def read_json(archive: Archive, path: str) -> dict[str, Any]:
    member = archive.members.get(path)
    try:
        value = json.loads(zlib.decompress(archive.data(member))) if member is not None else {}
    except (ValueError, zlib.error):
        value = {}
    return value if isinstance(value, dict) else {}


def read_reasons(archive: Archive) -> dict[str, str]:
    reasons = read_json(archive, REASONS)
    return {path: reason for reason, paths in reasons.items() if isinstance(paths, list) for path in paths if isinstance(path, str)}


def record_file(path: str) -> str:
    return os.path.join(home_dir(), "images", hashlib.sha256(os.fsencode(path)).hexdigest()[:32] + ".json")


def record(path: str, kind: str, program: str) -> None:
    """For image list; that it cannot be written does not spoil the image."""
    with contextlib.suppress(OSError):
        place = record_file(path)
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
        temporary = f"{place}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"path": path, "type": kind, "program": program, "created": int(time.time())}, file)
        os.rename(temporary, place)


def list_images(as_json: bool) -> int:
    found = []
    folder = os.path.join(home_dir(), "images")
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        try:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                item = json.load(file)
            found.append({**item, "size": os.stat(item["path"]).st_size})
        except (OSError, ValueError, TypeError, KeyError):
            continue  # deleted by hand, or being written
    found.sort(key=lambda item: item["path"])
    if as_json:
        print_json(found)
    elif found:
        print_table(("IMAGE", "TYPE", "SIZE", "PROGRAM", "MADE"), [
            (item["path"], item["type"], human_size(item["size"]), item["program"],
             time.strftime("%Y-%m-%d %H:%M", time.localtime(item["created"]))) for item in found], right=(2,))
    else:
        print("No images; stout build makes them.")
    return 0


def delete(paths: tuple[str, ...], as_json: bool) -> int:
    """Only what stout build made: a wrong name costs nothing."""
    for path in paths:
        if not os.path.exists(path):
            raise not_found(f"{path} does not exist; stout image list shows the images.")
        if not os.path.exists(record_file(os.path.abspath(path))):
            raise usage(f"{path} is not in stout image list, so it may be something else; delete it with rm.")
    for path in paths:
        os.unlink(path)
        os.unlink(record_file(os.path.abspath(path)))
    print_names(paths, as_json)
    return 0
