# SPDX-License-Identifier: MIT
"""stout network: named networks of this user, between instances of this host, without root (switch.py).

A network is the folder networks/NAME with `network.json` and the machines' ports.  Who is in it stands in the
instances' own config.json, so nothing has to agree with it.  Addresses are given out under the network's lock.
"""
from __future__ import annotations

import contextlib
import ipaddress
import os
import shutil
from collections.abc import Iterator
from typing import Any

from ..errors import StoutError, usage
from ..output import UNFINISHED, fresh_folder, remove_abandoned
from ..tables import each_name, print_json, print_names, print_table
from .instance import all_instances
from .log import now
from .state import FORMAT, check_format, check_name, locked, lock_file, read_json, state_dir, write_json

FILE, LOCK, PORTS = "network.json", "lock", "ports"
POOL = ipaddress.IPv4Network("10.89.0.0/16")  # of which a network gets a /24
USER_NETWORK = ipaddress.IPv4Network("10.0.2.0/24")


class Network:
    def __init__(self, name: str) -> None:
        self.name = check_name(name, "a network")
        self.folder = os.path.join(state_dir("networks"), name)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def subnet(self) -> ipaddress.IPv4Network:
        document = read_json(self.path(FILE))
        if document is None:
            raise self.absent()
        check_format(document, f"The network {self.name}")
        return ipaddress.IPv4Network(document["subnet"])

    def absent(self) -> StoutError:
        return StoutError(f"There is no network {self.name}; make it with: stout network create {self.name}")

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else gets an address, or deletes it, meanwhile."""
        self.subnet()
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(locked(self.path(LOCK)))
            except FileNotFoundError:
                raise self.absent() from None
            self.subnet()  # it may have been deleted while we waited
            yield

    def members(self) -> dict[str, str]:
        """Name -> address."""
        found = {}
        for instance in all_instances():
            config = instance.known_config() or {}
            found.update({instance.name: item["address"] for item in config.get("networks", ()) if item["name"] == self.name})
        return found

    def join(self) -> dict[str, Any]:
        """A free address; the lock is held until the instance stands in its place."""
        subnet = self.subnet()
        used = set(self.members().values())
        for address in subnet.hosts():
            if int(address) & 0xff > 1 and str(address) not in used:  # .1 is for routers, by custom
                return {"name": self.name, "address": str(address), "bits": subnet.prefixlen, "mac": f"5254{int(address):08x}"}
        raise StoutError(f"The network {self.name} has no free address in {subnet}; delete instances, or make another network.")


def static_text(item: dict[str, Any]) -> str:
    """The manifest's setting of an interface."""
    return f"static:{item['address']}/{item['bits']}"


def device_arguments(items: list[dict[str, Any]], bus: str) -> list[str]:
    """QEMU's, whose working directory is the instance's folder."""
    words = []
    for number, item in enumerate(items, 1):
        port = os.path.join(ports_of(item), item["mac"])
        mac = ":".join(item["mac"][at:at + 2] for at in range(0, 12, 2))
        rom = ",romfile=" if bus == "pci" else ""
        words += ["-netdev", f"dgram,id=n{number},local.type=unix,local.path={port},remote.type=unix,remote.path={port}.out",
                  "-device", f"virtio-net-{bus},netdev=n{number},mac={mac}{rom}"]
    return words


def ports_of(item: dict[str, Any]) -> str:
    """From an instance's folder, so that it is short enough for a socket's name."""
    return os.path.join("..", "..", "networks", item["name"], PORTS)


def remove_ports(item: dict[str, Any]) -> None:
    """Those that a killed supervisor left."""
    for suffix in ("", ".out"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(state_dir("networks"), item["name"], PORTS, item["mac"] + suffix))


def tell_members(names: list[str], but: str) -> None:
    """Their /etc/hosts has changed."""
    for instance in all_instances():
        config = instance.known_config() or {}
        if instance.name != but and any(item["name"] in names for item in config.get("networks", ())):
            with contextlib.suppress(StoutError):
                instance.ask("hosts")


# ---- Commands ----

def all_networks() -> list[Network]:
    with os.scandir(state_dir("networks")) as items:
        return [Network(name) for name in sorted(item.name for item in items if not item.name.startswith("."))]


def create(name: str, subnet_text: str | None, as_json: bool) -> int:
    network = Network(name)
    with locked(os.path.join(state_dir("networks"), ".lock")):
        if os.path.exists(network.folder):
            raise usage(f"There is a network {name} already.")
        subnet = parse_subnet(subnet_text) if subnet_text else free_subnet()
        with fresh_folder(state_dir("networks")) as folder:
            write_json(os.path.join(folder, FILE), {"format": FORMAT, "name": name, "subnet": str(subnet), "created": now()})
            os.mkdir(os.path.join(folder, PORTS), 0o700)
            os.close(lock_file(os.path.join(folder, LOCK)) or 0)
            os.rename(folder, network.folder)
    print_names((name,), as_json)
    return 0


def parse_subnet(text: str) -> ipaddress.IPv4Network:
    try:
        subnet = ipaddress.IPv4Network(text)
    except ValueError:
        raise usage(f"--subnet {text} is not a network such as 10.89.5.0/24.") from None
    if not 8 <= subnet.prefixlen <= 29:
        raise usage(f"--subnet {text} must have 8 to 29 bits.")
    if subnet.overlaps(USER_NETWORK):
        raise usage(f"--subnet {text} overlaps {USER_NETWORK}, by which a machine reaches the world; give another one.")
    for other in all_networks():
        if subnet.overlaps(other.subnet()):
            raise usage(f"--subnet {text} overlaps that of the network {other.name}, {other.subnet()}; give another one.")
    return subnet


def free_subnet() -> ipaddress.IPv4Network:
    used = [network.subnet() for network in all_networks()]
    for subnet in POOL.subnets(new_prefix=24):
        if not any(subnet.overlaps(other) for other in used):
            return subnet
    raise StoutError(f"All networks of {POOL} are in use; give another one with --subnet.")


def list_networks(as_json: bool) -> int:
    items: list[dict[str, Any]] = [
        {"name": network.name, "subnet": str(network.subnet()), "instances": network.members()} for network in all_networks()]
    if as_json:
        print_json(items)
    else:
        print_table(("NAME", "SUBNET", "INSTANCES"), [
            (item["name"], item["subnet"], " ".join(f"{name}={address}" for name, address in item["instances"].items()))
            for item in items])
    return 0


def delete(names: tuple[str, ...], as_json: bool) -> int:
    remove_abandoned(state_dir("networks"), UNFINISHED)
    def action(name: str) -> None:
        network = Network(name)
        if not os.path.exists(network.folder):
            raise StoutError(f"There is no network {name}; stout network list shows those there are.")
        delete_one(network)

    return each_name(names, action, as_json)


def delete_one(network: Network) -> None:
    with network.locked():
        members = network.members()
        if members:
            raise StoutError(f"The network {network.name} has the instances {', '.join(members)}; delete them first.")
        gone = os.path.join(state_dir("networks"), f"{UNFINISHED}{network.name}-{os.getpid()}")
        os.rename(network.folder, gone)
        shutil.rmtree(gone)
