# SPDX-License-Identifier: MIT
"""A signal at any moment of a command: it ends at once and quietly, and nothing half made stays behind."""
import os
import random
import signal
import subprocess
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TRIES = 6
COMMANDS = {
    "build": ["build", "-t", "iso", "-o", "{out}/made", "--kernel", "{kernel}", "--add", "{data}:/data", "/bin/true"],
    "build-two": ["build", "-t", "virtualbox", "-o", "{out}/made.vdi", "--kernel", "{kernel}", "--add", "{data}:/data", "/bin/true"],
    "pack": ["run", "--kernel", "{kernel}", "--accel", "tcg", "--dry-run", "--add", "{data}:/data", "/bin/true"],
    "from-dir": ["pkg", "from-dir", "{data}", "--program", "/true", "-n", "made"],
    "from-docker": ["pkg", "from-docker", "{out}/../image.tar", "-n", "made"],
    "export": ["export", "libvirt", "-o", "{out}/made", "--kernel", "{kernel}", "--add", "{data}:/data", "/bin/true"],
}


@pytest.fixture
def place(tmp_path, kernel):
    data = tmp_path / "data"
    data.mkdir()
    (data / "true").write_bytes(open("/bin/true", "rb").read())
    (data / "true").chmod(0o755)
    for number in range(200):
        (data / f"file{number}").write_bytes(random.randbytes(20000))
    (tmp_path / "out").mkdir()
    (tmp_path / "tmp").mkdir()
    return tmp_path


def environment(place):
    return dict(os.environ, STOUT_HOME=f"{place}/home", STOUT_CACHE=f"{place}/cache", TMPDIR=f"{place}/tmp")


def command_of(name, place, kernel):
    return [os.path.join(TOP, "stout"), *(word.format(out=place / "out", data=place / "data", kernel=kernel) for word in COMMANDS[name])]


def remains(place):
    """What is neither a finished thing nor the bookkeeping of a store."""
    found = [path for folder in ("out", "tmp", "home/new", "home/packages", "cache/images") if (place / folder).is_dir()
             for path in (place / folder).iterdir()]
    return sorted(str(path.relative_to(place)) for path in found)


def forget(place):
    for path in remains(place):
        subprocess.run(["rm", "-rf", place / path], check=True)


@pytest.mark.parametrize("name", COMMANDS)
def test_interrupt_leaves_nothing(name, place, kernel):
    if name == "from-docker":
        make_docker_archive(place)
    words = command_of(name, place, kernel)
    begun = time.monotonic()
    result = subprocess.run(words, env=environment(place), capture_output=True, timeout=120, check=False)
    assert result.returncode == 0, result.stderr
    whole, finished = time.monotonic() - begun, remains(place)
    choose = random.Random(name)
    for _ in range(TRIES):
        forget(place)
        number = choose.choice([signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
        process = subprocess.Popen(words, env=environment(place), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        time.sleep(choose.uniform(0, whole))
        process.send_signal(number)
        output, error = process.communicate(timeout=60)
        assert "Traceback" not in error and process.returncode in (0, 128 + number, -number), (number, process.returncode, error)
        left = remains(place)
        allowed = finished if process.returncode == 0 else [path for path in finished if path.startswith("cache/images/")]
        assert set(left) <= set(allowed) or left == finished, (number, left, output, error)


def make_docker_archive(place):
    import hashlib
    import io
    import json
    import tarfile
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.add(place / "data", arcname="/")
    config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/true"]},
                         "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()]}}).encode()
    index = json.dumps([{"Config": "config.json", "RepoTags": ["made:1"], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(place / "image.tar", "w") as tar:
        for member, data in (("layer.tar", layer.getvalue()), ("config.json", config), ("manifest.json", index)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_killed_makers_are_swept(place, kernel):
    """SIGKILL leaves what the next command removes, at whichever moment it came."""
    new = place / "home" / "new"
    new.mkdir(parents=True)
    (new / "stout-abcdefgh").mkdir()  # killed just after mkdir
    images = place / "cache" / "images"
    images.mkdir(parents=True)
    (images / ".stout-unfinished-abcdefgh").mkdir()
    for name in ("from-dir", "pack"):
        subprocess.run(command_of(name, place, kernel), env=environment(place), capture_output=True, timeout=120, check=True)
    assert os.listdir(new) == [] and [path for path in images.iterdir() if path.is_dir()] == []
