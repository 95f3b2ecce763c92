# SPDX-License-Identifier: MIT
"""What a machine does that hangs, for a test's failure: its processors, processes and threads, by gdb."""
import os
import shutil
import subprocess
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Insides:
    """options let gdb into the machine that `stout run` starts with them; text() is to be asked while it runs."""

    def __init__(self):
        self._folder = tempfile.TemporaryDirectory()
        self._socket = os.path.join(self._folder.name, "gdb")
        self.options = ["--qemu-arg", f"-gdb unix:{self._socket},server=on,wait=off"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._folder.cleanup()

    def text(self):
        if not shutil.which("gdb"):
            return "(no gdb to look inside)"
        commands = [f"target remote {self._socket}", "thread apply all backtrace 8",
                    f"source {TOP}/scripts/gdb_stout.py", "stout-processes"]
        words = [word for command in commands for word in ("-ex", command)]
        try:
            result = subprocess.run(["gdb", "-q", "-nx", "-batch", f"{TOP}/build/release/stout.elf", *words],
                                    check=False, timeout=60, text=True, stdin=subprocess.DEVNULL,
                                    stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired as expired:
            return f"(gdb gets no answer) {expired.stdout}"
        return "inside:\n" + result.stdout
