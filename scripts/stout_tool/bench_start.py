# SPDX-License-Identifier: MIT
"""The figures of `stout bench` about beginning and about least memory: Python, nginx, Redis, the JVM."""
from __future__ import annotations

import os
import shutil
import socket
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any

from .bench import NGINX, Answer, Bench, Figure, Server, free_port, least_memory, least_rounds, need, serves_web
from .errors import StoutError
from .image import Image
from .paths import TOP
from .run import RunOptions

PORT = 8080


class Program:
    """A server on PORT: its command and what --add brings."""

    def __init__(self, program: str, args: Sequence[str] = (), add: Sequence[str] = ()) -> None:
        self.program, self.args, self.add = program, list(args), list(add)

    def ours(self, bench: Bench, port: int, **more: Any) -> list[str]:
        return bench.ours(self.program, self.args, forwards=[(port, PORT)], add=self.add, **more)[0]

    def linux(self, bench: Bench, name: str) -> Any:
        """(initramfs, command) of the same files."""
        image = Image(RunOptions(program=self.program, args=self.args, add=self.add, accel="tcg"), lambda text: None)
        image.gather()
        linux = bench.linux()
        return linux.make_initramfs(bench.path(f"{name}.cpio"), [self.program, *self.args], tree=image.tree)


def python(bench: Bench) -> Program:
    os.makedirs(bench.path("pages"), exist_ok=True)
    program = shutil.which("python3", path="/usr/bin:/bin") or need("python3")
    return Program(program, ["-m", "http.server", str(PORT), "--directory", "/srv"], [f"{bench.path('pages')}:/srv"])


def nginx(bench: Bench) -> Program:
    for name in ("page", "page-conf", "page-var"):
        os.makedirs(bench.path(name), exist_ok=True)
    with open(bench.path("page/index.html"), "w", encoding="ascii") as file:
        file.write("n" * 612)
    with open(bench.path("page-conf/nginx.conf"), "w", encoding="ascii") as file:
        file.write(NGINX.format(processes="master_process off;"))
    places = (("page", "/srv"), ("page-conf", "/etc/nginx"), ("page-var", "/var/lib/nginx"), ("page-var", "/var/log/nginx"))
    return Program(need("nginx"), ["-c", "/etc/nginx/nginx.conf"], [f"{bench.path(name)}:{guest}" for name, guest in places])


def jvm(bench: Bench) -> Program:
    classes = bench.path("classes")
    if not os.path.exists(classes):
        subprocess.run([need("javac"), "-d", classes, os.path.join(TOP, "tests/apps/java/Machine.java")], check=True)
    return Program(need("java"), ["-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx64m", "-cp", classes, "Machine", "serve"], [classes])


def redis(bench: Bench) -> Program:
    return Program(need("redis-server"), ["--protected-mode", "no", "--save", "", "--port", str(PORT)])


def first_answer(bench: Bench, name: str, program: Program) -> Answer:
    initramfs = program.linux(bench, name)
    times: dict[str, list[float]] = {"linux": [], "ours": []}
    for _ in range(least_rounds(bench)):
        for kind in ("linux", "ours"):
            port = free_port()
            command = bench.linux().qemu_command(initramfs, forwards=[(port, PORT)]) if kind == "linux" else program.ours(bench, port)
            server = Server(command, port)
            server.stop()
            times[kind].append(server.first_answer)
    return statistics.median(times["ours"]), statistics.median(times["linux"])


def add_start(name: str, make: Callable[[Bench], Program], what: str) -> None:
    @Figure(f"start to {name}'s first HTTP answer", "s", 0.25, slow=True)
    def start(bench: Bench) -> Answer:
        return first_answer(bench, what, make(bench))


for make, name, what in ((python, "Python", "start-python"), (nginx, "nginx", "start-nginx"), (jvm, "the JVM", "start-jvm")):
    add_start(name, make, what)


def serves_in(bench: Bench, program: Program, size: int, **more: Any) -> bool:
    """That much memory, MiB."""
    return serves_web(lambda port: program.ours(bench, port, machine="microvm", memory=f"{size}M", **more), 60)


def answers_ping(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as sock:
            sock.sendall(b"PING\r\n")
            return sock.recv(7).startswith(b"+PONG")
    except OSError:
        return False


def serves_redis(bench: Bench, program: Program, size: int, **more: Any) -> bool:
    port = free_port()
    load = [need("redis-benchmark"), "-p", str(port), "-n", "2000", "-c", "16", "-t", "set,get", "-q"]
    try:
        command = program.ours(bench, port, machine="microvm", memory=f"{size}M", **more)
    except StoutError:
        return False
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as machine:
        try:
            end = time.monotonic() + 30
            while not answers_ping(port):
                if machine.poll() is not None or time.monotonic() > end:
                    return False
                time.sleep(0.1)
            return subprocess.run(load, timeout=30, check=False, capture_output=True).returncode == 0
        except subprocess.TimeoutExpired:
            return False
        finally:
            machine.kill()


@Figure("least memory: nginx serving", "MiB", 10, slow=True)
def least_nginx(bench: Bench) -> Answer:
    program = nginx(bench)
    return least_memory(lambda size: serves_in(bench, program, size), 5, 10, 64), None


@Figure("least memory: Redis serving", "MiB", 12, slow=True)
def least_redis(bench: Bench) -> Answer:
    program = redis(bench)
    return least_memory(lambda size: serves_redis(bench, program, size), 6, 12, 64), None


@Figure("least memory: nginx serving, --compress", "MiB", 10, slow=True)
def least_nginx_compressed(bench: Bench) -> Answer:
    program = nginx(bench)
    return least_memory(lambda size: serves_in(bench, program, size, compress=True), 5, 10, 64), None


@Figure("least memory: Redis serving, --compress", "MiB", 12, slow=True)
def least_redis_compressed(bench: Bench) -> Answer:
    program = redis(bench)
    return least_memory(lambda size: serves_redis(bench, program, size, compress=True), 6, 12, 64), None


@Figure("least memory: the JVM serving", "MiB", 256, slow=True)
def least_jvm(bench: Bench) -> Answer:
    program = jvm(bench)
    return least_memory(lambda size: serves_in(bench, program, size), 160, 256, 1024, 8), None
