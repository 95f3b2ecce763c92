# SPDX-License-Identifier: MIT
"""stout bench: our figures beside a minimal Linux guest on the same emulated machine, as ratios.

Both run under QEMU's TCG on q35 with the same flags; runs of the two are interleaved, and the median
counts.  A figure is a row: measure(bench) -> name, ours, linux, ratio, target, met, unit.
"""
from __future__ import annotations

import glob
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import qemu
from .backlog import widen
from .errors import StoutError, usage
from .image import Image
from .kernel import image_path
from .paths import TOP, build_dir
from .run import RunOptions, boot_arguments

if TYPE_CHECKING:
    from .bench_link import Link

MIB = 1 << 20
HELLO = "#include <unistd.h>\nint main(void) { return write(1, \"hello\\n\", 6) != 6; }\n"
NGINX = """daemon off;
{processes}
user root;
error_log stderr crit;
pid /run/nginx.pid;
events {{ worker_connections 256; }}
http {{ access_log off; sendfile on; server {{ listen 8080; root /srv; }} }}
"""

Answer = Sequence[Any]  # ours, the Linux guest's or None; then more for JSON
Row = dict[str, Any]


class Bench:
    """What the figures share: programs, both kinds of guests, repeated runs."""

    def __init__(self, rounds: int = 5) -> None:
        self.rounds = rounds
        self.folder = tempfile.TemporaryDirectory(prefix="stout-bench-")
        self.link: Link | None = None  # bench_network.link()
        self._linux: Any = None
        self._built: dict[str, str] = {}
        self._times: dict[tuple[str, int], dict[str, Answer]] = {}

    def path(self, name: str) -> str:
        return os.path.join(self.folder.name, name)

    def linux(self) -> Any:
        """tests/bench/linux_guest.py as a module."""
        if self._linux is None:
            sys.path.insert(0, os.path.join(TOP, "tests", "bench"))
            import linux_guest
            self._linux = linux_guest
        return self._linux

    def hello(self) -> str:
        return self.compile("hello", ["-static", "-O2", "-x", "c", "-"], HELLO)

    def compile(self, name: str, arguments: Sequence[str], text: str = "") -> str:
        path = self.path(name)
        if name not in self._built:
            subprocess.run(["gcc", "-o", path, *arguments], input=text, text=True, check=True)
            self._built[name] = path
        return path

    def ours(self, program: str, args: Sequence[str] = (), machine: str = "q35", memory: str = "1024M", forwards: Sequence[tuple[int, int]] = (),
             add: Sequence[str] = (), more: Sequence[str] = (), net: str = "user", cpus: int = 1,
             compress: bool = False) -> tuple[list[str], str, str]:
        """(QEMU's command, path of the control channel's file, path of stdout's)"""
        options = RunOptions(program=program, args=args, machine=machine, memory=memory, net=net, add=add,
                             publish=[f"{host}:{guest}" for host, guest in forwards], accel="tcg")
        options.cpus, options.compress = cpus, compress
        options.stdio = ["null", "stream", "stream"]
        image = Image(options, lambda text: None)
        image.gather()
        kernel = image_path(options)
        archive = image.write()
        options.memory = qemu.parse_memory(memory)
        options.qemu_args = list(more)
        control, output = self.path("control"), self.path("stdout")
        chardevs = {"stdout": f"file,path={output}", "stderr": f"file,path={self.path('stderr')}",
                    "control": f"file,path={control}", "log": f"file,path={self.path('log')}"}
        command = qemu.Machine(options, "tcg").command(boot_arguments(options, kernel, archive), chardevs)
        return command, control, output

    def program_times(self, name: str, figures: Sequence[str], extra: Sequence[str] = (), cpus: int = 1) -> dict[str, Answer]:
        """{figure: (ours, the Linux guest's)} in nanoseconds, as tests/bench/NAME.c prints them; one boot of each guest
        measures all, once for all rows."""
        key = (name, cpus)
        if key not in self._times:
            program = self.compile(name, ["-O2", "-pthread", os.path.join(TOP, "tests/bench", f"{name}.c")])
            linux = self.linux()
            initramfs = linux.make_initramfs(self.path(f"{name}.cpio"), [program, "3"], extra=extra)
            ours, theirs = [], []
            for _ in range(least_rounds(self)):
                theirs.append(parse_times(self.output(linux.qemu_command(initramfs, cpus=cpus)), figures))
                command, control, output = self.ours(program, ["3"], add=extra, cpus=cpus)
                self.output(command)
                check_exit(control)
                with open(output, encoding="ascii") as file:
                    ours.append(parse_times(file.read(), figures))
            self._times[key] = {figure: tuple(statistics.median(run[figure] for run in runs) for runs in (ours, theirs))
                                for figure in figures}
        return self._times[key]

    def time_to_exit(self, command: list[str], timeout: float = 60) -> float:
        start = time.monotonic()
        self.output(command, timeout)
        return time.monotonic() - start

    def output(self, command: list[str], timeout: float = 60) -> str:
        """What a machine that ends by itself writes to its serial line."""
        try:
            return subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=timeout, check=False).stdout.decode(errors="replace")
        except subprocess.TimeoutExpired:
            raise StoutError(f"A machine did not end within {timeout} s: {' '.join(command)}") from None


def least_rounds(bench: Bench) -> int:
    """For figures whose runs are long."""
    return max(3, bench.rounds - 2)


def parse_times(text: str, figures: Sequence[str]) -> dict[str, int]:
    times = {name: int(ns) for name, ns in re.findall(r"^(\w+) (\d+)\r?$", text, re.MULTILINE) if name in figures}
    if len(times) != len(figures):
        raise StoutError(f"A program of tests/bench did not measure all it should: {text[-500:]!r}")
    return times


class Server:
    """A QEMU that serves HTTP at a port, from its start to its end."""

    def __init__(self, command: list[str], port: int, timeout: float = 120) -> None:
        self.start = time.monotonic()
        self.port = port
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL)
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() - self.start > timeout:
                self.stop()
                raise StoutError(f"A server did not answer within {timeout} s: {' '.join(command)}")
            time.sleep(0.005)
        self.first_answer = time.monotonic() - self.start

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=5) as answer:
                answer.read()
            return True
        except OSError:
            return False

    def load(self, seconds: int, connections: int) -> tuple[int, float]:
        """Runs wrk; (requests, requests per second)."""
        result = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{self.port}/"],
                                stdout=subprocess.PIPE, text=True, check=True)
        return int(figure_in(r"(\d+) requests in", result.stdout)), float(figure_in(r"Requests/sec:\s+([\d.]+)", result.stdout))

    def requests_per_second(self, seconds: int = 5, connections: int = 16, warm_up: int = 10_000, longest: float = 40) -> float:
        """After warm_up requests, or `longest` seconds, of the same load: before, an emulator mostly translates code that it
        sees first, and the program compiles its own.  Counted in requests, so that a slow host measures the same."""
        widen(self.process.pid, [self.port])  # for both kinds of guests
        end = time.monotonic() + longest
        while warm_up > 0 and time.monotonic() < end:
            warm_up -= self.load(3, connections)[0]
        return self.load(seconds, connections)[1]

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


def free_port() -> int:
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def figure_in(pattern: str, text: str) -> str:
    """What the pattern's group matches in the output of a client, which has to have it."""
    match = re.search(pattern, text)
    if match is None:
        raise StoutError(f"A client said nothing like {pattern!r}: {text[-300:]!r}")
    return match[1]


def need(name: str) -> str:
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        raise StoutError(f"{name} is not installed; run scripts/setup --tests.")
    return path


def node() -> str:
    return need("node")


def server_js() -> str:
    return os.path.join(TOP, "examples", "node-hello", "server.js")


Measure = Callable[[Bench], Answer]


class Figure:
    def __init__(self, name: str, unit: str, target: float, higher: bool = False, slow: bool = False) -> None:
        self.name, self.unit, self.target, self.higher, self.slow = name, unit, target, higher, slow

    def __call__(self, function: Measure) -> Measure:
        self.function: Measure = function
        FIGURES.append(self)
        return function

    def measure(self, bench: Bench) -> Row:
        """Targets are ratios to Linux where there is a Linux figure, else bounds of our own."""
        ours, linux, *more = self.function(bench)
        ratio = ours / linux if linux else None
        value = ratio if linux else ours
        met = value >= self.target if self.higher else value <= self.target
        row = {"name": self.name, "unit": self.unit, "ours": ours, "linux": linux, "ratio": ratio,
               "target": self.target, "higher": self.higher, "met": bool(met)}
        if bench.link and self.name.startswith(("network", "servers")):
            row["link"] = bench.link.kind
        for parts in more:  # for JSON
            row.update(parts)
        return row


FIGURES: list[Figure] = []


@Figure("start to exit of a static hello, q35", "s", 1 / 20)
def hello_q35(bench: Bench) -> Answer:
    return hello_times(bench, "q35")


@Figure("start to exit of a static hello, microvm (Linux: q35)", "s", 1 / 40)
def hello_microvm(bench: Bench) -> Answer:
    return hello_times(bench, "microvm")


def hello_times(bench: Bench, machine: str) -> Answer:
    linux = bench.linux()
    initramfs = linux.make_initramfs(bench.path("hello.cpio"), [bench.hello()])
    ours, theirs = [], []
    for _ in range(bench.rounds):
        theirs.append(bench.time_to_exit(linux.qemu_command(initramfs)))
        for _ in range(3):  # short: the median of more of them
            command, control, _ = bench.ours(bench.hello(), machine=machine)
            ours.append(bench.time_to_exit(command))
            check_exit(control)
    return statistics.median(ours), statistics.median(theirs)


def check_exit(control: str) -> None:
    with open(control, encoding="ascii", errors="replace") as file:
        text = file.read()
    if "exit 0" not in text:
        raise StoutError(f"The measured program did not end with status 0 (control channel: {text!r}).")


@Figure("guest instructions, entry point to the program's first", "", 2_000_000)
def instructions(bench: Bench) -> Answer:
    """With -icount the guest's time stamp counter counts instructions (and idle time, of which there should be none)."""
    first = bench.compile("first", ["-nostdlib", "-static", os.path.join(TOP, "tests/bench/first.S")])
    empty = bench.compile("empty", ["-nostdlib", "-static", "-Wl,-Ttext=0x100000", "-Wl,--build-id=none", "-Wl,-e,start",
                                    "-Wl,-z,noexecstack", os.path.join(TOP, "tests/bench/empty.S")])
    more = ["-icount", "shift=0,sleep=off"]
    command, control, output = bench.ours(first, memory="128M", more=more)
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                   check=False)
    check_exit(control)
    with open(output, encoding="ascii") as file:
        end = int(file.read(), 16)
    # The same machine and archive with a kernel that only looks at the clock: the firmware's share.
    command[command.index("-kernel") + 1] = empty
    subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120,
                   check=False)
    with open(bench.path("log"), encoding="ascii", errors="replace") as file:
        begin = int(re.findall(r"[0-9a-f]{16}", file.read())[-1], 16)
    return end - begin, None


def node_servers(bench: Bench) -> Callable[[str], Server]:
    """Starts a server of one kind at a time: ("linux" | "ours") -> Server"""
    linux = bench.linux()
    initramfs = linux.make_initramfs(bench.path("node.cpio"), [node(), server_js()], extra=[server_js()])

    def start(kind: str) -> Server:
        port = free_port()
        if kind == "linux":
            return Server(linux.qemu_command(initramfs, forwards=[(port, 8083)]), port)
        return Server(bench.ours(server_js(), forwards=[(port, 8083)])[0], port)

    return start


@Figure("start to Node's first HTTP answer", "s", 0.2)
def node_start(bench: Bench) -> Answer:
    start = node_servers(bench)
    times: dict[str, list[float]] = {"linux": [], "ours": []}
    for _ in range(least_rounds(bench)):
        for kind in ("linux", "ours"):
            server = start(kind)
            server.stop()
            times[kind].append(server.first_answer)
    return statistics.median(times["ours"]), statistics.median(times["linux"])


@Figure("Node requests per second, 16 connections", "/s", 3.5, higher=True)
def node_requests(bench: Bench) -> Answer:
    return request_rates(bench, node_servers(bench))


@Figure("nginx requests per second, 612 bytes, 16 connections", "/s", 3.5, higher=True)
def nginx_requests(bench: Bench) -> Answer:
    return nginx_rates(bench, "master_process off;", 1)


@Figure("nginx requests per second, two workers on two processors", "/s", 1, higher=True, slow=True)
def nginx_workers(bench: Bench) -> Answer:
    return nginx_rates(bench, "worker_processes 2;", 2)


def nginx_rates(bench: Bench, processes: str, cpus: int) -> Answer:
    path = need("nginx")
    linux = bench.linux()
    for name in ("srv", "conf", "var"):
        os.makedirs(bench.path(name), exist_ok=True)
    with open(bench.path("srv/index.html"), "w", encoding="ascii") as file:
        file.write("n" * 612)
    with open(bench.path("conf/nginx.conf"), "w", encoding="ascii") as file:
        file.write(NGINX.format(processes=processes))
    arguments = ["-c", "/etc/nginx/nginx.conf"]
    folders = [(bench.path("srv"), "/srv"), (bench.path("conf"), "/etc/nginx"), (bench.path("var"), "/var/lib/nginx"),
               (bench.path("var"), "/var/log/nginx")]
    initramfs = linux.make_initramfs(bench.path("nginx.cpio"), [path, *arguments], folders=folders)

    def start(kind: str) -> Server:
        port = free_port()
        if kind == "linux":
            return Server(linux.qemu_command(initramfs, cpus=cpus, forwards=[(port, 8080)]), port)
        add = [f"{host}:{guest}" for host, guest in folders]
        return Server(bench.ours(path, arguments, forwards=[(port, 8080)], add=add, cpus=cpus)[0], port)

    return request_rates(bench, start)


def request_rates(bench: Bench, start: Callable[[str], Server]) -> Answer:
    rates: dict[str, list[float]] = {"linux": [], "ours": []}
    for _ in range(least_rounds(bench) + 2):  # two equal runs differ by up to a quarter
        for kind in ("linux", "ours"):
            server = start(kind)
            try:
                rates[kind].append(server.requests_per_second())
            finally:
                server.stop()
    return statistics.median(rates["ours"]), statistics.median(rates["linux"])


@Figure("least memory: static hello", "MiB", 4)
def least_hello(bench: Bench) -> Answer:
    def runs(size: int) -> bool:
        command, control, output = bench.ours(bench.hello(), machine="microvm", memory=f"{size}M")
        try:
            bench.time_to_exit(command, 20)
            check_exit(control)
            with open(output, "rb") as file:
                return file.read() == b"hello\n"
        except StoutError:
            return False

    return least_memory(runs, 3, 4, 64), None


def serves_web(command: Callable[[int], list[str]], timeout: float) -> bool:
    """Whether the machine of command(port) answers for two seconds."""
    port = free_port()
    try:
        server = Server(command(port), port, timeout)
    except StoutError:
        return False
    try:
        return server.load(2, 16)[0] > 0
    except (subprocess.SubprocessError, OSError):
        return False
    finally:
        server.stop()


@Figure("least memory: Node serving", "MiB", 144)
def least_node(bench: Bench) -> Answer:
    def runs(size: int) -> bool:
        return serves_web(lambda port: bench.ours(server_js(), machine="microvm", memory=f"{size}M", forwards=[(port, 8083)])[0], 30)

    return least_memory(runs, 104, 144, 512, 8), None


def least_memory(runs: Callable[[int], bool], low: int, guess: int, high: int, step: int = 1) -> float:
    """The least size in MiB that runs; starts from the target, so that the common case is short."""
    if runs(guess):
        high = guess
    else:
        low = guess
        if not runs(high):
            return float("inf")
    while high - low > step:
        middle = (low + high) // 2
        if runs(middle):
            high = middle
        else:
            low = middle
    return high


@Figure("kernel image, stripped", "bytes", MIB)
def kernel_size(_bench: Bench) -> Answer:
    path = image_path(RunOptions(program="true"))
    return os.stat(path).st_size, None


def run_bench(as_json: bool = False, everything: bool = False, pattern: str | None = None, output: str | None = None) -> int:
    from . import bench_network, bench_operations, bench_processes, bench_servers, bench_start  # noqa: F401, they add their figures
    if output and not os.path.isfile(output):
        raise usage(f"-o {output} is no file; name docs/benchmarks.md or a copy of it, where the table is replaced.")
    set_up()
    bench = Bench(rounds=9 if everything else 5)
    rows = []
    for figure in FIGURES:
        is_wanted = pattern in figure.name if pattern else everything or not figure.slow
        if not is_wanted:
            continue
        if not as_json:
            sys.stderr.write(f"stout: measuring {figure.name} ...\n")
        try:
            rows.append(figure.measure(bench))
        except (StoutError, subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
            sentence = getattr(error, "sentence", str(error))
            sys.stderr.write(f"stout: {figure.name}: {sentence}\n")
            rows.append({"name": figure.name, "unit": figure.unit, "ours": None, "linux": None, "ratio": None,
                         "target": figure.target, "higher": figure.higher, "met": False, "error": sentence})
    if as_json:
        print(json.dumps(rows, indent=2))
    else:
        print(make_table(rows))
    if output:
        write_page(output, rows)
    return 0


def set_up() -> None:
    if not os.path.exists(os.path.join(TOP, "build", ".setup-tests")):
        subprocess.run([os.path.join(TOP, "scripts", "setup"), "--tests"], check=True)
    if not glob.glob(os.path.join(build_dir("release"), "stout.elf*")):
        image_path(RunOptions(program="true"))


def number(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    if unit == "s":
        return f"{value:.3f} s"
    if unit == "us":
        return f"{value:,.1f} us"
    if unit == "times":
        return f"{value:.2f} times"
    if unit == "%":
        return f"{value:.1f} %"
    return f"{value:,.0f} {unit}".strip()


def target_text(row: Row) -> str:
    if row["linux"] is None and row["unit"] in ("", "MiB", "bytes", "times", "%"):
        return f"at {'least' if row['higher'] else 'most'} {number(row['target'], row['unit'])}"
    if row["higher"]:
        return f"at least {row['target']:g} times"
    return f"at most {row['target']:.3f}"


def make_table(rows: Sequence[Row]) -> str:
    lines = ["| figure | ours | Linux guest | ratio | target | met |", "|---|---|---|---|---|---|"]
    for row in rows:
        ratio = "-" if row["ratio"] is None else f"{row['ratio']:.3f}"
        lines.append(f"| {row['name']} | {number(row['ours'], row['unit'])} | {number(row['linux'], row['unit'])} | "
                     f"{ratio} | {target_text(row)} | {'yes' if row['met'] else 'no'} |")
    return "\n".join(lines)


def write_page(path: str, rows: Sequence[Row]) -> None:
    """Replaces what stands between the marks of docs/benchmarks.md; the rest is written by people."""
    begin, end = "<!-- measured -->", "<!-- end -->"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    head, _, rest = text.partition(begin)
    _, _, tail = rest.partition(end)
    stamp = time.strftime("%Y-%m-%d")
    body = f"{begin}\nMeasured on {stamp}, {os.cpu_count()} processors, {qemu_version()}.\n\n{make_table(rows)}\n{end}"
    with open(path, "w", encoding="utf-8") as file:
        file.write(head + body + tail)


def qemu_version() -> str:
    text = subprocess.run(["qemu-system-x86_64", "--version"], capture_output=True, text=True, check=False).stdout
    return text.splitlines()[0].split("(")[0].strip() if text else "QEMU"
