# SPDX-License-Identifier: MIT
"""stout-oci without machines: a fake QEMU takes their place."""
import json
import os
import shutil
import subprocess

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
GREETING = r"""
channel['qmp'].sendall(b'{"QMP": {"version": {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}, "capabilities": []}}\n')
"""


@pytest.fixture
def runtime(tmp_path, cache, kernel, fake_qemu, compiled):
    """runtime(fake QEMU's script, words...) -> CompletedProcess; the bundle is the working directory."""
    (tmp_path / "rootfs/bin").mkdir(parents=True)
    shutil.copy(compiled("int main(void) { return 0; }", "-static"), tmp_path / "rootfs/bin/true")
    config = {"ociVersion": "1.0.2", "process": {"args": ["true"], "env": ["PATH=/bin"], "cwd": "/"}, "root": {"path": "rootfs"},
              "linux": {"namespaces": []}, "annotations": {"stout.accel": "tcg"}}
    (tmp_path / "config.json").write_text(json.dumps(config))

    def call(script, *words):
        environment = dict(os.environ, STOUT_KERNEL=kernel, FAKE_QEMU=script, PATH=fake_qemu + ":" + os.environ["PATH"])
        with open(tmp_path / "output", "w+b") as output:
            result = subprocess.run([os.path.join(TOP, "stout-oci"), "--root", "run", *words], env=environment, check=False, timeout=60,
                                    stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=tmp_path)
            output.seek(0)
            result.stdout = output.read().decode()
        return result

    return call


def test_a_program_that_ends_while_the_machine_is_started(runtime):
    """QEMU is gone before QMP has answered; that is a short life and no failure to start."""
    assert runtime(GREETING + "channel['control'].sendall(b'exit 5\\n')", "create", "one").returncode == 0
    started = runtime("", "start", "one")
    assert started.returncode == 0, started.stdout
    assert json.loads(runtime("", "state", "one").stdout)["status"] == "stopped"
    assert runtime("", "delete", "one").returncode == 0


def test_a_machine_that_does_not_start(runtime):
    assert runtime("sys.exit('qemu: no such machine')", "create", "one").returncode == 0
    started = runtime("", "start", "one")
    assert started.returncode == 125 and started.stdout == "stout-oci: QEMU did not run the machine: qemu: no such machine.\n"
    assert runtime("", "delete", "one").returncode == 0
