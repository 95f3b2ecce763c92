# SPDX-License-Identifier: MIT
"""stout-oci's command line: that of runc, which podman, containerd and Docker speak."""
from __future__ import annotations

import datetime
import json
import os
import sys
from typing import Any

import click

from .. import __version__
from ..errors import StoutError, cannot_run
from .container import VERSION, all_containers, default_root

STATUS_FAILED = 1
FLAGS = {"hidden": True, "is_flag": True}
REFUSED = {
    "exec": "A machine runs one program and its children, and has nobody who would start another from outside; run a second container, "
            "give the program a shell of its own, or look at it by its logs and its ports",
    "checkpoint": "A machine cannot be written to a checkpoint; stop the container and start it again",
    "restore": "A machine cannot be restored from a checkpoint; create the container again",
    "update": "The memory and the processors of a machine are fixed when it starts; create the container again with others",
    "events": "Figures of a machine come from its process: podman stats, or /proc of the pid that `stout-oci state` shows",
    "spec": "A specification for a bundle comes from the tool that unpacks the image; use: umoci unpack --image DIR:TAG BUNDLE",
}


class Logger:
    """--log and --log-format: engines read the reason of a failure there."""

    def __init__(self) -> None:
        self.path: str | None = None
        self.form = "text"
        self.debug = False

    def write(self, level: str, text: str) -> None:
        at = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
        line = json.dumps({"msg": text, "level": level, "time": at}) if self.form == "json" else (
            f'time="{at}" level={level} msg={json.dumps(text)}')
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(line + "\n")

    def error(self, sentence: str) -> None:
        try:
            self.write("error", sentence)
        except OSError as error:
            sys.stderr.write(f"stout-oci: --log {self.path} cannot be written: {error.strerror}.\n")
        sys.stderr.write(f"stout-oci: {sentence}\n")

    def notice(self, text: str) -> None:
        self.write("info", text)


logger = Logger()


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--root", metavar="DIR", default=default_root, help="Where the states of the containers are kept.")
@click.option("--log", metavar="FILE", help="Write errors to a file.")
@click.option("--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option("--debug", is_flag=True, help="A traceback for mistakes in the runtime itself.")
@click.option("--systemd-cgroup", **FLAGS)
@click.option("--criu", hidden=True)
@click.option("--rootless", hidden=True)
@click.option("--cgroup-manager", hidden=True)
@click.version_option(__version__, "-v", "--version", prog_name="stout-oci", message=f"%(prog)s version %(version)s\nspec: {VERSION}")
@click.pass_context
def main(context: click.Context, root: str, log: str | None, log_format: str, debug: bool, **_: Any) -> None:
    """An OCI runtime: each container is a virtual machine with the Stout unikernel."""
    logger.path, logger.form, logger.debug = log, log_format, debug
    context.obj = os.path.abspath(root)


@main.command()
@click.option("-b", "--bundle", default=".", metavar="DIR", help="The bundle's folder (default: here).")
@click.option("--console-socket", metavar="FILE", help="Where the terminal's master is sent.")
@click.option("--pid-file", metavar="FILE", help="Write the pid of the machine's process to a file.")
@click.option("--no-pivot", **FLAGS)
@click.option("--no-new-keyring", **FLAGS)
@click.option("--preserve-fds", hidden=True)
@click.argument("name", metavar="ID")
@click.pass_obj
def create(root: str, name: str, bundle: str, console_socket: str | None, pid_file: str | None, **_: Any) -> None:
    """Make a container of a bundle; its program does not run yet."""
    from .commands import create as create_container
    create_container(root, name, bundle, console_socket, pid_file, logger.notice)


@main.command()
@click.argument("name", metavar="ID")
@click.pass_obj
def start(root: str, name: str) -> None:
    """Start the program of a container that was created."""
    from .commands import start as start_container
    start_container(root, name)


@main.command()
@click.argument("name", metavar="ID")
@click.pass_obj
def state(root: str, name: str) -> None:
    """Print the state of a container, as JSON."""
    from .commands import state as print_state
    print_state(root, name)


@main.command()
@click.option("-a", "--all", "everything", is_flag=True, help="All processes; a container that has stopped is no error.")
@click.argument("name", metavar="ID")
@click.argument("number", metavar="[SIGNAL]", default="TERM")
@click.pass_obj
def kill(root: str, name: str, number: str, everything: bool) -> None:
    """Send a signal to the first process in the machine; KILL ends the machine."""
    from .commands import kill as kill_container
    kill_container(root, name, number, everything)


@main.command()
@click.option("-f", "--force", is_flag=True, help="Also one that runs, and it is no error if there is none.")
@click.argument("name", metavar="ID")
@click.pass_obj
def delete(root: str, name: str, force: bool) -> None:
    """Remove a container that has stopped."""
    from .commands import delete as delete_container
    delete_container(root, name, force)


@main.command()
@click.argument("name", metavar="ID")
@click.pass_obj
def pause(root: str, name: str) -> None:
    """Let the machine stand still."""
    from .commands import pause as pause_container
    pause_container(root, name)


@main.command()
@click.argument("name", metavar="ID")
@click.pass_obj
def resume(root: str, name: str) -> None:
    """Let a machine that stands still go on."""
    from .commands import resume as resume_container
    resume_container(root, name)


@main.command(name="list")
@click.option("-f", "--format", "form", type=click.Choice(["table", "json"]), default="table")
@click.option("-q", "--quiet", is_flag=True, help="Only the ids.")
@click.pass_obj
def list_all(root: str, form: str, quiet: bool) -> None:
    """List the containers."""
    from ..tables import print_json, print_table
    found = [container.describe() for container in all_containers(root)]
    if quiet:
        print("".join(f"{item['id']}\n" for item in found), end="")
    elif form == "json":
        print_json(found)
    else:
        print_table(("ID", "PID", "STATUS", "BUNDLE"), [(item["id"], str(item.get("pid", 0)), item["status"], item["bundle"]) for item in found])


@main.command()
@click.option("-f", "--format", "form", type=click.Choice(["table", "json"]), default="json")
@click.argument("name", metavar="ID")
@click.pass_obj
def ps(root: str, name: str, form: str) -> None:
    """The process of this host that is the machine."""
    from .container import Container
    pid = Container(root, name).describe().get("pid")
    print(json.dumps([pid] if pid else []) if form == "json" else f"PID\n{pid or ''}")


@main.command()
def features() -> None:
    """What the runtime knows of the specification, as JSON (features.md)."""
    from .bundle import UNSAFE
    print(json.dumps({
        "ociVersionMin": "1.0.0", "ociVersionMax": VERSION,
        "hooks": ["prestart", "createRuntime", "poststart", "poststop"],
        "mountOptions": ["bind", "rbind", "ro", "rw", "private", "rprivate"],
        "linux": {"namespaces": ["network"], "capabilities": [], "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False},
                  "seccomp": {"enabled": False}, "apparmor": {"enabled": False}, "selinux": {"enabled": False}},
        "annotations": {"stout.version": __version__}, "potentiallyUnsafeConfigAnnotations": list(UNSAFE)}, indent=2))


def refuse(name: str) -> None:
    @main.command(name=name, help=REFUSED[name].partition(";")[0] + ".",
                  context_settings={"ignore_unknown_options": True, "help_option_names": []})
    @click.argument("words", nargs=-1, type=click.UNPROCESSED)
    def refused(words: tuple[str, ...]) -> None:
        raise cannot_run(REFUSED[name] + ".")


for word in REFUSED:
    refuse(word)


def entry() -> None:
    os.environ.setdefault("STOUT_NO_BUILD", "1")  # a kernel that was built is the one, whatever the sources' times
    try:
        main(prog_name="stout-oci", standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.ClickException as error:
        logger.error(error.format_message())
        sys.exit(STATUS_FAILED)
    except StoutError as error:
        logger.error(error.sentence)
        sys.exit(error.status if error.status > 2 else STATUS_FAILED)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except Exception as error:
        if logger.debug:
            raise
        text = str(error) if isinstance(error, OSError) else f"this is a mistake in the runtime ({type(error).__name__}: {error})"
        logger.error(f"{text} (--debug shows where).")
        sys.exit(STATUS_FAILED)
