# SPDX-License-Identifier: MIT
"""The tool's own ends: what nobody foresaw is a sentence, and what a killed build left is removed by the next."""
import os
import signal
import subprocess
import sys
import time

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ENVIRONMENT = dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"))


def python(script, **more):
    return subprocess.run(["/usr/bin/python3", "-c", script], env=dict(ENVIRONMENT, **more), capture_output=True, text=True,
                          check=False, timeout=60)


BROKEN = """import sys
from stout_tool import cli, doctor
def doctor_broken():
    raise ValueError("two\\nlines")
doctor.doctor = doctor_broken
sys.argv = ["stout", "doctor"]
cli.entry()
"""


def test_mistake_of_the_tool_is_a_sentence():
    result = python(BROKEN)
    assert result.returncode == 125 and result.stderr.count("\n") == 1, result.stderr
    assert result.stderr.startswith("stout: This is a mistake in stout itself (ValueError: two lines); please report")
    assert "Traceback" in python(BROKEN, STOUT_DEBUG="1").stderr


def test_version():
    result = python("from stout_tool import cli; cli.main(['--version'])")
    assert result.returncode == 0 and result.stdout.startswith("stout 0."), result.stderr


def test_interrupt_prints_nothing():
    result = python(BROKEN.replace('raise ValueError("two\\nlines")', "raise KeyboardInterrupt"))
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_remains_of_a_killed_build_are_removed(tmp_path):
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool import output
    target = str(tmp_path / "image")
    (tmp_path / ".stout-settings").mkdir()  # not ours
    script = ("import sys, time\nfrom stout_tool.output import workshop\n"
              f"with workshop({target!r}) as folder:\n    print(folder, flush=True)\n    time.sleep(60)")
    makers = [subprocess.Popen(["/usr/bin/python3", "-c", script], env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) for _ in "ab"]
    folders = [maker.stdout.readline().strip() for maker in makers]
    makers[0].send_signal(signal.SIGKILL)
    makers[0].wait()
    assert all(map(os.path.isdir, folders))
    with output.workshop(target):
        assert not os.path.exists(folders[0]) and os.path.isdir(folders[1])
    makers[1].send_signal(signal.SIGINT)
    assert makers[1].wait(10) != 0
    deadline = time.monotonic() + 5
    while os.path.exists(folders[1]):
        assert time.monotonic() < deadline
    assert os.listdir(tmp_path) == [".stout-settings"]
