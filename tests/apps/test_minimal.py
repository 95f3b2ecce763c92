# SPDX-License-Identifier: MIT
"""--minimal: an image of what a run opened does the same in a tenth of the size."""
import json
import os
import signal
import subprocess

import pytest
from conftest import ACCEL, STOUT, free_port, need

SCRIPT = """import json, os
print(json.dumps({"a": open("used.txt").read()}), sorted(os.listdir("."))[:2])
"""
SERVER = """import http.server, pathlib
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = pathlib.Path("page.html").read_bytes()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *words):
        pass
http.server.HTTPServer(("", 8000), Handler).serve_forever()
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A program's folder, which is the working directory; a cache and a store of the test's own."""
    for name in ("cache", "home"):
        monkeypatch.setenv(f"STOUT_{name.upper()}", str(tmp_path / name))
    need("python3")
    place = tmp_path / "app"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "used.txt").write_text("used")
    (place / "page.html").write_text("page")
    (place / "unused.bin").write_bytes(bytes(300000))
    (place / "script.py").write_text(SCRIPT)
    (place / "server.py").write_text(SERVER)
    return place


def stout(*args):
    return subprocess.run([STOUT, *args], capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL)


def contents(image, *more):
    result = stout("image", "inspect", *more, "--json", image)
    assert result.returncode == 0, result.stderr
    return {item["path"]: item for item in json.loads(result.stdout)}


def test_run_twice(folder):
    """The second run uses what the first showed, and both print what a whole image prints."""
    whole = stout("run", "--accel", ACCEL, "script.py")
    assert whole.returncode == 0, whole.stderr
    for notices in (("running python3 to see", "left out"), ("left out",)):
        result = stout("run", "--accel", ACCEL, "--minimal", "script.py")
        assert result.returncode == 0, result.stderr
        assert '{"a": "used"}' in result.stdout and len(result.stdout) <= len(whole.stdout)
        assert [text for text in ("running python3 to see", "left out") if text in result.stderr] == list(notices), result.stderr


def test_build_and_inspect(folder):
    result = stout("build", "--minimal", "-t", "qemu", "-o", "small.tar", "--add", "unused.bin:/srv/given", "script.py")
    assert (result.returncode, result.stdout) == (0, f"{folder}/small.tar\n"), result.stderr
    assert "files (" in result.stderr and "that were not opened" in result.stderr
    subprocess.run(["tar", "-xf", "small.tar"], check=True)
    inside, left_out = contents("small/image.cpio"), contents("small/image.cpio", "--left-out")
    here = str(folder)
    assert inside[f"{here}/used.txt"]["reason"] == "opened in the traced run (the program and its script)"
    assert inside["/srv/given"]["reason"].startswith("--add ")
    assert any(path.endswith("/libc.so.6") and item["reason"].startswith("a library of") for path, item in inside.items())
    assert "/etc/passwd" in inside and f"{here}/unused.bin" not in inside
    assert left_out[f"{here}/unused.bin"]["size"] == 300000
    assert sum(item["size"] for item in inside.values()) < sum(item["size"] for item in left_out.values())
    assert not set(inside) & set(left_out)


def test_exercise(folder):
    port = free_port()
    result = stout("build", "--minimal", "-t", "qemu", "-o", "web.tar", "-p", f"{port}:8000", "--exercise",
                   f"curl -fsm 5 http://127.0.0.1:{port}/", "server.py")
    assert result.returncode == 0, result.stderr
    subprocess.run(["tar", "-xf", "web.tar"], check=True)
    inside = contents("web/image.cpio")
    assert f"{folder}/page.html" in inside and f"{folder}/used.txt" not in inside
    # It serves without what was left out.
    machine = subprocess.Popen(["web/run", f"{port}:8000"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        page = subprocess.run(["curl", "-fsm", "10", "--retry", "30", "--retry-all-errors", "--retry-delay", "1", f"http://127.0.0.1:{port}/"],
                              capture_output=True, text=True, timeout=120, check=False)
    finally:
        machine.kill()
        output = machine.communicate()[0]
    assert page.stdout == "page", output


@pytest.mark.parametrize("options, status, words", [
    (["--exercise", "false", "--minimal-seconds", "5"], 125, "exercise did not succeed"),
    (["--exercise", "true; false", "--minimal-seconds", "-1"], 2, "no time to run"),
])
def test_nothing_is_left(folder, options, status, words):
    result = stout("build", "--minimal", "-t", "qemu", "-o", "no.tar", *options, "server.py")
    assert (result.returncode, result.stdout) == (status, ""), result.stderr
    assert words in result.stderr and "Traceback" not in result.stderr
    assert not [name for name in os.listdir(".") if name.startswith((".stout", "no"))]


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 0), (signal.SIGTERM, 143)])
def test_end_by_hand(folder, number, status):
    """Ctrl-C ends the run and packs; SIGTERM ends the command and leaves nothing."""
    command = [STOUT, "build", "--minimal", "--verbose", "-t", "qemu", "-o", "hand.tar", "server.py"]
    port = free_port()
    command[3:3] = ["-p", f"{port}:8000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    subprocess.run(["curl", "-fsm", "10", "--retry", "60", "--retry-all-errors", "--retry-delay", "1", f"http://127.0.0.1:{port}/"],
                   capture_output=True, timeout=200, check=True)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == status, errors
    assert os.path.exists("hand.tar") == (status == 0) and not [name for name in os.listdir(".") if name.startswith(".stout")]
