# SPDX-License-Identifier: MIT
"""The commands of stout instance and their options."""
from __future__ import annotations

import sys
from typing import Any

import click

from ..cli import CONTEXT, Group, image_options, json_option, machine_options

NAMES = click.argument("names", nargs=-1, required=True, metavar="NAME...")


@click.group(cls=Group, context_settings=CONTEXT)
def instance() -> None:
    """Machines that go on in the background.

    \b
    stout instance create --name web -p 8080:80 --restart on-failure nginx -g 'daemon off;'
    stout instance list
    stout instance logs -f web
    stout instance stop web
    """


@instance.command(context_settings=dict(CONTEXT, allow_interspersed_args=False))
@click.option("-n", "--name", metavar="NAME", help="Default: the program's name.")
@click.option("--restart", metavar="POLICY", default="no", show_default=True,
              help="When the program ends: no, on-failure, on-failure:N (at most N times), always, unless-stopped.")
@click.option("--stop-timeout", type=float, metavar="SECONDS", default=10, show_default=True,
              help="How long the program may take to end when it is stopped.")
@click.option("-t", "--tty", is_flag=True, help="Give the program a terminal, for attach.")
@click.option("--network", "networks", multiple=True, metavar="NAME", help="Join a network (stout network create).")
@click.option("--no-start", is_flag=True, help="Only create it.")
@json_option
@machine_options
@image_options()
@click.pass_context
def create(context: click.Context, config: str | None, no_start: bool, as_json: bool, **values: Any) -> None:
    """Start PROGRAM in a machine in the background and print its name; most options are those of stout run.

    \b
    stout instance create --name web -p 8080:80 --restart on-failure nginx -g 'daemon off;'
    stout instance create --name db --network backend redis-server --protected-mode no
    """
    from ..config import merge
    from .create import create as make
    sys.exit(make(start=not no_start, as_json=as_json, **merge(context, config, values)))


for _option in create.params:  # create.py refuses them
    if isinstance(_option, click.Option) and _option.name in ("boot", "gdb", "dry_run", "count_calls"):
        _option.hidden = True


@instance.command("list", context_settings=CONTEXT)
@json_option
@click.option("-q", "--quiet", is_flag=True, help="Only the names.")
def list_command(as_json: bool, quiet: bool) -> None:
    """List the instances, also those that have ended, with the reason.

    \b
    stout instance list
    stout instance list --json
    """
    from .commands import list_instances
    sys.exit(list_instances(as_json, quiet))


@instance.command(context_settings=CONTEXT)
@NAMES
@json_option
def start(names: tuple[str, ...], as_json: bool) -> None:
    """Start instances that have ended or were stopped.

    \b
    stout instance start web db
    """
    from .commands import start as begin
    sys.exit(begin(names, as_json))


@instance.command(context_settings=CONTEXT)
@NAMES
@click.option("-t", "--time", "seconds", type=float, metavar="SECONDS",
              help="How long the program may take (default: the instance's --stop-timeout).")
@click.option("-s", "--signal", "signal_text", metavar="SIGNAL", default="TERM", show_default=True,
              help="What the program gets first.")
@json_option
def stop(names: tuple[str, ...], seconds: float | None, signal_text: str, as_json: bool) -> None:
    """Stop instances: the program gets SIGTERM, and if it has not ended in time, the machine is switched off.

    \b
    stout instance stop web
    stout instance stop -t 30 -s INT db
    """
    from .commands import stop as end
    sys.exit(end(names, seconds, signal_text, as_json))


@instance.command(context_settings=CONTEXT)
@NAMES
@click.option("-f", "--force", is_flag=True, help="Also one that runs; it is switched off.")
@json_option
def delete(names: tuple[str, ...], force: bool, as_json: bool) -> None:
    """Delete instances and all that belongs to them.

    \b
    stout instance delete web
    stout instance delete -f web db
    """
    from .commands import delete as remove
    sys.exit(remove(names, force, as_json))


@instance.command(context_settings=CONTEXT)
@NAMES
@click.option("--json", is_flag=True, hidden=True, expose_value=False)  # it is so anyway
def inspect(names: tuple[str, ...]) -> None:
    """Print all that is known about instances, as JSON.

    \b
    stout instance inspect web
    """
    from .commands import inspect as show
    sys.exit(show(names))


@instance.command(context_settings=CONTEXT)
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on until the instance ends.")
@click.option("-n", "--tail", type=click.IntRange(0), metavar="N", help="Only the last N lines.")
@click.option("-t", "--timestamps", is_flag=True, help="Begin each line with its time.")
@click.option("--kernel", is_flag=True, help="The kernel's log instead of the program's output.")
@click.option("--json", "as_json", is_flag=True, help="Print an object a line: time, stream, text.")
def logs(**values: Any) -> None:
    """Print what the program wrote; its errors go to stderr.

    \b
    stout instance logs -f web
    stout instance logs -n 20 -t web
    stout instance logs --kernel -n 50 web
    """
    from .commands import logs as show
    sys.exit(show(**values))


@instance.command(context_settings=CONTEXT)
@click.argument("name")
def attach(name: str) -> None:
    """Use this terminal as the program's: see what it writes, and with create -i or -t also type to it.

    \b
    stout instance create -t --name shell bash
    stout instance attach shell                      Ctrl-P Ctrl-Q leaves it
    """
    from .attach import attach as connect
    sys.exit(connect(name))


@instance.command(context_settings=CONTEXT)
@click.argument("names", nargs=-1, metavar="[NAME...]")
@json_option
@click.option("--once", is_flag=True, help="Do not refresh; the default where stdout is no terminal.")
def stats(names: tuple[str, ...], as_json: bool, once: bool) -> None:
    """Show what instances use: processor, memory, network; all that run, or those that are named.

    \b
    stout instance stats
    stout instance stats --once --json web
    """
    from .stats import stats as show
    sys.exit(show(names, as_json, once))


@instance.command(context_settings=CONTEXT)
@json_option
def resume(as_json: bool) -> None:
    """Start again what ran when the host went down, as restart policies say; for the host's boot.

    \b
    stout instance resume
    """
    from .commands import resume as begin
    sys.exit(begin(as_json))


@click.group(cls=Group, context_settings=CONTEXT)
def network() -> None:
    """Networks between instances of this host; no root is needed.

    \b
    stout network create backend
    stout instance create --name db --network backend redis-server --protected-mode no
    stout instance create --name web --network backend -p 8080 node server.js      # reaches it as "db"
    """


@network.command("create", context_settings=CONTEXT)
@click.argument("name")
@click.option("--subnet", "subnet_text", metavar="ADDRESS/BITS", help="Default: a free one of 10.89.0.0/16.")
@json_option
def network_create(name: str, subnet_text: str | None, as_json: bool) -> None:
    """Make a network.

    \b
    stout network create backend
    stout network create --subnet 10.1.2.0/24 backend
    """
    from .network import create as make
    sys.exit(make(name, subnet_text, as_json))


@network.command("list", context_settings=CONTEXT)
@json_option
def network_list(as_json: bool) -> None:
    """List the networks, with the instances in them.

    \b
    stout network list
    """
    from .network import list_networks
    sys.exit(list_networks(as_json))


@network.command("delete", context_settings=CONTEXT)
@NAMES
@json_option
def network_delete(names: tuple[str, ...], as_json: bool) -> None:
    """Delete networks that no instance is in.

    \b
    stout network delete backend
    """
    from .network import delete as remove
    sys.exit(remove(names, as_json))
