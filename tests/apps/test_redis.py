# SPDX-License-Identifier: MIT
"""Redis 7 with its own clients."""
import shutil
import subprocess

import pytest


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
