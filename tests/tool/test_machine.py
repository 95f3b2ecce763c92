# SPDX-License-Identifier: MIT
"""The channels and the end of the machine, with a fake QEMU in its place."""
import os
import signal
import subprocess
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ARGS = ["/usr/bin/python3", "-m", "stout_tool", "run", "--accel", "tcg"]


@pytest.fixture
def environment(cache, fake_qemu):
    def make(script):
        return dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), FAKE_QEMU=script,
                    PATH=fake_qemu + ":" + os.environ["PATH"])

    return make


@pytest.fixture
def run(environment, kernel, compiled):
    def call(script, *options, **more):
        program = compiled("int main(void) { return 0; }")
        return subprocess.run([*ARGS, "--kernel", kernel, *options, program], env=environment(script),
                              capture_output=True, timeout=60, check=False, **more)

    return call


@pytest.mark.parametrize("status", [0, 1, 42, 139, 255])
def test_exit_status(run, status):
    assert run(f"channel['control'].sendall(b'exit {status}\\n')").returncode == status


def test_output_is_byte_exact(run):
    result = run("""
data = bytes(range(256)) * 4096
channel['stdout'].sendall(data)
channel['stderr'].sendall(b'\\r\\n\\0err')
channel['log'].sendall(b'[0.1] a line of the log\\n')
channel['control'].sendall(b'exit 3\\n')
""")
    assert result.returncode == 3
    assert result.stdout == bytes(range(256)) * 4096
    assert result.stderr == b"\r\n\0err"


def test_output_after_the_exit_line_is_not_lost(run):
    result = run("""
channel['control'].sendall(b'exit 0\\n')
time.sleep(0.3)
channel['stdout'].sendall(b'late')
""")
    assert (result.returncode, result.stdout) == (0, b"late")


def test_output_that_nobody_reads_for_long(environment, kernel, compiled, tmp_path):
    """The last of it is in the socket when the time to switch off is over, and the machine has not."""
    command = [*ARGS, "--kernel", kernel, compiled("int main(void) { return 0; }")]
    script = f"""
import signal
channel['stdout'].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
os.kill(os.getppid(), signal.SIGSTOP)  # so that it finds the exit line beside the first piece
channel['stdout'].sendall(bytes(200000))
channel['control'].sendall(b'exit 0\\n')
os.kill(os.getppid(), signal.SIGCONT)
open({str(tmp_path / "sent")!r}, 'w').close()
time.sleep(50)
"""
    with subprocess.Popen(command, env=environment(script), stdout=subprocess.PIPE) as process:
        deadline = time.monotonic() + 30
        while not (tmp_path / "sent").exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(2.5)  # longer than the machine may take
        assert len(process.stdout.read()) == 200000 and process.wait() == 0


def test_machine_that_does_not_switch_off_is_killed(run):
    start = time.monotonic()
    assert run("channel['control'].sendall(b'exit 5\\n')\ntime.sleep(50)").returncode == 5
    assert time.monotonic() - start < 40


def test_stdin(run):
    script = """
data = b''
while chunk := channel['stdin'].recv(65536):
    data += chunk
channel['stdout'].sendall(data)
channel['control'].sendall(b'exit 0\\n')
"""
    data = os.urandom(1 << 20)
    result = run(script, "-i", input=data)
    assert (result.returncode, result.stderr, result.stdout == data) == (0, b"", True)
    without = run("channel['stdout'].sendall(str('stdin' in channel).encode())\n"
                  "channel['control'].sendall(b'exit 0\\n')", input=b"unread")
    assert without.stdout == b"False"


def test_log_with_verbose_and_panic(run):
    log = "channel['log'].sendall(b'[0.1] booted\\n')\nchannel['control'].sendall(b'exit 0\\n')"
    assert b"booted" not in run(log).stderr
    assert b"booted" in run(log, "--verbose").stderr
    assert b"booted" in run(log, "--trace", "syscalls").stderr
    start = time.monotonic()
    result = run("channel['log'].sendall(b'[    0.100000] panic on CPU 0: the reason\\nmore\\n')\ntime.sleep(50)")
    assert result.returncode == 125 and b"the reason" in result.stderr and b"more" in result.stderr
    assert time.monotonic() - start < 40


def test_crash_shows_the_report(run):
    result = run("channel['log'].sendall(b'[0.1] quiet\\n[0.2] x[1]: segfault at 0 ip 0\\n')\n"
                 "channel['control'].sendall(b'exit 139\\n')")
    assert result.returncode == 139
    assert b"segfault at 0" in result.stderr and b"quiet" not in result.stderr


def test_qemu_fails(run):
    result = run("sys.stderr.write('qemu-system-x86_64: cannot set up guest memory: "
                 "Cannot allocate memory\\n'); sys.exit(1)")
    assert result.returncode == 125 and b"smaller -m" in result.stderr
    result = run("sys.exit(3)")
    assert result.returncode == 125 and b"status 3" in result.stderr


def test_reader_of_stdout_goes_away(environment, kernel, compiled):
    script = """
try:
    for _ in range(10000):
        channel['stdout'].sendall(b'y\\n' * 10000)
except OSError:
    channel['control'].sendall(b'exit 141\\n')
"""
    process = subprocess.Popen([*ARGS, "--kernel", kernel, compiled("int main(void) { return 0; }")],
                               env=environment(script), stdout=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(20) == 141


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_stop_the_machine(environment, kernel, compiled, tmp_path, number, status):
    pid_file = tmp_path / "pid"
    script = f"open('{pid_file}', 'w').write(str(os.getpid()))\ntime.sleep(60)"
    process = subprocess.Popen([*ARGS, "--kernel", kernel, compiled("int main(void) { return 0; }")],
                               env=environment(script), stdout=subprocess.DEVNULL)
    pid = wait_for_pid(pid_file)
    process.send_signal(number)
    assert process.wait(10) == status
    assert not os.path.exists(f"/proc/{pid}")


def test_machine_dies_with_a_killed_tool(environment, kernel, compiled, tmp_path):
    pid_file = tmp_path / "pid"
    script = f"open('{pid_file}', 'w').write(str(os.getpid()))\ntime.sleep(60)"
    process = subprocess.Popen([*ARGS, "--kernel", kernel, compiled("int main(void) { return 0; }")],
                               env=environment(script), stdout=subprocess.DEVNULL)
    pid = wait_for_pid(pid_file)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline and is_running(pid):
        time.sleep(0.05)
    assert not is_running(pid)


def wait_for_pid(path):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.02)
    raise AssertionError("the fake QEMU did not start")


def is_running(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def test_terminal(environment, kernel, compiled):
    """With -i on a terminal the guest gets a terminal, and the host's is raw meanwhile and restored."""
    import pty
    import termios
    script = """
channel['stdout'].sendall(b'ready\\r\\n')
data = channel['stdin'].recv(10)
channel['stdout'].sendall(repr(data).encode() + b'\\r\\n')
channel['control'].sendall(b'exit 0\\n')
"""
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    process = subprocess.Popen([*ARGS, "-i", "--kernel", kernel, compiled("int main(void) { return 0; }")],
                               env=environment(script), stdin=slave, stdout=slave, stderr=slave,
                               start_new_session=True)
    seen = b""
    while b"ready" not in seen:
        seen += os.read(master, 1000)
    os.write(master, b"\x03")  # not a signal: the guest's own terminal decides
    while b"x03" not in seen:
        seen += os.read(master, 1000)
    assert process.wait(10) == 0
    assert termios.tcgetattr(slave) == before


def test_qemu_knows_the_options(stout, compiled, kernel):
    """The real QEMU accepts the command line; the dummy kernel makes it fail only later."""
    for machine in ("microvm", "q35", "pc"):
        program = compiled("int main(void) { return 0; }")
        result = stout("run", "--machine", machine, program)
        assert result.returncode == 125
        assert b"kernel" in result.stderr.lower(), result.stderr


def test_forwarded_port_takes_a_burst_of_clients(environment, kernel, compiled):
    """The fake QEMU listens as the real one does, with a queue of one, and accepts nobody."""
    import contextlib
    import select
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def connected():
        """How many of so many clients get in at once; the others wait for room in the queue, where these stay."""
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)) for _ in range(50)]
            for client in clients:
                client.connect_ex(("127.0.0.1", port))
            return sum(not client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) for client in select.select([], clients, [], 0)[1])

    script = (f"s = socket.socket(); s.setsockopt(1, 2, 1); s.bind(('127.0.0.1', {port})); s.listen(1)\n"
              "time.sleep(60)")
    process = subprocess.Popen([*ARGS, "-p", f"{port}:80", "--kernel", kernel,
                                compiled("int main(void) { return 0; }")], env=environment(script))
    deadline = time.monotonic() + 30
    while connected() < 50:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(10) == 130


def test_a_few_devices_need_only_the_little_qemu(tmp_path, monkeypatch):
    from stout_tool.qemu import Machine
    from stout_tool.run import RunOptions
    for name in ("qemu-system-x86_64", "qemu-system-x86_64-microvm"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    def suffix(accel="kvm", **values):
        command = Machine(RunOptions(program="true", **values), accel).command([], {"log": "null"})
        return command[0].removeprefix(f"{tmp_path}/qemu-system-x86_64")

    assert suffix(net="none") == suffix(net="tap:tap0") == "-microvm"
    assert suffix() == suffix("tcg", net="none") == suffix(net="none", machine="q35") == ""
    assert suffix(net="none", qemu_args=["-device virtio-9p-device"]) == suffix(net="none", folders=[f"{tmp_path}:/srv"]) == ""
    (tmp_path / "qemu-system-x86_64-microvm").unlink()
    assert suffix(net="none") == ""


CALLS = "channel['control'].sendall(b'calls write 2 0 2\\ncalls exit 1 0 0\\nexit 0\\n')"


def test_counts_of_calls(run, tmp_path):
    """The file appears whole; a pipe stays what it is; where nothing can be written, nothing runs."""
    path = tmp_path / "calls"
    path.write_text("what was there before" * 100)
    path.chmod(0o444)
    os.link(path, tmp_path / "other")
    assert run(CALLS, "--count-calls", str(path)).returncode == 0
    assert path.read_text() == "exit 1 0 0\nwrite 2 0 2\n" and (tmp_path / "other").read_text().startswith("what was")
    reader, writer = os.pipe()
    assert run(CALLS, "--count-calls", f"/dev/fd/{writer}", pass_fds=[writer]).returncode == 0
    os.close(writer)
    with open(reader, encoding="ascii") as file:
        assert file.read() == "exit 1 0 0\nwrite 2 0 2\n"
    before = sorted(os.listdir(tmp_path))
    for place, reason in ((str(tmp_path / "absent/calls"), b"no such file"), (str(tmp_path), b"is a directory")):
        result = run(f"open({str(tmp_path / 'ran')!r}, 'w')\n" + CALLS, "--count-calls", place)
        assert result.returncode == 2 and reason in result.stderr and result.stderr.count(b"\n") == 1, result.stderr
    assert sorted(os.listdir(tmp_path)) == before


TRACED = """
import threading
def begin():
    while not os.path.exists('pids'):
        time.sleep(0.01)
    os.kill(os.getppid(), NUMBER)
if NUMBER:
    threading.Thread(target=begin).start()
for line in channel['control'].makefile('rb'):
    if line == b'files\\n':
        channel['control'].sendall(b'used 0-99999\\nused end\\n')
"""


def is_gone(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


@pytest.mark.parametrize("number, end, status", [(0, "mkdir again 2>&- && exit 1; exit 0", 0), (signal.SIGINT, "wait", 0), (signal.SIGTERM, "wait", 143)])
def test_what_an_exercise_leaves(environment, kernel, compiled, tmp_path, number, end, status):
    """Whatever ends it, that it failed and is tried again or Ctrl-C, its processes go too."""
    command = ["build", "-t", "qemu", "-o", "image.tar", "--minimal", "--exercise", f"sleep 300 & echo $! >>pids; {end}", "--kernel", kernel]
    result = subprocess.run([*ARGS[:3], *command, compiled("int main(void) { return 0; }")], capture_output=True, timeout=60, check=False, cwd=tmp_path,
                            env=environment(TRACED.replace("NUMBER", str(int(number)))))
    assert result.returncode == status, result.stderr
    pids = (tmp_path / "pids").read_text().split()
    try:
        assert len(pids) == (1 if number else 2)
        deadline = time.monotonic() + 10  # the kernel may still be ending them
        while not all(map(is_gone, pids)):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        for pid in pids:
            if not is_gone(pid):
                os.kill(int(pid), signal.SIGKILL)
