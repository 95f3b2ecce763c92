# SPDX-License-Identifier: MIT
"""The tool away from its checkout: as a Debian package and by pip, with the kernel that came with it."""
import os
import subprocess
import sys

import pytest
from conftest import ACCEL, TOP

ENVIRONMENT = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}


@pytest.fixture
def call(tmp_path):
    def run(*command, status=0, **env):
        home = {"HOME": str(tmp_path / "home"), "STOUT_HOME": str(tmp_path / "store"), "STOUT_CACHE": str(tmp_path / "cache")}
        result = subprocess.run(command, cwd="/", env={**ENVIRONMENT, **home, **env}, capture_output=True, text=True, timeout=500,
                                check=False, stdin=subprocess.DEVNULL)
        assert result.returncode == status, (result.stdout, result.stderr)
        assert "Traceback" not in result.stderr
        return result

    return run


def check_tool(call, stout, **env):
    assert call(stout, "run", "--accel", ACCEL, "/bin/echo", "from afar", **env).stdout == "from afar\n"
    found = call(stout, "doctor", **env).stdout
    assert f"kernel: {os.path.dirname(os.path.dirname(stout))}" in found and "gcc" not in found and "tests" not in found
    assert "checkout" in call(stout, "test", status=2, **env).stderr


def test_debian_package(call, tmp_path):
    """The same bytes twice; a clean root whose dpkg unpacks and removes it; it runs from there."""
    deb = call(os.path.join(TOP, "scripts", "build-deb")).stdout.strip()
    with open(deb, "rb") as file:
        first = file.read()
    call(os.path.join(TOP, "scripts", "build-deb"))
    with open(deb, "rb") as file:
        assert file.read() == first
    root = tmp_path / "root"
    for folder in ("var/lib/dpkg/info", "var/lib/dpkg/updates", "var/lib/dpkg/triggers"):
        (root / folder).mkdir(parents=True)
    for name in ("status", "available"):
        (root / "var/lib/dpkg" / name).write_text("")
    call("dpkg", f"--root={root}", "--force-depends", "--force-not-root", "--force-script-chrootless", "--force-architecture", "-i", deb)
    check_tool(call, str(root / "usr/bin/stout"))
    assert "stout-oci" in call(str(root / "usr/bin/stout-oci"), "--version").stdout
    for name in ("share/man/man1/stout-pkg-load.1.gz", "share/bash-completion/completions/stout", "share/zsh/vendor-completions/_stout"):
        assert (root / "usr" / name).stat().st_size > 200
    call("dpkg", f"--root={root}", "--force-not-root", "--force-script-chrootless", "-r", "stout")
    assert not (root / "usr/lib/stout").exists() and not (root / "usr/bin/stout").exists()


def test_pip(call, tmp_path):
    target = tmp_path / "python"
    call("/usr/bin/python3", "-m", "pip", "install", "--quiet", "--no-build-isolation", "--no-deps", "--no-index", "--target", str(target), TOP)
    assert not [name for name in os.listdir(os.path.join(TOP, "scripts")) if name.endswith("egg-info")]
    check_tool(call, str(target / "bin/stout"), PYTHONPATH=str(target))


def test_manual_pages(call, tmp_path):
    """Every command has a page that groff takes without a warning, and every option is in it."""
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool import manual
    manual.write(str(tmp_path))
    pages = sorted(os.listdir(tmp_path))
    assert {"stout.1", "stout-run.1", "stout-pkg-from-apt.1", "stout-instance-create.1"} <= set(pages)
    for page in pages:
        assert call("groff", "-man", "-ww", "-Tutf8", str(tmp_path / page)).stderr == "", page
    with open(tmp_path / "stout-run.1", encoding="utf-8") as file:
        assert r"\-\-minimal\-seconds N" in file.read()


BASH = """source <({stout} completion bash)
for word in "$@"; do
    IFS=' ' read -ra COMP_WORDS <<<"$word"
    [[ $word != *' ' ]] || COMP_WORDS+=('')
    COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
    _stout_complete {stout} 2>/dev/null
    echo "${{COMPREPLY[*]}}"
done
"""


def test_completion_in_bash(call):
    stout = os.path.join(TOP, "stout")
    result = call("bash", "-c", BASH.format(stout=stout), "bash", "stout ru", "stout build -t q", "stout pkg from-", "stout run --mach",
                  "stout run --machine p", "stout instance st")
    assert result.stdout.splitlines() == ["run", "qcow2 qemu", "from-apt from-dir from-docker from-npm", "--machine", "pc", "start stats stop"]
    for shell, words in (("zsh", "#compdef stout"), ("fish", "complete --no-files --command stout")):
        assert words in call(stout, "completion", shell).stdout
