# SPDX-License-Identifier: MIT
"""What each engine is told: a function from the machine to the texts of its files.

All of them give the machine a serial line, to which the program's output goes, a virtio network card and randomness.
"""
from __future__ import annotations

import dataclasses
import json
import os
import shlex
from typing import Any, Callable
from xml.sax.saxutils import escape, quoteattr

import yaml

from ..errors import usage
from ..network import Network, mac_of
from ..qemu import Forward


@dataclasses.dataclass
class Machine:
    name: str
    folder: str
    count: int
    memory: int  # MiB
    cpus: int
    ports: list[Any]
    accel: str
    network: str | None
    reference: str | None
    words: str  # for the kernel
    net: Network

    @property
    def has_network(self) -> bool:
        return self.net.kind != "none"

    def names(self) -> list[str]:
        return [self.name] if self.count == 1 else [f"{self.name}-{number}" for number in range(1, self.count + 1)]

    def place(self, file: str) -> str:
        return os.path.join(self.folder, file)


# ---- libvirt: formatdomain.html ----

DOMAIN = """<domain type='{type}'{namespace}>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>{cpus}</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{words}</cmdline>
  </os>
  <features>
    <acpi/>
  </features>
  <cpu mode='{cpu}'/>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <serial type='pty'/>
    <console type='pty'>
      <target type='serial'/>
    </console>
    <rng model='virtio'>
      <backend model='random'>/dev/urandom</backend>
    </rng>{network}
    <memballoon model='none'/>
  </devices>{more}
</domain>
"""
INTERFACE = """
    <interface type='network'>
      <mac address='{mac}'/>
      <source network={network}/>
      <model type='virtio'/>
    </interface>"""
FORWARDED = """
  <qemu:commandline>
    <qemu:arg value='-netdev'/>
    <qemu:arg value='{netdev}'/>
    <qemu:arg value='-device'/>
    <qemu:arg value='virtio-net-pci,netdev=n0,mac={mac},bus=pcie.0,addr=0x10,romfile='/>
  </qemu:commandline>"""


def libvirt(machine: Machine) -> dict[str, str]:
    """With ports, QEMU's user network, which qemu:///session may use; else a network of libvirt's."""
    if machine.ports and machine.network:
        raise usage("-p forwards ports of QEMU's user network, and --network is a network of libvirt's, where none needs forwarding; give one.")
    return {f"{name}.xml": domain(machine, name, number) for number, name in enumerate(machine.names())}


def domain(machine: Machine, name: str, number: int) -> str:
    network = more = ""
    if machine.ports:
        forwards = [Forward(f"{(port.host or port.guest) + number}:{port.guest}/{port.protocol}") for port in machine.ports]
        more = FORWARDED.format(mac=mac_of(name), netdev=machine.net.netdev(forwards))
    elif machine.has_network:
        network = INTERFACE.format(mac=mac_of(name), network=quoteattr(machine.network or "default"))
    kvm = machine.accel == "kvm"
    return DOMAIN.format(
        type="kvm" if kvm else "qemu", cpu="host-passthrough" if kvm else "maximum", name=name, memory=machine.memory, cpus=machine.cpus,
        namespace=" xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'" if more else "", kernel=escape(machine.place("stout.elf")),
        initrd=escape(machine.place("image.cpio")), words=escape(machine.words), network=network, more=more)


# ---- KubeVirt: kubevirt.io/v1 ----

DOCKERFILE = "FROM scratch\nADD --chown=107:107 disk.qcow2 /disk/\n"


def kubevirt(machine: Machine) -> dict[str, str]:
    labels = {"app": machine.name}
    reference = machine.reference or f"registry.example.com/{machine.name}:latest"
    interface: dict[str, Any] = {"name": "default", "model": "virtio", "masquerade": {}}
    if machine.ports:
        inside = dict.fromkeys((port.guest, port.protocol.upper()) for port in machine.ports)
        interface["ports"] = [{"port": guest, "protocol": protocol} for guest, protocol in inside]
    spec: dict[str, Any] = {
        "terminationGracePeriodSeconds": 10,
        "domain": {
            "machine": {"type": "q35"}, "cpu": {"cores": machine.cpus}, "memory": {"guest": f"{machine.memory}Mi"},
            "devices": {"disks": [{"name": "boot", "disk": {"bus": "sata"}}], "rng": {}, "autoattachGraphicsDevice": False}},
        "volumes": [{"name": "boot", "containerDisk": {"image": reference, "path": "/disk/disk.qcow2"}}]}
    if machine.has_network:
        spec["domain"]["devices"]["interfaces"] = [interface]
        spec["networks"] = [{"name": "default", "pod": {}}]
    template = {"metadata": {"labels": labels}, "spec": spec}
    how: dict[str, Any]
    if machine.count == 1:
        kind, how = "VirtualMachine", {"runStrategy": "Always"}
    else:
        kind, how = "VirtualMachineInstanceReplicaSet", {"replicas": machine.count, "selector": {"matchLabels": labels}}
    documents: list[dict[str, Any]] = [{"apiVersion": "kubevirt.io/v1", "kind": kind, "metadata": {"name": machine.name}, "spec": {**how, "template": template}}]
    if machine.ports:
        documents.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": machine.name}, "spec": {"selector": labels, "ports": [
            {"name": f"{port.protocol}-{port.host or port.guest}", "port": port.host or port.guest, "targetPort": port.guest,
             "protocol": port.protocol.upper()} for port in machine.ports]}})
    head = f"# docker build -t {reference} {machine.folder} && docker push {reference}\n"
    return {f"{machine.name}.yaml": head + yaml.safe_dump_all(documents, sort_keys=False), "Dockerfile": DOCKERFILE}


# ---- Nomad: the task driver qemu ----

JOB = """# The folder of the disk stands in the client's configuration: plugin "qemu" {{ config {{ image_paths = [{folder}] }} }}
job "{name}" {{
  type = "service"

  group "{name}" {{
    count = {count}

    network {{{ports}
    }}

    task "{name}" {{
      driver = "qemu"

      config {{
        image_path  = {disk}
        accelerator = "{accel}"
        args        = [{args}]{port_map}
      }}

      resources {{
        cpu    = {mhz}
        memory = {memory}
      }}
    }}
  }}
}}
"""


def nomad(machine: Machine) -> dict[str, str]:
    """Without ports the driver gives no network card; it takes no less than 128 MiB.  A label is for TCP and UDP alike."""
    if machine.memory < 128:
        raise usage(f"Nomad's qemu driver gives a machine at least 128 MiB; -m {machine.memory}M is less.")
    labels: dict[str, tuple[int | None, int]] = {}
    for host, guest in dict.fromkeys((port.host, port.guest) for port in machine.ports):
        labels[f"p{guest}" if f"p{guest}" not in labels else f"p{guest}_{host or 'any'}"] = host, guest
    ports = "".join(f'\n      port "{label}" {{{f" static = {host} " if host else ""}}}' for label, (host, _) in labels.items())
    port_map = "".join(f"\n          {label} = {guest}" for label, (_, guest) in labels.items())
    args = ["-smp", str(machine.cpus), "-device", "virtio-rng-pci"]
    return {f"{machine.name}.nomad.hcl": JOB.format(
        name=machine.name, count=machine.count, ports=ports, disk=json.dumps(machine.place("disk.qcow2")), folder=json.dumps(machine.folder),
        accel=machine.accel, args=", ".join(map(json.dumps, args)), port_map=f"\n        port_map {{{port_map}\n        }}" if port_map else "",
        mhz=500 * machine.cpus, memory=machine.memory)}


# ---- Proxmox VE: qm(1) ----

QM = """#!/bin/sh
# Makes and starts {count} of {name} on a Proxmox VE host.  The argument is the id of the first.
set -eu
first=${{1:?the id of the first machine is missing, for example 100}}
storage=${{STORAGE:-local-lvm}}
here=$(cd "$(dirname "$0")" && pwd)
number=0
for name in {names}; do
    id=$((first + number))
    qm create "$id" --name "$name" --memory {memory} --cores {cpus} --cpu {cpu} --kvm {kvm} --ostype other \\
        --ide0 "$storage:0,import-from=$here/disk.qcow2" --boot order=ide0 \\
        {network}--rng0 source=/dev/urandom --serial0 socket --vga serial0 --onboot 1
    qm start "$id"
    number=$((number + 1))
done
"""


def proxmox(machine: Machine) -> dict[str, str]:
    kvm = machine.accel == "kvm"
    network = f"--net0 virtio,bridge={shlex.quote(machine.network or 'vmbr0')} " if machine.has_network else ""
    return {"create": QM.format(
        name=machine.name, count=machine.count, names=" ".join(machine.names()), memory=machine.memory, cpus=machine.cpus,
        cpu="host" if kvm else "max", kvm=int(kvm), network=network)}


# ---- Firecracker: docs/getting-started.md, --config-file ----


def firecracker(machine: Machine) -> dict[str, str]:
    """Its virtio-mmio devices come on the kernel's command line, as QEMU's microvm's do."""
    texts = {}
    for number, name in enumerate(machine.names()):
        document: dict[str, Any] = {
            "boot-source": {"kernel_image_path": machine.place("stout.elf"), "initrd_path": machine.place("image.cpio"),
                            "boot_args": machine.words},
            "drives": [], "machine-config": {"vcpu_count": machine.cpus, "mem_size_mib": machine.memory}, "entropy": {}}
        if machine.has_network:
            tap = f"{machine.network or 'tap'}{number}" if machine.count > 1 or not machine.network else machine.network
            document["network-interfaces"] = [{"iface_id": "eth0", "guest_mac": mac_of(name), "host_dev_name": tap}]
        texts[f"{name}.json"] = json.dumps(document, indent=2) + "\n"
    return texts


ENGINES: dict[str, tuple[Callable[[Machine], dict[str, str]], bool]] = {
    "libvirt": (libvirt, False), "kubevirt": (kubevirt, True), "nomad": (nomad, True), "proxmox": (proxmox, True),
    "firecracker": (firecracker, False)}
