# SPDX-License-Identifier: MIT
"""Reads all files of a folder, then takes connections that it does not read until all their bytes have come."""
import fcntl
import os
import socket
import sys
import termios
import time

folder, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])

for name in os.listdir(folder):
    with open(os.path.join(folder, name), "rb") as file:
        while file.read(1 << 16):
            pass
with socket.create_server(("0.0.0.0", 7000)) as listener:
    print("ready", flush=True)
    connections = [listener.accept()[0] for _ in range(count)]
for connection in connections:
    waiting = bytearray(4)
    while int.from_bytes(waiting, "little") < size:
        time.sleep(0.01)
        fcntl.ioctl(connection, termios.FIONREAD, waiting)
print("read", sum(len(connection.recv(size, socket.MSG_WAITALL)) for connection in connections), flush=True)
