# SPDX-License-Identifier: MIT
"""What Python programs use, printed: the output on Linux is what it must be."""
import asyncio
import concurrent.futures
import ctypes
import datetime
import decimal
import hashlib
import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import zlib


def test_threads():
    lock, total = threading.Lock(), [0]

    def add():
        for _ in range(1000):
            with lock:
                total[0] += 1

    threads = [threading.Thread(target=add) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        print("threads", total[0], sum(pool.map(lambda n: n * n, range(100))))
    print("wait", threading.Event().wait(0.02))


def test_sqlite():
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(os.path.join(folder, "db"))
        db.execute("pragma journal_mode=wal")
        db.execute("create table t (id integer primary key, text)")
        with db:
            db.executemany("insert into t (text) values (?)", [(f"row {i}",) for i in range(2000)])
        print("sqlite", db.execute("select count(*), max(text) from t where id % 7 = 0").fetchone())
        db.close()
        print(sorted(os.listdir(folder)))


async def echo(reader, writer):
    writer.write(await reader.read(100))
    await writer.drain()
    writer.close()


async def test_asyncio():
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def client(n):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"%d" % n)
        data = await reader.read(100)
        writer.close()
        return int(data)

    print("asyncio", sum(await asyncio.gather(*(client(n) for n in range(50)))))
    server.close()
    start = time.monotonic()
    await asyncio.gather(*(asyncio.sleep(0.05) for _ in range(100)))
    print("slept", 0.05 <= time.monotonic() - start < 3)
    process = await asyncio.create_subprocess_exec("/bin/echo", "child", stdout=subprocess.PIPE)
    print("subprocess", await process.communicate(), process.returncode)


def test_system():
    print(os.getcwd() != "", os.path.basename(sys.executable).startswith("python"), sys.version_info[:2])
    print(subprocess.run(["/bin/sh", "-c", "echo $((6 * 7)); exit 5"], capture_output=True, check=False))
    pid = os.fork()
    if pid == 0:
        os._exit(7)
    print("fork", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    seen = []
    signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    time.sleep(0.1)
    print("alarm", seen)
    print(socket.gethostbyname("localhost"), socket.socketpair()[0].family.name)
    print("strlen", ctypes.CDLL(None).strlen(b"12345"))
    os.environ["TZ"] = "UTC"
    print(datetime.datetime.fromtimestamp(86400 * 365, datetime.timezone.utc).isoformat())


def test_libraries():
    print(hashlib.sha512(b"stout").hexdigest()[:32], zlib.crc32(b"stout"))
    print(json.dumps({"a": [1, 2.5, None], "ü": "ä"}), decimal.Decimal(1) / 7)
    print(ssl.create_default_context().check_hostname, ssl.OPENSSL_VERSION.split()[0])
    print(sum(i * i for i in range(100000)), 0.1 + 0.2)


test_threads()
test_sqlite()
asyncio.run(test_asyncio())
test_system()
test_libraries()
sys.exit(0)
