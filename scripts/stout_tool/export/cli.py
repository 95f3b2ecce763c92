# SPDX-License-Identifier: MIT
"""The commands of stout export, one for each engine."""
from __future__ import annotations

import sys
from typing import Any, NamedTuple

import click

from ..cli import CONTEXT, Group, image_options, refuse_idle_ports, with_options
from ..config import merge

FOR_EXERCISE = "With --minimal: a port for --exercise."
ACCEL = {"type": click.Choice(["kvm", "tcg"]), "default": "kvm", "show_default": True, "help": "tcg emulates, where there is no KVM."}
NETWORK, PORT = {"metavar": "NAME"}, {"multiple": True, "metavar": "[HOST:]GUEST[/udp]"}


class Engine(NamedTuple):
    """What its help says, whether the machines may have addresses of the user's choice, and the options that mean something to it."""

    help: str
    example: str
    address: bool
    options: dict[str, dict[str, Any]]


ENGINES = {
    "libvirt": Engine("A domain, with kernel and archive.", "virsh define web/web.xml", True, {
        "publish": {**PORT, "help": "A port of this host that leads to the program, by QEMU's user network."},
        "network": {**NETWORK, "help": "libvirt's network, without -p (default: default)."}, "accel": ACCEL}),
    "kubevirt": Engine("A VirtualMachine for Kubernetes and its containerDisk.", "kubectl apply -f web/web.yaml", False, {
        "publish": {**PORT, "help": "A port of the Service that leads to the program."},
        "reference": {"metavar": "IMAGE", "help": "The registry's name for the disk."}}),
    "nomad": Engine("A job for Nomad's qemu driver, with a disk.", "nomad job run web/web.nomad.hcl", False, {
        "publish": {**PORT, "help": "A port of the client, Nomad's choice without HOST, that leads to the program."}, "accel": ACCEL}),
    "proxmox": Engine("A script with Proxmox VE's qm, with a disk.", "sh web/create 100", True, {
        "publish": {**PORT, "help": FOR_EXERCISE}, "network": {**NETWORK, "help": "The bridge (default: vmbr0)."}, "accel": ACCEL}),
    "firecracker": Engine("Firecracker's configuration, with kernel and archive.", "firecracker --no-api --config-file web/web.json", True, {
        "publish": {**PORT, "help": FOR_EXERCISE}, "network": {**NETWORK, "help": "The tap device (default: tap0)."}}),
}
FLAGS = {"publish": ("-p", "--publish")}


@click.group(cls=Group, context_settings=CONTEXT)
def export() -> None:
    """Write the definition for running many machines of a program in an engine that exists.

    \b
    stout export libvirt -m 128M -o web nginx -g 'daemon off;'
    stout export kubevirt --count 10 -p 80 --reference registry.example.com/web:1 --image nginx.tar -o web
    """


def add(name: str, engine: Engine) -> None:
    text = f"{engine.help}\n\n\b\nstout export {name} --name web -m 128M nginx -g 'daemon off;'\n{engine.example}"

    @export.command(name, help=text, context_settings=dict(CONTEXT, allow_interspersed_args=False))
    @click.option("-o", "--output", metavar="DIR", help="The folder to make (default: the machine's name).")
    @click.option("--name", metavar="NAME", help="What the machine is called (default: the program's name).")
    @click.option("--count", type=click.IntRange(1, 1000), default=1, show_default=True, help="How many machines.")
    @click.option("-m", "--memory", metavar="SIZE", help="Memory of each machine, for example 256M.")
    @click.option("--cpus", type=click.IntRange(1, 64), default=1, show_default=True, help="Processors of each machine.")
    @click.option("-v", "folders", multiple=True, hidden=True)
    @with_options([click.option(*FLAGS.get(key, (f"--{key}",)), **settings) for key, settings in engine.options.items()])
    @click.option("--json", "as_json", is_flag=True, help="Print what was written as JSON.")
    @image_options(address=engine.address)
    @click.pass_context
    def command(context: click.Context, config: str | None, **values: Any) -> None:
        from .export import export as write
        merged = merge(context, config, values)
        if engine.options["publish"]["help"] == FOR_EXERCISE:
            refuse_idle_ports(context, merged)
        sys.exit(write(name, **merged))


for _name, _engine in ENGINES.items():
    add(_name, _engine)
