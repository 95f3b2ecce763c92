# SPDX-License-Identifier: MIT
"""Redis 7 with its own clients."""
import shutil
import subprocess

import pytest
from shell import Shell


@pytest.fixture
def redis(machine):
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server")
    vm = machine("redis-server", "--protected-mode", "no", "--save", "", "--port", "6379", guest_port=6379,
                 options=["--cpus", "2"], timeout=240)
    vm.wait_for_text("Ready to accept connections")
    return vm


def cli(vm, *args, **more):
    result = subprocess.run(["redis-cli", "-p", str(vm.port), *args], capture_output=True, text=True, timeout=60,
                            check=True, **more)
    return result.stdout.strip()


def test_commands(redis):
    assert cli(redis, "ping") == "PONG"
    assert cli(redis, "set", "key", "value") == "OK" and cli(redis, "get", "key") == "value"
    assert cli(redis, "eval", "return redis.call('incrby', 'n', 5) * 2", "0") == "10"
    assert cli(redis, "-x", "set", "big", input="b" * 5000000) == "OK"
    assert cli(redis, "strlen", "big") == "5000000"
    assert "redis_version:7" in cli(redis, "info", "server")
    assert cli(redis, "expire", "key", "1") == "1"
    commands = "".join(f"rpush list {i}\n" for i in range(1000))
    cli(redis, input=commands)
    assert cli(redis, "llen", "list") == "1000"
    assert cli(redis, "bgsave") == "Background saving started"  # fork
    for _ in range(100):
        if "rdb_bgsave_in_progress:0" in cli(redis, "info", "persistence"):
            break
    assert "rdb_last_bgsave_status:ok" in cli(redis, "info", "persistence")


def benchmark(vm, *args):
    result = subprocess.run(["redis-benchmark", "-p", str(vm.port), "-q", *args], capture_output=True, text=True,
                            timeout=300, check=False)
    text = "\n".join(line.split("\r")[-1] for line in result.stdout.splitlines())
    print(text)
    assert result.returncode == 0, text + result.stderr + vm.text()
    return text.count("requests per second")


def test_benchmark(redis):
    assert benchmark(redis, "-n", "5000", "-c", "50", "-t", "ping,set,get,incr,lpush,lrange_100,mset") >= 7
    assert benchmark(redis, "-n", "50000", "-P", "16", "-t", "set,get") == 2
    assert cli(redis, "ping") == "PONG"


@pytest.fixture
def inside():
    """A shell inside, and a Redis that it started, with an append-only file; the port leads to it."""
    if not shutil.which("redis-server"):
        pytest.skip("no redis-server")
    vm = Shell([shutil.which("redis-server"), shutil.which("redis-cli")], guest_port=6379, timeout=280,
               options=["--cpus", "2", "-m", "1G"])
    vm.sh("mkdir /data")
    start_server(vm)
    yield vm
    vm.stop()


def start_server(vm):
    vm.sh("cd /data; redis-server --protected-mode no --save '' --appendonly yes --daemonize yes --pidfile /run/redis.pid"
          " --logfile /data/log --auto-aof-rewrite-percentage 0 --enable-debug-command yes")
    vm.wait_for(lambda: quiet_cli(vm, "ping") == "PONG", "an answer of Redis")


def quiet_cli(vm, *args):
    """Like cli(), for a server that may not be ready."""
    result = subprocess.run(["redis-cli", "-p", str(vm.port), *args], capture_output=True, text=True, timeout=60,
                            check=False)
    return result.stdout.strip()


def info(vm, name):
    return dict(line.split(":", 1) for line in cli(vm, "info", "persistence").split() if ":" in line)[name]


def save(vm, command, busy, status):
    """A child writes down this moment's data while the parent changes its own."""
    cli(vm, "set", "moment", command)
    assert "started" in cli(vm, command)
    cli(vm, "set", "moment", "later")
    vm.wait_for(lambda: info(vm, busy) == "0", f"the end of {command}")
    assert info(vm, status) == "ok", vm.sh("cat /data/log")


def test_saves_under_write_load(inside):
    cli(inside, "debug", "populate", "40000", "fill", "400")
    load = subprocess.Popen(["redis-benchmark", "-p", str(inside.port), "-q", "-c", "8", "-P", "8", "-n", "12000", "-r",
                             "100000", "-t", "set,incr,lpush"], stdout=subprocess.DEVNULL)
    for _ in range(2):
        save(inside, "bgsave", "rdb_bgsave_in_progress", "rdb_last_bgsave_status")
        save(inside, "bgrewriteaof", "aof_rewrite_in_progress", "aof_last_bgrewrite_status")
    assert load.wait(200) == 0
    digest = cli(inside, "debug", "digest")
    assert len(digest) == 40
    inside.sh("redis-cli shutdown nosave")
    start_server(inside)
    assert cli(inside, "debug", "digest") == digest and cli(inside, "get", "moment") == "later"
    # The snapshot, in a server of its own.
    inside.sh("redis-server --port 6380 --save '' --dir /data --daemonize yes --logfile /data/log2")
    inside.sh_until("redis-cli -p 6380 get moment | grep bgsave")
    assert int(inside.sh("redis-cli -p 6380 dbsize")) > 40000


def test_killed(inside):
    """What was acknowledged is there after kill -9, from the append-only file."""
    commands = "".join(f"set k{n} {n * n}\n" for n in range(500))
    assert cli(inside, input=commands).count("OK") == 500
    inside.sh("kill -9 $(cat /run/redis.pid)")
    start_server(inside)
    assert cli(inside, "dbsize") == "500" and cli(inside, "get", "k499") == str(499 * 499)
