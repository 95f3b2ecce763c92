# SPDX-License-Identifier: MIT
"""The clients of echo_cpus.c: echo_client.py HOST CPUS PAIRS.

Many connections to each processor have their data back as it was.  Then one message at a time, so that the machine sleeps in
between, until PAIRS processors have had interrupts of devices; all but the first have them of the network card alone.  Prints
how many each has had, after a further round.
"""
import random
import re
import socket
import sys
import threading
import time

PORT, CONNECTIONS, SIZE, PATIENCE_S = 7000, 8, 300_000, 30
HOST, CPUS, PAIRS = sys.argv[1], *map(int, sys.argv[2:])


def connect(port):
    return socket.create_connection((HOST, port), PATIENCE_S)


def read_all(connection, size=None):
    data = b""
    while size is None or len(data) < size:
        part = connection.recv(65536)
        if not part:
            break
        data += part
    return data


def exchange(port, seed, same):
    sent = random.Random(seed).randbytes(SIZE)
    with connect(port) as connection:
        writer = threading.Thread(target=connection.sendall, args=(sent,))
        writer.start()
        same.append(read_all(connection, SIZE) == sent)
        writer.join()


def counts():
    """Interrupts of devices that each processor had."""
    with connect(PORT - 1) as connection:
        rows = re.findall(rf"^ *\d+:((?: +\d+){{{CPUS}}}) ", read_all(connection).decode(), re.MULTILINE)
    return [sum(column) for column in zip(*(map(int, row.split()) for row in rows))]


def main():
    same = []
    threads = [threading.Thread(target=exchange, args=(PORT + number % CPUS, number, same)) for number in range(CPUS * CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * len(threads), same
    connections = [connect(PORT + cpu) for cpu in range(CPUS)]
    end, is_enough = time.monotonic() + PATIENCE_S, False
    while not is_enough and time.monotonic() < end:
        is_enough = sum(count > 0 for count in counts()) >= PAIRS
        for connection in connections:
            connection.sendall(b"x")
            assert connection.recv(1) == b"x"
    print(counts())


main()
