# SPDX-License-Identifier: MIT
"""200,000 requests: none fails, and the system has as much free memory as after the first ones."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "apps"))

from conftest import Machine  # noqa: E402
from load import run_load  # noqa: E402

SLACK_KIB = 8 << 10  # the collector of Node is not the subject


def test_soak():
    vm = Machine(["node", "--expose-gc", os.path.join(HERE, "soak.js")], guest_port=8080,
                 options=["-m", "512M", "--cpus", "2"], timeout=3600)
    try:
        vm.wait_for_http()
        assert run_load(vm.port, 20000, 64, timeout=600)[1] == []
        before = int(vm.get("/free")[1])
        for _ in range(10):
            rate, failures = run_load(vm.port, 20000, 64, timeout=600)
            assert failures == []
            print(f"{rate:.0f} requests/s, {vm.get('/free')[1].decode()} KiB free")
        assert int(vm.get("/free")[1]) >= before - SLACK_KIB
    finally:
        assert vm.stop(), vm.text()
