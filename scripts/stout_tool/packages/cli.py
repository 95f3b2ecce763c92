# SPDX-License-Identifier: MIT
"""The commands of stout pkg and their options."""
from __future__ import annotations

import sys
from typing import Any

import click

from ..cli import CONTEXT, Group, image_options, json_option, machine_options, with_options


@click.group(cls=Group, context_settings=CONTEXT)
def pkg() -> None:
    """Packages: runtimes and root file systems in a store of your own.

    \b
    stout pkg load node_v14.2.0 -p 8083 -a server.js     fetch it if need be, and run a script with it
    stout pkg from-docker nginx.tar                      what docker save wrote
    """


making = with_options((
    click.option("-n", "--name", metavar="NAME", help="The package's name (default: from what it is made of)."),
    click.option("-f", "--force", is_flag=True, help="Replace a package of the same name."),
    json_option,
))


@pkg.command("list", context_settings=CONTEXT)
@json_option
def list_command(as_json: bool) -> None:
    """List the packages of the store.

    \b
    stout pkg list
    stout pkg list --json
    """
    from .commands import list_packages
    sys.exit(list_packages(as_json))


@pkg.command(context_settings=CONTEXT)
@click.argument("text")
@json_option
def search(text: str, as_json: bool) -> None:
    """Find TEXT among the names of packages: in the store, Node.js's versions, Debian's.

    \b
    stout pkg search redis
    """
    from .search import search as find
    sys.exit(find(text, as_json))


@pkg.command(context_settings=CONTEXT)
@click.argument("name")
@json_option
def describe(name: str, as_json: bool) -> None:
    """Say what a package runs, and where it is from.

    \b
    stout pkg describe node_v14.2.0
    """
    from .commands import describe as say
    sys.exit(say(name, as_json))


@pkg.command(context_settings=CONTEXT)
@click.argument("name")
@click.argument("pattern", required=False)
@json_option
def contents(name: str, pattern: str | None, as_json: bool) -> None:
    """List a package's files, or those that match a PATTERN such as '/etc/*'.

    \b
    stout pkg contents redis-server '/etc/*'
    """
    from .commands import contents as show
    sys.exit(show(name, pattern, as_json))


@pkg.command(context_settings=CONTEXT)
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@json_option
def remove(names: tuple[str, ...], as_json: bool) -> None:
    """Remove packages from the store.

    \b
    stout pkg remove node_v14.2.0
    """
    from .commands import remove as take_out
    sys.exit(take_out(names, as_json))


@pkg.command(context_settings=CONTEXT)
@click.option("-a", "--args", "words", multiple=True, metavar="ARG",
              help="An argument of the program; a file of this host comes with its folder or package.")
@machine_options
@image_options(program=False)
@click.argument("name")
@click.argument("args", nargs=-1)
@click.pass_context
def load(context: click.Context, name: str, config: str | None, words: tuple[str, ...], args: tuple[str, ...], **values: Any) -> None:
    """Run a package with your files on top.

    \b
    stout pkg load node_v14.2.0 -p 8083 -a server.js
    stout pkg load python3 -a app.py --add data:/srv/data
    """
    from ..config import merge
    from ..run import RunOptions, run
    values |= {"package": name, "program": None, "args": (*words, *args)}
    sys.exit(run(RunOptions(**merge(context, config, values))))


what_it_runs = with_options((
    click.option("--program", metavar="PATH", help="The program in the folder (default: the only one in it)."),
    click.option("-a", "--args", multiple=True, metavar="ARG", help="An argument that the program always gets."),
    click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="A variable that it gets."),
    click.option("-w", "--workdir", metavar="DIR", help="Start it in this directory."),
    click.option("-u", "--user", metavar="UID[:GID]", help="Run it as this user."),
    click.option("-p", "--port", "ports", multiple=True, metavar="PORT[/udp]", help="A port it listens on, for people who read describe."),
    click.option("--description", metavar="TEXT", help="One line for list and describe."),
    click.option("--secrets", is_flag=True, help="Also take files that look like secrets: .env, private keys, .git."),
))


@pkg.command("from-dir", context_settings=CONTEXT)
@click.argument("folder")
@what_it_runs
@making
def from_dir(folder: str, args: tuple[str, ...], env: tuple[str, ...], ports: tuple[str, ...], **values: Any) -> None:
    """Make a package of a FOLDER.

    \b
    stout pkg from-dir ./rootfs --program /usr/bin/server -n server
    """
    from ..run import parse_env
    from .from_dir import from_dir as make
    sys.exit(make(folder, args=list(args), env=parse_env(env, ()), ports=list(ports), **values))


@pkg.command(context_settings=CONTEXT)
@click.argument("source", metavar="FOLDER|ARCHIVE")
@what_it_runs
@making
def add(source: str, args: tuple[str, ...], env: tuple[str, ...], ports: tuple[str, ...], **values: Any) -> None:
    """Add a local package: one of a store, one of ops, or files, in a FOLDER or a tar ARCHIVE.

    \b
    stout pkg add app.tar.gz --program /bin/server
    tar -C ~/.local/share/stout/packages -cf node.tar node_v14.2.0     on one host, and on another:
    stout pkg add node.tar
    """
    from ..run import parse_env
    from .add import add as take
    sys.exit(take(source, args=list(args), env=parse_env(env, ()), ports=list(ports), **values))


@pkg.command("from-docker", context_settings=CONTEXT)
@click.argument("image")
@making
def from_docker(image: str, **values: Any) -> None:
    """Make a package of a container IMAGE.

    IMAGE is an archive of docker save, an OCI layout (a folder or an archive), each with :TAG where it has several images, or
    a registry's name, fetched by skopeo.

    \b
    stout pkg from-docker nginx.tar
    stout pkg from-docker nginx:1.25 -n nginx
    """
    from .from_docker import from_docker as make
    sys.exit(make(image, **values))


@pkg.command(context_settings=CONTEXT)
@click.argument("name")
@click.option("-f", "--force", is_flag=True, help="Fetch it again.")
@json_option
def get(**values: Any) -> None:
    """Fetch a package: node_v14.2.0, or node_v20 for the newest of these.

    \b
    stout pkg get node_v14.2.0
    """
    from .get import get as fetch
    sys.exit(fetch(**values))


@pkg.command("from-apt", context_settings=CONTEXT)
@click.argument("names", nargs=-1, required=True, metavar="PACKAGE...")
@click.option("--program", metavar="PATH", help="The program (default: the one with the package's name).")
@click.option("-a", "--args", multiple=True, metavar="ARG", help="An argument that the program always gets.")
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="A variable that it gets.")
@click.option("-w", "--workdir", metavar="DIR", help="Start it in this directory.")
@click.option("-u", "--user", metavar="NAME|UID[:GID]", help="Run it as this user.")
@making
def from_apt(names: tuple[str, ...], args: tuple[str, ...], env: tuple[str, ...], **values: Any) -> None:
    """Make a package of Debian PACKAGEs and all they depend on, without root.

    \b
    stout pkg from-apt redis-server
    stout pkg from-apt python3 python3-flask --program /usr/bin/python3 -n flask
    """
    from ..run import parse_env
    from .from_apt import from_apt as make
    sys.exit(make(names, args=list(args), env=parse_env(env, ()), **values))


@pkg.command("from-npm", context_settings=CONTEXT)
@click.argument("spec", metavar="NAME[@VERSION]")
@click.option("--node", metavar="VERSION", help="Run it with this Node from the registry (default: this host's).")
@click.option("--program", metavar="COMMAND", help="The command of the package (default: the one with its name).")
@click.option("-a", "--args", multiple=True, metavar="ARG", help="An argument that it always gets.")
@click.option("-e", "--env", multiple=True, metavar="NAME=VALUE", help="A variable that it gets.")
@click.option("--scripts", is_flag=True, help="Let packages run their installation scripts on this host.")
@making
def from_npm(spec: str, args: tuple[str, ...], env: tuple[str, ...], **values: Any) -> None:
    """Make a package of an npm package, with its dependencies and Node.

    \b
    stout pkg from-npm http-server --node 20
    """
    from ..run import parse_env
    from .from_npm import from_npm as make
    sys.exit(make(spec, args=list(args), env=parse_env(env, ()), **values))
