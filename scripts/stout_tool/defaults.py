# SPDX-License-Identifier: MIT
"""The files and folders that programs expect of any system.

They are generated, not taken from the host, whose users, names and keys are nobody's business. The
exception is the list of public certificate authorities.
"""
from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .image import User
    from .tree import Tree

DIRECTORIES = (("/dev", 0o755), ("/proc", 0o555), ("/sys", 0o555), ("/tmp", 0o1777),
               ("/run", 0o755), ("/root", 0o700), ("/etc", 0o755), ("/var/tmp", 0o1777),
               ("/var/log", 0o755), ("/var/lib", 0o755))
LINKS = (("/var/run", "/run"),)

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
"""
GROUP = """root:x:0:
daemon:x:1:
tty:x:5:
www-data:x:33:
nogroup:x:65534:
"""
NSSWITCH = """passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
"""
HOSTS = """127.0.0.1 localhost
::1 localhost ip6-localhost ip6-loopback
{address} {hostname}
"""
PROTOCOLS = """ip 0 IP
icmp 1 ICMP
tcp 6 TCP
udp 17 UDP
ipv6 41 IPv6
ipv6-icmp 58 IPv6-ICMP
"""
SERVICES = """ftp 21/tcp
ssh 22/tcp
smtp 25/tcp mail
domain 53/tcp
domain 53/udp
http 80/tcp www
ntp 123/udp
https 443/tcp
"""
OS_RELEASE = """NAME="Stout"
ID=stout
ID_LIKE=debian
PRETTY_NAME="Stout"
"""
CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                "/etc/ssl/cert.pem")
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
}


def add_defaults(tree: Tree, hostname: str, users: Iterable[User] = (), net: str = "none") -> None:
    """Adds what is not in the tree yet.  net: the manifest's setting."""
    for path, mode in DIRECTORIES:
        if tree.follow(path) not in tree:
            tree.make_directory(path, mode)
    for path, target in LINKS:
        if tree.follow(path) not in tree:
            tree.add_symlink(path, target)
    passwd, group = PASSWD, GROUP
    for user in users:
        if user.name and f"\n{user.name}:" not in "\n" + passwd:
            passwd += f"{user.name}:x:{user.uid}:{user.gid}::/:/bin/sh\n"
            group += f"{user.name}:x:{user.gid}:\n"
    address, resolv_conf = names_of(net)
    files = {
        "/etc/passwd": passwd, "/etc/group": group, "/etc/nsswitch.conf": NSSWITCH,
        "/etc/hosts": HOSTS.format(address=address, hostname=hostname),
        "/etc/hostname": hostname + "\n", "/etc/protocols": PROTOCOLS,
        "/etc/services": SERVICES, "/etc/os-release": OS_RELEASE,
        "/etc/host.conf": "multi on\n",
    }
    if resolv_conf is not None:
        files["/etc/resolv.conf"] = resolv_conf
    for path, text in files.items():
        if tree.follow(path) not in tree:
            tree.add_bytes(path, text)


def names_of(net: str) -> tuple[str, str | None]:
    """(the address of the machine's own name, resolv.conf); what DHCP brings is not known yet, and the kernel writes it."""
    first = net.partition(";")[0]
    if not first.startswith("static:"):
        return "127.0.1.1", None if first == "dhcp" else ""
    address, _, rest = first.removeprefix("static:").partition("/")
    servers = [server for field in rest.split(":")[2:] for server in field.split(",")]
    return address, "".join(f"nameserver {server}\n" for server in servers)


def add_certificates(tree: Tree) -> None:
    for path in CERTIFICATES:
        if os.path.isfile(path):
            tree.add_host(path)
            return
