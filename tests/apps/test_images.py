# SPDX-License-Identifier: MIT
"""Every form of image is booted in QEMU, under BIOS and UEFI, and a page is fetched from it; and again when qemu-img has converted it back.

The kinds `qemu` and `xen` hold a kernel and an archive that the hypervisor loads itself: there is no disk that qemu-img could convert, and no
firmware that would look for one.
"""
import filecmp
import functools
import http.client
import os
import shutil
import subprocess
import sys
import tempfile
import time

import pytest
from conftest import ACCEL, ONE_CPU, STOUT, TOP, free_port

SERVER = r"""
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
int main(void) {
    static const char page[] = "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\nserved\n";
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(8083)};
    if (bind(listener, (struct sockaddr *)&any, sizeof any) || listen(listener, 16))
        return 1;
    for (;;) {
        char request[4096];
        int client = accept(listener, 0, 0);
        if (read(client, request, sizeof request) > 0)
            write(client, page, strlen(page));
        close(client);
    }
}
"""
# The machine's own controller: IDE on pc, AHCI on q35.
DISK, DISC = ("-drive", "file={image},format={form},snapshot=on"), ("-drive", "file={image},format={form},media=cdrom,readonly=on")
DRIVE = ("-drive", "if=none,id=d0,file={image},format={form},snapshot=on")
VIRTIO, NVME = (*DRIVE, "-device", "virtio-blk-pci,drive=d0"), (*DRIVE, "-device", "nvme,drive=d0,serial=1")
VIRTIO_SCSI = (*DRIVE, "-device", "virtio-scsi-pci", "-device", "scsi-hd,drive=d0")
PVSCSI = (*DRIVE, "-device", "pvscsi", "-device", "scsi-hd,drive=d0")  # BIOS only: OVMF as Debian has it lacks the driver
# Kind -> qemu-img's format, and the controller and the card that its platform shows, or the nearest that QEMU and we have.
KINDS = {
    "iso": ("raw", DISC, "virtio-net-pci"),
    "raw": ("raw", DISK, "virtio-net-pci"),
    "qcow2": ("qcow2", VIRTIO, "virtio-net-pci"),
    "vmdk": ("vmdk", PVSCSI, "e1000e"),
    "vdi": ("vdi", DISK, "e1000"),
    "virtualbox": ("vdi", DISK, "e1000"),
    "ova": ("vmdk", DISK, "e1000"),
    "vhd": ("vpc", DISK, "virtio-net-pci"),
    "azure": ("vpc", DISK, "virtio-net-pci"),
    "gcp": ("raw", VIRTIO_SCSI, "virtio-net-pci"),
    "aws": ("raw", NVME, "virtio-net-pci"),
}
BIOS, UEFI = ("bios", "pc"), ("uefi", "q35")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.c").write_text(SERVER)
    subprocess.run(["gcc", "-static", "-o", str(folder / "server"), str(folder / "server.c")], check=True)
    return str(folder / "server")


def built(kind, path, *words):
    result = subprocess.run([STOUT, "build", "-t", kind, "-o", str(path), *words], capture_output=True, text=True, check=False)
    assert result.returncode == 0 and result.stdout.splitlines()[0] == str(path), result.stderr
    return str(path)


@pytest.fixture(scope="module")
def disk(server, tmp_path_factory):
    """disk(kind) -> (path, format) of what is in the image of that kind, which is built once."""
    return functools.cache(lambda kind: (unpacked(kind, server, tmp_path_factory.mktemp(kind)), KINDS[kind][0]))


def unpacked(kind, server, folder):
    image = built(kind, folder / "image", server)
    if kind == "gcp":
        subprocess.run(["tar", "-C", str(folder), "-xzf", image], check=True)
        image = str(folder / "disk.raw")
        assert os.stat(image).st_size % (1 << 30) == 0
    if kind == "ova":
        subprocess.run(["tar", "-C", str(folder), "-xf", image], check=True)
        image = str(folder / "image-disk1.vmdk")
    return image


@pytest.fixture(scope="module")
def converted(disk):
    """converted(kind) -> path of the raw disk that qemu-img makes of it."""
    def call(kind):
        image, form = disk(kind)
        if form == "raw":  # which is there and back
            other, image = image, image + ".qcow2"
            subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", other, image], check=True)
            form = "qcow2"
        subprocess.run(["qemu-img", "convert", "-f", form, "-O", "raw", image, image + ".back"], check=True)
        return image + ".back"

    return functools.cache(call)


def same(first, second):
    """As filecmp would say, but quick with holes."""
    return os.stat(first).st_size == os.stat(second).st_size and subprocess.run(
        ["qemu-img", "compare", "-q", "-f", "raw", "-F", "raw", first, second], check=False).returncode == 0


def fetch(image, form, firmware, disk=DISK, card="virtio-net-pci", memory="256M"):
    """The page of the image, in a machine with this firmware, controller and card."""
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool.iso import find_ovmf
    name, machine = firmware
    command = ["qemu-system-x86_64", "-M", machine, "-accel", ACCEL, *ONE_CPU, "-cpu", "max", "-m", memory, "-nodefaults", "-display", "none",
               "-serial", "stdio", "-no-reboot", *(word.format(image=image, form=form) for word in disk)]
    if name == "uefi":
        command += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={find_ovmf()}"]
    port = free_port()
    return answer([*command, "-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:8083", "-device", f"{card},netdev=n0,romfile="], port)


def answer(command, port, **more):
    """The page that the machine serves there."""
    with tempfile.TemporaryFile() as output:
        deadline = time.monotonic() + 150
        qemu = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, **more)
        try:
            while qemu.poll() is None and time.monotonic() < deadline:
                # QEMU takes a connection before the guest is up; what it sent then is lost, and sent again only after six seconds.
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=0.5)
                try:
                    connection.request("GET", "/")
                    return connection.getresponse().read()
                except (OSError, http.client.HTTPException):
                    time.sleep(0.05)
                finally:
                    connection.close()
        finally:
            qemu.kill()
            qemu.wait()
        output.seek(0)
        raise AssertionError(f"no answer:\n{output.read().decode('utf-8', 'replace')[-3000:]}")


@pytest.mark.parametrize("firmware", [BIOS, UEFI], ids=["bios", "uefi"])
@pytest.mark.parametrize("kind", KINDS)
def test_boots(disk, kind, firmware):
    _, controller, card = KINDS[kind]
    if (controller, firmware) == (PVSCSI, UEFI):
        controller = NVME
    assert fetch(*disk(kind), firmware, controller, card) == b"served\n"


def test_appliance_beside_the_disk(disk):
    """-t virtualbox makes a .vdi, which is booted above, and an .ova: the one of -t ova."""
    assert filecmp.cmp(os.path.splitext(disk("virtualbox")[0])[0] + ".ova", os.path.join(os.path.dirname(disk("ova")[0]), "image"), shallow=False)


@pytest.mark.parametrize("firmware", [BIOS, UEFI], ids=["bios", "uefi"])
@pytest.mark.parametrize("kind", KINDS)
def test_boots_converted_back(disk, converted, kind, firmware):
    """The bytes are what they were in another form, and are booted once under UEFI, which takes longer; a disc boots from a hard disk here."""
    back, raw = converted(kind), disk("raw")[0]
    original = disk(kind)[0] if KINDS[kind][0] == "raw" else raw
    assert same(back, original)
    if firmware is BIOS or kind == "raw" or not same(back, raw):
        assert fetch(back, "raw", firmware, card="vmxnet3") == b"served\n"


def test_script_for_qemu(server, tmp_path):
    archive, port = built("qemu", tmp_path / "web.tar", server), free_port()
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", archive], check=True)
    assert answer([str(tmp_path / "web" / "run"), f"{port}:8083", "-m", "300M"], port, cwd="/") == b"served\n"


def test_domain_for_xen(server, tmp_path):
    """There is no Xen here: QEMU is Xen's device model, so it gets what the configuration names, with such a domain's card."""
    archive, port = built("xen", tmp_path / "web.tar", server), free_port()
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", archive], check=True)
    domain = {}
    exec((tmp_path / "web" / "web.cfg").read_text(), {}, domain)  # xl.cfg(5) is written like Python
    assert (domain["name"], domain["type"], domain["vif"]) == ("web", "hvm", ["model=e1000"])
    command = ["qemu-system-x86_64", "-M", "pc", "-accel", ACCEL, *ONE_CPU, "-cpu", "max", "-m", str(domain["memory"]), "-nodefaults", "-display", "none",
               "-kernel", domain["kernel"], "-initrd", domain["ramdisk"], "-append", domain["cmdline"], "-device", "e1000,netdev=n0,romfile=",
               "-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:8083"]
    assert answer(command, port, cwd=tmp_path / "web") == b"served\n"


@pytest.mark.parametrize("card", ["e1000-82544gc", "e1000-82545em"])
def test_kin_of_e1000(disk, card):
    """Others of the family, among them the one that VMware calls e1000; their address comes by DHCP."""
    assert fetch(*disk("raw"), BIOS, card=card) == b"served\n"


def test_configuration_of_a_folder(machine, tmp_path):
    """stout init, then stout run -c from elsewhere: the same server."""
    shutil.copy(os.path.join(TOP, "examples", "node-hello", "server.js"), tmp_path)
    subprocess.run([STOUT, "init", str(tmp_path)], check=True)
    started = machine(guest_port=8083, options=["-c", str(tmp_path / "stout.yaml")])
    assert started.wait_for_http()[1].startswith(b"Hello from Unikernel!")
