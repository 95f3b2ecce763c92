# SPDX-License-Identifier: MIT
"""The figures of `stout bench` that need processes: fork, exec, a pipe, PostgreSQL."""
from __future__ import annotations

import os
import statistics
import subprocess
import tempfile

from .bench import Answer, Bench, Figure, Server, figure_in, free_port, least_rounds, need
from .errors import StoutError

TRUE = "/bin/true"
POSTGRESQL = "/usr/lib/postgresql/15"
POSTGRESQL_SHARE = "/usr/share/postgresql/15"
CLUSTER_UID = 65534  # postgres does not run as root; no name is needed
CONFIG = """listen_addresses = '*'
unix_socket_directories = ''
max_connections = 30
shared_buffers = 32MB
logging_collector = off
timezone = GMT
log_timezone = GMT
"""


# ---- fork, exec, pipe --------------------------------------------------------------------------

def process_times(bench: Bench, name: str) -> Answer:
    return bench.program_times("processes", ("fork", "exec", "pipe"), extra=[TRUE])[name]


@Figure("fork, exit and wait, 64 MiB process", "us", 1 / 1.5)
def fork(bench: Bench) -> Answer:
    return [ns / 1000 for ns in process_times(bench, "fork")]


@Figure("vfork, exec of true and wait", "us", 1 / 1.5)
def vfork_exec(bench: Bench) -> Answer:
    return [ns / 1000 for ns in process_times(bench, "exec")]


@Figure("pipe, a byte to another process and back", "us", 1)
def pipe(bench: Bench) -> Answer:
    return [ns / 1000 for ns in process_times(bench, "pipe")]


# ---- PostgreSQL -----------------------------------------------------------------------------------

class Postgres(Server):
    """A QEMU with PostgreSQL in it."""

    def answers(self) -> bool:
        return subprocess.run([f"{POSTGRESQL}/bin/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False).returncode == 0

    def transactions_per_second(self, seconds: int) -> float:
        result = subprocess.run(["pgbench", "-n", "-S", "-c", "4", "-j", "1", "-T", str(seconds), "-h", "127.0.0.1",
                                 "-p", str(self.port), "-U", "bench", "postgres"], capture_output=True, text=True,
                                timeout=60 + seconds, check=True)
        return float(figure_in(r"tps = ([\d.]+)", result.stdout))


def make_cluster(bench: Bench) -> str:
    """A cluster with pgbench's tables in the bench's folder; made on the host, for its maker's time is not measured."""
    folder = bench.path("cluster")
    os.mkdir(folder, 0o700)
    user = []
    if os.geteuid() == 0:
        os.chown(folder, CLUSTER_UID, CLUSTER_UID)
        os.chmod(bench.folder.name, 0o711)
        user = ["setpriv", f"--reuid={CLUSTER_UID}", f"--regid={CLUSTER_UID}", "--clear-groups"]

    def run(*words: str) -> None:
        subprocess.run([*user, *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       env={"PATH": f"{POSTGRESQL}/bin:{os.environ['PATH']}", "HOME": folder}, cwd=folder)

    data = f"{folder}/data"
    with tempfile.TemporaryDirectory(prefix="stout-pg-") as sockets:  # a socket's path must be short
        if user:
            os.chown(sockets, CLUSTER_UID, CLUSTER_UID)
        run(f"{POSTGRESQL}/bin/initdb", "-D", data, "-U", "bench", "--auth=trust", "--locale=C", "--encoding=UTF8", "--no-sync")
        run(f"{POSTGRESQL}/bin/pg_ctl", "-D", data, "-w", "-l", f"{folder}/log", "-o",
            f"-c listen_addresses= -c unix_socket_directories={sockets} -F", "start")
        try:
            run("pgbench", "-i", "-q", "-h", sockets, "-U", "bench", "postgres")
        finally:
            run(f"{POSTGRESQL}/bin/pg_ctl", "-D", data, "-w", "stop")
    with open(f"{data}/postgresql.conf", "a", encoding="ascii") as file:
        file.write(CONFIG)
    with open(f"{data}/pg_hba.conf", "a", encoding="ascii") as file:
        file.write("host all all 0.0.0.0/0 trust\n")
    return data


@Figure("PostgreSQL transactions per second, pgbench -S, 4 clients", "/s", 1, higher=True, slow=True)
def postgresql(bench: Bench) -> Answer:
    if not os.path.exists(f"{POSTGRESQL}/bin/postgres"):
        raise StoutError("PostgreSQL 15 is not installed; run scripts/setup --tests.")
    linux = bench.linux()
    folders = [(make_cluster(bench), "/data"), (f"{POSTGRESQL}/lib", f"{POSTGRESQL}/lib"),
               (POSTGRESQL_SHARE, POSTGRESQL_SHARE)]
    tools = [f"{POSTGRESQL}/bin/postgres", *map(need, ("chown", "chmod", "setpriv"))]
    script = (f"chown -R {CLUSTER_UID}:{CLUSTER_UID} /data && chmod 700 /data && exec setpriv --reuid={CLUSTER_UID} "
              f"--regid={CLUSTER_UID} --clear-groups {tools[0]} -D /data")
    arguments = ["-c", script]
    initramfs = linux.make_initramfs(bench.path("postgres.cpio"), ["/bin/sh", *arguments], extra=tools, folders=folders)
    add = [*(f"{host}:{guest}" for host, guest in folders), *tools]
    rates: dict[str, list[float]] = {"linux": [], "ours": []}
    for _ in range(least_rounds(bench)):
        for kind in ("linux", "ours"):
            port = free_port()
            command = (linux.qemu_command(initramfs, forwards=[(port, 5432)]) if kind == "linux" else
                       bench.ours("/bin/sh", arguments, forwards=[(port, 5432)], add=add)[0])
            server = Postgres(command, port)
            try:
                server.transactions_per_second(5)  # the emulator translates, the caches fill
                rates[kind].append(server.transactions_per_second(5))
            finally:
                server.stop()
    return statistics.median(rates["ours"]), statistics.median(rates["linux"])
