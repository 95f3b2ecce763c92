# SPDX-License-Identifier: MIT
"""The network between a measured guest and its clients.

A tap device in a network namespace of its own, where this machine allows one: then nothing but the host's kernel stands
between the two, and no other traffic.  Else QEMU's user network, which is slower than either guest; Link.kind says which.
The namespace lives as long as the process that holds it, which ends with its standard input: with us.
"""
from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence

from .bench import free_port
from .errors import StoutError

GUEST, HOST, DEVICE = "10.0.2.15", "10.0.2.2", "tap0"
HOLD = f"""set -e
ip link set lo up
ip tuntap add dev {DEVICE} mode tap vnet_hdr
ip addr add {HOST}/24 dev {DEVICE}
ip link set {DEVICE} up
echo ready
exec cat"""


class Link:
    """One guest at a time hangs on it."""

    def __init__(self) -> None:
        self.holder: subprocess.Popen[bytes] | None = None
        self.enter: list[str] = []
        self.forwards: dict[int, int] = {}
        self._hold()
        self.kind = "a tap device" if self.holder else "QEMU's user network"

    def _hold(self) -> None:
        if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
            return
        unshare = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
        holder = subprocess.Popen([*unshare, "sh", "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL)
        assert holder.stdout is not None
        if holder.stdout.readline() != b"ready\n":
            holder.wait()
            return
        self.holder = holder
        self.enter = ["nsenter", "-t", str(holder.pid), "-n"]
        if os.geteuid() != 0:
            self.enter += ["-U", "--preserve-credentials"]

    def connect(self, command: list[str], ports: Sequence[int]) -> list[str]:
        """QEMU's command, whose one network device now hangs on this link.  ports: what clients will ask for."""
        at = command.index("-netdev") + 1
        text = f"tap,id=n0,ifname={DEVICE},script=no,downscript=no"
        if not self.holder:
            self.forwards = {port: free_port() for port in ports}
            text = "user,id=n0" + "".join(f",hostfwd={kind}:127.0.0.1:{host}-{GUEST}:{port}" for kind in ("tcp", "udp")
                                          for port, host in self.forwards.items())
        return [*self.enter, *command[:at], text, *command[at + 1:]]

    def address(self, port: int) -> tuple[str, int]:
        """(host, port) where clients reach a port of the guest."""
        return (GUEST, port) if self.holder else ("127.0.0.1", self.forwards[port])

    def run(self, *command: object, timeout: float = 120, check: bool = True) -> str:
        """What a client writes; it has to succeed, unless check is off."""
        result = subprocess.run([*self.enter, *map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True, timeout=timeout, check=False)
        if check and result.returncode:
            raise StoutError(f"{' '.join(map(str, command[:2]))} failed: {result.stdout[-300:]}")
        return result.stdout

    def answers(self, port: int) -> bool:
        """Whether somebody accepts connections there."""
        host, port = self.address(port)
        probe = f"import socket; socket.create_connection(('{host}', {port}), 2).close()"
        return subprocess.run([*self.enter, "/usr/bin/python3", "-S", "-c", probe], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    @contextlib.contextmanager
    def machine(self, command: list[str], ports: Sequence[int], timeout: float = 60) -> Iterator[subprocess.Popen[bytes]]:
        """A guest that serves at the first of the ports."""
        process = subprocess.Popen(self.connect(command, ports), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        try:
            end = time.monotonic() + timeout
            while not self.answers(ports[0]):
                if process.poll() is not None or time.monotonic() > end:
                    raise StoutError(f"A server did not answer within {timeout} s: {' '.join(command)}")
                time.sleep(0.05)
            yield process
        finally:
            process.kill()
            process.wait()
