# SPDX-License-Identifier: MIT
"""An HTTP load client that counts failures: keep-alive connections, a fixed number of requests.

Connections are opened side by side, without waiting: QEMU's user network accepts through a queue of
one, so some need a second (the SYN is sent again), while a server closes those that idle.
"""
import selectors
import socket
import time


class Connection:
    def __init__(self, port, request):
        self.request = request
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.connect_ex(("127.0.0.1", port))

    def send(self):
        self.buffer, self.need, self.chunked = b"", None, False
        self.socket.sendall(self.request)  # short: fits in any socket's buffer

    def receive(self):
        """True when a whole response is there; ValueError when it is none."""
        data = self.socket.recv(65536)
        if not data:
            raise ValueError("closed by the server")
        self.buffer += data
        if self.need is None and not self.chunked:
            self._read_head()
        if self.chunked:
            return self.buffer.endswith(b"0\r\n\r\n")
        return self.need is not None and len(self.buffer) >= self.need

    def _read_head(self):
        head, end, _ = self.buffer.partition(b"\r\n\r\n")
        if not end:
            return
        lines = head.lower().split(b"\r\n")
        if not lines[0].startswith(b"http/1.1 200"):
            raise ValueError(lines[0].decode("latin-1"))
        fields = dict(line.split(b":", 1) for line in lines[1:])
        self.chunked = b"chunked" in fields.get(b"transfer-encoding", b"")
        if not self.chunked:
            self.need = len(head) + 4 + int(fields[b"content-length"])


def run_load(port, requests, connections, path="/", timeout=120):
    """(requests per second, [failures])"""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    failures, done, sent = [], 0, 0
    start = time.monotonic()
    with selectors.DefaultSelector() as selector:
        for _ in range(min(connections, requests)):
            connection = Connection(port, request)
            selector.register(connection.socket, selectors.EVENT_WRITE, connection)
        while done + len(failures) < requests:
            ready = selector.select(timeout=20)
            if not ready or time.monotonic() - start > timeout:
                failures.append(f"silent for 20 s or slower than {timeout} s, after {done} answers")
                break
            for key, mask in ready:
                connection = key.data
                try:
                    if mask & selectors.EVENT_READ:
                        if not connection.receive():
                            continue
                        done += 1
                    if sent < requests:
                        connection.send()
                        sent += 1
                    if mask & selectors.EVENT_WRITE:
                        selector.modify(connection.socket, selectors.EVENT_READ, connection)
                except (OSError, ValueError) as error:
                    failures.append(str(error))
                    selector.unregister(connection.socket)
                    connection.socket.close()
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    return done / (time.monotonic() - start), failures
