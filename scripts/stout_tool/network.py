# SPDX-License-Identifier: MIT
"""The network that a machine is put on: --net, --ip, --gw and --dns.

QEMU's user network needs no privilege; what is in it is this process's: a network of its own with a router and a name
server, through which the machine reaches out, and ports of this host that reach in.  On a tap device the machine is a
host of its own beside this one, at the bridge or the routes that its administrator has made.  Whatever is to be known of
an interface before it is up stands in the manifest, so that nothing waits for DHCP where addresses are given.
"""
from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import hashlib
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

from .errors import StoutError, usage

if TYPE_CHECKING:
    from .qemu import Forward

TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, IFF_MULTI_QUEUE = 0x400454ca, 0x0002, 0x1000, 0x4000, 0x0100  # linux/if_tun.h
SIOCETHTOOL, ETHTOOL_GDRVINFO, ETHTOOL_GLINK = 0x8946, 0x03, 0x0a  # linux/sockios.h, linux/ethtool.h
QUEUES_MAX = 4  # pairs of queues that the kernel uses (drivers/virtio_net.c)
USER_ADDRESS, USER_GATEWAY, USER_DNS = "10.0.2.15/24", "10.0.2.2", "10.0.2.3"  # QEMU's own


def mac_of(name: str) -> str:
    """The same for a name at each time; locally administered."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return "52:54:00:" + ":".join(digest[at:at + 2] for at in (0, 2, 4))


class Network:
    """Of one interface."""

    def __init__(self, net: str = "user", ip: str | None = None, gw: str | None = None, dns: Iterable[str] = ()) -> None:
        self.kind, _, self.interface = net.partition(":")
        if self.kind not in ("user", "none", "tap") or bool(self.interface) != (self.kind == "tap"):
            raise usage(f"--net {net} is no network; give user, none or tap:INTERFACE, for example tap:tap0.")
        self.mac = mac_of(self.interface) if self.kind == "tap" else ""
        self.mtu = 0  # the interface's, where it is known
        self.is_multi_queue = False  # the tap device, once it was looked at
        self.address = parse_interface(ip) if ip else None
        self.gateway = parse_address("--gw", gw) if gw else None
        self.servers = [parse_address("--dns", text) for text in dns]
        self._check()

    def _check(self) -> None:
        name = "--ip" if self.address else "--gw" if self.gateway else "--dns"
        if self.kind == "none" and (self.address or self.gateway or self.servers):
            raise usage(f"{name} needs a network; leave out --net none.")
        if not self.address:
            if self.gateway or self.servers:
                raise usage(f"{name} goes with an address; give --ip ADDRESS/BITS too, or leave it to DHCP.")
            return
        subnet = self.address.network
        if self.address.ip in (subnet.network_address, subnet.broadcast_address) and subnet.prefixlen < 31:
            raise usage(f"--ip {self.address} is no host's address in {subnet}; give another one.")
        if self.gateway and (self.gateway not in subnet or self.gateway == self.address.ip):
            raise usage(f"--gw {self.gateway} is not a neighbour in {subnet}, where --ip puts the machine; give an address of that network.")

    def setting(self, by_dhcp: bool) -> str:
        """The manifest's.  by_dhcp: for an image, whose network is that of whoever starts it."""
        if by_dhcp and self.kind == "tap":
            raise usage("--net tap: names a device of this host, for a machine that runs here; an image finds its network by DHCP, or has "
                        "the address of --ip.")
        if self.kind == "none":
            return "none"
        if not self.address:
            if by_dhcp or self.kind == "tap":
                return "dhcp"
            return f"static:{USER_ADDRESS}:{USER_GATEWAY}:{USER_DNS}"
        gateway, servers = self.gateway, self.servers
        if self.kind == "user" and not by_dhcp:
            router, server = self._hosts()
            gateway, servers = router, servers or [server]
        return f"static:{self.address}:{gateway or ''}:{','.join(map(str, servers))}".rstrip(":")

    def _hosts(self) -> tuple[ipaddress.IPv4Address, ipaddress.IPv4Address]:
        """QEMU's router and name server in the network of --ip."""
        assert self.address
        free = (host for host in self.address.network.hosts() if host != self.address.ip and host != self.gateway)
        router = self.gateway if self.gateway else next(free, self.address.ip)  # where there is no room check_usable() has said so
        return router, next(free, router)

    def guest(self) -> str:
        """The machine's address in the user network."""
        return str(self.address.ip) if self.address else USER_ADDRESS.partition("/")[0]

    def queues(self, cpus: int) -> int:
        """Pairs of them that QEMU opens; it opens a device that may have several only by asking for several."""
        return min(max(cpus, 2), QUEUES_MAX) if self.is_multi_queue else 1

    def netdev(self, forwards: Iterable[Forward], queues: int = 1) -> str:
        """QEMU's backend n0."""
        if self.kind == "tap":
            return f"tap,id=n0,ifname={self.interface},script=no,downscript=no" + (f",queues={queues}" if queues > 1 else "")
        places = ""
        if self.address:
            router, server = self._hosts()
            places = f",net={self.address.network},host={router},dns={server},dhcpstart={self.guest()}"
        return f"user,id=n0{places}" + "".join(f",{forward.qemu(self.guest())}" for forward in forwards)

    def nic(self) -> str:
        """What the card is told besides."""
        return (f",mac={self.mac}" if self.mac else "") + (f",host_mtu={self.mtu}" if self.mtu else "")

    def look(self) -> None:
        """Finds out what a tap device can do, if it can be used."""
        with contextlib.suppress(OSError):
            self._open_tap()

    def _open_tap(self) -> None:
        if self.kind != "tap":
            return
        self.is_multi_queue = False
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        with open("/dev/net/tun", "r+b", buffering=0) as tun:
            try:
                fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", os.fsencode(self.interface), flags))
                return
            except OSError as error:
                if error.errno != errno.EINVAL or driver_of(self.interface) != "tun":
                    raise
            if has_link(self.interface):  # we would get a queue beside another machine's
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
            fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", os.fsencode(self.interface), flags | IFF_MULTI_QUEUE))
            self.is_multi_queue = True

    def check_usable(self) -> None:
        """A sentence now instead of QEMU's later."""
        if self.kind == "user" and self.address and self.address.network.prefixlen > 28:
            raise usage(f"--ip {self.address}: QEMU's user network needs room for a router and a name server; give at most 28 bits.")
        if self.kind != "tap":
            return
        name = self.interface
        make = f"sudo ip tuntap add dev {name} mode tap user {user_name()}"
        try:
            socket.if_nametoindex(name)
        except OSError:
            raise usage(f"There is no network interface {name} on this host; make one: {make}") from None
        try:
            self._open_tap()
        except OSError as error:
            if error.errno == errno.EINVAL:
                raise usage(f"{name} is not a tap device, which --net tap: needs; make one beside it: {make.replace(name, 'tap0', 1)}") from None
            if error.errno == errno.EBUSY:
                raise StoutError(f"The tap device {name} is in use by another machine; stop that, or make a second one.") from None
            if error.errno in (errno.EPERM, errno.EACCES):
                raise StoutError(f"The tap device {name} is not yours to use; make it again for you: sudo ip tuntap del dev {name} mode "
                                 f"tap; {make}") from None
            raise StoutError(f"The tap device {name} cannot be used: {(error.strerror or '').lower()}; try --net user.") from None


def ethtool(name: str, command: int, size: int) -> bytes:
    """What an interface's driver answers."""
    data = array.array("B", struct.pack("=I", command).ljust(size, b"\0"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCETHTOOL, struct.pack("16sP16x", os.fsencode(name), data.buffer_info()[0]))
    return data.tobytes()


def driver_of(name: str) -> str:
    with contextlib.suppress(OSError):
        return ethtool(name, ETHTOOL_GDRVINFO, 196)[4:36].partition(b"\0")[0].decode(errors="replace")
    return ""


def has_link(name: str) -> bool:
    """Of a tap device: somebody has it open."""
    return ethtool(name, ETHTOOL_GLINK, 8)[4:] != bytes(4)


def user_name() -> str:
    import pwd
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def parse_interface(text: str) -> ipaddress.IPv4Interface:
    try:
        if "/" not in text:
            raise ValueError
        return ipaddress.IPv4Interface(text)
    except ValueError:
        raise usage(f"--ip {text} is not an IPv4 address with the bits of its network; write for example --ip 192.168.7.2/24.") from None


def parse_address(option: str, text: str) -> ipaddress.IPv4Address:
    try:
        return ipaddress.IPv4Address(text)
    except ValueError:
        raise usage(f"{option} {text} is not an IPv4 address; write for example {option} 192.168.7.1.") from None
