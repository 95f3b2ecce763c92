# SPDX-License-Identifier: MIT
"""memcached with four threads; clients that speak its text protocol, side by side."""
import concurrent.futures
import random
import shutil
import subprocess

import pytest


class Client:
    def __init__(self, vm):
        self.socket = vm.connect()
        self.file = self.socket.makefile("rwb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def line(self, text, data=None):
        self.file.write(text.encode() + b"\r\n" + (data + b"\r\n" if data is not None else b""))
        self.file.flush()
        return self.file.readline().decode().rstrip("\r\n")

    def set(self, key, data, seconds=0, command="set"):
        return self.line(f"{command} {key} 0 {seconds} {len(data)}", data)

    def get(self, key):
        head = self.line(f"get {key}").split()
        if head == ["END"]:
            return None
        assert head[:2] == ["VALUE", key], head
        data = self.file.read(int(head[3]) + 2)[:-2]
        assert self.file.readline() == b"END\r\n"
        return data

    def stats(self):
        lines = [self.line("stats")]
        while lines[-1] != "END":
            lines.append(self.file.readline().decode().rstrip("\r\n"))
        return dict(line.split(" ", 2)[1:] for line in lines[:-1])


@pytest.fixture
def memcached(machine):
    if not shutil.which("memcached"):
        pytest.skip("no memcached")

    def start(*args):
        vm = machine("memcached", "-u", "root", "-v", "-t", "4", *args, guest_port=11211, options=["--cpus", "2"])
        vm.wait_for(lambda: Client(vm).line("version").startswith("VERSION"), "a version")
        return vm

    return start


def test_commands(memcached):
    vm = memcached()
    with Client(vm) as client:
        assert client.set("key", b"value") == "STORED" and client.get("key") == b"value"
        assert client.set("key", b"other", command="add") == "NOT_STORED"
        assert client.set("key", b"+", command="append") == "STORED" and client.get("key") == b"value+"
        assert client.get("none") is None
        assert client.set("n", b"41") == "STORED" and client.line("incr n 1") == "42"
        assert client.set("big", b"b" * 1000000) == "STORED" and client.get("big") == b"b" * 1000000
        assert client.set("huge", b"h" * 1100000) == "SERVER_ERROR object too large for cache"
        assert client.set("short", b"s", seconds=2) == "STORED" and client.get("short") == b"s"
        vm.wait_for(lambda: client.get("short") is None, "the end of a key that expires")
        assert client.line("delete key") == "DELETED" and client.get("key") is None
        stats = client.stats()
        assert stats["threads"] == "4" and stats["pid"] == "1" and int(stats["curr_items"]) == 2


def work(vm, seed, rounds=150):
    """Every client has its own keys and all share a counter."""
    chance, mine = random.Random(seed), {}
    with Client(vm) as client:
        for _ in range(rounds):
            key = f"k{seed}-{chance.randrange(20)}"
            if chance.random() < 0.5:
                mine[key] = chance.randbytes(chance.choice((1, 100, 5000, 60000)))
                assert client.set(key, mine[key]) == "STORED"
            else:
                assert client.get(key) == mine.get(key)
            client.line("incr shared 1")
    return rounds


def test_clients_side_by_side(memcached):
    """All four threads work; nothing is lost and nothing mixed up."""
    vm = memcached()
    with Client(vm) as client:
        client.set("shared", b"0")
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            total = sum(pool.map(lambda seed: work(vm, seed), range(16)))
        assert int(client.get("shared")) == total
        assert int(client.stats()["total_connections"]) >= 16


def test_eviction(memcached):
    """Fuller than full: the oldest items go, the newest stay."""
    vm = memcached("-m", "16")
    with Client(vm) as client:
        for n in range(400):
            assert client.set(f"k{n}", b"%05d" % n * 20000) == "STORED"
        assert client.get("k399") == b"00399" * 20000 and client.get("k0") is None
        assert int(client.stats()["evictions"]) > 100


def test_memcslap(memcached):
    """libmemcached's load generator, binary protocol included."""
    if not shutil.which("memcslap"):
        pytest.skip("no memcslap")
    vm = memcached()
    for more in ([], ["--binary"]):
        result = subprocess.run(["memcslap", f"--servers=127.0.0.1:{vm.port}", "--concurrency=8", "--execute-number=200",
                                 "--test=set", *more], capture_output=True, text=True, timeout=100, check=False)
        assert result.returncode == 0 and "Time" in result.stdout, result.stdout + result.stderr
    with Client(vm) as client:
        assert int(client.stats()["cmd_set"]) >= 2 * 8 * 200
