# SPDX-License-Identifier: MIT
"""OpenSSH's sshd: what speaks to strangers gives up its system calls before, by a filter of seccomp's."""
import os
import subprocess

import pytest
from conftest import add, need


@pytest.fixture
def root(tmp_path):
    """What sshd wants of a system, and the key of its user."""
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n")
    (etc / "group").write_text("root:x:0:\nnogroup:x:65534:\n")
    (etc / "shells").write_text("/bin/sh\n")
    for name in ("host", "user"):
        subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (etc / "sshd_config").write_text("HostKey /etc/ssh/host\nAuthorizedKeysFile /etc/ssh/user.pub\nUsePAM no\nStrictModes no\n"
                                     "PidFile none\nLogLevel DEBUG3\n")
    return tmp_path


def ssh(vm, root, command, **more):
    return subprocess.run([need("ssh"), "-F", "none", "-i", root / "user", "-p", str(vm.port), "-o", "StrictHostKeyChecking=no", "-o",
                           "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60", "root@127.0.0.1",
                           command], capture_output=True, text=True, timeout=120, check=False, **more)


def test_sshd(machine, root):
    sshd = "/usr/sbin/sshd"
    if not os.path.exists(sshd):
        pytest.skip("no sshd")
    adds = [word for inside, path in (("/etc/passwd", "etc/passwd"), ("/etc/group", "etc/group"), ("/etc/shells", "etc/shells"),
                                      ("/etc/ssh/sshd_config", "etc/sshd_config"), ("/etc/ssh/host", "host"),
                                      ("/etc/ssh/user.pub", "user.pub")) for word in ("--add", f"{root / path}:{inside}")]
    vm = machine("/bin/sh", "-c", f"mkdir -p /run/sshd /root; chmod 600 /etc/ssh/host; exec {sshd} -D -e", guest_port=22, timeout=240,
                 options=["--cpus", "2", "-m", "512M", "--secrets", "-e", "PATH=/usr/bin:/bin:/usr/sbin", "--add", sshd, *adds,
                          *add("sh", "cat", "grep", "mkdir", "chmod", "wc")])
    vm.wait_for_text("Server listening on 0.0.0.0 port 22")
    result = ssh(vm, root, "echo $((6 * 7)); grep Seccomp: /proc/self/status; cat | wc -c", input="x" * 100000)
    assert (result.stdout, result.returncode) == ("42\nSeccomp:\t0\n100000\n", 0), result.stderr + vm.text()
    assert ssh(vm, root, "exit 7").returncode == 7
    assert "attaching seccomp filter program" in vm.text()
    # A key that it does not know: the filter has let the refusal through.
    (root / "user").unlink()
    subprocess.run([need("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", root / "user"], input="y\n", text=True, check=True)
    assert "Permission denied" in ssh(vm, root, "true").stderr
