# SPDX-License-Identifier: MIT
"""Container images: the three forms, what configuration and layers mean, and the layers that are refused."""
import gzip
import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile

import pytest
from test_packages import folder, make  # noqa: F401  pylint: disable=unused-import
from test_run import archive_of, content, dry, listing, manifest_of, refused

CONFIG = {"Entrypoint": ["/bin/server", "--fixed"], "Cmd": ["word"], "Env": ["A=b c", "PATH=/opt/bin:/bin"], "WorkingDir": "/srv",
          "User": "1000", "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "Volumes": {"/data": {}}}
PASSWD = "root:x:0:0::/root:/bin/sh\napp:x:1000:1001::/home/app:/bin/sh\n"


def entry(name, data=None, kind=None, target="", mode=0o644, **more):
    info = tarfile.TarInfo(name)
    info.type = kind or (tarfile.REGTYPE if data is not None else tarfile.DIRTYPE)
    info.linkname, info.mode = target, mode
    data = data.encode() if isinstance(data, str) else data
    info.size = len(data) if data else 0
    for key, value in more.items():
        setattr(info, key, value)
    return info, data


def tar_of(entries):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data) if data is not None else None)
    return buffer.getvalue()


def sha(data):
    return hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI layout in a folder."""

    def __init__(self, path):
        self.path = path
        (path / "blobs/sha256").mkdir(parents=True)
        (path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data, kind):
        if not isinstance(data, bytes):
            data = json.dumps(data).encode()
        (self.path / "blobs/sha256" / sha(data)).write_bytes(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": f"sha256:{sha(data)}", "size": len(data)}

    def image(self, layers, config=None, architecture="amd64", compress=gzip.compress):
        archives = [layer if isinstance(layer, bytes) else tar_of(layer) for layer in layers]
        config = {"os": "linux", "architecture": architecture, "config": config or {},
                  "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha(archive)}" for archive in archives]}}
        return self.blob({"schemaVersion": 2, "config": self.blob(config, "config.v1+json"),
                          "layers": [self.blob(compress(archive), "layer.v1.tar+gzip") for archive in archives]}, "manifest.v1+json")

    def index(self, *descriptors):
        (self.path / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": descriptors}))
        return str(self.path)


@pytest.fixture
def layout(tmp_path):
    return Layout(tmp_path / "image")


@pytest.fixture
def base(compiled):
    """The entries of a layer with one static program and users."""
    with open(compiled("int main(void) { return 0; }", "-static", "-O1", "-s"), "rb") as file:
        program = file.read()
    return [entry("bin"), entry("bin/server", program, mode=0o755), entry("etc"), entry("etc/passwd", PASSWD),
            entry("etc/hosts", ""), entry("etc/hostname", "kept\n")]


@pytest.fixture
def loaded(stout, home, layout, base):  # pylint: disable=unused-argument
    """loaded(layers on top of the base) -> the paths and lines of the archive that is run."""
    def call(*layers, config=None):
        path = layout.index(layout.image([base, *layers], config or {"Entrypoint": ["/bin/server"]}))
        command = dry(stout("run", "--image", path, "--dry-run"))
        return command, listing(archive_of(command))

    return call


def test_configuration(stout, home, layout, base, tmp_path):
    path = layout.index(layout.image([base], CONFIG))
    assert stout("pkg", "from-docker", path, "-n", "web").returncode == 0
    manifest = json.loads((home / "packages/web/package.json").read_text())
    assert manifest["ports"] == ["80", "53/udp"] and manifest["volumes"] == ["/data"] and manifest["user"] == "1000:1001"
    records = manifest_of(dry(stout("pkg", "load", "web", "--dry-run")))
    assert records[1:6] == ["program=/bin/server", "arg=/bin/server", "arg=--fixed", "arg=word", "env=PATH=/opt/bin:/bin"]
    for record in ("env=A=b c", "env=HOME=/home/app", "cwd=/srv", "user=1000:1001"):
        assert record in records
    records = manifest_of(dry(stout("run", "--image", path, "-e", "A=mine", "-u", "0:7", "-w", "/", "--dry-run", "x", "y", cwd=tmp_path)))
    assert records[2:6] == ["arg=/bin/server", "arg=--fixed", "arg=x", "arg=y"] and "env=A=mine" in records and "user=0:7" in records
    command = dry(stout("run", "--image", path, "--entrypoint", "server", "--dry-run"))
    files = listing(archive_of(command))
    assert "data" in files and "srv" in files and content(archive_of(command), "etc/hostname") == b"kept\n"
    assert b"localhost" in content(archive_of(command), "etc/hosts")  # docker's rule: the empty file is a placeholder


def test_command_without_entrypoint(stout, home, layout, base, tmp_path):
    path = layout.index(layout.image([base], {"Cmd": ["server", "a"], "WorkingDir": "//bin"}))
    assert "arg=a" in manifest_of(dry(stout("run", "--image", path, "--dry-run")))
    assert manifest_of(dry(stout("run", "--image", path, "--dry-run", "./server", "b")))[1:4] == [
        "program=/bin/server", "arg=./server", "arg=b"]
    refused(stout("run", "--image", path, "nothing"), 127, "nothing is not in the image")
    bare = Layout(tmp_path / "bare")
    refused(stout("run", "--image", bare.index(bare.image([base]))), 2, "names no program", "--entrypoint")


def test_layers(loaded):
    _, files = loaded(
        [entry("a"), entry("a/one", "1"), entry("a/two", "2"), entry("b"), entry("b/three", "3"), entry("c", "file"),
         entry("usr"), entry("usr/lib"), entry("lib", kind=tarfile.SYMTYPE, target="usr/lib"),
         entry("run"), entry("var"), entry("var/run", kind=tarfile.SYMTYPE, target="/run")],
        [entry("a/.wh.one", ""), entry("b/.wh..wh..opq", ""), entry("b/four", "4"), entry("c"), entry("c/five", "5"),
         entry("lib"), entry("lib/libx.so", "x"), entry("var/run/pid", "7"), entry(".wh.nothing", ""),
         entry("a/hard", kind=tarfile.LNKTYPE, target="a/two"), entry("/absolute", "y"), entry("bin/suid", "s", mode=0o4755, uid=3, gid=4),
         entry("dev/null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3), entry("pipe", kind=tarfile.FIFOTYPE)])
    for name in ("a/two", "a/hard", "b/four", "c/five", "usr/lib/libx.so", "run/pid", "absolute"):
        assert name in files, name
    for name in ("a/one", "b/three", "lib/libx.so", "var/run/pid", "pipe", "dev/null"):
        assert name not in files, name
    assert files["bin/suid"].startswith("-rwsr-xr-x") and files["lib"].startswith("l") and files["c"].startswith("d")
    assert files["bin/suid"].split()[2:4] in (["sys", "adm"], ["3", "4"])


@pytest.mark.parametrize("entries, words", [
    ([entry("../evil", "x")], ("../evil", "..")),
    ([entry("a/../../evil", "x")], ("..",)),
    ([entry("out", kind=tarfile.SYMTYPE, target="../../../../tmp"), entry("out/evil", "x")], ("leads out of the root",)),
    ([entry("out", kind=tarfile.SYMTYPE, target="/tmp/nowhere"), entry("out/evil", "x")], ("through a link", "/tmp")),
    ([entry("loop", kind=tarfile.SYMTYPE, target="loop"), entry("loop/evil", "x")], ("links",)),
    ([entry("evil", kind=tarfile.LNKTYPE, target="/etc/shadow")], ("hard link", "/etc/shadow")),
    ([entry("evil", kind=tarfile.LNKTYPE, target="../../etc/passwd")], ("..",)),
    ([entry("link", kind=tarfile.SYMTYPE, target="/etc/passwd"), entry("evil", kind=tarfile.LNKTYPE, target="link")], ("hard link",)),
    ([entry("dev/sda", kind=tarfile.BLKTYPE, devmajor=8)], ("/dev/sda", "device")),
    ([entry("dev/mem", kind=tarfile.CHRTYPE, devmajor=1, devminor=1)], ("/dev/mem", "device")),
    ([entry("null", kind=tarfile.CHRTYPE, devmajor=1, devminor=3)], ("/null", "device")),
    ([entry("a/.wh...", "")], ("whiteout",)),
    ([entry("evil", "x", uid=1 << 40)], ("owner",)),
    ([entry("etc/passwd/evil", "x")], ("not a folder",)),
])
def test_hostile_layers(stout, home, layout, base, entries, words):
    path = layout.index(layout.image([base, entries], CONFIG))
    refused(stout("pkg", "from-docker", path), 126, path, "refused", *words)
    assert not os.listdir(home / "packages") and not os.listdir(home / "new")


def test_nothing_is_written_outside(stout, home, layout, base, tmp_path):
    """Links to a folder that exists here, absolute and climbing."""
    outside = tmp_path / "outside"
    outside.mkdir()
    for target in (str(outside), "../" * 30 + str(outside)[1:]):
        layer = [entry("out", kind=tarfile.SYMTYPE, target=target), entry("out/evil", "x")]
        assert stout("pkg", "from-docker", layout.index(layout.image([base, layer], CONFIG))).returncode == 126
    assert os.listdir(outside) == []


def test_other_architectures(stout, home, layout, base):
    descriptor = layout.image([base], CONFIG, architecture="arm64")
    refused(stout("pkg", "from-docker", layout.index(descriptor)), 126, "linux/arm64", "linux/amd64")
    arm, amd = dict(descriptor, platform={"os": "linux", "architecture": "arm64"}), layout.image([base], CONFIG)
    refused(stout("pkg", "from-docker", layout.index(arm)), 126, "linux/arm64")
    nested = layout.blob({"manifests": [arm, dict(amd, platform={"os": "linux", "architecture": "amd64"})]}, "index.v1+json")
    assert stout("pkg", "from-docker", layout.index(nested)).returncode == 0


def test_tags(stout, home, layout, base):
    def named(name, word):
        return dict(layout.image([base], dict(CONFIG, Cmd=[word])), annotations={"org.opencontainers.image.ref.name": name})

    path = layout.index(named("one", "first"), named("two", "second"))
    refused(stout("run", "--image", path), 2, "one, two", f"{path}:TAG")
    refused(stout("run", "--image", path + ":three"), 127, "three", "one, two")
    assert "arg=second" in manifest_of(dry(stout("run", "--image", path + ":two", "--dry-run")))


@pytest.mark.parametrize("spoil, words", [
    (lambda p: next(b for b in sorted(p.glob("blobs/sha256/*")) if b.stat().st_size > 9999).write_bytes(b"x" * 5000), ("layer", "tar archive")),
    (lambda p: (p / "index.json").write_text("{"), ("index.json", "JSON")),
    (lambda p: (p / "index.json").write_text("{}"), ("no sense",)),
    (lambda p: (p / "index.json").unlink(), ("docker save",)),
    (lambda p: [b.unlink() for b in p.glob("blobs/sha256/*")], ("missing",)),
    (lambda p: [b.write_bytes(b.read_bytes()[:-1] + b" ") for b in p.glob("blobs/sha256/*")], ("checksum",)),
    (lambda p: (p / "index.json").write_text('{"manifests": [{"digest": "sha256:../../../etc/passwd"}]}'), ("digest",)),
])
def test_damaged_images(stout, home, layout, base, spoil, words):
    path = layout.index(layout.image([base], CONFIG))
    spoil(layout.path)
    refused(stout("pkg", "from-docker", path), 126, path, *words)


def test_cut_archives(stout, home, layout, base, tmp_path):
    path = layout.index(layout.image([base], CONFIG))
    whole = str(tmp_path / "image.tar")
    subprocess.run(["tar", "-C", path, "-cf", whole, "."], check=True)
    assert stout("pkg", "from-docker", whole).returncode == 0
    cut = tmp_path / "cut.tar"
    with open(whole, "rb") as file:
        data = file.read()
    for size in (0, 100, 5000, len(data) // 2):
        cut.write_bytes(data[:size])
        result = stout("pkg", "from-docker", str(cut))
        refused(result, 126, str(cut))
    refused(stout("pkg", "from-docker", str(tmp_path / "none.tar")), 127, "none.tar does not exist")
    refused(stout("pkg", "from-docker", "/etc/passwd"), 126, "tar archive")
    cut_layer = Layout(tmp_path / "cut")
    refused(stout("pkg", "from-docker", cut_layer.index(cut_layer.image([tar_of(base)[:9000]], CONFIG))), 126, "whole")
    odd = Layout(tmp_path / "odd")
    refused(stout("pkg", "from-docker", odd.index(odd.image([base], CONFIG, compress=lambda data: gzip.compress(data)[:-4000]))), 126, "odd")


def test_uncompressed_and_zstd_layers(stout, home, layout, base):
    assert stout("pkg", "from-docker", layout.index(layout.image([base], CONFIG, compress=bytes)), "-n", "plain").returncode == 0
    if shutil.which("zstd"):
        pack = lambda data: subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout
        assert stout("pkg", "from-docker", layout.index(layout.image([base], CONFIG, compress=pack)), "-n", "zstd").returncode == 0


@pytest.mark.skipif(not shutil.which("zstd"), reason="no zstd")
def test_no_room_for_a_layer(stout_in_small, home, layout):
    pack = lambda data: subprocess.run(["zstd", "-qc"], input=data, capture_output=True, check=True).stdout
    large = layout.index(layout.image([[entry("large", os.urandom(1 << 20))]], CONFIG, compress=pack))
    refused(stout_in_small("pkg", "from-docker", large), 125, f"{stout_in_small.folder}: no space left on device", "TMPDIR")


def test_docker_save(stout, home, base, tmp_path):
    """Also the links that docker save writes for a layer that another image of the archive has."""
    layer = tar_of(base)
    config = json.dumps({"os": "linux", "architecture": "amd64", "config": CONFIG, "rootfs": {"diff_ids": [f"sha256:{sha(layer)}"]}}).encode()
    name = f"{sha(config)}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": ["web:1"], "Layers": ["b/layer.tar"]}])
    path = tmp_path / "save.tar.gz"
    path.write_bytes(gzip.compress(tar_of([
        entry("a/layer.tar", layer), entry("b/layer.tar", kind=tarfile.SYMTYPE, target="../a/layer.tar"), entry(name, config),
        entry("manifest.json", manifest)])))
    assert "arg=word" in manifest_of(dry(stout("run", "--image", str(path), "--dry-run")))
    refused(stout("run", "--image", f"{path}:9", "--dry-run"), 127, "web:1")
    assert stout("pkg", "from-docker", str(path)).returncode == 0
    assert (home / "packages/save").exists()


def test_reference_without_a_registry(stout, home):
    if not shutil.which("skopeo"):
        pytest.skip("no skopeo")
    refused_with_notice = stout("pkg", "from-docker", "127.0.0.1:1/nothing:1")
    text = refused_with_notice.stderr.decode()
    assert refused_with_notice.returncode == 125 and "cannot be fetched" in text and "Traceback" not in text
