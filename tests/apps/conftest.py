# SPDX-License-Identifier: MIT
"""Machines for the tests of real software: started by `stout run`, reached by a forwarded port."""
import http.client
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
STOUT = os.path.join(TOP, "stout")
ACCEL = os.environ.get("STOUT_TEST_ACCEL", "tcg")
LOOK_SECONDS = 60
sys.path[:0] = [HERE, os.path.join(TOP, "tests"), os.path.join(TOP, "scripts")]

from insides import Insides  # noqa: E402
from priority import usual_priority  # noqa: E402
from stout_tool.qemu import processors  # noqa: E402

ONE_CPU = ("-smp", processors(1, ACCEL))  # for QEMU commands of our own


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def need(name):
    """The path of a program of this host; the test is skipped where it is not installed."""
    path = shutil.which(name, path="/usr/bin:/bin") or shutil.which(name)
    if not path:
        pytest.skip(f"no {name}")
    return path


def add(*names):
    """Options that put programs of this host into the image, where shells look for them."""
    words = []
    for name in names:
        found = [path for folder in ("/usr/bin", "/bin") if os.path.exists(path := os.path.join(folder, name))]
        words += [word for path in found or [need(name)] for word in ("--add", path)]
    return words


def written(file):
    """What has been written to a file, which may be the output of a process that still writes.

    That process has the file's position in common with us: after a seek() of ours it would write there.
    """
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode("utf-8", "replace")


class Machine:
    """A running machine; `port` on this host leads to the guest's port."""

    def __init__(self, args, guest_port=None, options=(), timeout=120, stdin=subprocess.DEVNULL, may_end=False):
        self.may_end = may_end
        self.port = free_port() if guest_port else None
        self._insides = Insides()
        command = [STOUT, "run", "--accel", ACCEL, *self._insides.options, *options]
        if guest_port:
            command += ["-p", f"{self.port}:{guest_port}"]
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen([*command, *args], stdin=stdin, stdout=self.output,
                                        stderr=subprocess.STDOUT)
        self.deadline = time.monotonic() + timeout
        # A machine that hangs must not hang the test.  There is time to look inside first.
        self.watchdog = threading.Timer(timeout + LOOK_SECONDS, self.process.kill)
        self.watchdog.start()

    def text(self):
        return written(self.output)

    def look_inside(self):
        return self._insides.text()

    def wait_for(self, look, what):
        """Until look() is true; a connection that fails is a no."""
        while True:
            try:
                if result := look():
                    return result
            except (OSError, http.client.HTTPException):
                pass
            self._check_alive(what)

    def wait_for_text(self, text):
        self.wait_for(lambda: text in self.text(), f"the text {text!r}")
        return self

    def wait_for_http(self, path="/"):
        return self.wait_for(lambda: self.get(path), "an answer")

    def _check_alive(self, what):
        if self.process.poll() is not None:
            raise AssertionError(f"ended with {self.process.returncode} before {what}:\n{self.text()}")
        if time.monotonic() > self.deadline - 1:
            raise AssertionError(f"never saw {what}:\n{self.text()}\n{self.look_inside()}")
        time.sleep(0.05)

    def get(self, path="/", timeout=20):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def connect(self, timeout=20):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def stop(self):
        """Still running? Then it is stopped as a user would, and must go at once."""
        self.watchdog.cancel()
        alive = self.process.poll() is None
        if alive:
            self.process.send_signal(2)
            try:
                assert self.process.wait(10) == 130
            except subprocess.TimeoutExpired:
                self.process.kill()
                raise
        return alive


@pytest.fixture
def machine():
    machines = []

    def start(*args, **more):
        machines.append(Machine(args, **more))
        return machines[-1]

    yield start
    for item in machines:
        text = item.text()
        alive = item.stop()
        assert alive or item.may_end, f"it ended by itself with {item.process.returncode}:\n{text}"


@pytest.fixture
def run():
    """run(*args) -> CompletedProcess of a machine that ends by itself."""
    def call(*args, options=(), timeout=120, **more):
        try:
            return subprocess.run([STOUT, "run", "--accel", ACCEL, *options, *args], capture_output=True, text=True,
                                  timeout=timeout, check=False, stdin=subprocess.DEVNULL, **more)
        except subprocess.TimeoutExpired as expired:
            raise AssertionError(f"still running after {timeout} s: {expired.stdout} {expired.stderr}") from None

    return call


@pytest.fixture
def on_linux():
    """on_linux(command) -> CompletedProcess of a command that succeeds on this host."""
    def call(command, env=None, timeout=180):
        environment = {"PATH": os.environ["PATH"], "HOME": "/root", **(env or {})}
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False,
                                env=environment, stdin=subprocess.DEVNULL, preexec_fn=usual_priority,
                                start_new_session=True)  # without a terminal, as a machine
        assert result.returncode == 0, result.stderr
        return result

    return call


@pytest.fixture
def same_as_linux(run, on_linux):
    """Runs a command on this host and in a machine: output and status must agree."""
    def call(command, options=(), timeout=120, env=None):
        linux = on_linux(command, env)
        words = [word for name, value in (env or {}).items() for word in ("-e", f"{name}={value}")]
        stout = run(*command, options=[*options, *words], timeout=timeout)
        assert (stout.returncode, stout.stdout) == (linux.returncode, linux.stdout), stout.stderr
        return stout

    return call
