# SPDX-License-Identifier: MIT
"""The machine in the container's network namespace.

Whoever started the container has put an interface with addresses into the namespace: one end of a pair of virtual
Ethernet devices, a macvlan, slirp4netns's or pasta's tap.  The machine takes its place: a tap device of QEMU's and the interface
are tied together by two filters of tc(8) that redirect what comes in at one to the other, and the machine has the interface's
hardware address, IP address and default route.  So every port is reachable without being named, other containers see
the machine under the container's address, and offloads work from end to end.  The namespace's own kernel sees none of
these frames.

In the host's namespace (--network host) there is nothing to take: QEMU's user network reaches out, and the annotation
stout.ports names the ports that are to be reached.  A namespace with nothing but a loopback (--network none) has no network.
"""
from __future__ import annotations

import ctypes
import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

from ..errors import StoutError
from ..network import Network

if TYPE_CHECKING:
    from ..run import RunOptions

CLONE_NEWNET = 0x40000000
TAP = "stout0"


def setns(namespace: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def enter(namespaces: dict[str, str | None]) -> int | None:
    """Into the container's; a descriptor of the one we come from, or None: it is the same."""
    if "network" not in namespaces:
        return None
    before = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    path = namespaces["network"]
    try:
        if path:
            namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            setns(namespace)
            os.close(namespace)
        elif ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), "a new network namespace")
    except OSError as error:
        raise StoutError(f"The container's network namespace cannot be entered: {error.strerror} ({error.filename or path}).") from None
    return before


class Interface:
    """What the machine takes the place of."""

    def __init__(self, link: dict[str, Any], routes: list[dict[str, Any]]) -> None:
        self.name, self.mac, self.mtu = link["ifname"], link["address"], link["mtu"]
        self.addresses = [item for item in link["addr_info"] if item["family"] == "inet" and item["scope"] == "global"]
        self.gateway = next((route["gateway"] for route in routes if route["dst"] == "default" and route["dev"] == self.name
                             and "gateway" in route), "")

    def setting(self) -> str:
        """The manifest's."""
        first = self.addresses[0]
        return f"static:{first['local']}/{first['prefixlen']}" + (f":{self.gateway}" if self.gateway else "")


def find_interface() -> Interface | None:
    """The first that is up and has an IPv4 address; the one of the default route before others."""
    routes = ip_json("-4", "route", "show")
    found = [Interface(link, routes) for link in ip_json("addr", "show", "up")
             if "LOOPBACK" not in link["flags"] and link["ifname"] != TAP]
    found = sorted((item for item in found if item.addresses), key=lambda item: not item.gateway)
    return found[0] if found else None


def ip_json(*words: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = json.loads(tool("ip", "-json", *words) or "[]")
    return [item for item in answer if item]


def tool(*words: str) -> str:
    if not shutil.which(words[0]):
        raise StoutError(f"{words[0]} is not on PATH; install iproute2.")
    result = subprocess.run(words, check=False, capture_output=True, text=True)
    if result.returncode:
        reason = " ".join(result.stderr.split()) or f"status {result.returncode}"
        raise StoutError(f"The container's network cannot be tied to the machine: {' '.join(words)}: {reason}.")
    return result.stdout


def make_tap(interface: Interface) -> None:
    remove_tap()
    tool("ip", "tuntap", "add", TAP, "mode", "tap", "vnet_hdr")
    tool("ip", "link", "set", TAP, "mtu", str(interface.mtu), "up")
    for one, other in ((interface.name, TAP), (TAP, interface.name)):
        subprocess.run(["tc", "qdisc", "del", "dev", one, "ingress"], check=False, capture_output=True)  # a former machine's
        tool("tc", "qdisc", "add", "dev", one, "ingress")
        tool("tc", "filter", "add", "dev", one, "parent", "ffff:", "protocol", "all", "u32", "match", "u32", "0", "0",
             "action", "mirred", "egress", "redirect", "dev", other)


def remove_tap() -> None:
    """That of a machine that has ended; of one that runs, the namespace is in use."""
    links = ip_json("link", "show")
    for link in links:
        if link["ifname"] == TAP:
            if "NO-CARRIER" not in link["flags"] and "LOWER_UP" in link["flags"]:
                raise StoutError("Another machine has the network of this namespace; a pod can have one machine with a network. Start "
                                 "this container in a network of its own.")
            tool("ip", "link", "delete", TAP)


def attach(options: RunOptions, namespaces: dict[str, str | None]) -> None:
    """Completes the options, in the container's namespace."""
    if "network" not in namespaces:
        options.network = Network()
        options.net_manifest = options.network.setting(by_dhcp=False)
        return
    if options.forwards:
        raise StoutError("The annotation stout.ports is for --network host; in a network of its own every port of the container is reachable.")
    interface = find_interface()
    if interface is None:
        options.net_manifest = "none"
        return
    make_tap(interface)
    options.net_manifest = interface.setting()
    options.network = Network(f"tap:{TAP}")
    options.network.mac, options.network.mtu = interface.mac, interface.mtu
