# SPDX-License-Identifier: MIT
"""The figures of `stout bench --all` about the network: throughput, latency, connections (tests/bench/network.c)."""
from __future__ import annotations

import contextlib
import json
import os
import re
import statistics
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from .bench import Answer, Bench, Figure, least_rounds, need
from .bench_link import Link
from .errors import StoutError
from .paths import TOP

IPERF_PORT, PORT = 5201, 7000
IDLE = 10_000
SECONDS = 3
T = TypeVar("T")
Counts = list[float]  # instructions and blocks of the program, then of the kernel
Medians = dict[Any, tuple[float, ...]]  # ours, the Linux guest's


def link(bench: Bench) -> Link:
    """One for all figures, at the bench's end closed with its process."""
    if bench.link is None:
        bench.link = Link()
        sys.stderr.write(f"stout: clients of the network's figures reach the guest over {bench.link.kind}\n")
    return bench.link


class Counter:
    """Instructions and blocks of code that ran, the program's and the kernel's, by tests/bench/instructions.c."""

    def __init__(self, bench: Bench) -> None:
        source = os.path.join(TOP, "tests/bench/instructions.c")
        self.plugin = bench.compile("instructions.so", ["-O2", "-shared", "-fPIC", source])
        self.path = bench.path("counts")

    def options(self) -> list[str]:
        return ["-plugin", f"file={self.plugin},counts={self.path}"]

    def read(self) -> Counts:
        with open(self.path, "rb") as file:
            return list(struct.unpack("QQQQ", file.read(32)))


class Guests:
    """The same program in both kinds of guests."""

    def __init__(self, bench: Bench, name: str, command: list[str], ports: list[int], extra: Sequence[str] = (),
                 folders: Sequence[tuple[str, str]] = ()) -> None:
        """extra: paths; folders: (host, guest)."""
        self.bench, self.link, self.ports = bench, link(bench), ports
        self.initramfs = bench.linux().make_initramfs(bench.path(f"{name}.cpio"), command, extra=extra, folders=folders)
        self.command = command
        self.add = [*(f"{host}:{guest}" for host, guest in folders), *extra]

    def run(self, kind: str, more: Sequence[str] = (), cpus: int = 1) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """A context in which the guest serves."""
        if kind == "linux":
            command = self.bench.linux().qemu_command(self.initramfs, cpus=cpus, more=more)
        else:
            command = self.bench.ours(self.command[0], self.command[1:], add=self.add, more=more, cpus=cpus)[0]
        return self.link.machine(command, self.ports)

    def medians(self, measure: Callable[[Link], dict[Any, float]], rounds: int | None = None) -> Medians:
        """measure(link) -> {name: number} in each guest, interleaved; {name: (ours, Linux)}."""
        runs: dict[str, list[dict[Any, float]]] = {"linux": [], "ours": []}
        for _ in range(rounds or least_rounds(self.bench)):
            for kind, results in runs.items():
                with self.run(kind):
                    results.append(measure(self.link))
        return {name: tuple(statistics.median(run[name] for run in runs[kind]) for kind in ("ours", "linux"))
                for name in runs["ours"][0]}

    def counts(self, work: Callable[[Link], float], warm_up: int = 1) -> tuple[Counts, Counts]:
        """What one unit of work costs, as Counter.read(): work(link) -> units done; (ours, Linux).  Before, at least warm_up
        units are done: what happens only once, and a program that compiles its own code, are not counted."""
        counter = Counter(self.bench)
        costs = {}
        for kind in ("linux", "ours"):
            with self.run(kind, counter.options()):
                done = 0.0
                while done < warm_up:
                    done += work(self.link)
                before = counter.read()
                units = work(self.link)
                costs[kind] = [(after - start) / units for start, after in zip(before, counter.read())]
        return costs["ours"], costs["linux"]


def instructions_of(costs: Sequence[Counts]) -> list[float]:
    """Of (ours, Linux) all instructions, the program's and the kernel's."""
    return [cost[0] + cost[2] for cost in costs]


def cached(function: Callable[[Bench], T]) -> Callable[[Bench], T]:
    """Rows that one run measures share it."""
    results: dict[Bench, T] = {}

    def call(bench: Bench) -> T:
        if bench not in results:
            results[bench] = function(bench)
        return results[bench]

    return call


# ---- Throughput ---------------------------------------------------------------------------------

DIRECTIONS = (("to the guest", ()), ("from the guest", ("-R",)))


def iperf(bench: Bench) -> Guests:
    return Guests(bench, "iperf", [need("iperf3"), "-s"], [IPERF_PORT])


def transfer(the_link: Link, seconds: int, *options: str) -> dict[str, float]:
    """iperf3's report of what arrived.  A server still busy with the end of the last test, or with the
    look whether it is there, sends its client away."""
    host, port = the_link.address(IPERF_PORT)
    for _ in range(10):
        report = json.loads(the_link.run("iperf3", "-c", host, "-p", port, "-t", seconds, "-J", *options, check=False))
        if "error" not in report:
            received: dict[str, float] = report["end"]["sum_received"]
            return received
        time.sleep(0.2)
    raise StoutError(f"iperf3: {report['error']}")


@cached
def throughputs(bench: Bench) -> Medians:
    def measure(the_link: Link) -> dict[Any, float]:
        transfer(the_link, 1)  # the emulator translates
        return {(text, streams): transfer(the_link, SECONDS, "-P", str(streams), *options)["bits_per_second"] / 1e6
                for text, options in DIRECTIONS for streams in (1, 8)}

    return iperf(bench).medians(measure)


def add_throughput(text: str, options: Sequence[str], streams: int) -> None:
    plural = "s" if streams > 1 else ""

    @Figure(f"network: iperf3 {text}, {streams} stream{plural}", "Mbit/s", 1.5, higher=True, slow=True)
    def rate(bench: Bench) -> Answer:
        return throughputs(bench)[text, streams]

    if streams == 1:
        @Figure(f"network: instructions for a KiB {text}", "", 1 / 1.5, slow=True)
        def instructions(bench: Bench) -> Answer:
            def work(the_link: Link) -> float:
                return transfer(the_link, SECONDS, *options)["bytes"] / 1024

            return instructions_of(iperf(bench).counts(work))


for direction in DIRECTIONS:
    for number in (1, 8):
        add_throughput(*direction, number)


# ---- Latency, connections -------------------------------------------------------------------------

def program(bench: Bench) -> str:
    return bench.compile("network", ["-O2", "-static", "-pthread", os.path.join(TOP, "tests/bench/network.c")])


def peers(bench: Bench) -> Guests:
    return Guests(bench, "network", [program(bench), "serve"], [PORT, PORT + 1])


def ask(bench: Bench, the_link: Link, *words: object) -> dict[Any, float]:
    """The numbers that a client prints."""
    if not the_link.holder:
        raise StoutError("This figure needs a tap device, which this machine does not allow.")
    text = the_link.run(program(bench), words[0], the_link.address(PORT)[0], *words[1:])
    return {name: int(value) for name, value in re.findall(r"^(\w+) (\d+)$", text, re.MULTILINE)}


@cached
def latencies(bench: Bench) -> Medians:
    def measure(the_link: Link) -> dict[Any, float]:
        found: dict[Any, float] = {}
        for words in (("tcp", SECONDS), ("udp", SECONDS), ("connect", 1), ("connect", SECONDS), ("idle", IDLE)):
            found.update(ask(bench, the_link, *words))
        return found

    return peers(bench).medians(measure)


LATENCIES = (("tcp", "TCP, a byte to the guest and back"), ("tcp_p99", "the same, 99th percentile"),
             ("udp", "UDP, a datagram to the guest and back"), ("udp_p99", "the same with UDP, 99th percentile"),
             ("beside", f"connect, a byte, close, beside {IDLE:,} idle connections"))


def add_latency(name: str, text: str) -> None:
    @Figure(f"network: {text}", "us", 1 / 1.5 if "p99" not in name else 1, slow=True)
    def measure(bench: Bench) -> Answer:
        return [ns / 1000 for ns in latencies(bench)[name]]


for latency in LATENCIES:
    add_latency(*latency)


@Figure("network: connections made, used and closed", "/s", 1.5, higher=True, slow=True)
def connection_rate(bench: Bench) -> Answer:
    return latencies(bench)["connect_rate"]


@Figure(f"network: what {IDLE:,} idle connections add to the next one", "times", 1.1, slow=True)
def idle_cost(bench: Bench) -> Answer:
    found = latencies(bench)
    return found["beside"][0] / found["alone"][0], None


def add_count(text: str, *words: object) -> None:
    @Figure(f"network: instructions for {text}", "", 1 / 1.5, slow=True)
    def measure(bench: Bench) -> Answer:
        def work(the_link: Link) -> float:
            found = ask(bench, the_link, *words)
            return next(value for name, value in found.items() if name.endswith("_count"))

        return instructions_of(peers(bench).counts(work))


add_count("TCP, a byte there and back", "tcp", SECONDS)
add_count("UDP, a datagram there and back", "udp", SECONDS)
add_count("a connection made, used and closed", "connect", SECONDS)
