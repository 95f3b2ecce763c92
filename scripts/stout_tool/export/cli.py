# SPDX-License-Identifier: MIT
"""The commands of stout export, one for each engine."""
from __future__ import annotations

import sys
from typing import Any

import click

from ..cli import CONTEXT, Group, image_options
from ..config import merge

HELP = {
    "libvirt": "A domain, with kernel and archive: virsh define web/web.xml",
    "kubevirt": "A VirtualMachine for Kubernetes and its containerDisk: kubectl apply -f web/web.yaml",
    "nomad": "A job for Nomad's qemu driver, with a disk: nomad job run web/web.nomad.hcl",
    "proxmox": "A script with Proxmox VE's qm, with a disk: sh web/create 100",
    "firecracker": "Firecracker's configuration, with kernel and archive: firecracker --no-api --config-file web.json",
}


@click.group(cls=Group, context_settings=CONTEXT)
def export() -> None:
    """Write the definition for running many machines of a program in an engine that exists.

    \b
    stout export libvirt -m 128M -o web nginx -g 'daemon off;'
    stout export kubevirt --count 10 -p 80 --reference registry.example.com/web:1 --image nginx.tar -o web
    """


def add(engine: str) -> None:
    text, _, example = HELP[engine].partition(": ")

    @export.command(engine, help=f"{text}.\n\n\b\nstout export {engine} -m 128M -o web nginx -g 'daemon off;'\n{example}", context_settings=dict(CONTEXT, allow_interspersed_args=False))
    @click.option("-o", "--output", metavar="DIR", help="The folder to make (default: the machine's name).")
    @click.option("--name", metavar="NAME", help="What the machine is called (default: the program's name).")
    @click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many machines.")
    @click.option("-m", "--memory", metavar="SIZE", help="Memory of each machine, for example 256M.")
    @click.option("--cpus", type=click.IntRange(1, 64), default=1, show_default=True, help="Processors of each machine.")
    @click.option("-p", "--publish", multiple=True, metavar="[HOST:]GUEST", help="A port of the program that is to be reached.")
    @click.option("--accel", type=click.Choice(["kvm", "tcg"]), default="kvm", show_default=True, help="tcg emulates, where there is no KVM.")
    @click.option("--network", metavar="NAME", help="libvirt's network, Proxmox's bridge or Firecracker's tap device.")
    @click.option("--reference", metavar="IMAGE", help="kubevirt: the registry's name for the disk.")
    @click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
    @image_options()
    @click.pass_context
    def command(context: click.Context, config: str | None, **values: Any) -> None:
        from .export import export as write
        sys.exit(write(engine, **merge(context, config, values)))


for _engine in HELP:
    add(_engine)
