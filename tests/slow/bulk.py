# SPDX-License-Identifier: MIT
"""A client for test_loss.py: bulk.py fetch HOST PORT PATH | bulk.py echo HOST PORT BYTES; prints the seconds, fails on a wrong byte."""
import hashlib
import random
import socket
import sys
import threading
import time


def fetch(host, port, path):
    with socket.create_connection((host, port), 30) as link:
        link.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        data = b"".join(iter(lambda: link.recv(1 << 16), b""))
    body = data.partition(b"\r\n\r\n")[2]
    assert hashlib.md5(body).digest() == hashlib.md5(b"n" * (1 << 20)).digest(), len(body)


def echo(host, port, size):
    """Both ways at once, random bytes."""
    data = random.Random(size).randbytes(int(size))
    with socket.create_connection((host, port), 30) as link:
        sender = threading.Thread(target=link.sendall, args=(data,))
        sender.start()
        digest, left = hashlib.md5(), len(data)
        while left:
            part = link.recv(1 << 16)
            assert part, f"the end, {left} bytes early"
            digest.update(part)
            left -= len(part)
        sender.join()
    assert digest.digest() == hashlib.md5(data).digest()


if __name__ == "__main__":
    begin = time.monotonic()
    {"fetch": fetch, "echo": echo}[sys.argv[1]](sys.argv[2], int(sys.argv[3]), sys.argv[4])
    print(f"{time.monotonic() - begin:.2f}")
