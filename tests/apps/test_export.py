# SPDX-License-Identifier: MIT
"""stout export: libvirt from define to undefine; the other engines' machines as QEMU gives them, and their files field by field."""
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

import pytest
import yaml
from conftest import ACCEL, ONE_CPU, STOUT, free_port, need
from test_images import SERVER

LIBVIRTD = "/usr/sbin/libvirtd"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.c").write_text(SERVER)
    subprocess.run(["gcc", "-O1", "-static", "-o", folder / "web", folder / "server.c"], check=True)
    return folder / "web"


def export(engine, folder, *words, status=0):
    accel = () if engine in ("kubevirt", "firecracker") else ("--accel", ACCEL)
    result = subprocess.run([STOUT, "export", engine, *accel, "-o", folder, *map(str, words)], capture_output=True, text=True,
                            timeout=180, check=False)
    assert result.returncode == status, result.stdout + result.stderr
    return result.stdout if status == 0 else result.stderr


def page(port, seconds=60):
    deadline = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read()
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.1)


class Virsh:
    """libvirt's session daemon, of a user that is not root: for root there is only the system's."""

    def __init__(self, folder):
        self.folder = folder
        self.user = [] if os.geteuid() else ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]
        for name in ("home", "run"):
            (folder / name).mkdir()
            if self.user:
                os.chown(folder / name, 65534, 65534)
        self.environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(folder / "home"), "XDG_RUNTIME_DIR": str(folder / "run")}
        self.daemon = subprocess.Popen([*self.user, LIBVIRTD], env=self.environment, cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __call__(self, *words):
        result = subprocess.run([*self.user, "virsh", "-c", "qemu:///session", *map(str, words)], env=self.environment, cwd="/", capture_output=True,
                                text=True, timeout=60, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def close(self):
        for name in self("list", "--name").split():
            self("destroy", name)
        self.daemon.terminate()
        self.daemon.wait(20)


@pytest.fixture
def virsh(tmp_path_factory):
    if not os.path.exists(LIBVIRTD) or not shutil.which("virsh"):
        pytest.skip("no libvirt")
    folder = tmp_path_factory.mktemp("v")
    for place in (folder, folder.parent, folder.parent.parent):  # pytest's are its user's alone
        os.chmod(place, 0o755)
    made = Virsh(folder)
    deadline = time.monotonic() + 30
    while True:
        try:
            made("list")
            break
        except AssertionError:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    yield made
    made.close()


def test_libvirt(virsh, server):
    """Two machines from one definition each; start to answer to stop."""
    port = free_port()
    folder = virsh.folder / "web"
    files = export("libvirt", folder, "--count", 2, "-m", "64M", "-p", f"{port}:8083", server).split()
    assert [os.path.basename(file) for file in files] == ["stout.elf", "image.cpio", "web-1.xml", "web-2.xml"]
    for number in (1, 2):
        definition = folder / f"web-{number}.xml"
        subprocess.run([need("virt-xml-validate"), definition], check=True, capture_output=True)
        virsh("define", definition)
        virsh("start", f"web-{number}")
    for number in (0, 1):
        assert page(port + number) == b"served\n"
    assert "running" in virsh("domstate", "web-1")
    info = virsh("dominfo", "web-1")
    assert re.search(r"CPU\(s\): +1\n", info) and re.search(r"Max memory: +65536 KiB", info)
    for number in (1, 2):
        virsh("destroy", f"web-{number}")
        virsh("undefine", f"web-{number}")
    assert virsh("list", "--all", "--name").strip() == ""


def test_libvirt_with_an_address(virsh, server):
    """QEMU's user network is the one around the address of --ip."""
    port = free_port()
    export("libvirt", virsh.folder / "web", "-m", "64M", "-p", f"{port}:8083", "--ip", "192.168.77.5/24", server)
    subprocess.run([need("virt-xml-validate"), virsh.folder / "web/web.xml"], check=True, capture_output=True)
    virsh("create", virsh.folder / "web/web.xml")
    assert page(port) == b"served\n"


def test_libvirt_definitions(tmp_path, server):
    export("libvirt", tmp_path / "net", "--network", "br&net", "--cpus", 2, "--kernel-option", "a<b", server)
    text = (tmp_path / "net/web.xml").read_text()
    assert "<source network=\"br&amp;net\"/>" in text and "<vcpu>2</vcpu>" in text and "a&lt;b" in text
    for more in ((), ("--net", "none")):
        export("libvirt", tmp_path / f"plain{len(more)}", *more, server)
        subprocess.run([need("virt-xml-validate"), tmp_path / f"plain{len(more)}/web.xml"], check=True, capture_output=True)
    assert "network" not in (tmp_path / "plain2/web.xml").read_text()


def boot(words, port):
    """A machine as an engine starts it, until it has answered."""
    process = subprocess.Popen([need("qemu-system-x86_64"), "-accel", ACCEL, *ONE_CPU, "-display", "none", "-serial", "null", "-no-reboot", *map(str, words),
                                "-netdev", f"user,id=user.0,hostfwd=tcp:127.0.0.1:{port}-:8083"], stderr=subprocess.PIPE)
    try:
        assert page(port) == b"served\n"
    finally:
        process.kill()
        process.communicate()


def test_kubevirt(tmp_path, server):
    """One is a VirtualMachine with a service, many a replica set; the disk starts at SATA of a q35."""
    folder = tmp_path / "web"
    export("kubevirt", folder, "-m", "256M", "-p", "80:8083", "--reference", "registry.example.com/a/web:2", server)
    machine, service = yaml.safe_load_all((folder / "web.yaml").read_text())
    assert (machine["apiVersion"], machine["kind"], machine["spec"]["runStrategy"]) == ("kubevirt.io/v1", "VirtualMachine", "Always")
    spec = machine["spec"]["template"]["spec"]
    assert spec["volumes"] == [{"name": "boot", "containerDisk": {"image": "registry.example.com/a/web:2", "path": "/disk/disk.qcow2"}}]
    assert spec["domain"]["memory"] == {"guest": "256Mi"} and spec["domain"]["devices"]["disks"][0]["name"] == "boot"
    assert service["spec"]["ports"][0]["targetPort"] == 8083 and service["spec"]["ports"][0]["port"] == 80
    assert service["spec"]["selector"] == machine["spec"]["template"]["metadata"]["labels"]
    assert (folder / "Dockerfile").read_text().startswith("FROM scratch\nADD --chown=107:107 disk.qcow2 /disk/")
    boot(["-M", "q35", "-m", 256, "-drive", f"file={folder}/disk.qcow2,if=none,id=boot", "-device", "ide-hd,drive=boot,bus=ide.0",
          "-device", "virtio-net-pci,netdev=user.0"], free_port())
    export("kubevirt", tmp_path / "many", "--count", 7, server)
    [machines] = yaml.safe_load_all((tmp_path / "many/web.yaml").read_text())
    assert machines["kind"] == "VirtualMachineInstanceReplicaSet" and machines["spec"]["replicas"] == 7
    assert machines["spec"]["selector"]["matchLabels"] == machines["spec"]["template"]["metadata"]["labels"]


def test_nomad(tmp_path, server):
    """The driver's own arguments: a pc with an IDE disk and a virtio card (drivers/qemu/driver.go)."""
    folder = tmp_path / "web"
    export("nomad", folder, "--count", 3, "-m", "128M", "-p", "8083", server)
    text = (folder / "web.nomad.hcl").read_text()
    assert text.count("{") == text.count("}")
    for line in ('job "web" {', "count = 3", 'driver = "qemu"', f'image_path  = "{folder}/disk.qcow2"', f'accelerator = "{ACCEL}"', "p8083 = 8083",
                 'port "p8083" {}', "memory = 128"):
        assert line in text, line
    boot(["-M", "pc", "-m", "128M", "-drive", f"file={folder}/disk.qcow2", "-device", "virtio-net,netdev=user.0", "-smp", 1, "-device",
          "virtio-rng-pci"], free_port())


def test_proxmox(tmp_path, server):
    """The script against a qm that writes down what it was told."""
    folder = tmp_path / "web"
    export("proxmox", folder, "--count", 2, "-m", "128M", "--network", "vmbr1", server)
    (tmp_path / "qm").write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/told\n')
    (tmp_path / "qm").chmod(0o755)
    subprocess.run([folder / "create", "200"], check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin", "STORAGE": "fast"})
    told = (tmp_path / "told").read_text().splitlines()
    assert [line.split()[:2] for line in told] == [["create", "200"], ["start", "200"], ["create", "201"], ["start", "201"]]
    for words in ("--name web-2", "--memory 128", f"--ide0 fast:0,import-from={folder}/disk.qcow2", "--boot order=ide0", "--net0 virtio,bridge=vmbr1",
                  "--serial0 socket"):
        assert words in told[2]
    assert "100" in subprocess.run([folder / "create"], capture_output=True, text=True, check=False).stderr
    boot(["-M", "pc", "-m", 128, "-drive", f"file={folder}/disk.qcow2,if=ide", "-device", "virtio-net-pci,netdev=user.0"], free_port())


def test_firecracker(tmp_path, server):
    """Kernel, archive and words by themselves, and devices over virtio-mmio on the command line: QEMU's microvm without firmware's tables."""
    folder = tmp_path / "web"
    out = json.loads(export("firecracker", folder, "--json", "-m", "64M", "--ip", "10.0.2.15/24", "--gw", "10.0.2.2", "--network", "tap7", server))
    assert out["count"] == 1 and out["files"][-1] == str(folder / "web.json")
    document = json.loads((folder / "web.json").read_text())
    assert set(document) == {"boot-source", "drives", "machine-config", "entropy", "network-interfaces"}
    assert document["machine-config"] == {"vcpu_count": 1, "mem_size_mib": 64}
    [card] = document["network-interfaces"]
    assert set(card) == {"iface_id", "guest_mac", "host_dev_name"} and card["host_dev_name"] == "tap7"
    source = document["boot-source"]
    boot(["-M", "microvm,acpi=off,x-option-roms=off,isa-serial=on,rtc=off,pic=on,auto-kernel-cmdline=on", "-m", 64, "-cpu", "max", "-nodefaults",
          "-global", "virtio-mmio.force-legacy=false", "-kernel", source["kernel_image_path"], "-initrd", source["initrd_path"], "-append",
          source["boot_args"], "-device", f"virtio-net-device,netdev=user.0,mac={card['guest_mac']}"], free_port())


@pytest.mark.parametrize("words, said", [
    (("--name", "A b"), "--name"),
    (("-p", "99999"), "-p 99999"),
    (("-m", "1M"), "not enough"),
    (("-p", "80", "--network", "x"), "--network"),
    (("-p", "80", "--net", "none"), "--net none"),
    (("-p", "80", "--ip", "10.1.1.1/30"), "28 bits"),
    (("--net", "tap:tap0"), "DHCP"),
    (("--ip", "10.1.1.5/24", "--count", "2"), "--count 2"),
    (("-v", "/tmp:/srv"), "--add"),
])
def test_refusals(tmp_path, server, words, said):
    error = export("libvirt", tmp_path / "web", *words, server, status=125 if "-m" in words else 2)
    assert error.count("\n") == 1 and (said in error or said == "--name" and "name" in error), error
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("engine, words", [
    ("proxmox", ("-p", "80")), ("firecracker", ("-p", "80")), ("kubevirt", ("--ip", "10.1.1.5/24")), ("nomad", ("--network", "x")),
    ("libvirt", ("--reference", "x/y")), ("firecracker", ("--accel", "tcg"))])
def test_options_that_mean_nothing_to_an_engine(tmp_path, server, engine, words):
    error = export(engine, tmp_path / "web", *words, server, status=2)
    assert error.count("\n") == 1 and words[0] in error and os.listdir(tmp_path) == [], error


def test_minimal(tmp_path):
    """As of stout build: only what the program opened, and why each file is there."""
    result = subprocess.run([STOUT, "export", "libvirt", "--minimal", "-o", tmp_path / "web", "/bin/cat", "/etc/hostname"], capture_output=True, text=True,
                            timeout=180, check=False)
    assert result.returncode == 0 and "running cat to see what it opens" in result.stderr, result.stderr
    inspected = subprocess.run([STOUT, "image", "inspect", "--json", tmp_path / "web/image.cpio", "*/cat"], capture_output=True, text=True, check=True)
    (file,) = json.loads(inspected.stdout)
    assert "opened in the traced run" in file["reason"] or "program" in file["reason"], file


def test_what_is_there_stays_and_nothing_is_left(tmp_path, server):
    (tmp_path / "web").mkdir()
    assert "128 MiB" in export("nomad", tmp_path / "small", "-m", "64M", server, status=2)
    assert os.listdir(tmp_path) == ["web"]
    assert "exists already" in export("libvirt", tmp_path / "web", server, status=2)
