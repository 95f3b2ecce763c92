# SPDX-License-Identifier: MIT
"""Somebody at a terminal: bash in tmux, in a network namespace of its own where every port is free and nothing is far away.

The prompt is [NUMBER:STATUS]>, so that the end of a command and its status can be read off the screen.
"""
import contextlib
import os
import re
import signal
import subprocess
import time
import uuid

import pytest
from conftest import TOP, need

PROMPT = r"[\#:$?]> "
AT_PROMPT = re.compile(r"\[(\d+):(\d+)\]> ?\Z")
ALONE = "ip link set lo up; echo ready; exec sleep infinity"


class Window:
    """One bash of a Terminal."""

    def __init__(self, terminal, name):
        self.terminal, self.name = terminal, name

    def screen(self):
        """All that was written, also what went out of sight; long lines are whole."""
        return self.terminal.tmux("capture-pane", "-pJ", "-S", "-", "-t", self.name).rstrip("\n")

    def prompt(self):
        """(number of the next command, status of the last), if bash waits for one."""
        found = AT_PROMPT.search(self.screen().rstrip())
        return (int(found[1]), int(found[2])) if found else None

    def type(self, text):
        for line in text.split("\n"):
            self.terminal.tmux("send-keys", "-t", self.name, "-l", "--", re.sub(";$", r"\\;", line))  # a last ; is tmux's own
            self.key("Enter")

    def key(self, *names):
        self.terminal.tmux("send-keys", "-t", self.name, *names)

    def wait(self, look, what, seconds=180):
        deadline = time.monotonic() + seconds
        while not (result := look()):
            assert time.monotonic() < deadline, f"never saw {what}:\n{self.screen()}"
            time.sleep(0.05)
        return result

    def start(self, line):
        """Types a command; gives the function that says what it has written so far."""
        number, _ = self.wait(self.prompt, "a prompt", 30)
        self.type(line)
        typed = re.compile(rf"\[{number}:\d+\]> ")
        return lambda: typed.split(self.screen())[-1].partition("\n")[2] if typed.search(self.screen()) else ""

    def end(self, number, seconds=180):
        """The status of the command that was number, when it is over."""
        def over():
            at = self.prompt()
            return at if at and at[0] > number else None

        return self.wait(over, f"the end of command {number}", seconds)[1]

    def run(self, line, seconds=180):
        """(status, what was written)"""
        number, _ = self.wait(self.prompt, "a prompt", 30)
        written = self.start(line)
        status = self.end(number, seconds)
        return status, AT_PROMPT.sub("", written().rstrip()).rstrip()


class Terminal:
    def __init__(self, folder, **environment):
        self.folder, self.mark = folder, f"STOUT_TEST_TERMINAL={uuid.uuid4().hex}"
        for name in ("bin", "home", "tmp"):
            (folder / name).mkdir()
        (folder / "bin/stout").symlink_to(os.path.join(TOP, "stout"))
        (folder / "tmux.conf").write_text(f"set -g history-limit 50000\nset -g default-command 'exec bash --noprofile --rcfile {folder}/bashrc'\n")
        (folder / "bashrc").write_text(f"PS1='{PROMPT}'\n")
        self.environment = {
            "PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": f"{folder}/home", "TMPDIR": f"{folder}/tmp", "TERM": "xterm-256color",
            "LANG": "C.UTF-8", "STOUT_HOME": f"{folder}/store", "STOUT_CACHE": f"{folder}/cache", "XDG_STATE_HOME": f"{folder}/state",
            **{name: value for name, value in os.environ.items() if name.startswith("STOUT_NO_BUILD")}, **environment,
            **dict([self.mark.split("=")])}
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self.holder = subprocess.Popen([need("unshare"), *user, "--net", "sh", "-c", ALONE], stdout=subprocess.PIPE)
        if self.holder.stdout.readline() != b"ready\n":
            pytest.skip("no network namespace can be made here")
        self.inside = [need("nsenter"), *(word for word in user[:1] + (["--preserve-credentials"] if user else [])), "--net", "--target",
                       str(self.holder.pid), "--"]
        need("tmux")
        self.tmux("new-session", "-d", "-x", "180", "-y", "50", "-s", "first", cwd=folder / "home")

    def tmux(self, *words, **more):
        return subprocess.run([*self.inside, "tmux", "-S", f"{self.folder}/socket", "-f", f"{self.folder}/tmux.conf", *words], check=True,
                              env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=60, **more).stdout

    def window(self, name="first"):
        if name != "first":
            self.tmux("new-session", "-d", "-x", "180", "-y", "50", "-s", name, cwd=self.folder / "home")
        return Window(self, name)

    def processes(self):
        """The command lines of all processes that began here, but for the terminal's own."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as environ, open(f"/proc/{pid}/cmdline", "rb") as cmdline:
                    if self.mark.encode() in environ.read() and not (words := cmdline.read()).startswith((b"tmux\0", b"bash\0--noprofile")):
                        found.append(f"{pid} {words.decode('utf-8', 'replace')}")
            except OSError:
                continue  # it is gone
        return found

    def check_nothing_left(self):
        deadline = time.monotonic() + 10
        while left := self.processes():
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
        assert os.listdir(self.folder / "tmp") == []

    def close(self):
        subprocess.run([*self.inside, "tmux", "-S", f"{self.folder}/socket", "kill-server"], check=False, capture_output=True, timeout=60)
        for line in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(line.split()[0]), signal.SIGKILL)
        self.holder.kill()
        self.holder.wait()
