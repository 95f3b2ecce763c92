# SPDX-License-Identifier: MIT
"""Bars are for terminals: what long work shows there, and that pipes and short work see nothing of it."""
import os
import pty
import re
import subprocess
import threading

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
WORK = """import signal, sys, time
from stout_tool.progress import progress
with progress("packing", 100 << 20) as bar, progress("inner", 5):
    for _ in range(12):
        bar.advance(5 << 20)
    {wait}
    sys.stderr.write("a notice\\n")
print("rich" in sys.modules)
"""
UNTIL_SEEN, LONG, NOT = "sys.stdin.readline()", "time.sleep(1.5)", "pass"
COLOUR = re.compile(rb"\x1b\[[\d;]*3[0-9](;[\d;]*)?m")


def on_terminal(script, **environment):
    """What a program with a terminal as its stderr writes there, and its standard output.  It gets a line when the bar was drawn thrice."""
    master, slave = pty.openpty()
    process = subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=slave, stdout=subprocess.PIPE, stderr=slave,
                               env={"PATH": os.environ["PATH"], "TERM": "xterm-256color", "PYTHONPATH": f"{TOP}/scripts", **environment})
    os.close(slave)
    seen = bytearray()

    def read():
        try:
            while data := os.read(master, 65536):
                was = seen.count(b"packing")
                seen.extend(data)
                if was < 3 <= seen.count(b"packing"):
                    os.write(master, b"\n")
        except OSError:
            pass  # the other end is closed

    reader = threading.Thread(target=read)
    reader.start()
    output = process.communicate(timeout=60)[0]
    reader.join()
    os.close(master)
    assert process.returncode == 0, bytes(seen)
    return bytes(seen), output.decode().strip()


def test_long_work_has_a_bar_on_a_terminal():
    seen, output = on_terminal(WORK.format(wait=UNTIL_SEEN))
    assert output == "True" and seen.count(b"packing") > 2 and b"MiB" in seen and COLOUR.search(seen) and b"inner" not in seen
    assert b"a notice" in seen and seen.rindex(b"\x1b[?25h") > seen.rindex(b"packing")  # the cursor is back
    assert seen.rstrip().endswith(b"\x1b[2K")  # and the bar is gone


def test_no_colour_where_the_user_says_so():
    seen, _ = on_terminal(WORK.format(wait=UNTIL_SEEN), NO_COLOR="1")
    assert b"packing" in seen and not COLOUR.search(seen)
    assert b"packing" not in on_terminal(WORK.format(wait=LONG), TERM="dumb")[0]


def test_short_work_and_pipes_have_none():
    assert on_terminal(WORK.format(wait=NOT)) == (b"a notice\r\n", "False")
    result = subprocess.run(["/usr/bin/python3", "-c", WORK.format(wait=LONG)], env=dict(os.environ, PYTHONPATH=f"{TOP}/scripts"), capture_output=True,
                            check=True, timeout=60)
    assert (result.stdout, result.stderr) == (b"False\n", b"a notice\n")
