# SPDX-License-Identifier: MIT
"""A session at a terminal: right commands, wrong ones, Ctrl-C at any moment; never a traceback, and nothing stays behind."""
import os
import re
import shutil
import subprocess
import time

import pytest
from terminal import Terminal

RIGHT = [
    ("stout --version", "stout"),
    ("stout run /bin/echo good day", "good day"),
    ("stout run --add /bin/cat /bin/sh -c 'cat /etc/hostname; exit 0'", ""),
    ("echo piped | stout run -i /usr/bin/tr a-z A-Z", "PIPED"),
    ("stout run --dry-run /bin/true", "qemu-system-x86_64"),
    ("stout pkg from-dir ~/root --program /bin/app -n app", "app"),
    ("stout pkg describe app", "/bin/app"),
    ("stout pkg load app", "in the package"),
    ("stout build -t raw -o app.raw --package app", "app.raw"),
    ("stout image ls app.raw /bin", "/bin/app"),
    ("stout image delete app.raw", "app.raw"),
    ("stout doctor", "kernel"),
    ("stout pkg remove app", "app"),
]
WRONG = [
    "stout rnu", "stout run", "stout run ./absent", "stout run /etc/passwd", "stout run -m lots /bin/true", "stout run -m 1M /bin/true",
    "stout run -p 99999 /bin/true", "stout run -p 22:22:22:22 /bin/true", "stout run --cpus 0 /bin/true", "stout run --add /absent /bin/true",
    "stout run -v absent:/x /bin/true", "stout run --image absent.tar", "stout run --image broken.tar", "stout run -c broken.yaml /bin/true",
    "stout run --env-file absent /bin/true", "stout run --package absent", "stout run --bogus", "stout run arm", "stout run $'\\xff\\xfe'",
    "stout build -t floppy /bin/true", "stout build -t raw -o /absent/x /bin/true", "stout build", "stout pkg load absent", "stout pkg remove absent",
    "stout pkg from-dir absent", "stout pkg from-docker broken.tar", "stout pkg add broken.tar", "stout instance logs absent",
    "stout instance create --name 'a b' /bin/true", "stout instance delete absent", "stout network create 'a b'", "stout image ls /etc/passwd",
    "stout image cat broken.tar /x", "stout export venus /bin/true", "stout completion tcsh", "stout init absent",
]
APP = """#include <stdio.h>
int main(void) { puts("in the package"); return 0; }
"""
# What runs, and how it is seen that it does; then Ctrl-C at these parts of a second, and when it is seen.
LONG = [
    ("stout run /bin/sleep 1000", None),
    ("stout run --add sleep /bin/sh -c 'echo running; exec sleep 1000'", "running"),
    ("stout build -t iso -o out.iso --add ~/large:/large /bin/true", None),
    ("stout pkg from-dir ~/large --program /bin/app -n big --force", None),
    ("stout instance create --name night /bin/sleep 1000", None),
]
MOMENTS = [0, 0.15, 0.4, 1]


@pytest.fixture
def terminal(tmp_path):
    made = Terminal(tmp_path)
    home = tmp_path / "home"
    (home / "root/bin").mkdir(parents=True)
    subprocess.run(["gcc", "-static", "-o", home / "root/bin/app", "-xc", "-"], input=APP, text=True, check=True)
    shutil.copytree(home / "root", home / "large")
    (home / "large/data").write_bytes(os.urandom(64 << 20))
    (home / "broken.tar").write_bytes(b"x" * 5000)
    (home / "broken.yaml").write_text("memory: [\n")
    with open("/bin/true", "rb") as file:
        data = bytearray(file.read())
    data[18] = 183  # EM_AARCH64
    (home / "arm").write_bytes(data)
    (home / "arm").chmod(0o755)
    yield made
    made.close()


def test_right_and_wrong_commands(terminal):
    window = terminal.window()
    for line, seen in RIGHT:
        status, text = window.run(line)
        assert status == 0 and seen in text and "Traceback" not in text, f"{line}: {status}\n{text}"
    for line in WRONG:
        status, text = window.run(line)
        assert 0 < status < 128 and text and "Traceback" not in text, f"{line}: {status}\n{text}"
        sentences = [part for part in text.split("\n") if not part.startswith(("Usage:", "Try "))]
        assert len("".join(sentences)) < 700, f"{line}: {text}"
    status, text = window.run("stout instance list; stout pkg list")
    assert status == 0 and not re.search(r"a b|big|absent", text)
    terminal.check_nothing_left()


def test_interrupts(terminal, tmp_path):
    window = terminal.window()
    for line, seen in LONG:
        for moment in [*MOMENTS, *([None] if seen else [])]:
            number, _ = window.wait(window.prompt, "a prompt")
            written = window.start(line)
            if moment is None:
                window.wait(lambda: seen in written(), f"{seen!r} of {line!r}")
            else:
                window.wait(lambda: line in window.screen(), "what was typed")
                time.sleep(moment)
            window.key("C-c")
            status, text = window.end(number, 30), written()
            assert "Traceback" not in text and "Error" not in text, f"{line} at {moment}: {status}\n{text}"
            assert status == 130 or status == 0 and "1000'" not in line and "run" not in line, f"{line} at {moment}: {status}\n{text}"
            if "instance" in line:
                window.run("stout instance delete -f night")
    number, _ = window.wait(window.prompt, "a prompt")
    window.start("stout run -i --add sleep /bin/sh -i")  # its terminal is raw: Ctrl-C is the program's
    window.wait(lambda: re.search(r"\n# *$", window.screen()), "the guest's prompt")
    window.type("sh -c 'echo started; exec sleep 1000'")
    window.wait(lambda: "\nstarted" in window.screen(), "the job in the foreground")  # before, Ctrl-C is the shell's, which forgets it
    window.key("C-c")
    window.type("exit 3")
    assert window.end(number, 30) == 3
    status, text = window.run("stty -a")
    assert "icanon" in text and "-icanon" not in text and "-echo " not in text
    assert [name for name in os.listdir(tmp_path / "home") if name not in ("out.iso", "root", "large", "broken.tar", "broken.yaml", "arm")] == []
    terminal.check_nothing_left()
