# SPDX-License-Identifier: MIT
"""The options of stout run as the program sees them, terminals, and UDP."""
import fcntl
import os
import pty
import select
import socket
import struct
import subprocess
import tempfile
import termios
import time

import pytest
from conftest import ACCEL, STOUT

LOOK = """#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
int main(int argc, char **argv)
{
    char host[100], here[500];
    struct stat info;
    gethostname(host, sizeof host);
    printf("%d:%d %s %s %s %s\\n", getuid(), getgid(), host, getcwd(here, sizeof here), getenv("GIVEN"), argv[argc - 1]);
    printf("%ld cpus, stdin %d\\n", sysconf(_SC_NPROCESSORS_ONLN), (int)read(0, host, 1));
    printf("%d %d\\n", stat("/srv/file", &info), isatty(1));
    return 0;
}
"""
ECHO = """#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
int main(void)
{
    struct sockaddr_in peer, me = { .sin_family = AF_INET, .sin_port = htons(5353) };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    char data[2000];
    if (bind(fd, (void *)&me, sizeof me))
        return 1;
    puts("ready");
    fflush(stdout);
    for (;;) {
        socklen_t size = sizeof peer;
        long n = recvfrom(fd, data, sizeof data, 0, (void *)&peer, &size);
        sendto(fd, data, n, 0, (void *)&peer, size);
    }
}
"""


@pytest.fixture
def compiled():
    """In a folder that every user may enter, as pytest's own may not."""
    with tempfile.TemporaryDirectory() as folder:
        def call(source):
            os.chmod(folder, 0o755)
            program = os.path.join(folder, "program")
            subprocess.run(["gcc", "-w", "-o", program, "-x", "c", "-"], input=source, text=True, check=True)
            return program

        yield call


def test_options(run, compiled, tmp_path):
    (tmp_path / "file").write_text("x")
    result = run(compiled(LOOK), "last", options=[
        "--user", "33:44", "--hostname", "box", "--workdir", "/tmp", "-e", "GIVEN=a b", "--cpus", "3",
        "--add", f"{tmp_path}/file:/srv/file"])
    assert result.stdout == "33:44 box /tmp a b last\n3 cpus, stdin 0\n0 0\n", result.stderr
    assert result.returncode == 0


def test_no_network(run):
    script = "import socket; s = socket.socket(); s.settimeout(5); print(s.connect_ex(('10.0.2.2', 80)))"
    result = run("/usr/bin/python3", "-c", script, options=["--net", "none"])
    assert result.stdout == "101\n", result.stderr  # ENETUNREACH


def test_udp(compiled):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen([STOUT, "run", "--accel", ACCEL, "-p", f"{port}:5353/udp", compiled(ECHO)],
                               stdout=subprocess.PIPE)
    try:
        assert process.stdout.readline() == b"ready\n"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(10)
            for n in range(20):
                client.sendto(b"packet %d" % n, ("127.0.0.1", port))
                assert client.recv(100) == b"packet %d" % n
    finally:
        process.terminate()
        assert process.wait(10) == 143


def read_until(fd, text, seconds=60):
    data, end = b"", time.monotonic() + seconds
    while text not in data:
        ready = select.select([fd], [], [], max(0, end - time.monotonic()))[0]
        assert ready, data
        data += os.read(fd, 4096)
    return data


def test_top_on_a_terminal():
    """A program of the whole screen finds what it has to know of the terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([STOUT, "run", "--accel", ACCEL, "--net", "none", "-i", "top"], env=dict(os.environ, TERM="xterm-256color"),
                               stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    try:
        screen = read_until(master, b"%Cpu")
        assert b"\x1b[H" in screen and b"Tasks:" in screen  # the cursor goes home, as that terminal does it
        os.write(master, b"q")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)


def test_shell_on_a_terminal():
    """An interactive shell: echo, line editing by the terminal, Ctrl-C, exit status."""
    master, slave = pty.openpty()
    process = subprocess.Popen([STOUT, "run", "--accel", ACCEL, "-i", "--add", "/bin/cat", "/bin/sh", "-i"],
                               stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    try:
        read_until(master, b"# ")
        os.write(master, b"echo $((6*7))\x7f)\r")
        assert b"42\r\n" in read_until(master, b"42\r\n")
        os.write(master, b"test -t 0 && test -t 1 && echo tty\r")
        read_until(master, b"tty\r\n# ")
        os.write(master, b"cat\r")
        time.sleep(1)
        os.write(master, b"line\r")
        read_until(master, b"line\r\nline\r\n")
        os.write(master, b"\x03")
        read_until(master, b"# ")
        os.write(master, b"exit 5\r")
        assert process.wait(30) == 5
    finally:
        process.kill()
        process.wait()


def test_lines_on_a_terminal_without_input():
    """The host's terminal is not raw then and ends the lines itself: one carriage return and not two."""
    master, slave = pty.openpty()
    process = subprocess.Popen([STOUT, "run", "--accel", ACCEL, "/bin/sh", "-c", "echo one; echo two; test -t 1 && echo tty"],
                               stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
    os.close(slave)
    try:
        assert read_until(master, b"tty\r\n") == b"one\r\ntwo\r\ntty\r\n"
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


def test_three_interrupts_stop_a_deaf_program(compiled):
    deaf = "#include <signal.h>\n#include <stdio.h>\n#include <unistd.h>\nint main(void) { signal(SIGINT, SIG_IGN);\n" \
           "puts(\"deaf\"); for (;;) pause(); }\n"
    master, slave = pty.openpty()
    process = subprocess.Popen([STOUT, "run", "--accel", ACCEL, "-i", compiled(deaf)], stdin=slave, stdout=slave,
                               stderr=slave, start_new_session=True)
    os.close(slave)
    try:
        read_until(master, b"deaf")
        os.write(master, b"\x03\x03\x03")
        assert process.wait(10) == 130
    finally:
        process.kill()
        process.wait()


def test_output_of_a_killed_reader(run):
    """`stout run ... | head -1` ends, with SIGPIPE in the guest."""
    result = subprocess.run(f"{STOUT} run --accel {ACCEL} /usr/bin/yes | head -1", shell=True, capture_output=True,
                            timeout=60, check=False)
    assert result.stdout == b"y\n"


def set_window(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def test_window_size():
    """The program knows the window's size from its first instruction on, and SIGWINCH tells of a change."""
    master, slave = pty.openpty()
    set_window(master, 33, 101)
    # A session of its own with the terminal as the controlling one: so the host's tool gets SIGWINCH.
    process = subprocess.Popen(["setsid", "--ctty", "--wait", STOUT, "run", "--accel", ACCEL, "-i", "--add", "/bin/stty",
                                "--add", "/bin/sleep", "/bin/bash", "-c",
                                "trap 'stty size; exit 4' WINCH; stty size; while :; do sleep 0.2; done"],
                               stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    try:
        read_until(master, b"33 101\r\n")
        set_window(master, 24, 80)
        assert b"24 80\r\n" in read_until(master, b"24 80\r\n")
        assert process.wait(30) == 4
    finally:
        process.kill()
        process.wait()


def test_window_size_of_an_output_terminal():
    """Without -i, too: ls and its like ask their standard output."""
    master, slave = pty.openpty()
    set_window(master, 50, 66)
    result = subprocess.run([STOUT, "run", "--accel", ACCEL, "/usr/bin/python3", "-c",
                             "import os; print(*os.get_terminal_size(1))"],
                            stdin=subprocess.DEVNULL, stdout=slave, stderr=subprocess.PIPE, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert read_until(master, b"\n").strip() == b"66 50"
