# SPDX-License-Identifier: MIT
"""A bad line: between the network namespace it is started in (tap1, 10.0.3.1) and one of its own (tap2, 10.0.3.2).

    relay.py LOST REORDERED DUPLICATED SEED      shares in percent, of the frames each way

Clients enter its namespace by its process id.  The host forwards between tap1 and the guest's device, and makes packets of what
a guest left to the device to cut, since nobody here asked for more.  Says "ready", and runs until its standard input ends.
"""
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI, CLONE_NEWNET = 0x400454CA, 2, 0x1000, 0x40000000
HELD_S = 0.005  # how long a frame is held so that others overtake it


def open_tap(name, address):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    for words in (["addr", "add", address, "dev", name], ["link", "set", name, "up"], ["link", "set", "lo", "up"]):
        subprocess.run(["ip", *words], check=True)
    return fd


def write(fd, frame):
    try:
        os.write(fd, frame)
    except BlockingIOError:
        pass  # lost, as on any line


def run(taps, shares, chance):
    lost, reordered, duplicated = shares
    held = []
    while True:
        ready, _, _ = select.select([*taps, 0], [], [], HELD_S if held else None)
        if 0 in ready and not os.read(0, 100):
            return
        if not ready:
            for fd, frame in held:
                write(fd, frame)
            held.clear()
        for fd in set(ready) & set(taps):
            other = taps[1] if fd == taps[0] else taps[0]
            frame = os.read(fd, 65536)
            if chance.random() < lost:
                continue
            if chance.random() < reordered:
                held.append((other, frame))
                continue
            for _ in range(2 if chance.random() < duplicated else 1):
                write(other, frame)
            if held and chance.random() < 0.3:
                write(*held.pop(0))


def main():
    shares = [float(text) / 100 for text in sys.argv[1:4]]
    taps = [open_tap("tap1", "10.0.3.1/24")]
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
        file.write("1")
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
        sys.exit("relay: no namespace")
    taps.append(open_tap("tap2", "10.0.3.2/24"))
    subprocess.run(["ip", "route", "add", "default", "via", "10.0.3.1"], check=True)
    print("ready", flush=True)
    run(taps, shares, random.Random(int(sys.argv[4])))


if __name__ == "__main__":
    main()
