# SPDX-License-Identifier: MIT
"""Shells and the usual tools: a long script by three shells, and job control on a terminal."""
import os
import re

import pytest
from conftest import HERE, add

SCRIPT = os.path.join(HERE, "shell/posix.sh")
JOBS = os.path.join(HERE, "shell/jobs.sh")
TOOLS = """awk basename cat chmod cksum cmp comm cp cut date diff du env find grep gzip gunzip head ln ls md5sum mkdir mkfifo
    mktemp mv od paste readlink rm rmdir sed seq sh sleep sort stat stty tail tar touch tr uniq wc xargs yes zcat""".split()


@pytest.mark.parametrize("cpus", ["1", "2"])
@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_script(same_as_linux, shell, cpus):
    same_as_linux([f"/bin/{shell}", SCRIPT], timeout=300, env={"PATH": "/usr/bin:/bin"},
                  options=["--cpus", cpus, "-m", "512M", *add(*TOOLS)])


def test_script_busybox(same_as_linux, tmp_path):
    """One file with all tools: every command of the script is a fork that runs on as another applet."""
    for name in ["sh", *TOOLS]:
        if not os.path.lexists(tmp_path / name):
            os.symlink("/bin/busybox", tmp_path / name)
    same_as_linux(["/bin/busybox", "sh", SCRIPT], timeout=300, env={"PATH": str(tmp_path)},
                  options=["--cpus", "2", "-m", "512M", "--add", SCRIPT, "--add", str(tmp_path), "--add", "/bin/sh"])


def lines_of_script(text):
    """Without those in which the shell tells of a job, as it does when it comes to it."""
    return [line for line in text.splitlines() if line and not re.match(r"\[\d+\]|Terminated$|\S+: line \d+:| +\d+ +\|", line)]


@pytest.mark.parametrize("shell", ["bash", "dash"])
def test_job_control(run, on_linux, shell):
    command = ["/usr/bin/script", "-qec", f"{shell} {JOBS}", "/dev/null"]
    expected = lines_of_script(on_linux(command, env={"PATH": "/usr/bin:/bin"}).stdout)
    assert expected[-1] == "-- end"
    result = run(*command, timeout=180, options=["--cpus", "2", "-e", "PATH=/usr/bin:/bin", "--add", JOBS, "--add",
                                                 os.path.join(HERE, "shell/jobs_bash.sh"), *add(shell, *TOOLS)])
    assert lines_of_script(result.stdout) == expected, result.stderr
    assert result.returncode == 0
