# SPDX-License-Identifier: MIT
"""What ss tells of sockets that this program has opened, with names in the place of their numbers."""
import os
import re
import socket
import subprocess

PLACE = "/tmp/sockets_shown.sock"
OWN = {}


def own(name, sock):
    OWN[os.fstat(sock.fileno()).st_ino] = name
    return sock


def show(*options):
    """The lines of ss that name one of these sockets, by their local side."""
    print("--", *options)
    result = subprocess.run(["ss", *options], check=True, capture_output=True, text=True)
    lines = []
    for line in result.stdout.splitlines():
        words = line.split()
        if "TIME-WAIT" in words:
            continue  # of an earlier run
        if words[0].startswith("u_"):
            words[5::2] = [OWN.get(int(word), word) if word.isdigit() else word for word in words[5::2]]
        text = re.sub(r"pid=\d+,fd=\d+", "this", " ".join(words)).replace(VISITOR, "visitor")
        if PLACE in line or any(name in words for name in OWN.values()) or any(f":{port} " in line for port in PORTS):
            lines.append(text)
    print("\n".join(sorted(lines)))


if os.path.exists(PLACE):
    os.unlink(PLACE)
listener = own("listener", socket.socket(socket.AF_UNIX))
listener.bind(PLACE)
listener.listen(7)
client = own("client", socket.socket(socket.AF_UNIX))
client.connect(PLACE)
server = own("server", listener.accept()[0])
pair = [own(f"pair{i}", sock) for i, sock in enumerate(socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))]
packets = [own(f"packets{i}", sock) for i, sock in enumerate(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET))]
web = socket.socket()
web.bind(("127.0.0.1", 18467))
web.listen(9)
visitor = socket.create_connection(("127.0.0.1", 18467))
visited = web.accept()[0]
datagrams = socket.socket(type=socket.SOCK_DGRAM)
datagrams.bind(("127.0.0.1", 18468))
PORTS = (18467, 18468)
VISITOR = f"{visitor.getsockname()[0]}:{visitor.getsockname()[1]}"
for words in ("-tlnp", "-unap", "-xnlp", "-xn", "-xna", "-na"):
    show(*words.split())
show("-tna", "sport", "=", ":18467")
show("-xn", "src", PLACE)
os.unlink(PLACE)
