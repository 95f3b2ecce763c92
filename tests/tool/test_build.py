# SPDX-License-Identifier: MIT
"""stout build: the same bytes from the same input, and nothing half-written."""
import filecmp
import hashlib
import io
import json
import os
import re
import signal
import stat
import struct
import subprocess
import tarfile
import time
import xml.etree.ElementTree

import pytest
import yaml
from stout_tool.build import BUNDLES
from stout_tool.disk import FORMS, settle_vmdk
from stout_tool.grub import SECTOR

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = ["/usr/bin/python3", "-m", "stout_tool"]
KINDS = ("iso", *FORMS, *BUNDLES)


@pytest.fixture
def build(stout, kernel, compiled):
    program = compiled("int main(void) { return 0; }")

    def call(output, *options, kind="iso", **more):
        return stout("build", "--kernel", kernel, "-t", kind, "-o", str(output), *options, program, **more)

    call.program = program
    return call


def refused(result, status, *words):
    text = result.stderr.decode()
    assert result.returncode == status, text
    assert text.startswith("stout: ") and text.count("\n") == 1, text
    for word in words:
        assert word in text, text


@pytest.fixture(scope="module")
def made_twice(kernel, tmp_path_factory):
    """Two folders with an image of every kind: in other seconds, with nothing cached, and with a new file beside one that is packed."""
    place = tmp_path_factory.mktemp("twice")
    (place / "program.c").write_text("int main(void) { return 0; }")
    subprocess.run(["gcc", "-o", place / "program", place / "program.c"], check=True)
    for number in ("1", "2"):
        (place / number).mkdir()
        environment = dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), STOUT_CACHE=str(place / f"cache{number}"), STOUT_HOME=str(place / "home"))
        for kind in KINDS:
            command = [*TOOL, "build", "--kernel", kernel, "-t", kind, "-o", str(place / number / kind), str(place / "program")]
            result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
            assert result.returncode == 0 and result.stdout.splitlines()[0] == f"{place}/{number}/{kind}", result.stderr
        if number == "1":
            time.sleep(2.1)  # FAT counts two seconds
            (place / "beside").write_text("")
    return place / "1", place / "2"


@pytest.mark.parametrize("kind", [*KINDS, "virtualbox.ova"])
def test_same_input_same_bytes(made_twice, kind):
    first, second = made_twice
    assert filecmp.cmp(first / kind, second / kind, shallow=False)


def test_two_files_do_not_share_a_name(build, tmp_path):
    """-t virtualbox makes an .ova beside what -o names."""
    refused(build(tmp_path / "a.ova", kind="virtualbox"), 2, "a.ova", "-o", "-t ova")
    (tmp_path / "b.ova").mkdir()
    refused(build(tmp_path / "b.vdi", kind="virtualbox"), 2, "b.ova", "folder")
    assert not (tmp_path / "b.vdi").exists() and not (tmp_path / "a.ova").exists()


@pytest.mark.parametrize("cid", ["7", "c001d00d"])
def test_vmdk_descriptor(cid):
    """QEMU writes a CID without leading zeros: the lines around it must stay as they are."""
    def area(cid):
        return f"# Disk DescriptorFile\nversion=1\nCID={cid}\nparentCID=ffffffff\n".encode().ljust(20 * SECTOR, b"\0")

    file = io.BytesIO(bytes(SECTOR) + area(cid) + b"grains")
    settle_vmdk(file, b"identity")
    data = file.getvalue()
    found = re.search(rb"\nCID=([0-9a-f]{8})\n", data)[1].decode()
    assert found != cid and data == bytes(SECTOR) + area(found) + b"grains"


@pytest.mark.parametrize("kind, form", [("raw", "raw"), ("qcow2", "qcow2"), ("vmdk", "vmdk"), ("vdi", "vdi"), ("vhd", "vpc"), ("azure", "vpc"),
                                        ("aws", "raw"), ("gcp", "raw")])
def test_disks_hold_the_same(build, tmp_path, kind, form):
    """qemu-img finds nothing wrong, and the same bytes as in the raw disk, with zeros behind them at most; the VHD's footer adds up."""
    assert build(tmp_path / "raw", kind="raw").returncode == build(tmp_path / "disk", kind=kind).returncode == 0
    if kind == "gcp":
        subprocess.run(["tar", "-C", str(tmp_path), "--transform", "s/disk.raw/disk/", "-xzf", str(tmp_path / "disk")], check=True)
    subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", form, str(tmp_path / "raw"), str(tmp_path / "disk")], check=True)
    if form == "vpc":
        data = (tmp_path / "disk").read_bytes()
        footer, size = data[-512:], len(data) - 512
        assert footer[:8] == b"conectix" and size % (1 << 20) == 0
        assert int.from_bytes(footer[64:68], "big") == ~sum(footer[:64] + footer[68:]) & 0xffffffff
        assert int.from_bytes(footer[48:56], "big") == size


def test_partition(build, tmp_path):
    """One primary partition, active, from 1 MiB on, and whole MiB: as EC2 and Azure want it."""
    assert build(tmp_path / "disk", kind="aws").returncode == 0
    data = (tmp_path / "disk").read_bytes()
    entries = [data[at:at + 16] for at in range(0x1be, 0x1fe, 16)]
    assert data[0x1fe:0x200] == b"\x55\xaa" and entries[1:] == [bytes(16)] * 3 and entries[0][0] == 0x80
    start, count = struct.unpack("<II", entries[0][8:])
    assert (start, (start + count) * SECTOR) == (2048, len(data)) and len(data) % (1 << 20) == 0


OVF = "{http://schemas.dmtf.org/ovf/envelope/1}"
RASD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData}"
VSSD = "{http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData}"


def test_appliance(build, tmp_path):
    """What VirtualBox and VMware look at: order, sums, references, hardware; and the disk is the raw one."""
    assert build(tmp_path / "raw", kind="raw").returncode == build(tmp_path / "a b.ova", kind="ova").returncode == 0
    with tarfile.open(tmp_path / "a b.ova") as tar:
        assert tar.getnames() == ["a-b.ovf", "a-b.mf", "a-b-disk1.vmdk"]
        assert {(entry.mode, entry.uid, entry.uname, entry.mtime) for entry in tar} == {(0o644, 0, "", 315532800)}
        tar.extractall(tmp_path)
    lines = (tmp_path / "a-b.mf").read_text().splitlines()
    for name in ("a-b.ovf", "a-b-disk1.vmdk"):
        assert f"SHA256({name})= {hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()}" in lines
    disk = tmp_path / "a-b-disk1.vmdk"
    assert disk.read_bytes()[:8] == b"KDMV\3\0\0\0" and b'createType="streamOptimized"' in disk.read_bytes()[:16384]
    subprocess.run(["qemu-img", "compare", "-f", "raw", "-F", "vmdk", str(tmp_path / "raw"), str(disk)], check=True)
    root = xml.etree.ElementTree.parse(tmp_path / "a-b.ovf").getroot()
    file, image = root.find(f"{OVF}References/{OVF}File"), root.find(f"{OVF}DiskSection/{OVF}Disk")
    assert (file.get(OVF + "href"), int(file.get(OVF + "size"))) == (disk.name, disk.stat().st_size)
    assert image.get(OVF + "fileRef") == file.get(OVF + "id")
    assert int(image.get(OVF + "capacity")) == (tmp_path / "raw").stat().st_size
    hardware = root.find(f"{OVF}VirtualSystem/{OVF}VirtualHardwareSection")
    assert hardware.find(f"{OVF}System/{VSSD}VirtualSystemType").text == "vmx-07"
    items = {item.find(RASD + "ResourceType").text: item for item in hardware.findall(OVF + "Item")}
    assert items["10"].find(RASD + "ResourceSubType").text == "E1000"
    assert items["17"].find(RASD + "HostResource").text == "ovf:/disk/" + image.get(OVF + "diskId")
    assert items["17"].find(RASD + "Parent").text == items["5"].find(RASD + "InstanceID").text
    assert items["4"].find(RASD + "VirtualQuantity").text == "512"
    for item in items.values():
        names = [child.tag for child in item]
        assert names == sorted(names)


def test_where_there_is_no_driver_yet(build, tmp_path):
    for kind, word in (("aws", b"ENA"), ("azure", b"netvsc")):
        result = build(tmp_path / kind, kind=kind)
        assert result.returncode == 0 and word in result.stderr


def test_kind_where_users_of_ops_put_it(stout, kernel, compiled, tmp_path):
    program = compiled("int main(void) { return 0; }")
    result = stout("build", "--kernel", kernel, program, "-t", "virtualbox", cwd=tmp_path)
    expected = f"{tmp_path}/program.vdi\n{tmp_path}/program.ova\n"
    assert (result.returncode, result.stdout.decode()) == (0, expected), result.stderr
    refused(stout("build", "--kernel", kernel, program, "-t", "floppy", cwd=tmp_path), 2, "-t")


def test_what_was_not_taken_is_said(stout, kernel, tmp_path):
    """An image starts where nobody asks for --verbose; run is asked at once."""
    (tmp_path / "x.pl").write_text("print 1;\n")  # in a home, which is not a program's folder
    words = ["--kernel", kernel, str(tmp_path / "x.pl")]
    hint, env = f"stout: took only {tmp_path}/x.pl: ".encode(), {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    for command in (["build", "-t", "qemu", "-o", str(tmp_path / "x.tar")], ["instance", "create", "--accel", "tcg", "--no-start"],
                    ["export", "firecracker", "-o", str(tmp_path / "x")]):
        result = stout(*command, *words, env=env)
        assert result.returncode == 0 and result.stderr.count(hint) == 1 and result.stderr.count(b"\n") == 1, result.stderr
    assert hint not in stout("run", "--dry-run", str(tmp_path / "x.pl"), env=env).stderr
    assert hint in stout("run", "--dry-run", "--verbose", str(tmp_path / "x.pl"), env=env).stderr


def test_source_date_epoch(build, tmp_path):
    assert build(tmp_path / "a.iso").returncode == 0
    assert build(tmp_path / "b.iso", env={"SOURCE_DATE_EPOCH": "1700000000"}).returncode == 0
    a, b = (tmp_path / "a.iso").read_bytes(), (tmp_path / "b.iso").read_bytes()
    assert a != b and b"2023111422132000" in b
    refused(build(tmp_path / "c.iso", env={"SOURCE_DATE_EPOCH": "today"}), 2, "SOURCE_DATE_EPOCH")


def test_a_file_that_was_there_is_replaced(build, tmp_path):
    target = tmp_path / "out" / "a.iso"
    target.parent.mkdir()
    target.write_text("old")
    assert build(target).returncode == 0
    assert target.stat().st_size > 1 << 20 and target.stat().st_mode & 0o777 == 0o644
    assert os.listdir(target.parent) == ["a.iso"]


def test_full_disk_leaves_what_was_there(build, tmp_path):
    """A limit on the size of files plays the full disk."""
    import resource
    target = tmp_path / "out" / "a.iso"
    target.parent.mkdir()
    target.write_text("old")
    result = build(target, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3 << 20, 3 << 20)))
    refused(result, 125)
    assert target.read_text() == "old" and os.listdir(target.parent) == ["a.iso"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("small, kind", [*(("output", kind) for kind in KINDS), ("cache", "iso")])
def test_small_filesystem(build, tmp_path, small, kind):
    """A disk that is full leaves one sentence, which names it, and no file."""
    (tmp_path / "big").write_bytes(os.urandom(6 << 20))
    places = {name: tmp_path / name for name in ("output", "cache")}
    for place in places.values():
        place.mkdir()
    words = [*TOOL, "build", "-t", kind, "--kernel", "/bin/true", "-o", places["output"] / "made", "--add", f"{tmp_path}/big:/big", "/bin/true"]
    script = 'mount -t tmpfs -o size=2m tmpfs "$1" && mkdir "$1/in" && rmdir "$1/in" && shift && "$@"; status=$?; find "$0" -type f; exit $status'
    result = subprocess.run(["unshare", "--mount", "sh", "-c", script, places[small], places[small], *words], capture_output=True, check=False, timeout=60,
                            env=dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), STOUT_CACHE=str(places["cache"]), STOUT_HOME=str(tmp_path / "home")))
    refused(result, 125, str(places[small]), "no space left")
    assert result.stdout == b"" and os.listdir(places["output"]) == []


def test_to_standard_output(build, stout, tmp_path):
    assert build(tmp_path / "file", kind="qcow2", cwd=tmp_path).returncode == 0
    result = build("-", kind="qcow2", cwd=tmp_path)
    assert (result.returncode, result.stderr) == (0, b"") and result.stdout == (tmp_path / "file").read_bytes()
    refused(build("-", kind="virtualbox", cwd=tmp_path), 2, "two files")
    refused(build("-", "--json", cwd=tmp_path), 2, "--json")
    refused(stout("export", "libvirt", "-o", "-", build.program, cwd=tmp_path), 2, "folder", "-o")
    refused(stout("profile", "-o", "-", build.program, cwd=tmp_path), 2, "--top")
    assert not (tmp_path / "-").exists()


def test_several_at_once_make_the_same(build, tmp_path):
    target = tmp_path / "out" / "a.iso"
    target.parent.mkdir()
    words = [*TOOL, "build", "-t", "iso", "--kernel", "/bin/true", "-o", target, build.program]
    environment = dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), STOUT_CACHE=str(tmp_path / "cache"), STOUT_HOME=str(tmp_path / "home"))
    makers = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(3)]
    assert [(*maker.communicate(timeout=60), maker.returncode) for maker in makers] == [(f"{target}\n".encode(), b"", 0)] * 3
    assert os.listdir(target.parent) == ["a.iso"] and len(os.listdir(tmp_path / "cache/images")) == 1


def test_different_ones_at_once(build, tmp_path):
    """One archive for all, and each as it is alone; other programs at the same time are packed beside it."""
    kinds = ("vmdk", "iso", "qcow2")
    environment = dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), STOUT_CACHE=str(tmp_path / "cache"), STOUT_HOME=str(tmp_path / "home"))
    (tmp_path / "out").mkdir()
    makers = {name: subprocess.Popen([*TOOL, "build", "-t", name, "--kernel", "/bin/true", "-o", tmp_path / "out" / name, program], env=environment,
                                     stdout=subprocess.PIPE, stderr=subprocess.PIPE)
              for name, program in (*((kind, build.program) for kind in kinds), ("raw", "/bin/true"))}
    assert {name: (*maker.communicate(timeout=60), maker.returncode) for name, maker in makers.items()} == {
        name: (f"{tmp_path}/out/{name}\n".encode(), b"", 0) for name in makers}
    assert sorted(os.listdir(tmp_path / "out")) == sorted(makers) and len(os.listdir(tmp_path / "cache/images")) == 2
    for kind in kinds:
        alone = tmp_path / "alone"
        subprocess.run([*TOOL, "build", "-t", kind, "--kernel", "/bin/true", "-o", alone, build.program], env=environment, check=True, stdout=subprocess.DEVNULL)
        assert filecmp.cmp(alone, tmp_path / "out" / kind, shallow=False), kind
    assert len(json.loads(subprocess.check_output([*TOOL, "image", "list", "--json"], env=environment))) == len(makers) + 1


@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signal_leaves_nothing(build, kernel, cache, tmp_path, number, status):
    folder, tools = tmp_path / "out", tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    (tools / "xorriso").write_text(f"#!/bin/sh\n: >{tmp_path}/begun\nexec sleep 60\n")
    (tools / "xorriso").chmod(0o755)
    environment = dict(os.environ, PYTHONPATH=os.path.join(TOP, "scripts"), PATH=f"{tools}:{os.environ['PATH']}")
    process = subprocess.Popen([*TOOL, "build", "--kernel", kernel, "-t", "iso", "-o", str(folder / "a.iso"), build.program],
                               env=environment, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 30
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(number)
    assert process.communicate(timeout=20)[1].strip() == b""
    assert process.returncode == status and os.listdir(folder) == []


def test_bad_output(build, tmp_path):
    refused(build(tmp_path), 2, str(tmp_path), "folder", "-o")
    refused(build(tmp_path / "none" / "a.iso"), 2, f"{tmp_path}/none", "does not exist")
    os.mkfifo(tmp_path / "pipe")  # as /dev/full: its name would be the image's
    for kind in ("raw", "virtualbox"):
        refused(build(tmp_path / "pipe", kind=kind), 2, f"{tmp_path}/pipe", "-o")
    assert stat.S_ISFIFO(os.lstat(tmp_path / "pipe").st_mode)
    os.rename(tmp_path / "pipe", tmp_path / "b.ova")
    refused(build(tmp_path / "b.vdi", kind="virtualbox"), 2, f"{tmp_path}/b.ova", "-o")


def test_missing_tool(build, tmp_path):
    """A PATH without GRUB's tools."""
    (tmp_path / "bin").mkdir()
    refused(build(tmp_path / "a.iso", env={"PATH": str(tmp_path / "bin")}), 125, "grub-mkimage", "scripts/setup --build")


def test_unforeseen_error_of_the_system_is_a_sentence(stout, compiled):
    program = compiled("int main(void) { return 0; }")
    result = stout("run", "--dry-run", program, env={"STOUT_CACHE": "/dev/null/cache"})
    refused(result, 125, "/dev/null/cache", "not a directory")
    assert b"Traceback" in stout("run", "--dry-run", program, env={"STOUT_CACHE": "/dev/null/cache", "STOUT_DEBUG": "1"}).stderr


def test_an_address_of_the_smallest_network(stout, kernel, compiled, tmp_path):
    """Only QEMU's user network needs room for more than the machine and its router."""
    program, path = compiled("int main(void) { return 0; }"), str(tmp_path / "a.tar")
    result = stout("build", "--kernel", kernel, "-t", "qemu", "-o", path, "--ip", "172.16.0.2/30", "--gw", "172.16.0.1", program)
    assert result.returncode == 0, result.stderr
    with open(path, "rb") as file:
        assert b"\0net=static:172.16.0.2/30:172.16.0.1\0" in file.read()


def test_ports_of_a_nomad_job():
    """A label stands for TCP and UDP, and for one port of the client."""
    from stout_tool.export.engines import Machine, nomad
    from stout_tool.export.export import Port
    from stout_tool.network import Network

    def labels(*texts):
        machine = Machine("web", "/srv/web", 1, 128, 1, [Port(text) for text in texts], "kvm", None, None, "", Network())
        text = nomad(machine)["web.nomad.hcl"]
        found = dict(re.findall(r'port "(\w+)" {(.*)}', text))
        assert len(found) == text.count(' port "') == len(re.findall(r"^ +p\w+ = \d+$", text, re.M))
        return {label: words.strip() for label, words in found.items()}

    assert labels("53:53", "53:53/udp") == {"p53": "static = 53"} and labels("53", "53/udp") == {"p53": ""}
    assert labels("80:80", "8080:80", "81") == {"p80": "static = 80", "p80_8080": "static = 8080", "p81": ""}


def test_ports_of_a_kubernetes_service():
    """Their names are the Service's own, however many lead to one port of the machine, which is named once."""
    from stout_tool.export.engines import Machine, kubevirt
    from stout_tool.export.export import Port
    from stout_tool.network import Network
    ports = [Port(text) for text in ("80:80", "8080:80", "53", "53/udp")]
    machine, service = yaml.safe_load_all(kubevirt(Machine("web", "/srv/web", 1, 128, 1, ports, "kvm", None, None, "", Network()))["web.yaml"])
    assert [(port["name"], port["port"], port["targetPort"]) for port in service["spec"]["ports"]] == [
        ("tcp-80", 80, 80), ("tcp-8080", 8080, 80), ("tcp-53", 53, 53), ("udp-53", 53, 53)]
    inside = machine["spec"]["template"]["spec"]["domain"]["devices"]["interfaces"][0]["ports"]
    assert [(port["port"], port["protocol"]) for port in inside] == [(80, "TCP"), (53, "TCP"), (53, "UDP")]


@pytest.mark.parametrize("engine, ports", [
    ("kubevirt", ("80:80", "80:80")), ("kubevirt", ("80", "80:8080/tcp")), ("libvirt", ("80:81", "80:82")), ("nomad", ("80", "80")), ("nomad", ("80:1", "80:2"))])
def test_a_port_of_an_export_given_twice(stout, tmp_path, engine, ports):
    words = [word for port in ports for word in ("-p", port)]
    refused(stout("export", engine, "-o", str(tmp_path / "web"), *words, "/bin/true"), 2, "Port 80 is given twice with -p.")
    assert os.listdir(tmp_path) == []
