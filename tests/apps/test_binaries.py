# SPDX-License-Identifier: MIT
"""Ready-made binaries: Rust and Go programs for musl and static ones, from npm."""
import os
import re
import subprocess

from packages import program


def test_rust_musl(run, tmp_path):
    """biome: a Rust program linked statically with musl."""
    path = program("@biomejs/cli-linux-x64-musl", "1.9.4", "biome")
    source = tmp_path / "code" / "a.js"
    source.parent.mkdir()
    source.write_text("let a   =  1\n")
    expected = subprocess.run([path, "format", str(source)], capture_output=True, text=True, check=False)
    result = run(path, "format", str(source), options=["-m", "512M", "--cpus", "2"])
    without_time = [re.sub(r"[\d.]+ ?[µnm]?s\b", "TIME", r.stdout + r.stderr) for r in (expected, result)]
    assert result.returncode == expected.returncode and without_time[0] == without_time[1]


def test_go_static(run, tmp_path):
    """esbuild: a Go program without any C library."""
    path = program("@esbuild/linux-x64", "0.21.5", "bin/esbuild")
    source = tmp_path / "code" / "a.ts"
    source.parent.mkdir()
    source.write_text("export const add = (a: number, b: number): number => a + b\n")
    expected = subprocess.run([path, "--minify", str(source)], capture_output=True, text=True, check=True)
    result = run(path, "--minify", str(source), options=["--cpus", "2"])
    assert (result.returncode, result.stdout) == (0, expected.stdout), result.stderr


def test_coreutils(run, tmp_path):
    """Debian's own programs."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("b", "a", "c"):
        (folder / name).write_text(name * 100)
    result = run("/bin/ls", "-l", str(folder), options=["--add", str(folder)])
    assert result.returncode == 0 and [line.split()[-1] for line in result.stdout.splitlines()[1:]] == ["a", "b", "c"]
    result = run("/usr/bin/sha256sum", os.path.join(str(folder), "a"))
    expected = subprocess.run(["/usr/bin/sha256sum", str(folder / "a")], capture_output=True, text=True, check=True)
    assert result.stdout == expected.stdout
    result = run("/bin/sh", "-c", "for i in 3 1 2; do echo $i; done | sort | tr '\\n' ' '; echo $?; false || exit 4",
                 options=["--add", "/usr/bin/sort", "--add", "/usr/bin/tr"])
    assert (result.returncode, result.stdout) == (4, "1 2 3 0\n"), result.stderr
