# SPDX-License-Identifier: MIT
"""The figures of `stout bench --all` about servers: nginx, Redis, memcached, Go's net/http; requests per second and p99."""
from __future__ import annotations

import csv
import os
import re
import subprocess
from collections.abc import Callable
from typing import Any

from .bench import NGINX, Answer, Bench, Figure, figure_in, need, node, server_js
from .bench_link import Link
from .bench_network import Counts, Guests, Medians, cached, instructions_of, program
from .errors import StoutError
from .paths import TOP

CONNECTIONS = 16
WARM_UP, SECONDS = 3, 4
MEMCACHED_VALUE = 100
Costs = tuple[Counts, Counts]  # ours, the Linux guest's
UNITS = {"us": 1, "ms": 1000, "s": 1_000_000}


def wrk(the_link: Link, port: int, path: str, seconds: int) -> tuple[float, float]:
    """(requests per second, the 99th percentile in microseconds)"""
    host, port = the_link.address(port)
    text = the_link.run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "20s", "--latency", f"http://{host}:{port}{path}")
    failed = re.search(r"Socket errors.*|Non-2xx.*", text)
    if failed:
        raise StoutError(f"wrk: {failed[0]}")
    p99 = figure_in(r"99%\s+([\d.]+(?:us|ms|s))", text)
    number = p99.rstrip("mus")
    return float(figure_in(r"Requests/sec:\s+([\d.]+)", text)), float(number) * UNITS[p99[len(number):]]


def web_load(port: int, path: str) -> Callable[[Link], dict[Any, float]]:
    def measure(the_link: Link) -> dict[Any, float]:
        wrk(the_link, port, path, WARM_UP)
        rate, p99 = wrk(the_link, port, path, SECONDS)
        return {"rate": rate, "p99": p99}

    return measure


# ---- nginx, Go ---------------------------------------------------------------------------------------

def nginx(bench: Bench, processes: str = "master_process off;") -> Guests:
    for name in ("www", "www-conf", "www-var"):
        os.makedirs(bench.path(name), exist_ok=True)
    for name, size in (("1k", 1 << 10), ("1m", 1 << 20)):
        with open(bench.path(f"www/{name}"), "w", encoding="ascii") as file:
            file.write("n" * size)
    with open(bench.path("www-conf/nginx.conf"), "w", encoding="ascii") as file:
        file.write(NGINX.format(processes=processes))
    folders = [(bench.path("www"), "/srv"), (bench.path("www-conf"), "/etc/nginx"), (bench.path("www-var"), "/var/lib/nginx"),
               (bench.path("www-var"), "/var/log/nginx")]
    return Guests(bench, "www", [need("nginx"), "-c", "/etc/nginx/nginx.conf"], [8080], folders=folders)


@cached
def nginx_small(bench: Bench) -> Medians:
    return nginx(bench).medians(web_load(8080, "/1k"))


@cached
def nginx_large(bench: Bench) -> Medians:
    return nginx(bench).medians(web_load(8080, "/1m"))


def go_guests(bench: Bench) -> Guests:
    path = bench.path("go-server")
    env = dict(os.environ, CGO_ENABLED="0", GO111MODULE="off", GOFLAGS="", GOCACHE=os.path.join(TOP, "build", "go-cache"))
    subprocess.run([need("go"), "build", "-o", path, os.path.join(TOP, "tests/apps/go/server.go")], check=True, env=env)
    return Guests(bench, "go", [path], [8080])


@cached
def go(bench: Bench) -> Medians:
    return go_guests(bench).medians(web_load(8080, "/"))


# ---- Redis, memcached -----------------------------------------------------------------------------------

def redis_guests(bench: Bench) -> Guests:
    return Guests(bench, "redis", [need("redis-server"), "--protected-mode", "no", "--save", "", "--port", "6379"], [6379])


def redis_load(the_link: Link, depth: int, count: int) -> dict[str, tuple[float, float]]:
    """{test: (per second, p99 in microseconds)}"""
    host, port = the_link.address(6379)
    text = the_link.run(need("redis-benchmark"), "-h", host, "-p", port, "-c", CONNECTIONS, "-P", depth, "-n", count,
                        "-t", "set,get", "--csv")
    rows = csv.DictReader(line for line in text.splitlines() if line.startswith('"'))
    return {row["test"]: (float(row["rps"]), float(row["p99_latency_ms"]) * 1000) for row in rows}


@cached
def redis(bench: Bench) -> Medians:
    def measure(the_link: Link) -> dict[Any, float]:
        found: dict[Any, float] = {}
        for depth, count in ((1, 20_000), (16, 100_000)):
            redis_load(the_link, depth, count // 2)
            for test, numbers in redis_load(the_link, depth, count).items():
                found[test, depth, "rate"], found[test, depth, "p99"] = numbers
        return found

    return redis_guests(bench).medians(measure)


def memcached_guests(bench: Bench) -> Guests:
    return Guests(bench, "memcached", [need("memcached"), "-u", "root"], [11211])


def memcached_get(bench: Bench, the_link: Link, seconds: int) -> dict[str, int]:
    """What tests/bench/network.c says of a load of gets, whose value is set first."""
    host, port = the_link.address(11211)

    def load(time: int, connections: int, request: str, answer: int) -> dict[str, int]:
        text = the_link.run(program(bench), "load", host, port, time, connections, request, answer)
        return {name: int(value) for name, value in re.findall(r"^load_(\w+) (\d+)$", text, re.MULTILINE)}

    value = "v" * MEMCACHED_VALUE
    load(0, 1, f"set key 0 0 {MEMCACHED_VALUE}\\r\\n{value}\\r\\n", len("STORED\r\n"))
    return load(seconds, CONNECTIONS, "get key\\r\\n", len(f"VALUE key 0 {MEMCACHED_VALUE}\r\n{value}\r\nEND\r\n"))


@cached
def memcached(bench: Bench) -> Medians:
    def measure(the_link: Link) -> dict[Any, float]:
        memcached_get(bench, the_link, WARM_UP)
        found = memcached_get(bench, the_link, SECONDS)
        return {"rate": found["rate"], "p99": found["p99"] / 1000}

    return memcached_guests(bench).medians(measure)


# ---- Rows ---------------------------------------------------------------------------------------------

def add(row: str, target: float, measure: Callable[[Bench], Medians], *key: object) -> None:
    """Two rows: how many a second, and how long all but one in a hundred wait at most."""
    def find(bench: Bench, what: str) -> Answer:
        return measure(bench)[(*key, what) if key else what]

    @Figure(f"{row}, {CONNECTIONS} connections", "/s", target, higher=True, slow=True)
    def rate(bench: Bench) -> Answer:
        return find(bench, "rate")

    @Figure(f"{row}, 99th percentile", "us", 1, slow=True)
    def p99(bench: Bench) -> Answer:
        return find(bench, "p99")


add("servers: nginx 1 KiB", 3.5, nginx_small)
add("servers: nginx 1 MiB", 2.5, nginx_large)
add("servers: Go net/http", 2.5, go)
for depth, text in ((1, ""), (16, " 16 at a time")):
    for test in ("SET", "GET"):
        add(f"servers: Redis {test}{text}", 2.5, redis, test, depth)
add("servers: memcached get", 2.5, memcached)


# ---- Instructions of a request ----------------------------------------------------------------------------

def web_work(port: int, path: str) -> Callable[[Link], float]:
    """For Guests.counts(): requests answered."""
    def work(the_link: Link) -> float:
        host, guest_port = the_link.address(port)
        text = the_link.run("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--timeout", "20s", f"http://{host}:{guest_port}{path}")
        return int(figure_in(r"(\d+) requests in", text))

    return work


def redis_work(depth: int) -> Callable[[Link], float]:
    def work(the_link: Link) -> float:
        count = 30_000 * depth
        host, port = the_link.address(6379)
        the_link.run(need("redis-benchmark"), "-h", host, "-p", port, "-c", CONNECTIONS, "-P", depth, "-n", count, "-t", "get", "-q")
        return count

    return work


@cached
def node_costs(bench: Bench) -> Costs:
    guests = Guests(bench, "node-web", [node(), server_js()], [8083], extra=[server_js()])
    return guests.counts(web_work(8083, "/"), 10_000)


@cached
def nginx_costs(bench: Bench) -> Costs:
    return nginx(bench).counts(web_work(8080, "/1k"))


@cached
def redis_costs(bench: Bench) -> Costs:
    return redis_guests(bench).counts(redis_work(1))


@cached
def redis_pipelined_costs(bench: Bench) -> Costs:
    return redis_guests(bench).counts(redis_work(16))


@cached
def memcached_costs(bench: Bench) -> Costs:
    return memcached_guests(bench).counts(lambda the_link: memcached_get(bench, the_link, SECONDS)["count"])


@cached
def go_costs(bench: Bench) -> Costs:
    return go_guests(bench).counts(web_work(8080, "/"))


def add_cost(name: str, costs: Callable[[Bench], Costs], target: float) -> None:
    @Figure(f"servers: instructions for a request, {name}", "", 1 / target, slow=True)
    def measure(bench: Bench) -> Answer:
        found = costs(bench)
        parts = {name: {"program": cost[0], "kernel": cost[2]} for name, cost in zip(("ours_parts", "linux_parts"), found)}
        return *instructions_of(found), parts


add_cost("Node hello", node_costs, 2)
add_cost("nginx 1 KiB", nginx_costs, 3.5)
add_cost("Go net/http", go_costs, 2.5)
add_cost("Redis GET", redis_costs, 2.5)
add_cost("Redis GET 16 at a time", redis_pipelined_costs, 2.5)
add_cost("memcached get", memcached_costs, 2.5)


@Figure("servers: the program's own part of these instructions, Node hello", "%", 90, higher=True, slow=True)
def node_share(bench: Bench) -> Answer:
    """Node's own instructions bound what any kernel can reach: this is how near to that bound ours is."""
    program_part, _, kernel_part, _ = node_costs(bench)[0]
    return 100 * program_part / (program_part + kernel_part), None
