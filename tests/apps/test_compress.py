# SPDX-License-Identifier: MIT
"""--compress: the same files, from a smaller image, in a machine with less memory than they have."""
import hashlib
import os
import subprocess

import pytest
from conftest import ACCEL, HERE, STOUT, need


def stout(*args):
    return subprocess.run([STOUT, *args], capture_output=True, text=True, timeout=300, check=False, stdin=subprocess.DEVNULL)


def test_more_files_than_memory(tmp_path, monkeypatch):
    """32 MiB of them in 20 MiB: pages are dropped and filled again, what was written to stays."""
    monkeypatch.setenv("STOUT_CACHE", str(tmp_path / "cache"))
    need("sha256sum")
    folder = tmp_path / "data"
    folder.mkdir()
    sums = {}
    for number in range(16):
        data = b"".join(b"%d of file %d\n" % (line * line, number) for line in range(1 << 17))[:2 << 20]
        (folder / f"{number}").write_bytes(data)
        sums[f"{number}"] = hashlib.sha256(data).hexdigest()
    script = tmp_path / "script.sh"
    script.write_text("cd /data && sha256sum * && printf changed > 3 && sha256sum ? ?? && sha256sum * && cat 3\n")
    result = stout("run", "--accel", ACCEL, "--compress", "-m", "20M", "--add", f"{folder}:/data", "--add", "sha256sum", "--add", "cat",
                   "--add", str(script), "/bin/sh", str(script))
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[-1] == "changed" and len(lines) == 49
    for number, line in enumerate(lines[:-1]):
        digest, name = line.split()
        expected = hashlib.sha256(b"changed").hexdigest() if number >= 16 and name == "3" else sums[name]
        assert digest == expected, line


def test_files_go_to_sockets(tmp_path, monkeypatch):
    """By sendfile() and splice(): what comes out is what was packed, from the first page to the last byte."""
    monkeypatch.setenv("STOUT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    expected = []
    for size in (0, 1, 4096, 4097, 700001):
        data = b"".join(b"%d of %d\n" % (line * line, size) for line in range(size // 8 + 1))[:size]
        name = f"{size:07}"
        (folder / name).write_bytes(data)
        expected += [(name, hashlib.sha256(data).hexdigest())] * 6
    result = stout("run", "--accel", ACCEL, "--compress", "--net", "none", "-m", "256M", "--add", f"{folder}:/data", need("python3"),
                   os.path.join(HERE, "python/file_to_socket.py"), "/data")
    assert result.returncode == 0, result.stderr
    assert [(line.split()[0], line.split()[-1]) for line in result.stdout.splitlines()] == expected, result.stdout


FULL = """
with open('/text', 'rb', buffering=0) as text:
    while text.read(1 << 16):
        pass
"""
THREADS = """
end = threading.Event()
threads = [threading.Thread(target=end.wait, daemon=True) for _ in range(60)]
for thread in threads:
    thread.start()
end.set()
print(len(threads))
"""
TABLES = """
for number in range(300):
    sparse[number << 21] = 1
if os.fork() == 0:
    os._exit(sum(sparse[number << 21] for number in range(300)) != 300)
print(os.wait()[1])
"""
MOVED = """
libc = ctypes.CDLL(None, use_errno=True)
libc.mremap.restype = ctypes.c_void_p
for number in range(300):
    sparse[number << 21] = 1
length = 600 << 20
old = ctypes.addressof(ctypes.c_char.from_buffer(sparse))
room = mmap.mmap(-1, length, flags=0x4022)
new = ctypes.addressof(ctypes.c_char.from_buffer(room))
moved = libc.mremap(ctypes.c_void_p(old), ctypes.c_size_t(length), ctypes.c_size_t(length), 3, ctypes.c_void_p(new))
print(moved == new and sum(room[number << 21] for number in range(300)), ctypes.get_errno(), flush=True)
os._exit(0)  # what is unmapped here stays unmapped for Python's own end
"""


@pytest.mark.parametrize("code, output", [(FULL + THREADS, "60\n"), (FULL + TABLES, "0\n"), (FULL + MOVED, "300 0\n")],
                         ids=["threads", "fork", "mremap"])
def test_what_a_memory_full_of_files_has_room_for(tmp_path, monkeypatch, code, output):
    """Threads' stacks in the kernel and page tables come out of what is reclaimed."""
    monkeypatch.setenv("STOUT_CACHE", str(tmp_path / "cache"))
    text = tmp_path / "text"
    text.write_bytes(b"".join(b"%08d a line\n" % (line * line % 10**8) for line in range(2 << 20)))
    script = tmp_path / "script.py"
    script.write_text("import ctypes, mmap, os, threading\nsparse = mmap.mmap(-1, 600 << 20, flags=0x4022)  # MAP_NORESERVE too\n" + code)
    result = stout("run", "--accel", ACCEL, "--net", "none", "--compress", "-m", "48M", "--add", f"{text}:/text", "--add", f"{script}:/script.py",
                   need("python3"), "/script.py")
    assert result.stdout == output, result.stderr


def test_a_program_runs_from_it(tmp_path, monkeypatch):
    monkeypatch.setenv("STOUT_CACHE", str(tmp_path / "cache"))
    need("python3")
    code = "import json, hashlib, socket; print(json.dumps([hashlib.md5(b'x').hexdigest()]))"
    plain, small = (stout("run", "--accel", ACCEL, *more, "python3", "-c", code) for more in ((), ("--compress",)))
    assert (small.returncode, small.stdout) == (plain.returncode, plain.stdout) == (0, '["9dd4e461268c8034f5c8564e155c67a6"]\n')
    sizes = sorted(item.stat().st_size for item in (tmp_path / "cache/images").iterdir())
    assert len(sizes) == 2 and sizes[0] < 0.6 * sizes[1]


def test_packets_in_memory_full_of_files(machine, tmp_path, monkeypatch):
    """What may not sleep for memory finds some: pages of files are dropped for the packets."""
    monkeypatch.setenv("STOUT_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "data"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}").write_bytes(b"%8d" % number * (1 << 18))
    count, size = 24, 60000  # less than a window without scaling, as QEMU's user network has it
    server = machine(need("python3"), os.path.join(HERE, "python/slow_reader.py"), "/data", str(count), str(size), guest_port=7000,
                     options=["--compress", "-m", "48M", "--add", f"{folder}:/data"], may_end=True)
    server.wait_for_text("ready")
    connections = [server.connect() for _ in range(count)]
    for connection in connections:
        connection.sendall(bytes(size))
    server.wait_for_text(f"read {count * size}")
    for connection in connections:
        connection.close()
