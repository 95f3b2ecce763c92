# SPDX-License-Identifier: MIT
"""Virtual appliances: an OVF descriptor (DSP0243), a manifest and a disk in a tar, for VirtualBox and VMware.

What both take: hardware family vmx-07 (VirtualBox's own is refused by VMware), an IDE disk, an E1000 card, Linux 64-bit as the
guest.  The disk is a streamOptimized VMDK that says version 3: its form is that of version 1 as QEMU writes it, but ESXi refuses
anything older than 3, and QEMU reads 3 as well.
"""
from __future__ import annotations

import hashlib
import os
import tarfile
from typing import Any
from xml.sax.saxutils import escape

from .output import source_epoch

MIB = 1 << 20
DESCRIPTOR = """<?xml version="1.0" encoding="UTF-8"?>
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
 xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"
 xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"
 xmlns:vmw="http://www.vmware.com/schema/ovf" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
  <References>
    <File ovf:href="{disk}" ovf:id="file1" ovf:size="{size}"/>
  </References>
  <DiskSection>
    <Info>The disk</Info>
    <Disk ovf:capacity="{capacity}" ovf:capacityAllocationUnits="byte" ovf:diskId="disk1" ovf:fileRef="file1" \
ovf:format="http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized"/>
  </DiskSection>
  <NetworkSection>
    <Info>The network; its addresses come by DHCP</Info>
    <Network ovf:name="NAT">
      <Description>NAT</Description>
    </Network>
  </NetworkSection>
  <VirtualSystem ovf:id="{name}">
    <Info>A virtual machine</Info>
    <Name>{name}</Name>
    <OperatingSystemSection ovf:id="101" vmw:osType="otherLinux64Guest">
      <Info>The guest operating system</Info>
      <Description>Linux_64</Description>
    </OperatingSystemSection>
    <VirtualHardwareSection>
      <Info>Virtual hardware</Info>
      <System>
        <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>
        <vssd:InstanceID>0</vssd:InstanceID>
        <vssd:VirtualSystemIdentifier>{name}</vssd:VirtualSystemIdentifier>
        <vssd:VirtualSystemType>vmx-07</vssd:VirtualSystemType>
      </System>
{items}
    </VirtualHardwareSection>
  </VirtualSystem>
</Envelope>
"""
PROCESSOR, MEMORY, IDE, CARD, DISK = 3, 4, 5, 10, 17  # CIM_ResourceAllocationSettingData.ResourceType


def item(number: int, kind: int, name: str, **more: Any) -> str:
    """One piece of hardware; its elements in alphabetical order, as the schema has them."""
    values = dict(ElementName=name, InstanceID=number, ResourceType=kind, **more)
    lines = [f"        <rasd:{key}>{escape(str(values[key]))}</rasd:{key}>" for key in sorted(values)]
    return "\n".join(["      <Item>", *lines, "      </Item>"])


def descriptor(name: str, disk: str, size: int, capacity: int, memory: int) -> str:
    items = [
        item(1, PROCESSOR, "1 virtual CPU", AllocationUnits="hertz * 10^6", VirtualQuantity=1),
        item(2, MEMORY, f"{memory // MIB} MB of memory", AllocationUnits="byte * 2^20", VirtualQuantity=memory // MIB),
        item(3, IDE, "IDE 0", Address=0, ResourceSubType="PIIX4"),
        item(4, DISK, "Disk 1", AddressOnParent=0, HostResource="ovf:/disk/disk1", Parent=3),
        item(5, CARD, "Ethernet 1", AddressOnParent=7, AutomaticAllocation="true", Connection="NAT", ResourceSubType="E1000"),
    ]
    quoted = {'"': "&quot;"}
    return DESCRIPTOR.format(name=escape(name, quoted), disk=escape(disk, quoted), size=size, capacity=capacity,
                             items="\n".join(items))


def mark_version(path: str) -> None:
    with open(path, "r+b") as file:
        file.seek(4)
        file.write((3).to_bytes(4, "little"))


def pack_ova(name: str, disk: str, capacity: int, memory: int, path: str) -> None:
    """Descriptor, manifest, disk: in this order, so that an import can check and stream."""
    mark_version(disk)
    ovf, names = f"{name}.ovf", f"{name}-disk1.vmdk"
    text = descriptor(name, names, os.stat(disk).st_size, capacity, memory).encode()
    with open(disk, "rb") as file:
        sums = [(ovf, hashlib.sha256(text).hexdigest()), (names, hashlib.file_digest(file, "sha256").hexdigest())]
    manifest = "".join(f"SHA256({member})= {value}\n" for member, value in sums).encode()
    write_tar(path, [(ovf, text, 0o644), (f"{name}.mf", manifest, 0o644), (names, disk, 0o644)])


def write_tar(path: str, members: list[tuple[str, bytes | str, int]]) -> None:
    """(name, bytes or the path of a file, mode) each, without anything of this host or of now."""
    import io
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, source, mode in members:
            entry = tarfile.TarInfo(name)
            entry.mode, entry.mtime = mode, source_epoch()
            if isinstance(source, bytes):
                entry.size = len(source)
                tar.addfile(entry, io.BytesIO(source))
                continue
            entry.size = os.stat(source).st_size
            with open(source, "rb") as file:
                tar.addfile(entry, file)
