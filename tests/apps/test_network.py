# SPDX-License-Identifier: MIT
"""Machines on tap devices, bridged in a network namespace of the test's own, and what DHCP tells an image."""
import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ACCEL, HERE, ONE_CPU, STOUT, need
from test_images import SERVER

MAKE = """set -e
ip link set lo up
ip link add br0 type bridge
ip addr add 192.168.7.1/24 dev br0
for name in tap0 tap1; do
    ip tuntap add dev $name mode tap
    ip link set $name master br0 up
done
ip tuntap add dev tap2 mode tap multi_queue
ip link set tap2 master br0 up
ip link set br0 up
echo ready
exec cat"""
CLIENT = "import sys, urllib.request\nprint(urllib.request.urlopen('http://192.168.7.2:8083/', timeout=20).read())"


@pytest.fixture(scope="module")
def bridge():
    """Words before a command that is to run in the namespace."""
    need("ip")
    holder = subprocess.Popen(["unshare", "-n", "sh", "-c", MAKE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert holder.stdin and holder.stdout and holder.stderr
    if holder.stdout.readline() != b"ready\n":
        pytest.skip(f"no bridge and tap devices here: {holder.stderr.read().decode()}")
    yield ["nsenter", "-t", str(holder.pid), "-n", "--"]
    holder.stdin.close()
    holder.wait()


@pytest.fixture(scope="module")
def server(bridge, tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.c").write_text(SERVER)
    subprocess.run(["gcc", "-static", "-o", folder / "server", folder / "server.c"], check=True)
    machine = subprocess.Popen([*bridge, STOUT, "run", "--accel", ACCEL, "--net", "tap:tap0", "--ip", "192.168.7.2/24", "--gw", "192.168.7.1",
                                folder / "server"], stdin=subprocess.DEVNULL)
    yield machine
    machine.terminate()
    assert machine.wait(10) == 143


def fetch(words):
    return run_client([*words, sys.executable, "-c", CLIENT])


def run_client(words):
    """A machine that is up later is asked again."""
    for _ in range(40):
        result = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if result.returncode == 0:
            return result.stdout
        assert "refused" in result.stderr or "No route" in result.stderr or "timed out" in result.stderr, result.stderr
    raise AssertionError(result.stderr)


def test_host_and_other_machine(bridge, server):
    assert fetch(bridge) == "b'served\\n'\n"
    result = subprocess.run([*bridge, STOUT, "run", "--accel", ACCEL, "--net", "tap:tap1", "--ip", "192.168.7.3/24", "--dns", "192.168.7.1",
                             "python3", "-c", CLIENT + "\nprint(open('/etc/resolv.conf').read())"], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0 and result.stdout.startswith("b'served\\n'\n") and "nameserver 192.168.7.1" in result.stdout, result.stderr


UNREACHABLE = """
import errno, socket, sys, time
while ':' in sys.argv[1] and any(int(line.split()[4], 16) & 0x40 for line in open('/proc/net/if_inet6')):
    time.sleep(0.1)  # whether somebody else has our own address is not known yet
for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
    sock = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, kind)
    begin = time.monotonic()
    try:
        sock.connect(socket.getaddrinfo(sys.argv[1], 8083)[0][4])
        sock.send(b'x')
        sock.settimeout(6)
        sock.recv(1)
    except OSError as error:
        print(errno.errorcode.get(error.errno), time.monotonic() - begin < 30)
"""


def test_a_neighbour_that_is_not_there(bridge):
    """A connection fails; a datagram is lost, since a host that is not reached now may be soon."""
    machine = [STOUT, "run", "--accel", ACCEL, "--net", "tap:tap1", "--ip", "192.168.7.3/24", "python3"]
    results = [subprocess.run([*bridge, *words, "-c", UNREACHABLE, "192.168.7.99"], capture_output=True, text=True, timeout=100, check=False).stdout
               for words in (["python3"], machine)]
    assert results == ["EHOSTUNREACH True\nNone True\n"] * 2
    result = subprocess.run([STOUT, "run", "--accel", ACCEL, "python3", "-c", UNREACHABLE, "fe80::99%eth0"], capture_output=True, text=True,
                            timeout=100, check=False)
    assert result.stdout == "EHOSTUNREACH True\nNone True\n", result.stderr


def test_what_cannot_be_used(bridge, server):
    assert fetch(bridge)  # so the first machine has its device
    words = [STOUT, "run", "--accel", ACCEL, "--net", "tap:tap0", "/bin/true"]
    result = subprocess.run([*bridge, *words], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 125 and "tap0 is in use by another machine" in result.stderr, result.stderr
    result = subprocess.run([*bridge, *words[:-2], "tap:br0", "/bin/true"], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 2 and "br0 is not a tap device" in result.stderr, result.stderr
    if os.geteuid() == 0:
        drop = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all", "--"]
        result = subprocess.run([*bridge, *drop, "env", "HOME=/tmp", *words[:-2], "tap:tap1", "/bin/true"], capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 125 and "tap1 is not yours to use" in result.stderr and "user nobody" in result.stderr, result.stderr


@pytest.fixture(scope="module")
def echo(tmp_path_factory):
    path = tmp_path_factory.mktemp("echo") / "echo_cpus"
    subprocess.run(["gcc", "-O2", "-static", "-pthread", "-o", path, os.path.join(HERE, "echo_cpus.c")], check=True)
    return path


@pytest.mark.parametrize(("cpus", "machine", "pairs"), [(2, "q35", 2), (4, "q35", 4), (2, "microvm", 1)])
def test_several_queues(bridge, echo, cpus, machine, pairs):
    """Each processor has a pair of queues, where the device can have them."""
    words = [*bridge, STOUT, "run", "--accel", ACCEL, "--net", "tap:tap2", "--ip", "192.168.7.4/24", "--machine", machine]
    client = [*bridge, sys.executable, os.path.join(HERE, "echo_client.py"), "192.168.7.4", str(cpus), str(pairs)]
    guest = subprocess.Popen([*words, "--cpus", str(cpus), echo], stdin=subprocess.DEVNULL)
    try:
        counts = json.loads(run_client(client))
        assert len(counts) == cpus and sum(count > 0 for count in counts) == pairs, counts
        result = subprocess.run([*words, echo], capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == 125 and "tap2 is in use by another machine" in result.stderr, result.stderr
    finally:
        guest.terminate()
        assert guest.wait(10) == 143


def test_name_server_by_dhcp(tmp_path):
    """An image knows nothing of the network it will find."""
    script = "until [ -s /etc/resolv.conf ]; do sleep 0.1; done; cat /etc/resolv.conf /etc/hosts"
    add = [word for name in ("sleep", "cat") for word in ("--add", shutil.which(name))]
    subprocess.run([STOUT, "build", "-t", "iso", "-o", tmp_path / "image.iso", "--hostname", "web", *add, "/bin/sh", "-c", script], check=True,
                   stdout=subprocess.DEVNULL)
    result = subprocess.run(["qemu-system-x86_64", "-accel", ACCEL, *ONE_CPU, "-cpu", "max", "-m", "256M", "-nodefaults", "-display", "none", "-no-reboot",
                             "-serial", "stdio", "-cdrom", tmp_path / "image.iso", "-netdev", "user,id=n0,dns=10.0.2.9",
                             "-device", "virtio-net-pci,netdev=n0,romfile="], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    lines = result.stdout.replace("\r", "").splitlines()
    assert "nameserver 10.0.2.9" in lines and "127.0.1.1 web" in lines, result.stdout + result.stderr
