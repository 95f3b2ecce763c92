# SPDX-License-Identifier: MIT
"""What arrives of each file of a folder that goes to a socket by sendfile() and splice(), as digests."""
import hashlib
import os
import socket
import sys
import threading


def by_sendfile(file, sock, size):
    at = 0
    while at < size:
        at += os.sendfile(sock, file, at, size - at)


def through_pipe(fill):
    def send(file, sock, size):
        out, into = os.pipe()
        at = 0
        while at < size:
            count = fill(file, into, at, min(size - at, 65536))
            at += count
            while count:
                count -= os.splice(out, sock, count)
        os.close(out)
        os.close(into)
    return send


WAYS = {
    "sendfile": by_sendfile,
    "splice": through_pipe(lambda file, into, at, count: os.splice(file, into, count, offset_src=at)),
    "sendfile to a pipe": through_pipe(lambda file, into, at, count: os.sendfile(into, file, at, count)),
}


def tcp_pair():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        return client, listener.accept()[0]


def digest_of(path, send, pair):
    sender, receiver = pair

    def run():
        with open(path, "rb") as file, sender:
            send(file.fileno(), sender.fileno(), os.fstat(file.fileno()).st_size)

    thread = threading.Thread(target=run)
    thread.start()
    digest = hashlib.sha256()
    with receiver:
        while data := receiver.recv(65536):
            digest.update(data)
    thread.join()
    return digest.hexdigest()


for name in sorted(os.listdir(sys.argv[1])):
    for way, send_file in WAYS.items():
        for kind, make in (("unix", socket.socketpair), ("tcp", tcp_pair)):
            print(f"{name} {way} {kind}:", digest_of(os.path.join(sys.argv[1], name), send_file, make()))
