# SPDX-License-Identifier: MIT
"""stout run: gather, pack, start, watch."""
from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from . import folders, qemu
from .errors import usage
from .image import Image
from .kernel import image_path
from .log import KernelLog
from .network import Network
from .output import STDOUT, check_report, write_report
from .terminal import window_size
from .vm import VirtualMachine, report

if TYPE_CHECKING:
    from .profile.record import Listener
    from .qemu import Machine

TRACE_CLASSES = ("syscalls", "signals", "all")  # those of kernel/strace.c that are for people
HOSTNAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")  # it stands among other words in /etc/hosts


class RunOptions:
    """What the command line said, checked and with defaults."""

    def __init__(self, **values: Any) -> None:
        self.program: str = values["program"]
        self.args = list(values.get("args", ()))
        self.add = list(values.get("add", ()))
        self.root: str | None = values.get("root")
        self.package: str | None = values.get("package")
        self.image: str | None = values.get("image")
        self.entrypoint: str | None = values.get("entrypoint")
        self.keep_reasons = False  # in the image, for stout image inspect
        self.secrets = values.get("secrets", False)
        self.compress = bool(values.get("compress"))
        self.user_files: list[str] = []  # those of this host that are named as arguments of a package
        self.workdir: str | None = values.get("workdir")
        self.hostname = values.get("hostname") or "stout"
        self.user: str | None = values.get("user")
        self.show_trace = bool(values.get("trace"))
        self.count_calls = values.get("count_calls")
        self.trace = ",".join(filter(None, (values.get("trace"), self.count_calls and "counts"))) or None
        self.verbose = values.get("verbose", False)
        self.interactive = values.get("interactive", False)
        self.dry_run = values.get("dry_run", False)
        self.gdb = values.get("gdb", False)
        self.kernel: str | None = values.get("kernel") or os.environ.get("STOUT_KERNEL")
        self.own_musl = bool(values.get("own_musl"))
        self.kernel_options = list(values.get("kernel_options", ()))
        self.qemu_args = [word for text in values.get("qemu_args", ()) for word in qemu.split_arguments("--qemu-arg", text)]
        self.cpus = values.get("cpus", 1)
        self.accel: str | None = values.get("accel")
        self.boot = values.get("boot") or "pvh"
        self.nic = values.get("nic") or "virtio"
        self.machine = values.get("machine") or ("microvm" if self.boot == "pvh" and self.nic == "virtio" else "q35")
        self.network = Network(values.get("net") or "user", values.get("ip"), values.get("gw"), values.get("dns", ()))
        self.env = parse_env(values.get("env", ()), values.get("env_file", ()))
        self.forwards = [qemu.Forward(text) for text in values.get("publish", ())]
        self.container = values.get("container")  # an oci.bundle.Bundle, which has more for the image
        self.folders = folders.parse(values.get("folders", ()), self.machine)
        self.minimal, self.exercise = values.get("minimal", False), values.get("exercise")
        self.minimal_seconds = values.get("minimal_seconds")
        self.memory_text = values.get("memory")
        self.memory = 0  # known when the image is packed
        self._check()
        self.net_manifest = self.network.setting(by_dhcp=False)
        self.stdio = values.get("stdio") or self._stdio()

    def _check(self) -> None:
        if self.minimal or self.exercise or self.minimal_seconds is not None:
            from .minimal import check_options
            check_options(self)
        if self.forwards and self.network.kind == "none":
            raise usage("-p needs a network; leave out --net none.")
        if self.forwards and self.network.kind == "tap":
            raise usage("-p is for the user network; on a tap device every port of the machine is reachable at its own address.")
        if self.boot != "pvh" and self.machine == "microvm":
            raise usage(f"--boot {self.boot} needs a machine with a disk: use --machine q35 or pc.")
        if self.nic != "virtio" and self.machine == "microvm":
            raise usage(f"--nic {self.nic} needs a machine with PCI: use --machine q35 or pc.")
        if not 1 <= self.cpus <= 64:
            raise usage(f"--cpus {self.cpus} is out of range; give 1 to 64.")
        unknown = [name for name in (self.trace or "").split(",") if name not in (*TRACE_CLASSES, "counts", "")]
        if unknown:
            raise usage(f"--trace knows no class {unknown[0]}; give one or more of {', '.join(TRACE_CLASSES)}, with commas.")
        if self.root and not os.path.isdir(self.root):
            raise usage(f"--root {self.root} is not a folder.")
        places = [name for name in ("root", "package", "image") if getattr(self, name)]
        if len(places) > 1:
            raise usage(f"--{places[0]} and --{places[1]} both say where the file system comes from; give one of them.")
        if self.entrypoint and not (self.package or self.image):
            raise usage("--entrypoint needs --package or --image; without them, name the program as the first argument.")
        if len(os.fsencode(self.hostname)) > 64:
            raise usage("--hostname takes at most 64 bytes.")
        if not HOSTNAME.match(self.hostname):
            raise usage(f"--hostname {self.hostname!r} cannot be a host's name; use letters, digits, '-', '_' and '.', not '-' or '.' first.")
        if self.count_calls == STDOUT:
            raise usage("--count-calls - would mix with what the program prints; name a file.")
        if self.workdir and not self.workdir.startswith("/"):
            raise usage(f"--workdir {self.workdir} is not an absolute path.")
        seen = set()
        for forward in self.forwards:
            if (forward.protocol, forward.address, forward.host) in seen:
                raise usage(f"Port {forward.host} is given twice with -p.")
            seen.add((forward.protocol, forward.address, forward.host))

    def _stdio(self) -> list[str]:
        kinds = ["null"]
        if self.interactive:
            kinds = ["tty" if os.isatty(0) else "stream"]
        kinds += ["tty" if os.isatty(fd) else "stream" for fd in (1, 2)]
        if "tty" in kinds and "TERM" in os.environ:
            self.env.setdefault("TERM", os.environ["TERM"])
        return kinds

    def terminal(self) -> int | None:
        """The descriptor of the terminal that the program sees, or None."""
        return next((fd for fd, kind in enumerate(self.stdio) if kind == "tty"), None)


def parse_env(texts: Iterable[str], files: Iterable[str]) -> dict[str, str]:
    """Of a name that comes more than once the last holds, as docker has it; -e stands behind every --env-file."""
    env = {}
    for text in (*env_lines(files), *texts):
        name, equals, value = text.partition("=")
        if not name:
            raise usage(f"-e {text} has no name; write NAME=VALUE.")
        if equals:
            env[name] = value
        elif name in os.environ:  # docker: a bare name is taken from the environment
            env[name] = os.environ[name]
    return env


def env_lines(files: Iterable[str]) -> list[str]:
    found: list[str] = []
    for path in files:
        try:
            with open(path, encoding="utf-8", errors="surrogateescape") as file:
                lines = [line.strip() for line in file.read().splitlines()]
        except OSError as error:
            raise usage(f"--env-file {path} cannot be read: {error.strerror.lower()}.") from None
        found += [line for line in lines if line and not line.startswith("#")]
    return found


def kernel_command_line(options: RunOptions) -> str:
    words = []
    if options.verbose:
        words.append("loglevel=2")
    fd = options.terminal()
    if fd is not None and not options.container:  # whose terminal is its monitor's
        words.append("winsize={}x{}".format(*window_size(fd)))
    return " ".join(words + options.kernel_options)


class Prepared:
    """All that a machine needs to start."""

    def __init__(self, image: Image, kernel: str, archive: str, machine: Machine, boot: list[str]) -> None:
        self.image, self.kernel, self.archive, self.machine, self.boot = image, kernel, archive, machine, boot


def prepare(options: RunOptions, say: Callable[[str], None], notice: Callable[[str], None]) -> Prepared:
    """Gathers and packs the image and chooses the machine."""
    image = Image(options, say)
    image.gather()
    kernel = image_path(options)
    if options.minimal:
        from .minimal import minimise
        minimise(image, options, notice, fresh=False)
    archive = image.write()
    size = os.stat(archive).st_size
    kernel_size = os.stat(kernel).st_size
    if options.memory_text:
        options.memory = qemu.parse_memory(options.memory_text)
    else:
        options.memory = qemu.default_memory(size)
    qemu.check_memory(options.memory, size, kernel_size)
    accel = qemu.choose_accel(options.accel, notice)
    if image.patches_code and options.cpus > 1:
        accel = qemu.take_turns(accel)
    if options.folders and accel != "kvm" and not options.dry_run:  # where nobody would answer
        options.kernel_options.append("clock=ask")
    machine = qemu.Machine(options, accel)
    return Prepared(image, kernel, archive, machine, boot_arguments(options, kernel, archive))


def run(options: RunOptions) -> int:
    return run_machine(options)[0]


def run_machine(options: RunOptions, listener: Listener | None = None) -> tuple[int, Prepared | None]:
    """(exit status, what was prepared, None if nothing ran)"""
    say: Callable[[str], None] = report if options.verbose else (lambda text: None)
    if options.dry_run:
        options.network.look()
    else:
        if options.count_calls:
            check_report("--count-calls", options.count_calls)
        options.network.check_usable()
        for forward in options.forwards:
            forward.check_free()
    prepared = prepare(options, say, report)
    image, kernel, machine, boot = prepared.image, prepared.kernel, prepared.machine, prepared.boot
    if options.dry_run:
        print(shlex.join(machine.command(boot, dry_chardevs(options))))
        return 0, None
    if options.gdb:
        symbols = kernel.removesuffix(".stripped")
        report(f"waiting for gdb: gdb {symbols} -ex 'target remote 127.0.0.1:1234'")
    log = KernelLog(options.verbose or options.show_trace, make_symboliser(options, image, kernel))
    ports = [forward.host for forward in options.forwards if forward.protocol == "tcp"]
    machine_run = VirtualMachine(log, options.interactive, ports, options.terminal(), listener)
    status = machine_run.run(lambda chardevs: machine.command(boot, chardevs))
    if options.count_calls:
        write_counts(options.count_calls, machine_run.counts)
        rows = [[int(word) for word in line.split()[1:4]] for line in machine_run.counts]
        say(f"{sum(row[2] for row in rows)} of {sum(row[0] + row[1] for row in rows)} system calls were jumps")
    return status, prepared


def write_counts(path: str, lines: list[str]) -> None:
    """A line a call: its name, how often it succeeded and failed, how many of them jumped straight to the call's function,
    the numbers of the errors it gave."""
    write_report("--count-calls", path, "".join(line + "\n" for line in sorted(lines)))


def boot_arguments(options: RunOptions, kernel: str, archive: str) -> list[str]:
    line = kernel_command_line(options)
    if options.boot == "pvh":
        return ["-kernel", kernel, "-initrd", archive, "-append", line]
    from . import iso
    return iso.boot_arguments(options.boot, kernel, archive, line)


def dry_chardevs(options: RunOptions) -> dict[str, str]:
    """Channels for a command that a person can paste: the standard streams."""
    chardevs = {"stdout": "file,path=/dev/stdout", "stderr": "file,path=/dev/stderr",
                "control": "null", "log": "null"}
    if options.interactive:
        chardevs["stdin"] = "stdio,signal=off"
    return chardevs


def make_symboliser(options: RunOptions, image: Image, kernel: str) -> Callable[[list[str]], list[str]]:
    def symbolise(lines: list[str]) -> list[str]:
        from .symbols import host_path, resolve
        return resolve(lines, lambda path: host_path(image.tree, image.root, path), kernel.removesuffix(".stripped"))

    return symbolise
