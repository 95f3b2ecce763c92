# SPDX-License-Identifier: MIT
"""The commands and their options; what they do is imported only when it is needed."""
from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from . import __version__
from .errors import STATUS_TOOL, StoutError, usage

IMAGE_KINDS = ["iso", "raw", "qcow2", "vmdk", "vdi", "vhd", "ova", "virtualbox", "aws", "azure", "gcp", "qemu", "xen"]
TEST_LABELS = ("style", "build", "unit", "fuzz", "guest", "app", "kvm", "bench", "slow")
SENTENCE_MAX = 200
CONTEXT = {"help_option_names": ["-h", "--help"]}


NEAR = 0.65  # of difflib: "rnu" is near to "run", "core" is not near to "doctor"
# Words of docker, ops and kraft, and what does their work here.
RESTART = "stout instance stop, then stout instance start"
EXEC = "stout instance attach, which leads to the program itself: nobody in the machine would start another"
COMMANDS_OF_OTHERS = {
    "ps": "stout instance list", "logs": "stout instance logs", "attach": "stout instance attach", "create": "stout instance create",
    "deploy": "stout instance create", "start": "stout instance start", "stop": "stout instance stop", "kill": "stout instance stop -t 0",
    "rm": "stout instance delete", "stats": "stout instance stats", "inspect": "stout instance inspect", "load": "stout pkg load",
    "images": "stout image list", "rmi": "stout image delete", "pull": "stout pkg from-docker NAME", "package": "stout pkg",
    "net": "stout network", "top": "stout profile --top", "trace": "stout run --trace syscalls", "gdb": "stout run --gdb",
    "restart": RESTART, "reboot": RESTART, "exec": EXEC, "instance restart": RESTART, "instance reboot": RESTART, "instance exec": EXEC,
    "instance ps": "stout instance list", "instance kill": "stout instance stop -t 0", "instance rm": "stout instance delete",
    "image rm": "stout image delete", "pkg delete": "stout pkg remove", "pkg rm": "stout pkg remove",
    "volume": "-v HOST:GUEST of stout run, which shares a folder of this host: there are no other volumes",
}
OPTIONS_OF_OTHERS = {
    "--volume": "-v HOST:GUEST shares a folder of this host; there are no other volumes.", "--mount": "-v HOST:GUEST shares a folder of this host.",
    "-d": "stout instance create starts a program in the background.", "--detach": "stout instance create starts a program in the background.",
    "-t": "-i is enough: the program has a terminal where you have one.", "--tty": "-i is enough: the program has a terminal where you have one.",
    "--name": "stout instance create gives a machine a name.", "--network": "--net says which network, and stout instance create joins others.",
    "--rm": "leave it out: nothing of stout run stays behind.", "--smp": "--cpus says how many processors.", "--port": "it is -p HOST:GUEST.",
}


class Group(click.Group):
    """A word that is no command gets the one that is near, or that does the work of another tool's."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first sentence of each, whole, in as many lines as it takes."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(SENTENCE_MAX)) for name, command in found if command and not command.hidden])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """help before the words of a command is --help behind them."""
        return super().parse_args(ctx, [*args[1:], "--help"] if args[:1] == ["help"] else args)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if not ctx.resilient_parsing and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            import difflib
            known = COMMANDS_OF_OTHERS.get(f"{ctx.command_path} {args[0]}".removeprefix("stout "))
            near = difflib.get_close_matches(args[0], [*self.list_commands(ctx), "help"], 1, NEAR)
            remedy = f"use {known}." if known else f"did you mean {near[0]}?" if near else "see --help."
            raise click.UsageError(f"There is no command {ctx.command_path} {args[0]}; {remedy}", ctx)
        return super().resolve_command(ctx, args)


class Commands(Group):
    """Some commands stand in modules of their own, imported when they are used."""

    ELSEWHERE = {"export": "export.cli", "image": "image_cli", "instance": "instances.cli", "network": "instances.cli", "pkg": "packages.cli"}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self.ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        import importlib
        found: click.Command = getattr(importlib.import_module(f"{__package__}.{self.ELSEWHERE[cmd_name]}"), cmd_name)
        return found

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(130)  # click would print an empty line


@click.group(cls=Commands, context_settings=CONTEXT)
@click.version_option(__version__, "-V", "--version", prog_name="stout", message="%(prog)s %(version)s")
def main() -> None:
    """Stout runs unmodified Linux x86-64 programs as virtual machines, without a Linux in them.

    \b
    stout run -p 8080:80 nginx -g 'daemon off;'
    stout build -t qcow2 -o web.qcow2 server.js
    stout instance create --name web -p 8080:80 server.js
    """


json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def with_options(options: Sequence[Callable[..., Any]]) -> Callable[..., Any]:
    """A decorator: the options in the order of the list."""
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


def image_options(program: bool = True, address: bool = True) -> Callable[..., Any]:
    """Options that say what is in an image; run and build share them, and pkg load, which has no program.
    address: the machine may have one of the user's choice."""
    addresses = [
        click.option("--ip", metavar="ADDRESS/BITS", help="A fixed address (default: the user network's; else by DHCP)."),
        click.option("--gw", metavar="ADDRESS", help="With --ip: the router."),
        click.option("--dns", multiple=True, metavar="ADDRESS", help="With --ip: a name server."),
    ]
    options = [
        click.option("-e", "--env", multiple=True, metavar="NAME=VALUE",
                     help="Set an environment variable."),
        click.option("--env-file", multiple=True, metavar="FILE",
                     help="Read environment variables from a file."),
        click.option("--add", multiple=True, metavar="PATH[:GUESTPATH]",
                     help="Put a file, folder or command of this host in the image; a program brings what it needs."),
        click.option("--secrets", is_flag=True, help="Also take files that look like secrets: .env, private keys, .git."),
        click.option("-w", "--workdir", metavar="DIR", help="Start the program in this directory."),
        click.option("--hostname", metavar="NAME", help="The host name that the program sees."),
        click.option("-u", "--user", metavar="NAME|UID[:GROUP|GID]", help="Run as this user (default root)."),
        click.option("--trace", metavar="CLASS[,CLASS]", help="Log what the program does: syscalls, signals or all."),
        click.option("--net", metavar="user|tap:IF|none", default="user", show_default=True,
                     help="The network: QEMU's user network, a tap device of this host, or none."),
        *(addresses if address else ()),
        click.option("--verbose", is_flag=True, help="Show the kernel's log and what was packed."),
        click.option("--kernel", metavar="FILE", help="Start another kernel image."),
        click.option("--kernel-option", "kernel_options", multiple=True, metavar="NAME[=VALUE]",
                     help="An option for the kernel."),
        click.option("--own-musl", is_flag=True, help="Leave a program its own musl, not the one whose system calls are jumps."),
        click.option("-c", "--config", metavar="FILE", help="Read options from a YAML or JSON file, also an ops config.json."),
        click.option("--minimal", is_flag=True, help="Run the program once, and pack only what it opened then (and --add)."),
        click.option("--exercise", metavar="COMMAND", help="With --minimal: run until this command of this host succeeds."),
        click.option("--minimal-seconds", type=float, metavar="N", help="With --minimal: run so long (default: until it ends, or Ctrl-C)."),
        click.option("--compress", is_flag=True, help="Compress the files: a smaller image that needs less memory, and starts a little later."),
        click.option("--entrypoint", metavar="PROGRAM", help="Start this program of the package or image instead of its own."),
    ]
    if program:
        options += [
            click.option("--root", metavar="DIR", help="Use a folder as the whole file system."),
            click.option("--image", metavar="FILE|NAME",
                         help="Use a container image: an archive of docker save, an OCI layout or archive, or a registry's name."),
            click.option("--package", metavar="NAME", help="Use a package of the store (stout pkg list) as the file system."),
            click.argument("program", required=False),
            click.argument("args", nargs=-1, type=click.UNPROCESSED),
        ]
    return with_options(options)


def refuse_idle_ports(context: click.Context, values: dict[str, Any]) -> None:
    """Of a machine that is started elsewhere.  A configuration may have them for other commands."""
    if not values["minimal"] and context.get_parameter_source("publish") == click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("-p is for the run of --minimal; which ports lead to the machine is said where it is started.", context)


machine_options = with_options([
    click.option("-p", "--publish", multiple=True, metavar="[ADDRESS:]HOST:GUEST[/udp]",
                 help="Make a port of the program reachable on this host, at ADDRESS (default 127.0.0.1); one number stands for both."),
    click.option("-v", "folders", multiple=True, metavar="HOST:GUEST[:ro]",
                 help="Share a folder of this host: -v ./public:/srv:ro"),
    click.option("-m", "--memory", metavar="SIZE", help="Memory of the machine, for example 256M or 2G (default: 512M, more for a large image)."),
    click.option("--cpus", type=int, default=1, show_default=True, help="Number of processors, up to 64."),
    click.option("-i", "--interactive", is_flag=True, help="Pass standard input to the program."),
    click.option("--accel", type=click.Choice(["kvm", "tcg"]), help="Default: KVM where it works."),
    click.option("--machine", type=click.Choice(["microvm", "q35", "pc"]), help="Default: microvm."),
    click.option("--nic", type=click.Choice(["virtio", "e1000", "e1000e", "vmxnet3"]),
                 help="The network card (default virtio); another hypervisor's needs a machine with PCI (default q35)."),
    click.option("--boot", type=click.Choice(["pvh", "mb2", "mb1", "uefi"]), default="pvh",
                 help="Start directly (pvh) or from a GRUB disc: multiboot 2 or 1 under BIOS, or UEFI."),
    click.option("--gdb", is_flag=True, help="Wait for a debugger at 127.0.0.1:1234."),
    click.option("--count-calls", metavar="FILE",
                 help="Write to a file how often each system call was made, how often by a jump, and with which errors."),
    click.option("--dry-run", is_flag=True, help="Print the QEMU command instead of running it."),
    click.option("--qemu-arg", "qemu_args", multiple=True, metavar="TEXT", help="More arguments for QEMU."),
])


@main.command(context_settings=dict(CONTEXT, allow_interspersed_args=False))
@machine_options
@image_options()
@click.pass_context
def run(context: click.Context, config: str | None, **values: Any) -> None:
    """Run PROGRAM of this host in a machine of its own; its libraries are found by themselves.

    \b
    stout run -p 8080:80 nginx -g 'daemon off;'
    stout run -m 256M -e DEBUG=1 server.js
    stout run -v ./public:/srv:ro --workdir /srv python3 -m http.server
    stout run --image nginx.tar -p 8080:80
    """
    from .config import merge
    from .run import RunOptions, run as run_machine
    sys.exit(run_machine(RunOptions(**merge(context, config, values))))


def refuse_run_options(context: click.Context, used: Sequence[str]) -> None:
    for parameter in context.command.params:
        name = str(parameter.name)
        if name not in used and context.params.get(name) and context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE:
            what = parameter.opts[0] if isinstance(parameter, click.Option) else "the program"
            raise click.UsageError(f"--instance looks into what runs already; leave out {what}.", context)


@main.command(context_settings=dict(CONTEXT, allow_interspersed_args=False))
@click.option("--hz", type=int, default=99, show_default=True, metavar="N", help="Samples of each processor a second.")
@click.option("--duration", type=float, metavar="SECONDS", help="End after this time (default: when the program ends, or by Ctrl-C).")
@click.option("-o", "--output", metavar="FILE",
              help="A flame graph (.svg, default profile.svg), folded stacks (.folded) or .json.")
@click.option("--instance", metavar="NAME", help="Look into a running instance (stout instance list) instead of starting a program.")
@click.option("--top", "wants_top", is_flag=True, help="Print a table of the functions that took the time.")
@click.option("--json", "wants_json", is_flag=True, help="Print everything as JSON.")
@machine_options
@image_options()
@click.pass_context
def profile(context: click.Context, config: str | None, hz: int, duration: float | None, output: str | None, wants_top: bool, wants_json: bool,
            instance: str | None, **values: Any) -> None:
    """Run PROGRAM and see where its time goes, in the program and in the kernel.

    \b
    stout profile -p 8080 node --perf-basic-prof server.js     # Ctrl-C writes profile.svg
    stout profile --top --duration 10 -p 8080 nginx -g 'daemon off;'
    stout profile --instance web --duration 10 -o web.svg
    """
    from .config import merge
    from .profile.record import Report, profile_instance, profile_program
    from .run import RunOptions
    report = Report(output, wants_top, wants_json)
    if instance:
        refuse_run_options(context, ("hz", "duration", "output", "instance", "wants_top", "wants_json"))
        sys.exit(profile_instance(instance, report, hz, duration))
    sys.exit(profile_program(RunOptions(**merge(context, config, values)), report, hz, duration))


@main.command(context_settings=dict(CONTEXT, allow_interspersed_args=False))
@click.option("-t", "--type", "kind", metavar="KIND", type=click.Choice(IMAGE_KINDS),
              help="A disc: iso.  A disk: raw, qcow2, vmdk, vdi, vhd (fixed).  A machine: ova, virtualbox (vdi and ova).  A cloud's: "
                   "aws (raw), azure (vhd), gcp (tar.gz).  All of these boot by GRUB under BIOS and UEFI.  Kernel and archive in a "
                   "tar: qemu (with a script), xen (with a domain).")
@click.option("-o", "--output", metavar="FILE", help="Default: the program's name; - is standard output.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the files with their sizes.")
@click.option("-v", "folders", multiple=True, hidden=True)
@click.option("-p", "--publish", multiple=True, metavar="HOST:GUEST[/udp]", help="With --minimal: a port for --exercise.")
@image_options()
@click.pass_context
def build(context: click.Context, config: str | None, kind: str | None, output: str | None, as_json: bool, **values: Any) -> None:
    """Make a bootable image of PROGRAM.

    \b
    stout build -t iso -o hello.iso /bin/echo hello
    stout build server.js -t virtualbox
    stout build -t qemu -o hello.tar /bin/echo hello && tar -xf hello.tar && hello/run
    stout build -t iso --minimal -p 8080 --exercise 'curl -fs localhost:8080' server.js
    """
    if kind is None and len(values["args"]) >= 2 and values["args"][-2] == "-t" and values["args"][-1] in IMAGE_KINDS:
        *values["args"], _, kind = values["args"]  # as users of ops write it
    from .build import build as build_image
    from .config import merge
    merged = merge(context, config, values)
    refuse_idle_ports(context, merged)
    sys.exit(build_image(kind, output, as_json, **merged))


@main.command(context_settings=CONTEXT)
@click.argument("folder", default=".")
@click.option("-o", "--output", metavar="FILE", help="Default: stout.yaml in the folder; - is standard output.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: the file.")
def init(folder: str, output: str | None, as_json: bool) -> None:
    """Write a configuration for the program in FOLDER (default: here).

    \b
    stout init && stout run -c stout.yaml
    stout init ./app -o app.yaml
    """
    from .init import init as write_config
    sys.exit(write_config(folder, output, as_json))


@main.command(context_settings=CONTEXT)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion of SHELL.

    \b
    source <(stout completion bash)                                      in ~/.bashrc
    stout completion zsh > ~/.zfunc/_stout                               a folder of fpath
    stout completion fish > ~/.config/fish/completions/stout.fish
    """
    from .completion import completion as write
    sys.exit(write(shell))


@main.command(context_settings=CONTEXT)
@json_option
def doctor(as_json: bool) -> None:
    """Say what this host offers and what is missing.

    \b
    stout doctor
    stout doctor --json
    """
    from .doctor import doctor as examine
    sys.exit(examine(as_json))


@main.command(context_settings=CONTEXT)
@click.option("-l", "--label", "labels", multiple=True, metavar="LABEL",
              help=f"Only these tiers: {', '.join(TEST_LABELS)} (default: all but slow).")
@click.option("-k", "--match", "pattern", metavar="TEXT", help="Only tests whose name contains this.")
@click.option("-j", "--jobs", type=int, help="Tests at a time (default: the number of processors).")
@click.option("--list", "list_only", is_flag=True, help="Only print the tests' names.")
@click.option("-v", "--verbose", is_flag=True, help="Print the output of passed tests too.")
def test(**values: Any) -> None:
    """Run the project's tests; the last line is "N passed, N failed".

    \b
    stout test
    stout test -l guest -k epoll -j 1
    """
    need_checkout("test")
    from .testrun import run_tests
    sys.exit(run_tests(**values))


@main.command(context_settings=CONTEXT)
@click.option("--json", "as_json", is_flag=True, help="Print a list of objects.")
@click.option("--all", "everything", is_flag=True, help="Also the figures that take long.")
@click.option("-k", "--match", "pattern", metavar="TEXT", help="Only figures whose name contains this.")
@click.option("-o", "--output", metavar="FILE", help="Also put the table into a copy of docs/benchmarks.md.")
def bench(**values: Any) -> None:
    """Measure, beside a minimal Linux guest on the same emulated machine.

    \b
    stout bench
    stout bench -k boot --json
    """
    need_checkout("bench")
    from .bench import run_bench
    sys.exit(run_bench(**values))


def need_checkout(command: str) -> None:
    from .paths import IS_CHECKOUT
    if not IS_CHECKOUT:
        raise usage(f"stout {command} belongs to the project's sources; run it in a checkout.")


def entry() -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if os.environ.get("_STOUT_COMPLETE"):
            from .completion import register
            register()
        main(prog_name="stout", standalone_mode=False)
    except click.ClickException as error:
        sys.stderr.write(f"stout: {usage_sentence(error)}\n")
        sys.exit(2)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except StoutError as error:
        sys.stderr.write(f"stout: {error.sentence}\n")
        sys.exit(error.status)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for what Python still flushes at its end
        sys.exit(141)
    except OSError as error:
        if os.environ.get("STOUT_DEBUG"):
            raise
        sys.stderr.write(f"stout: {describe(error)}\n")
        sys.exit(STATUS_TOOL)
    except Exception as error:
        if os.environ.get("STOUT_DEBUG"):
            raise
        sys.stderr.write(f"stout: This is a mistake in stout itself ({type(error).__name__}: {' '.join(str(error).split())[:200]}); please "
                         "report it to the project, with what the same command prints with STOUT_DEBUG=1.\n")
        sys.exit(STATUS_TOOL)


def usage_sentence(error: click.ClickException) -> str:
    """What click says on three lines."""
    if isinstance(error, click.NoSuchOption) and error.option_name in OPTIONS_OF_OTHERS:
        return f"There is no option {error.option_name}; {OPTIONS_OF_OTHERS[error.option_name]}"
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if context is None or ";" in text or text.endswith("?"):
        return text
    return f"{text.rstrip('.')}; see: {context.command_path} --help"


def describe(error: OSError) -> str:
    """A system's error that nobody foresaw, as a sentence."""
    reason = (error.strerror or str(error)).lower()
    names = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    what = f"{' and '.join(names)}: {reason}" if names else f"The host says: {reason}"
    return f"{what} (STOUT_DEBUG=1 shows where)."
