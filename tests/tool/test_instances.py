# SPDX-License-Identifier: MIT
"""stout instance without machines: a fake QEMU that speaks QMP takes their place."""
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# What the fake QEMU does first: greets, negotiates, and answers "quit" and "query-status" in a thread.
QMP = r"""
import json, threading
def qmp():
    sock = channel['qmp']
    sock.sendall(b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": []}}\n')
    for line in sock.makefile('rb'):
        request = json.loads(line)
        sock.sendall(json.dumps({"event": "NOISE"}).encode() + b'\n')
        sock.sendall(json.dumps({"return": {"status": "running"}, "id": request["id"]}).encode() + b'\n')
        if request["execute"] == "quit":
            os._exit(0)
threading.Thread(target=qmp, daemon=True).start()
lines = channel['control'].makefile('rb')
def control():
    return lines.readline()
def say(text, name='stdout'):
    channel[name].sendall(text.encode())
def end(status):
    say(f'exit {status}\n', 'control')
"""
FOREVER = "say('ready\\n')\ncontrol()\nend(143)\n"
DEAF = "say('ready\\n')\ntime.sleep(60)\n"


class Tool:
    def __init__(self, home, kernel, program, fake_qemu):
        self.home, self.kernel, self.program = home, kernel, program
        self.environment = dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), XDG_STATE_HOME=str(home),
                                PATH=fake_qemu + ":" + os.environ["PATH"])

    def popen(self, *args, script="", **more):
        if args[0] == "create":  # of an instance
            args = ("create", "--kernel", self.kernel, "--accel", "tcg", *args[1:])
        group = () if args[0] == "network" else ("instance",)
        return subprocess.Popen(["/usr/bin/python3", "-m", "stout_tool", *group, *args], text=True, errors="replace",
                                env=dict(self.environment, FAKE_QEMU=QMP + script), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, **more)

    def __call__(self, *args, script="", status=0):
        process = self.popen(*args, script=script)
        out, err = process.communicate(timeout=60)
        assert process.returncode == status, out + err
        return out if status == 0 else err

    def create(self, name, script, *options):
        return self("create", "--name", name, *options, self.program, script=script)

    def state(self, name):
        return json.loads(self("inspect", name))[0]["state"]

    def wait(self, name, *statuses):
        deadline = time.monotonic() + 20
        while (state := self.state(name))["status"] not in statuses:
            assert time.monotonic() < deadline, state
            time.sleep(0.05)
        return state

    def refused(self, *args, words, script=""):
        process = self.popen(*args, script=script)
        out, err = process.communicate(timeout=60)
        assert process.returncode in (2, 125) and err.startswith("stout: ") and err.count("\n") == 1, err
        for word in words:
            assert word in err, err


@pytest.fixture
def tool(tmp_path, cache, kernel, compiled, fake_qemu):
    tool = Tool(tmp_path / "state", kernel, compiled("int main(void) { return 0; }"), fake_qemu)
    yield tool
    names = tool("list", "-q").split()
    if names:
        tool("delete", "-f", *names)
    assert os.listdir(tmp_path / "state/stout/instances") == []


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def wait_gone(pid):
    deadline = time.monotonic() + 10
    while is_running(pid):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_life(tool):
    assert tool.create("web", FOREVER, "-p", "0.0.0.0:18083:80") == "web\n"
    item = json.loads(tool("list", "--json"))[0]
    assert (item["name"], item["status"], item["ports"]) == ("web", "running", ["0.0.0.0:18083:80"])
    assert is_running(item["pid"])
    assert re.search(r"^web +running for \d+ s .*18083", tool("list"), re.M)
    tool.refused("start", "web", words=["web is running already"])
    tool.refused("delete", "web", words=["stop it", "delete -f"])
    tool.refused("create", "--name", "web", tool.program, words=["web already", "--name"])
    assert tool("stop", "web") == "web\n"
    state = tool.state("web")
    assert (state["status"], state["exit"], state["reason"]) == ("stopped", 143, "the program was killed by SIGTERM")
    assert not is_running(item["pid"])
    assert tool("logs", "web") == "ready\n"
    assert tool("stop", "web") == "web\n"  # it is stopped: nothing to do
    tool("start", "web", script=FOREVER)
    assert tool.state("web")["status"] == "running"
    tool("delete", "-f", "web")
    assert tool("list", "--json") == "[]\n"
    tool.refused("logs", "web", words=["no instance web"])


def test_program_that_ignores_sigterm_is_switched_off(tool):
    tool.create("deaf", DEAF)
    start = time.monotonic()
    tool("stop", "-t", "0.5", "deaf")
    assert 0.5 <= time.monotonic() - start < 40
    state = tool.state("deaf")
    assert (state["status"], state["exit"]) == ("stopped", None) and "did not end in time" in state["reason"]


def test_stop_sends_the_signal(tool):
    tool.create("web", "say(repr(control()))\nend(0)\n")
    tool("stop", "-s", "SIGINT", "web")
    assert tool("logs", "web") == r"b'signal 2\n'"
    tool.refused("stop", "-s", "NONSENSE", "web", words=["no signal NONSENSE"])


@pytest.mark.parametrize("script, status, reason", [
    ("end(0)", "exited", "the program ended with status 0"),
    ("end(3)", "failed", "the program ended with status 3"),
    ("say('[0.1] x[1]: segfault at 0 ip 0\\n', 'log')\nend(139)", "failed", "the program was killed by SIGSEGV"),
    ("say('[    0.1] panic on CPU 0: the reason\\n', 'log')\ntime.sleep(30)", "failed", "kernel panic: the reason"),
    ("say('error there is no program\\n', 'control')\nend(127)", "failed", "there is no program"),
    ("os.kill(os.getpid(), 9)", "failed", "QEMU was killed by SIGKILL (by hand, or by the host for want of memory)"),
    ("os._exit(7)", "failed", "QEMU ended with status 7"),
])
def test_reason(tool, script, status, reason):
    tool.create("x", "time.sleep(0.3)\n" + script)
    state = tool.wait("x", "exited", "failed")
    assert (state["status"], state["reason"]) == (status, reason)
    assert reason in tool("list")


def test_crash_report_is_in_the_logs(tool):
    tool.create("x", "time.sleep(0.3)\nsay('[0.1] boring\\n[0.2] x[1]: segfault at 0 ip 0\\n', 'log')\nend(139)")
    tool.wait("x", "failed")
    process = tool.popen("logs", "x")
    assert process.communicate()[1] == "kernel: [0.2] x[1]: segfault at 0 ip 0\n"
    assert "boring" in tool("logs", "--kernel", "x")


def test_machine_that_does_not_start(tool):
    script = "sys.stderr.write('qemu-system-x86_64: cannot set up guest memory: Cannot allocate memory\\n')\nos._exit(1)"
    tool.refused("create", "--name", "x", tool.program, script=script, words=["x did not start", "smaller -m"])
    assert tool("list", "-q") == ""


def test_restart_on_failure(tool):
    tool.create("x", "end(5)", "--restart", "on-failure:2")
    state = tool.wait("x", "failed")
    assert (state["restarts"], state["exit"]) == (2, 5)


def test_restart_after_qemu_was_killed(tool):
    tool.create("x", FOREVER, "--restart", "always")
    first = tool.state("x")["qemu"]["pid"]
    os.kill(first, signal.SIGKILL)
    wait_gone(first)
    deadline = time.monotonic() + 10
    while (state := tool.state("x"))["qemu"]["pid"] == first or state["status"] != "running":
        assert time.monotonic() < deadline
    assert state["restarts"] == 1
    tool("stop", "x")
    assert tool.state("x")["status"] == "stopped"


def test_no_restart_after_success(tool):
    tool.create("x", "end(0)", "--restart", "on-failure")
    assert tool.wait("x", "exited")["restarts"] == 0


def test_stop_while_it_waits_for_its_restart(tool):
    tool.create("x", "end(1)", "--restart", "always")
    while tool.state("x")["restarts"] < 4:
        time.sleep(0.02)
    tool("stop", "x")
    assert tool.state("x")["status"] == "stopped"


def test_killed_supervisor(tool):
    tool.create("x", FOREVER)
    state = tool.state("x")
    os.kill(state["supervisor"]["pid"], signal.SIGKILL)
    wait_gone(state["qemu"]["pid"])
    wait_gone(state["supervisor"]["pid"])
    state = tool.state("x")
    assert state["status"] == "lost" and "supervisor was killed" in state["reason"]
    tool("start", "x", script=FOREVER)
    assert tool.state("x")["status"] == "running"


def test_host_was_restarted(tool):
    tool.create("x", FOREVER)
    tool("stop", "x")
    path = tool.home / "stout/instances/x/state.json"
    state = json.loads(path.read_text())
    state.update(status="running", qemu={"pid": os.getpid(), "start": "1", "boot": "another"})
    state["supervisor"]["boot"] = "another"
    path.write_text(json.dumps(state))
    assert tool.state("x")["reason"] == "the host was restarted"
    tool("start", "x", script=FOREVER)  # and nobody killed us, whose pid it once had


def test_terminated_supervisor_ends_the_program_first(tool):
    tool.create("x", "say(repr(control()))\nend(0)\n")
    os.kill(tool.state("x")["supervisor"]["pid"], signal.SIGTERM)
    assert tool.wait("x", "stopped")["user_stopped"] is False
    assert tool("logs", "x") == r"b'signal 15\n'"


def test_logs(tool):
    script = r"""
say('one\ntwo')
time.sleep(0.2)
say(' more\n')
channel['stderr'].sendall(b'bad \xff\xfe bytes\n')
say('last')
control(); end(0)
"""
    tool.create("x", script)
    deadline = time.monotonic() + 10
    while not tool("logs", "x").endswith("last"):
        assert time.monotonic() < deadline
    result = subprocess.run(["/usr/bin/python3", "-m", "stout_tool", "instance", "logs", "x"], env=tool.environment,
                            capture_output=True, check=True)
    assert result.stdout == b"one\ntwo more\nlast" and result.stderr == b"bad \xff\xfe bytes\n"
    assert tool("logs", "--tail", "1", "x") == "last"
    assert tool("logs", "--tail", "0", "x") == ""
    lines = tool("logs", "-t", "x").splitlines()
    assert [re.sub(r"^\S+Z ", "", line) for line in lines] == ["one", "two more", "last"]


def test_follow_until_the_end(tool):
    tool.create("x", "say('a\\n')\nfor n in range(5):\n    time.sleep(0.1); say(f'{n}\\n')\nend(0)")
    follower = tool.popen("logs", "-f", "x")
    assert follower.communicate(timeout=20)[0] == "a\n0\n1\n2\n3\n4\n"
    assert follower.returncode == 0


def test_kernel_log(tool):
    tool.create("x", "for n in range(5):\n    say(f'[    0.{n}] line {n}\\n', 'log')\ncontrol()\nsay('[    1.0] the end', 'log')\nend(0)")
    deadline = time.monotonic() + 10
    while not tool("logs", "--kernel", "x").endswith("line 4\n"):
        assert time.monotonic() < deadline
    assert tool("logs", "--kernel", "-n", "2", "x") == "[    0.3] line 3\n[    0.4] line 4\n"
    assert tool("logs", "--kernel", "-n", "0", "x") == ""
    for option in ("-t", "--json"):
        tool.refused("logs", "--kernel", option, "x", words=["-t and --json", "--kernel"])
    follower = tool.popen("logs", "--kernel", "-f", "-n", "1", "x")
    assert follower.stdout.readline() == "[    0.4] line 4\n"
    tool("stop", "x")
    assert follower.communicate(timeout=20) == ("[    1.0] the end", "") and follower.returncode == 0


def test_interrupted_follow(tool):
    tool.create("x", FOREVER)
    follower = tool.popen("logs", "-f", "x")
    assert follower.stdout.readline() == "ready\n"
    follower.send_signal(signal.SIGINT)
    assert follower.communicate(timeout=10) == ("", "") and follower.returncode == 130
    assert tool.state("x")["status"] == "running"


def test_log_is_bounded(tmp_path):
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool.instances import log
    writer = log.LogWriter(str(tmp_path))
    writer._file.limit = 10000
    for n in range(1000):
        writer.write("stdout", b"%d\n" % n)
    assert os.stat(tmp_path / "log").st_size <= 10000 and os.stat(tmp_path / "log.1").st_size <= 10000
    texts = [item["text"] for item in log.read(str(tmp_path / "log"), log.records) if item]
    assert texts[-1] == "999\n" and texts == [f"{n}\n" for n in range(1000 - len(texts), 1000)]


def test_names(tool):
    for name in ("", "-x", ".", "..", "a/b", "a b", "x" * 64, "ä"):
        tool.refused("create", "--name=" + name, tool.program, words=["cannot be the name"] if name else ["name"])
        if name and not name.startswith("-"):
            tool.refused("stop", name, words=["cannot be the name"])
    tool("create", "--no-start", tool.program)
    tool("create", "--no-start", tool.program)
    assert tool("list", "-q").split() == ["program", "program-2"]
    assert tool.state("program")["status"] == "created"


def test_what_a_newer_version_made(tool):
    """It is listed and left alone, and what this version made goes on."""
    for name in ("new", "old"):
        tool("create", "--no-start", "--name", name, tool.program)
    path = tool.home / "stout/instances/new/config.json"
    path.write_text(json.dumps({"format": 2, "name": "new"}))
    rows = {row.split()[0]: row for row in tool("list").splitlines()[1:]}
    assert "newer stout" in rows["new"] and "created" in rows["old"]
    assert {item["name"]: item["status"] for item in json.loads(tool("list", "--json"))} == {"new": "unknown", "old": "created"}
    for command in ("start", "stop", "logs", "delete", "inspect", "attach", "stats"):
        tool.refused(command, "new", words=["newer stout", "update stout"])
    tool("start", "old", script=FOREVER)
    tool("delete", "-f", "old")
    assert tool("resume") == "" and path.exists()
    shutil.rmtree(path.parent)


def test_taken_ports(tool):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        tool.refused("create", "-p", f"{port}:80", tool.program, words=[f"Port {port}", "another program"])
    tool.create("web", f"s = socket.socket(); s.bind(('127.0.0.1', {port})); s.listen()\n" + FOREVER, "-p", f"{port}:80")
    deadline = time.monotonic() + 10
    while tool("logs", "web") != "ready\n":
        assert time.monotonic() < deadline
    tool.refused("create", "-p", f"{port}:80", tool.program, words=[f"Port {port}", "the instance web"])
    tool("stop", "web")
    tool("start", "web", script=FOREVER)


def test_bad_options(tool):
    for policy in ("sometimes", "on-failure:0", "on-failure:x", "always:3", ""):
        tool.refused("create", "--restart", policy, tool.program, words=["--restart", "on-failure"])
    tool.refused("create", "--stop-timeout", "-1", tool.program, words=["out of range"])
    tool.refused("create", "--boot", "uefi", "--machine", "q35", tool.program, words=["--boot"])
    tool.refused("stop", "nothere", words=["no instance nothere"])
    assert "nothere" in tool("inspect", "nothere", status=125)


def test_two_commands_at_once(tool):
    creators = [tool.popen("create", "--name", "x", tool.program, script=FOREVER) for _ in range(4)]
    results = [(p.communicate(timeout=60), p.returncode) for p in creators]
    assert sorted(code for _, code in results) == [0, 2, 2, 2], results
    workers = [tool.popen(*args, script=FOREVER) for args in (["stop", "x"], ["start", "x"], ["delete", "-f", "x"], ["stop", "x"])]
    for process in workers:
        err = process.communicate(timeout=60)[1]
        assert process.returncode in (0, 125) and "Traceback" not in err and err.count("\n") <= 1, err
    assert tool("list", "-q") == ""


def test_several_without_a_name_at_once(tool):
    """Who comes too late for a name takes the next, also in the machine."""
    creators = [tool.popen("create", "--no-start", tool.program) for _ in range(4)]
    results = [(*p.communicate(timeout=60), p.returncode) for p in creators]
    names = [os.path.basename(tool.program) + end for end in ("", "-2", "-3", "-4")]
    assert sorted(results) == [(f"{name}\n", "", 0) for name in names]
    for name in names:
        (document,) = json.loads(tool("inspect", name))
        assert document["name"] == document["hostname"] == name


def block_interrupts():
    """As ./stout does until the tool is ready for them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def test_interrupted_create_leaves_nothing(tool):
    for delay in (0.05, 0.15, 0.3, 0.5):
        process = tool.popen("create", "--name", "x", tool.program, script=FOREVER, start_new_session=True,
                             preexec_fn=block_interrupts)
        time.sleep(delay)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
        assert "Traceback" not in err
        assert tool("list", "-q") == ("x\n" if process.returncode == 0 else "")
        if process.returncode == 0:
            tool("delete", "-f", "x")


def test_remains_of_a_killed_create_are_removed(tool):
    (tool.home / "stout/instances/.stout-unfinished-abc").mkdir(parents=True)
    (tool.home / "stout/instances/.stout-unfinished-abc/archive").write_text("x")
    tool.create("x", FOREVER)
    assert sorted(os.listdir(tool.home / "stout/instances")) == ["x"]


def test_stats(tool):
    tool.create("x", "while True:\n    line = control()\n    if line == b'memory\\n': say('memory 5 20\\n', 'control')\n"
                     "    elif line == b'network\\n': say('network 7 8\\n', 'control')\n    else: end(0); break")
    tool.create("silent", DEAF)
    items = {item["name"]: item for item in json.loads(tool("stats", "--json"))}
    expected = {"guest_memory_used": 5, "guest_memory_total": 20, "network_received": 7, "network_sent": 8}
    assert expected.items() <= items["x"].items()
    assert items["x"]["memory_host"] > 1 << 20 and items["x"]["cpu_percent"] >= 0 and items["x"]["pid"] == tool.state("x")["qemu"]["pid"]
    assert not expected.keys() & items["silent"].keys()  # the guest said nothing: no figures are made up
    assert re.search(r"^x .* 5 bytes of 20 bytes +7 bytes +8 bytes", tool("stats", "--once", "x"), re.M)
    tool("stop", "-t", "0", "silent")
    tool.refused("stats", "silent", words=["silent is not running"])
    tool.refused("stats", "nothere", words=["no instance nothere"])


def test_attach(tool):
    script = "say('ready\\n')\ndata = channel['stdin'].recv(100)\nsay(repr(data))\nassert channel['stdin'].recv(1) == b''\nend(9)"
    tool.create("x", script, "-i")
    process = tool.popen("attach", "x", stdin=subprocess.PIPE)
    out, err = process.communicate("hello", timeout=20)
    assert (out, err, process.returncode) == ("b'hello'", "", 9)
    tool.refused("attach", "x", words=["x is not running"])
    tool.refused("attach", "nothere", words=["no instance nothere"])


def test_attach_loses_nothing(tool):
    """A program that reads after a while, and writes as it reads: more than all buffers hold goes there and back."""
    script = ("time.sleep(2)\nimport hashlib\nsum = hashlib.sha256()\n"
              "while data := channel['stdin'].recv(100000):\n    sum.update(data)\n    say('x' * len(data))\nsay(sum.hexdigest())\nend(0)")
    tool.create("x", script, "-i")
    sent = "0123456789abcdef" * 200_000
    out, err = tool.popen("attach", "x", stdin=subprocess.PIPE).communicate(sent, timeout=60)
    assert (err, out[:-64]) == ("", "x" * len(sent)) and out[-64:] == hashlib.sha256(sent.encode()).hexdigest()


def test_interrupted_attach_leaves_the_instance(tool):
    tool.create("x", "say(repr(channel['stdin'].recv(1)) + '\\n')\ntime.sleep(60)", "-i")
    process = tool.popen("attach", "x", stdin=subprocess.PIPE)
    process.stdin.write("x")
    process.stdin.flush()
    assert process.stdout.readline() == "b'x'\n"
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=10) == ("", "") and process.returncode == 130
    assert tool.state("x")["status"] == "running"


def test_attach_on_a_terminal(tool):
    import pty
    import termios
    script = "say('ready')\nseen = control()\ndata = channel['stdin'].recv(100)\nsay(repr((seen, data)))\ncontrol()\nend(0)"
    tool.create("x", script, "-t")
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (33, 44))
    before = termios.tcgetattr(slave)
    process = subprocess.Popen(["/usr/bin/python3", "-m", "stout_tool", "instance", "attach", "x"], env=tool.environment,
                               stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    seen = os.read(master, 1000)
    while b"running" not in seen:
        seen += os.read(master, 1000)
    deadline = time.monotonic() + 10
    while termios.tcgetattr(slave) == before:  # until then ^C is the terminal's
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.write(master, b"\x03")
    while b"x03" not in seen:
        seen += os.read(master, 1000)
    assert b"winsize 33 44" in seen
    os.write(master, b"\x10\x11")
    assert process.wait(10) == 0 and termios.tcgetattr(slave) == before
    assert tool.state("x")["status"] == "running"


def test_resume_after_the_host_was_restarted(tool):
    for name, policy in (("no", "no"), ("always", "always"), ("unless", "unless-stopped"), ("stopped", "unless-stopped")):
        tool.create(name, FOREVER, "--restart", policy)
        tool("stop", name)
        path = tool.home / "stout/instances" / name / "state.json"
        state = json.loads(path.read_text())
        if name != "stopped":
            state.update(status="running", supervisor=dict(state["supervisor"], boot="another"))
        path.write_text(json.dumps(state))
    assert json.loads(tool("resume", "--json", script=FOREVER)) == [{"name": "always"}, {"name": "unless"}]
    assert {item["name"]: item["status"] for item in json.loads(tool("list", "--json"))} == {
        "no": "lost", "always": "running", "unless": "running", "stopped": "stopped"}


# The machine on a network sends a frame to all with its own address, and one with another; then says what it gets.
FRAMES = r"""
mine, theirs = re.search(r"local.path=([^,]+),remote.type=unix,remote.path=([^, ]+)", " ".join(sys.argv)).groups()
if os.path.exists(mine): os.unlink(mine)
port = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
port.bind(mine)
mac = bytes.fromhex(os.path.basename(mine))
words = []
while not words or words[-1] != b'hosts\n': words.append(control())
say(repr(words) + '\n')
port.settimeout(0.2)
for n in range(100):
    port.sendto(b'\xff' * 6 + mac + b'hello', theirs)
    port.sendto(b'\xff' * 6 + bytes(6) + b'false', theirs)
    try:
        frame = port.recv(2000)
    except TimeoutError:
        continue
    say(f'{frame[6:12].hex()} {frame[12:]}\n')
    port.sendto(frame[6:12] + mac + b'reply', theirs)
    if b'reply' in frame: break
control()
end(0)
"""


def test_network(tool):
    tool.refused("create", "--network", "back", tool.program, words=["no network back", "stout network create back"])
    assert tool("network", "create", "back") == "back\n"
    tool.refused("network", "create", "back", words=["network back already"])
    tool.create("a", FRAMES, "--network", "back")
    tool.create("b", FRAMES, "--network", "back", "--net", "none")
    assert json.loads(tool("network", "list", "--json"))[0]["instances"] == {"a": "10.89.0.2", "b": "10.89.0.3"}
    deadline = time.monotonic() + 20
    while "reply" not in tool("logs", "a") + tool("logs", "b"):
        assert time.monotonic() < deadline, tool("logs", "a") + tool("logs", "b")
        time.sleep(0.1)
    text = tool("logs", "a")
    assert "52540a590003 b'" in text and "false" not in text
    assert "host 10.89.0.2 a" in tool("logs", "b") and "host 10.89.0.3 b" in tool("logs", "b")
    command = " ".join(json.loads(tool("inspect", "b"))[0]["command"])
    assert "mac=52:54:0a:59:00:03" in command and "user," not in command
    tool.refused("network", "delete", "back", words=["instances a, b"])
    tool("delete", "-f", "a", "b")
    assert os.listdir(tool.home / "stout/networks/back/ports") == []
    tool("network", "delete", "back")
    assert json.loads(tool("network", "list", "--json")) == []
    tool.refused("network", "delete", "back", words=["no network back"])


def test_subnets(tool):
    tool("network", "create", "a")
    tool("network", "create", "b", "--subnet", "192.168.7.0/29")
    tool("network", "create", "c")
    assert [item["subnet"] for item in json.loads(tool("network", "list", "--json"))] == ["10.89.0.0/24", "192.168.7.0/29", "10.89.1.0/24"]
    for subnet, word in (("10.89.0.128/25", "network a"), ("10.0.0.0/8", "10.0.2.0/24"), ("1.2.3.4/24", "not a network"), ("x", "not a"),
                         ("192.168.9.0/30", "8 to 29 bits")):
        tool.refused("network", "create", "d", "--subnet", subnet, words=[word])
    for n in range(5):
        tool("create", "--no-start", "--name", f"n{n}", "--network", "b", tool.program)
    tool.refused("create", "--no-start", "--network", "b", tool.program, words=["no free address"])
    tool("delete", "n2")
    tool("create", "--no-start", "--name", "again", "--network", "b", tool.program)
    assert "again=192.168.7.4" in tool("network", "list")


def test_qmp():
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool.instances.qmp import Qmp, QmpError
    greeting = b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 9}}}}\n'

    def client(*lines):
        ours, theirs = socket.socketpair()
        theirs.sendall(b"".join(lines))
        return Qmp(ours), theirs

    qmp, other = client(greeting, b'{"event": "A"}\n{"return": {}, "id": 1}\n')
    qmp.negotiate(1)
    assert qmp.version == "7.2.9"
    other.sendall(b'{"return": "late answer", "id": 1}\n{"event": "B"}\n{"error": {"desc": "no such thing"}, "id": 2}\n')
    with pytest.raises(QmpError, match="frobnicate: no such thing"):
        qmp.execute("frobnicate")
    other.sendall(b'{"event": "C"}\n')
    assert [event["event"] for event in qmp.events()] == ["A", "B", "C"] and not qmp.is_closed
    with pytest.raises(QmpError, match="in time"):
        qmp.execute("query-status", timeout=0.05)
    other.close()
    with pytest.raises(QmpError):
        qmp.execute("query-status", timeout=1)
    for lines in ([b"HTTP/1.1 200 OK\n"], [b"[]\n"], [b'{"QMP": 3}\n']):
        with pytest.raises(QmpError):
            client(*lines)[0].negotiate(1)


def test_switch_leaves_out_who_does_not_read(tmp_path):
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool.instances.switch import Switch
    os.chdir(tmp_path)
    switch = Switch(".", "520000000001")
    sockets = {}
    for name in ("520000000001", "520000000002", "520000000003"):
        sockets[name] = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sockets[name].bind(name)
        sockets[name].settimeout(5)
    frame = bytes.fromhex("ffffffffffff520000000001") + b"data"
    for n in range(300):
        sockets["520000000001"].sendto(frame, "520000000001.out")
        assert sockets["520000000003"].recv(100) == frame  # 2 never reads, and nobody waits for it
    assert switch.dropped > 100
    switch.close()
    assert sorted(os.listdir()) == ["520000000002", "520000000003"]


def test_json_of_what_changes_something(tool):
    """A list of names, and of those with which something went wrong why."""
    assert json.loads(tool("network", "create", "--json", "back")) == [{"name": "back"}]
    assert json.loads(tool("create", "--json", "--name", "a", tool.program, script=FOREVER)) == [{"name": "a"}]
    result = tool.popen("stop", "--json", "a", "none")
    out, errors = result.communicate(timeout=60)
    assert result.returncode != 0 and "none" in errors
    first, second = json.loads(out)
    assert first == {"name": "a"} and second["name"] == "none" and "none" in second["error"]
    assert json.loads(tool("start", "--json", "a", script=FOREVER)) == [{"name": "a"}]
    assert json.loads(tool("delete", "--json", "-f", "a")) == [{"name": "a"}]
    assert json.loads(tool("network", "delete", "--json", "back")) == [{"name": "back"}]
