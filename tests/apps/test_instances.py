# SPDX-License-Identifier: MIT
"""stout instance with real machines: they outlive the tool, talk to each other, are stopped in order, and come back."""
import json
import os
import re
import signal
import subprocess
import time
import urllib.request

import pytest
from conftest import ACCEL, STOUT, free_port

SERVER = """import http.server, signal, socket, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = ("hello from " + socket.gethostname()).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(text))); self.end_headers(); self.wfile.write(text)
def stop(*_):
    print("stopping", flush=True)
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("listening", flush=True)
http.server.ThreadingHTTPServer(("", 8000), Handler).serve_forever()
"""
CLIENT = """import socket, sys, time, urllib.request
while True:
    try:
        print(urllib.request.urlopen("http://db:8000/", timeout=5).read().decode(), flush=True)
    except OSError as error:
        print("no answer", flush=True)
    time.sleep(0.3)
"""


class Tool:
    def __init__(self, home):
        self.environment = dict(os.environ, XDG_STATE_HOME=str(home))

    def popen(self, *args, **more):
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **more}
        return subprocess.Popen([STOUT, *args], env=self.environment, **more)

    def __call__(self, *args):
        process = self.popen(*args)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, out + err
        return out

    def create(self, name, *args):
        return self("instance", "create", "--accel", ACCEL, "--name", name, *args)

    def state(self, name):
        return json.loads(self("instance", "inspect", name))[0]["state"]

    def logs(self, name):
        return self("instance", "logs", name)

    def wait(self, look, seconds=60):
        deadline = time.monotonic() + seconds
        while not (result := look()):
            if time.monotonic() > deadline:
                names = self("instance", "list", "-q").split()
                raise AssertionError(self("instance", "list") + "".join(
                    self.logs(name)[-2000:] + self("instance", "logs", "--kernel", name)[-2000:] for name in names))
            time.sleep(0.1)
        return result


@pytest.fixture
def tool(tmp_path):
    tool = Tool(tmp_path)
    yield tool
    for group in ("instance", "network"):
        names = [item["name"] for item in json.loads(tool(group, "list", "--json"))]
        if names:
            tool(group, "delete", *(["-f"] if group == "instance" else []), *names)


def test_two_machines_talk_and_one_is_killed(tool):
    tool("network", "create", "back")
    port = free_port()
    tool.create("db", "--network", "back", "--restart", "on-failure", "-p", f"{port}:8000", "/usr/bin/python3", "-c", SERVER)
    tool.create("web", "--network", "back", "--net", "none", "/usr/bin/python3", "-c", CLIENT)
    tool.wait(lambda: "hello from db" in tool.logs("web"))

    pid = tool.state("db")["qemu"]["pid"]
    os.kill(pid, signal.SIGKILL)
    tool.wait(lambda: tool.state("db")["restarts"] == 1 and tool.state("db")["status"] == "running")
    seen = len(tool.logs("web"))
    tool.wait(lambda: "hello from db" in tool.logs("web")[seen:])
    figures = {item["name"]: item for item in json.loads(tool("instance", "stats", "--json"))}
    assert figures["db"]["network_received"] > 100 and 0 < figures["db"]["guest_memory_used"] < figures["db"]["guest_memory_total"]

    tool("instance", "stop", "db")
    assert tool.logs("db").endswith("stopping\n")
    state = tool.state("db")
    assert (state["status"], state["reason"]) == ("stopped", "the program ended with status 0")  # it was not killed at the deadline


def test_reason_of_a_killed_machine(tool, tmp_path):
    tool.create("x", "/bin/sleep", "1000")
    os.kill(tool.state("x")["qemu"]["pid"], signal.SIGKILL)
    state = tool.wait(lambda: (state := tool.state("x"))["status"] == "failed" and state)
    assert "QEMU was killed by SIGKILL" in state["reason"] and "SIGKILL" in tool("instance", "list")
    (tmp_path / "bad.c").write_text("void store(int *where) { *where = 1; }\nint main(void) { store((int *)8); }\n")
    subprocess.run(["gcc", "-g", "-o", tmp_path / "bad", tmp_path / "bad.c"], check=True)
    tool.create("y", tmp_path / "bad")
    state = tool.wait(lambda: (state := tool.state("y"))["status"] == "failed" and state)
    assert (state["reason"], state["exit"]) == ("the program was killed by SIGSEGV", 139)
    (tmp_path / "bad").unlink()  # the names are of what was packed
    log = tool.popen("instance", "logs", "y").communicate(timeout=60)[1]
    assert re.search(r"bad\+0x\w+ store\+0x\w+ at \S*bad\.c:1\n", log) and re.search(r" main\+0x\w+ at \S*bad\.c:2\n", log), log


def test_late_machine_is_known_to_the_early_one(tool):
    tool("network", "create", "back")
    show = "import time\nwhile True: print(open('/etc/hosts').read() + '.', flush=True); time.sleep(0.2)"
    tool.create("early", "--network", "back", "/usr/bin/python3", "-c", show)
    tool.wait(lambda: "10.89.0.2\tearly" in tool.logs("early"))
    tool.create("late", "--network", "back", "--no-start", "/bin/true")
    tool.wait(lambda: "10.89.0.3\tlate" in tool.logs("early"))
    tool("instance", "delete", "late")
    tool.wait(lambda: "late" not in tool.logs("early").split("\n.\n")[-2])


def ask(port):
    """The page at a port of this host; None: nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as response:
            return response.read().decode()
    except OSError:
        return None


def test_ten_at_once(tool, tmp_path):
    """Each has its port and its memory, all are stopped in order, and nothing is left of them."""
    ports = {f"n{n}": free_port() for n in range(10)}
    creators = [tool.popen("instance", "create", "--accel", ACCEL, "-m", "256M", "--name", name, "-p", f"{port}:8000", "/usr/bin/python3",
                           "-c", SERVER) for name, port in ports.items()]
    for process in creators:
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, out + err
    for name, port in ports.items():
        assert tool.wait(lambda port=port: ask(port), 200) == f"hello from {name}"
    figures = {item["name"]: item for item in json.loads(tool("instance", "stats", "--json"))}
    assert set(figures) == set(ports) and len({item["pid"] for item in figures.values()}) == 10
    for item in figures.values():
        assert item["memory_limit"] == 256 << 20 and 200 << 20 < item["guest_memory_total"] <= 256 << 20
        assert 10 << 20 < item["guest_memory_used"] < item["guest_memory_total"] and 10 << 20 < item["memory_host"] < 512 << 20
        assert item["network_received"] > 100 and item["network_sent"] > 100
    assert {item["name"]: item["ports"] for item in json.loads(tool("instance", "list", "--json"))} == {
        name: [f"{port}:8000"] for name, port in ports.items()}

    processes = [tool.state(name)[kind]["pid"] for name in ports for kind in ("qemu", "supervisor")]
    tool("instance", "stop", *ports)
    listed = json.loads(tool("instance", "list", "--json"))
    assert {(item["status"], item["reason"]) for item in listed} == {("stopped", "the program ended with status 0")}
    tool.wait(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in processes))
    assert [ask(port) for port in ports.values()] == [None] * 10
    tool("instance", "delete", *ports)
    assert os.listdir(tmp_path / "stout" / "instances") == []


def test_attached_shell(tool):
    tool.create("sh", "-i", "/bin/sh")
    process = tool.popen("instance", "attach", "sh", stdin=subprocess.PIPE)
    out, err = process.communicate("echo $((6 * 7))\nexit 5\n", timeout=60)
    assert (out, err, process.returncode) == ("42\n", "", 5)
    assert re.search("^sh +failed .*status 5", tool("instance", "list"), re.M)
