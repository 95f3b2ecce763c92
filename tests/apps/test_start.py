# SPDX-License-Identifier: MIT
"""Programs that the tool accepts and the kernel cannot start: a sentence, and the shells' status."""
import os
import subprocess
import tempfile

import pytest

HELLO = "#include <stdio.h>\nint main(void) { puts(\"ran\"); return 0; }\n"


@pytest.fixture
def root():
    """A root folder with a static program in /bin, which every user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        os.mkdir(f"{folder}/bin", 0o755)
        build(f"{folder}/bin/hello", "-static")
        yield folder


def build(path, *flags):
    subprocess.run(["gcc", "-o", path, "-x", "c", "-", *flags], input=HELLO, text=True, check=True)


def refused(result, status, *words):
    assert (result.returncode, result.stdout) == (status, ""), result.stderr
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1 and lines[0].startswith("stout: ") and lines[0].endswith("."), result.stderr
    for word in words:
        assert word in lines[0], result.stderr


def test_a_sound_program_runs(run, root):
    result = run("/bin/hello", options=["--root", root, "--user", "1000"])
    assert (result.returncode, result.stdout) == (0, "ran\n"), result.stderr


def test_not_executable_for_the_user(run, root):
    os.chmod(f"{root}/bin/hello", 0o700)
    refused(run("/bin/hello", options=["--root", root, "--user", "1000"]), 126,
            "/bin/hello is not executable for this user", "--user")


def test_in_a_folder_of_another_user(run, root):
    os.chmod(f"{root}/bin", 0o700)
    refused(run("/bin/hello", options=["--root", root, "--user", "1000"]), 126,
            "/bin/hello is in a folder that this user may not enter", "--user")


def test_loader_that_is_not_executable(run, root):
    source = "void _start(void) { for (;;) ; }\n"
    subprocess.run(["gcc", "-nostdlib", "-pie", "-fpie", "-Wl,--dynamic-linker=/lib/loader.so", "-o",
                    f"{root}/bin/dynamic", "-x", "c", "-"], input=source, text=True, check=True)
    os.mkdir(f"{root}/lib")
    with open(f"{root}/lib/loader.so", "wb") as copy, open("/lib64/ld-linux-x86-64.so.2", "rb") as original:
        copy.write(original.read())
    os.chmod(f"{root}/lib/loader.so", 0o644)
    refused(run("/bin/dynamic", options=["--root", root]), 126, "/bin/dynamic needs /lib/loader.so",
            "not executable", "chmod +x")


def test_script_whose_interpreter_is_not_executable(run, root):
    os.chmod(f"{root}/bin/hello", 0o644)
    with open(f"{root}/bin/script", "w", encoding="ascii") as file:
        file.write("#!/bin/hello\n")
    os.chmod(f"{root}/bin/script", 0o755)
    refused(run("/bin/script", options=["--root", root]), 126, "/bin/script is a script for /bin/hello",
            "chmod +x")
