# SPDX-License-Identifier: MIT
"""stout export: packs as `stout build` does, and writes a folder with what the engine starts and its definition.

The folder appears whole or not at all.  Engines that load a kernel by themselves get kernel and archive, so that nothing
is in between; the others get a disk that starts by GRUB.
"""
from __future__ import annotations

import os
import re
import shutil
from typing import Any

from .. import qemu
from ..build import STREAMS, make, packed
from ..errors import StoutError, usage
from ..kernel import image_path
from ..network import Network
from ..output import STDOUT, fresh_folder
from ..paths import is_number
from ..run import RunOptions, kernel_command_line
from ..tables import print_json
from .engines import ENGINES, Machine

DISK = "disk.qcow2"
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\Z")  # RFC 1123's label, which all engines take


def export(engine: str, output: str | None, name: str | None, count: int, as_json: bool, network: str | None = None, reference: str | None = None,
           accel: str = "kvm", **values: Any) -> int:
    ports = [Port(text) for text in values["publish"]]
    refuse_twice(engine, ports)
    name = name or default_name(values)
    if not NAME.match(name):
        raise usage(f"{name!r} cannot be the machine's name; use up to 63 small letters, digits and '-'.")
    if values.pop("folders"):
        raise usage("A folder of this host is not there on the engine's hosts; put the files in with --add.")
    values["publish"] = [port.text for port in ports] if values["minimal"] else []
    options = RunOptions(stdio=STREAMS, boot="mb2", **values)
    options.keep_reasons = True
    options.net_manifest = net_setting(engine, options.network, ports, count)
    define, needs_disk = ENGINES[engine]
    if output == STDOUT:
        raise usage("An export is a folder of several files, which standard output does not take; name the folder with -o.")
    path = os.path.abspath(output or name)
    if os.path.lexists(path):
        raise usage(f"{path} exists already; remove it, or give another folder with -o.")
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        raise usage(f"The folder {parent} does not exist; make it, or give another place with -o.")
    try:
        with fresh_folder(parent) as folder:
            archive = packed(options)
            check(options, archive)
            files = fill(folder, needs_disk, name, options, archive)
            machine = Machine(name, path, count, options.memory // qemu.MIB, options.cpus, ports, accel, network, reference,
                              kernel_command_line(options), options.network)
            for file, text in define(machine).items():
                files.append(file)
                with open(os.path.join(folder, file), "w", encoding="utf-8") as stream:
                    stream.write(text)
                if text.startswith("#!"):
                    os.chmod(stream.name, 0o755)
            os.chmod(folder, 0o755)
            os.rename(folder, path)
    except OSError as error:
        raise StoutError(f"{path} cannot be written: {(error.strerror or str(error)).lower()}; nothing was left behind.") from None
    paths = [os.path.join(path, file) for file in files]
    if as_json:
        print_json({"engine": engine, "name": name, "count": count, "memory": options.memory, "cpus": options.cpus, "files": paths})
    else:
        print("\n".join(paths))
    return 0


class Port:
    """-p [HOST:]GUEST; HOST is for engines that forward ports of their host."""

    def __init__(self, text: str) -> None:
        body, _, self.protocol = text.partition("/")
        host, _, guest = body.rpartition(":")
        if self.protocol not in ("", "tcp", "udp") or not all(is_number(word) and 0 < int(word) < 65536 for word in (host or guest, guest)):
            raise usage(f"-p {text} is not GUEST or HOST:GUEST, with /udp or without, and ports from 1 to 65535.")
        self.protocol = self.protocol or "tcp"
        self.host, self.guest = int(host) if host else None, int(guest)
        self.text = f"{self.host or self.guest}:{self.guest}/{self.protocol}"  # for qemu.Forward


def refuse_twice(engine: str, ports: list[Port]) -> None:
    """A port of the engine's side leads to one of the machine; without HOST it is the same number, but for Nomad, which chooses one."""
    seen = set()
    for port in ports:
        outside = port.host if engine == "nomad" else port.host or port.guest
        key = (port.protocol, outside or f"any for {port.guest}")
        if key in seen:
            raise usage(f"Port {outside or port.guest} is given twice with -p.")
        seen.add(key)


def net_setting(engine: str, network: Network, ports: list[Port], count: int) -> str:
    """The manifest's: the engine's network serves DHCP, but in QEMU's user network everything is known."""
    setting = network.setting(by_dhcp=True)
    if ports and network.kind == "none":
        raise usage("-p needs a network; leave out --net none.")
    if engine == "libvirt" and ports:
        network.check_usable()
        return network.setting(by_dhcp=False)
    if network.address and count > 1:
        raise usage(f"--ip {network.address} is the address of one machine, and --count {count} would give it to all; export them one by one, or leave "
                    "their addresses to DHCP.")
    return setting


def default_name(values: dict[str, Any]) -> str:
    what = values.get("package") or values.get("image") or values["program"]
    base = os.path.basename(what).partition(":")[0]
    base = re.sub(r"\.(js|py|rb|php|pl|sh|jar|tar(\.\w+)?)\Z", "", base)
    return re.sub(r"[^a-z0-9]+", "-", base.lower()).strip("-")[:63] or "stout"


def check(options: RunOptions, archive: str) -> None:
    size, kernel_size = os.stat(archive).st_size, os.stat(image_path(options)).st_size
    options.memory = qemu.parse_memory(options.memory_text) if options.memory_text else qemu.default_memory(size)
    qemu.check_memory(options.memory, size, kernel_size)


def fill(folder: str, needs_disk: bool, name: str, options: RunOptions, archive: str) -> list[str]:
    if needs_disk:
        (made,) = make("qcow2", name, options, archive, folder)
        os.rename(made, os.path.join(folder, DISK))
        os.chmod(os.path.join(folder, DISK), 0o644)
        for item in os.listdir(folder):  # what the disk was made of
            if item != DISK:
                place = os.path.join(folder, item)
                shutil.rmtree(place) if os.path.isdir(place) else os.unlink(place)
        return [DISK]
    shutil.copyfile(image_path(options), os.path.join(folder, "stout.elf"))
    shutil.copyfile(archive, os.path.join(folder, "image.cpio"))
    return ["stout.elf", "image.cpio"]
