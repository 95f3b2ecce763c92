# SPDX-License-Identifier: MIT
"""A bundle's config.json (OCI runtime specification, config.md) as the options of `stout run`.

What a container shares with the host's kernel, a machine has of its own: namespaces, /proc, /sys, seccomp, capabilities,
masked paths and device rules need nothing here.  What cannot be done is refused with a sentence, except where
leaving it out changes nothing that a program can see.
"""
from __future__ import annotations

import contextlib
import json
import os
import posixpath
import resource
import stat
from typing import TYPE_CHECKING, Any

from ..errors import StoutError, cannot_run, usage
from ..paths import is_number
from ..qemu import MACHINES, MIB, parse_memory, split_arguments
from . import settings

if TYPE_CHECKING:
    from ..tree import Tree

VERSIONS = ("1.0.", "1.1.", "1.2.")
KERNELS_OWN = ("proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "devtmpfs")  # the machine's kernel has them
HOOKS_INSIDE = ("createContainer", "startContainer")
PREFIX = "stout."
ANNOTATIONS = ("ports", "accel", "machine", "memory", "cpus", "kernel-options", "qemu-args")
UNSAFE = (PREFIX + "kernel-options", PREFIX + "qemu-args")  # reach past the machine: files of this host, what its kernel guards
CHOICES = {"accel": ("kvm", "tcg"), "machine": MACHINES}
SANDBOX_KEYS = ("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType")
FILE_LIMIT = 256 * MIB
GROUPS_MAX = 32


class Mount:
    """One of "mounts", as what the machine does with it."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.place: str = "/" + posixpath.normpath(entry["destination"]).lstrip("/")
        self.kind = entry.get("type") or "bind"
        self.options = [str(option) for option in entry.get("options") or ()]
        self.source = str(entry.get("source") or "")
        self.is_read_only = "ro" in self.options
        if self.kind == "bind" or {"bind", "rbind"} & set(self.options):
            self.kind = "file"
            if os.path.isdir(self.source):
                self.kind = "folder"
            elif not os.path.exists(self.source):
                raise usage(f"The mount at {self.place}: {self.source} does not exist.")
            elif not os.path.isfile(self.source):
                raise cannot_run(f"The mount at {self.place}: {self.source} is a socket or device of this host, which a machine cannot "
                                 "reach; leave it out.")

    def depth(self) -> int:
        return self.place.count("/")

    def mode(self) -> int:
        return next((int(option[5:], 8) for option in self.options if option.startswith("mode=")), 0o1777)


class Bundle:
    def __init__(self, path: str) -> None:
        self.path = os.path.realpath(path)
        self.config = read_config(self.path)
        try:
            self._read()
        except (KeyError, TypeError, AttributeError, ValueError, IndexError) as error:
            raise usage(f"{self.path}/config.json does not follow the specification ({type(error).__name__}: {error}).") from None

    def _read(self) -> None:
        config = self.config
        version = str(config["ociVersion"])
        if not version.startswith(VERSIONS):
            raise usage(f"{self.path}/config.json is of version {version} of the specification; this runtime knows 1.0, 1.1 and 1.2.")
        if "linux" not in config and any(name in config for name in ("windows", "solaris", "vm", "zos")):
            raise cannot_run("The bundle is not for Linux; Stout runs Linux programs.")
        self.annotations = {str(key): str(value) for key, value in (config.get("annotations") or {}).items()}
        self.is_sandbox = any(self.annotations.get(key) == "sandbox" for key in SANDBOX_KEYS)
        self.process = config["process"]
        self.argv = [str(word) for word in self.process["args"]]
        self.argv[0]  # IndexError: there must be one
        self.terminal = bool(self.process.get("terminal"))
        self.hooks = config.get("hooks") or {}
        self.linux = config.get("linux") or {}
        self.rootfs = os.path.normpath(os.path.join(self.path, config["root"]["path"]))
        self.is_read_only = bool(config["root"].get("readonly"))
        self.mounts = [Mount(entry) for entry in config.get("mounts") or ()]
        self.namespaces = {item["type"]: item.get("path") for item in self.linux.get("namespaces") or ()}
        self._refuse()

    def _refuse(self) -> None:
        if not os.path.isdir(self.rootfs):
            raise usage(f"The root of the bundle, {self.rootfs}, is not a folder.")
        for name in HOOKS_INSIDE:
            if self.hooks.get(name):
                raise cannot_run(f"The bundle has {name} hooks, programs of this host that are to run inside the container; a machine has "
                                 "no place for them. Use prestart, createRuntime or poststart hooks.")
        for kind in ("uidMappings", "gidMappings"):
            if any(item["containerID"] != item["hostID"] for item in self.linux.get(kind) or ()):
                raise cannot_run("The bundle has a user namespace with other ids inside than outside; a machine needs none: leave out "
                                 "--userns.")
        unknown = [key for key in self.annotations if key.startswith(PREFIX) and key[len(PREFIX):] not in ANNOTATIONS]
        if unknown:
            raise usage(f"There is no annotation {unknown[0]}; there are {', '.join(PREFIX + name for name in ANNOTATIONS)}.")
        self._refuse_unsafe()

    def _refuse_unsafe(self) -> None:
        """Who wrote the image or the pod is not to have more of this host than its engine gives."""
        given = [key for key in UNSAFE if key in self.annotations]
        refused = [key for key in given if key not in settings.allowed(UNSAFE)]
        if refused:
            raise cannot_run(f"The annotation {refused[0]} is refused: it reaches past the machine, and an image can bring it. The administrator of "
                             f'this host can allow it by {{"{settings.ALLOW}": ["{refused[0]}"]}} in {settings.PATH}.')
        split_arguments(f"The annotation {PREFIX}qemu-args", self.annotation("qemu-args") or "")
        for name, words in CHOICES.items():
            text = self.annotation(name)
            if text and text not in words:
                raise usage(f"The annotation {PREFIX}{name} is {text}; it must be {', '.join(words[:-1])} or {words[-1]}.")

    def annotation(self, name: str) -> str | None:
        return self.annotations.get(PREFIX + name)

    # ---- As options ----

    def options(self) -> dict[str, Any]:
        """For RunOptions; the network comes to it later."""
        process, user = self.process, self.process.get("user") or {}
        kind = "tty" if self.terminal else "stream"
        env = [str(text) for text in process.get("env") or () if "=" in text]
        if self.terminal and not any(text.startswith("TERM=") for text in env):
            env.append("TERM=xterm")
        values: dict[str, Any] = {
            "program": self.argv[0], "args": self.argv[1:], "root": self.rootfs, "container": self, "env": env,
            "workdir": process.get("cwd") or "/", "user": f"{int(user.get('uid', 0))}:{int(user.get('gid', 0))}",
            "hostname": self.config.get("hostname") or "", "interactive": True, "stdio": [kind] * 3,
            "memory": self._memory(), "cpus": self._cpus(), "accel": self.annotation("accel"), "net": "none",
            "folders": [f"{mount.source}:{mount.place}{':ro' if mount.is_read_only else ''}" for mount in self.mounts
                        if mount.kind == "folder" and mount.place != "/dev/shm"],
            "kernel_options": (self.annotation("kernel-options") or "").split(),
            "qemu_args": [self.annotation("qemu-args") or ""],
        }
        values["machine"] = self.annotation("machine") or ("q35" if len(values["folders"]) > 4 else None)
        return values

    def _memory(self) -> str | None:
        """A limit is the machine's memory, of which the annotation may take less; it has QEMU's own beside it."""
        given = self.annotation("memory")
        limit = ((self.linux.get("resources") or {}).get("memory") or {}).get("limit")
        if not limit or limit < 0 or limit >= 1 << 50:
            return given
        return f"{max(min(limit, parse_memory(given) if given else limit) // MIB, 1)}M"

    def _cpus(self) -> int:
        """A quota of 1.5 processors is two; the annotation may take fewer."""
        given = self.annotation("cpus")
        if given and not is_number(given):
            raise usage(f"The annotation {PREFIX}cpus is {given}; it must be a number.")
        cpu = (self.linux.get("resources") or {}).get("cpu") or {}
        quota, period = cpu.get("quota") or 0, cpu.get("period") or 100000
        if quota <= 0:
            return int(given or 1)
        most = max(1, min(-(-quota // period), len(os.sched_getaffinity(0))))
        return min(int(given), most) if given else most

    def fill(self, tree: Tree) -> None:
        """The mounts that become part of the image: files as they are now, and empty places."""
        for mount in sorted(self.mounts, key=Mount.depth):
            if mount.kind == "tmpfs":
                hide(tree, mount.place, mount.mode())
            elif mount.kind == "file":
                add_file(tree, mount, self._beside(mount) or resolve(tree, mount.place))
            elif mount.kind not in (*KERNELS_OWN, "folder"):
                raise cannot_run(f"The mount at {mount.place} has the type {mount.kind}, which a machine does not have; use bind or tmpfs.")

    def places(self) -> dict[str, str]:
        """Where files and folders of this host stand; the program may be in one."""
        return {mount.place: mount.source for mount in self.mounts if mount.kind in ("file", "folder")}

    def groups(self) -> list[int]:
        found = [int(group) for group in (self.process.get("user") or {}).get("additionalGids") or ()]
        if len(found) > GROUPS_MAX:
            raise usage(f"The process has {len(found)} supplementary groups; a machine takes {GROUPS_MAX}.")
        return found

    def rlimits(self) -> list[tuple[int, int, int]]:
        """(resource, soft, hard); the machine's kernel has no more descriptors than its own most, whatever is asked for."""
        found = []
        for item in self.process.get("rlimits") or ():
            number = getattr(resource, str(item["type"]), None)
            if not str(item["type"]).startswith("RLIMIT_") or number is None:
                raise usage(f"There is no resource limit {item['type']}.")
            found.append((number, int(item["soft"]), int(item["hard"])))
        return found

    def order_mounts(self, folders: list[str]) -> list[str]:
        """The manifest's: with a read-only root, what stays writable comes first, and then the root."""
        inner = [f"tmpfs:tmpfs:rw:{mount.place}" for mount in self.mounts if mount.kind == "tmpfs" and self._is_in_folder(mount)]
        inner += [f"bind:{source}:rw:{mount.place}" for mount in self.mounts if (source := self._beside(mount))]
        if not self.is_read_only:
            return [*folders, *inner]
        places = [mount.place for mount in self.mounts if mount.kind == "tmpfs" and mount.place not in ("/dev", "/dev/shm")
                  and not self._is_in_folder(mount)]
        return [*(f"tmpfs:tmpfs:rw:{place}" for place in places), *folders, *inner, "remount:root:ro:/"]

    def _is_in_folder(self, mount: Mount) -> bool:
        """Of the host, so that what the image has at its place is not seen."""
        return any(other.kind == "folder" and other.place != "/dev/shm" and mount.place.startswith(other.place + "/") for other in self.mounts)

    def _beside(self, mount: Mount) -> str | None:
        """Where the image has a file that the kernel is to show in a folder of the host."""
        return f"/.stout/files/{self.mounts.index(mount)}" if mount.kind == "file" and self._is_in_folder(mount) else None


def read_config(path: str) -> dict[str, Any]:
    name = os.path.join(path, "config.json")
    try:
        with open(name, encoding="utf-8") as file:
            config = json.load(file)
    except OSError as error:
        raise usage(f"The bundle's {name} cannot be read: {(error.strerror or '').lower()}.") from None
    except (ValueError, RecursionError):
        raise usage(f"{name} is not JSON.") from None
    if not isinstance(config, dict):
        raise usage(f"{name} is not a JSON object.")
    return config


def hide(tree: Tree, place: str, mode: int) -> None:
    """What the image has below a tmpfs is not seen."""
    where = tree.follow(place)
    for path in [path for path in tree.entries if path.startswith(where + "/")]:
        del tree.entries[path]
    tree.entries.pop(where, None)
    tree.make_directory(place, mode)


def add_file(tree: Tree, mount: Mount, place: str) -> None:
    size = os.stat(mount.source).st_size
    if size > FILE_LIMIT:
        raise StoutError(f"The mount at {mount.place} is a file of {size // MIB} MiB, which would be copied; mount the folder it is in.")
    with open(mount.source, "rb") as file:
        info = os.fstat(file.fileno())
        uid, gid = (0 if number == own else number for number, own in ((info.st_uid, os.geteuid()), (info.st_gid, os.getegid())))
        tree.add_bytes(place, file.read(), stat.S_IMODE(info.st_mode), uid, gid)


def resolve(tree: Tree, place: str) -> str:
    """A file's place when the image has a link there, such as /etc/resolv.conf."""
    with contextlib.suppress(ValueError):
        return str(tree.follow(place))
    return place
