# SPDX-License-Identifier: MIT
"""Every form of disk image is booted in QEMU, under BIOS and UEFI, and a page is fetched from it."""
import http.client
import os
import shutil
import subprocess
import time

import pytest
from conftest import ACCEL, STOUT, TOP, free_port

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
FORMATS = {"raw": "raw", "qcow2": "qcow2", "vmdk": "vmdk", "vdi": "vdi", "virtualbox": "vdi", "vhd": "vpc", "gcp": "raw",
           "ova": "vmdk", "aws": "raw", "azure": "vpc"}
# The card that the image's platform shows by default, as far as QEMU and we have it.
CARDS = {"vmdk": "e1000e", "vdi": "e1000", "virtualbox": "e1000", "ova": "e1000"}


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


def fetch(image, form, machine, firmware, memory="256M", card="virtio-net-pci"):
    """The page that the image serves on port 8083."""
    import sys
    sys.path.insert(0, os.path.join(TOP, "scripts"))
    from stout_tool.iso import find_ovmf
    port = free_port()
    command = ["qemu-system-x86_64", "-M", machine, "-accel", ACCEL, "-cpu", "max", "-m", memory, "-nodefaults", "-display",
               "none", "-serial", "stdio", "-no-reboot", "-drive", f"file={image},format={form},snapshot=on",
               "-netdev", f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:8083", "-device", f"{card},netdev=n0,romfile="]
    if firmware == "uefi":
        command += ["-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={find_ovmf()}"]
    deadline = time.monotonic() + 150
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as qemu:
        try:
            while True:
                assert time.monotonic() < deadline and qemu.poll() is None, "no answer"
                try:
                    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
                    connection.request("GET", "/")
                    return connection.getresponse().read()
                except (OSError, http.client.HTTPException):
                    time.sleep(0.1)
                finally:
                    connection.close()
        except AssertionError as error:
            qemu.kill()
            raise AssertionError(f"{error}:\n{qemu.stdout.read().decode('utf-8', 'replace')[-3000:]}") from None
        finally:
            qemu.kill()


def unpacked(kind, image, folder):
    """The disk in it."""
    if kind == "gcp":
        subprocess.run(["tar", "-C", str(folder), "-xzf", image], check=True)
        image = str(folder / "disk.raw")
        assert os.stat(image).st_size % (1 << 30) == 0
    if kind == "ova":
        subprocess.run(["tar", "-C", str(folder), "-xf", image], check=True)
        image = str(folder / "image-disk1.vmdk")
    return image


@pytest.mark.parametrize("firmware, machine", [("bios", "pc"), ("uefi", "q35")])
@pytest.mark.parametrize("kind", FORMATS)
def test_disk(server, tmp_path, kind, firmware, machine):
    image = unpacked(kind, built(kind, tmp_path / "image", server), tmp_path)
    card = CARDS.get(kind, "virtio-net-pci")
    assert fetch(image, FORMATS[kind], machine, firmware, card=card) == b"served\n"
    subprocess.run(["qemu-img", "convert", "-f", FORMATS[kind], "-O", "raw", image, str(tmp_path / "back")], check=True)
    if firmware == "bios":
        assert fetch(tmp_path / "back", "raw", machine, firmware, card="vmxnet3") == b"served\n"


def answer(port, qemu):
    """The page, from a machine that was started otherwise."""
    deadline = time.monotonic() + 100
    try:
        while True:
            assert time.monotonic() < deadline and qemu.poll() is None, "no answer"
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            try:
                connection.request("GET", "/")
                return connection.getresponse().read()
            except (OSError, http.client.HTTPException):
                time.sleep(0.1)
            finally:
                connection.close()
    finally:
        qemu.kill()
        qemu.wait()


def test_script_for_qemu(server, tmp_path):
    archive, port = built("qemu", tmp_path / "web.tar", server), free_port()
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", archive], check=True)
    qemu = subprocess.Popen([str(tmp_path / "web" / "run"), f"{port}:8083", "-m", "300M"], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, cwd="/")
    assert answer(port, qemu) == b"served\n"


def test_domain_for_xen(server, tmp_path):
    """There is no Xen here: QEMU is Xen's device model, so it gets what the configuration names, with such a domain's card."""
    archive, port = built("xen", tmp_path / "web.tar", server), free_port()
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", archive], check=True)
    domain = {}
    exec((tmp_path / "web" / "web.cfg").read_text(), {}, domain)  # xl.cfg(5) is written like Python
    assert (domain["name"], domain["type"], domain["vif"]) == ("web", "hvm", ["model=e1000"])
    qemu = subprocess.Popen(["qemu-system-x86_64", "-M", "pc", "-accel", ACCEL, "-cpu", "max", "-m", str(domain["memory"]),
                             "-nodefaults", "-display", "none", "-kernel", domain["kernel"], "-initrd", domain["ramdisk"],
                             "-append", domain["cmdline"], "-device", "e1000,netdev=n0,romfile=", "-netdev",
                             f"user,id=n0,hostfwd=tcp:127.0.0.1:{port}-:8083"], cwd=tmp_path / "web")
    assert answer(port, qemu) == b"served\n"


@pytest.mark.parametrize("card", ["e1000-82544gc", "e1000-82545em"])
def test_kin_of_e1000(server, tmp_path, card):
    """Others of the family, among them the one that VMware calls e1000; their address comes by DHCP."""
    image = built("raw", tmp_path / "image", server)
    assert fetch(image, "raw", "pc", "bios", card=card) == b"served\n"


def test_configuration_of_a_folder(machine, tmp_path):
    """stout init, then stout run -c from elsewhere: the same server."""
    shutil.copy(os.path.join(TOP, "examples", "node-hello", "server.js"), tmp_path)
    subprocess.run([STOUT, "init", str(tmp_path)], check=True)
    started = machine(guest_port=8083, options=["-c", str(tmp_path / "stout.yaml")])
    assert started.wait_for_http()[1].startswith(b"Hello from Unikernel!")
