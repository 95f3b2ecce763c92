# SPDX-License-Identifier: MIT
"""A machine whose pid 1 is bash, which takes its commands from the test through standard input.

So a test does inside what an administrator would: starts servers, sends signals, looks at
processes.  The servers write to files or to the same output.
"""
import itertools
import re
import subprocess

from conftest import Machine

TOOLS = ("cat", "chmod", "chown", "grep", "head", "ls", "mkdir", "rm", "setpriv", "sleep")


class Shell(Machine):
    def __init__(self, programs=(), tools=(), **more):
        """programs: paths to add; tools: names of commands to add beside those of TOOLS."""
        options = [*more.pop("options", ()), "-i"]
        for path in [*programs, *(f"/usr/bin/{name}" for name in (*TOOLS, *tools))]:
            options += ["--add", path]
        super().__init__(["/bin/bash"], options=options, stdin=subprocess.PIPE, **more)
        self._numbers = itertools.count(1)

    def sh(self, command, status=0):
        """The output of the command, which must end with this status (None: with any)."""
        mark = f"-- end of command {next(self._numbers)}:"
        start = len(self.text())
        self.process.stdin.write(f"{{ {command}\n}} </dev/null 2>&1; echo '{mark}' $?.\n".encode())
        self.process.stdin.flush()
        end = re.compile(re.escape(mark) + r" (\d+)\.\n")
        while not (found := end.search(self.text(), start)):
            self._check_alive(f"the end of {command!r}")
        output = self.text()[start:found.start()]
        assert status is None or int(found[1]) == status, f"{command!r} ended with {found[1]}:\n{output}"
        return output.strip()

    def sh_until(self, command, seconds=60):
        """Repeats the command inside, until it succeeds."""
        return self.sh(f"for ((i = {seconds * 10}; i; i--)); do {command} && break; sleep 0.1; done; ((i))")

    def exit(self, status=0):
        """Ends the shell, and with it the machine."""
        self.process.stdin.write(f"exit {status}\n".encode())
        self.process.stdin.flush()
        assert self.process.wait(20) == status, self.text()
