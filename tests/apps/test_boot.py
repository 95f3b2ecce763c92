# SPDX-License-Identifier: MIT
"""Every way to start: machines, numbers of processors, GRUB discs, little memory; and bad archives."""
import os
import re
import shlex
import subprocess

import pytest
from conftest import ACCEL, STOUT

SOURCE = "#include <stdio.h>\nint main(void) { remove(\"/none\"); puts(\"booted\"); return 9; }\n"


@pytest.fixture(scope="module")
def hello(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hello")
    (folder / "hello.c").write_text(SOURCE)
    subprocess.run(["gcc", "-static", "-o", str(folder / "hello"), str(folder / "hello.c")], check=True)
    return str(folder / "hello")


def check(result):
    assert (result.returncode, result.stdout) == (9, "booted\n"), result.stderr


@pytest.mark.parametrize("machine_name", ["microvm", "q35", "pc"])
@pytest.mark.parametrize("cpus", ["1", "2", "4"])
def test_pvh(run, hello, machine_name, cpus):
    check(run(hello, options=["--machine", machine_name, "--cpus", cpus]))


def test_pvh_after_a_full_firmware(run, hello):
    """Which has given the devices their addresses: SeaBIOS."""
    check(run(hello, options=["--machine", "q35", "--qemu-arg", "-bios bios-256k.bin"]))


@pytest.mark.parametrize("boot, machine_name", [("mb2", "q35"), ("mb2", "pc"), ("mb1", "pc"), ("uefi", "q35")])
def test_grub(run, hello, boot, machine_name):
    check(run(hello, options=["--boot", boot, "--machine", machine_name], timeout=240))


def test_least_memory(run, hello):
    check(run(hello, options=["-m", "8M", "--net", "none"]))
    check(run(hello, options=["-m", "8M"]))


def test_much_memory(run, hello):
    check(run(hello, options=["-m", "6G", "--machine", "q35"]))  # above the hole below 4 GiB


def test_many_starts(run, hello):
    for _ in range(20):
        check(run(hello, options=["--cpus", "2"]))


def test_syscall_trace(run, hello):
    result = run(hello, options=["--trace", "syscalls"])
    assert result.returncode == 9 and result.stdout == "booted\n"
    assert re.search(r'write\(1, "booted\\n", 7\) += 7', result.stderr), result.stderr
    assert "exit_group(9)" in result.stderr


def test_count_calls(run, hello, tmp_path):
    result = run(hello, options=["--count-calls", str(tmp_path / "calls")])
    check(result)
    assert "write(" not in result.stderr
    counts = dict(line.split(" ", 1) for line in (tmp_path / "calls").read_text().splitlines())
    assert counts["write"] == "1 0 0" and counts["exit_group"] == "1 0 0"
    assert counts["unlink"] == "0 1 0 2"


def test_counted_calls_jump(run, tmp_path):
    """What is counted goes the road that it goes when nobody counts."""
    (tmp_path / "calls.c").write_text("#include <fcntl.h>\n#include <unistd.h>\n"
                                      "int main(void) { char c; int zero = open(\"/dev/zero\", O_RDONLY);\n"
                                      "for (int i = 0; i < 5000; i++) if (read(zero, &c, 1) != 1 || close(99) != -1)\n"
                                      "return 1;\nreturn 9; }\n")
    program = str(tmp_path / "calls")
    subprocess.run(["gcc", "-o", program, str(tmp_path / "calls.c")], check=True)
    result = run(program, options=["--verbose", "--count-calls", str(tmp_path / "calls.txt")])
    assert result.returncode == 9, result.stderr
    rows = {name: [int(number) for number in numbers] for name, *numbers in
            (line.split() for line in (tmp_path / "calls.txt").read_text().splitlines())}
    # A site jumps when it was used 256 times.
    assert rows["read"][0] > 5000 and 4700 < rows["read"][2] < rows["read"][0]
    assert rows["close"][1] == 5000 and 4700 < rows["close"][2] < 4800 and rows["close"][3:] == [9]
    jumps, calls = (int(number) for number in re.search(r"(\d+) of (\d+) system calls were jumps", result.stderr).groups())
    assert jumps == sum(row[2] for row in rows.values()) and calls == sum(row[0] + row[1] for row in rows.values())


def test_crash_report(run, tmp_path):
    (tmp_path / "crash.c").write_text("int inner(int *p) { return *p; }\n"
                                      "int main(void) { return inner((int *)8) + 1; }\n")
    program = str(tmp_path / "crash")
    subprocess.run(["gcc", "-g", "-O0", "-o", program, str(tmp_path / "crash.c")], check=True)
    result = run(program)
    assert result.returncode == 139
    assert "segfault at 8" in result.stderr and "inner+0x" in result.stderr and "crash.c:1" in result.stderr


def damaged(command, archive, change, tmp_path):
    """Runs the command of --dry-run with a changed archive: status and all that the machine said."""
    with open(archive, "rb") as file:
        data = change(file.read())
    bad = tmp_path / "bad.cpio"
    bad.write_bytes(data)
    words = [str(bad) if word == archive else word for word in command]
    words = [word.replace("null,id=control", "file,path=/dev/stdout,id=control").replace(
        "null,id=log", "file,path=/dev/stdout,id=log") for word in words]
    try:
        result = subprocess.run(words, capture_output=True, timeout=60, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired as expired:
        raise AssertionError(f"it hangs; it said {expired.stdout}") from None
    return result.stdout.decode("utf-8", "replace")


@pytest.mark.parametrize("name, change", [
    ("empty", lambda data: b""),
    ("truncated", lambda data: data[:len(data) // 2 & ~3]),
    ("cut in a header", lambda data: data[:50]),
    ("noise", lambda data: os.urandom(65536)),
    ("wrong magic", lambda data: b"070709" + data[6:]),
    ("letters for digits", lambda data: data[:6] + b"z" * 104 + data[110:]),
    ("huge file size", lambda data: data[:54] + b"FFFFFFFF" + data[62:]),
    ("huge name size", lambda data: data[:94] + b"FFFFFFFF" + data[102:]),
    ("no manifest", lambda data: data.replace(b".stout/manifest", b".stout/manifesT")),
    ("bad manifest", lambda data: data.replace(b"format=1", b"format=9")),
])
def test_damaged_archive(hello, tmp_path, name, change):
    """A sentence and a switch-off, never a hang or a panic."""
    result = subprocess.run([STOUT, "run", "--accel", ACCEL, "--dry-run", hello], capture_output=True, text=True,
                            check=True)
    command = shlex.split(result.stdout)
    text = damaged(command, command[command.index("-initrd") + 1], change, tmp_path)
    assert "panic" not in text and "booted" not in text, text
    assert "exit 1" in text, text
