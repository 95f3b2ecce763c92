# SPDX-License-Identifier: MIT
"""The machine: which accelerator, and QEMU's command line."""
from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING

from .errors import StoutError, usage
from .host import missing
from .paths import human_size, is_number

if TYPE_CHECKING:
    from .run import RunOptions

MACHINES = ("microvm", "q35", "pc")
PORTS = ("stdin", "stdout", "stderr", "control")
MIB = 1 << 20


def kvm_problem() -> str | None:
    """Why KVM cannot be used here, or None."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        flags = ""
    if not {"vmx", "svm"} & set(flags.split()):
        return "the processor shows neither vmx nor svm"
    if not os.path.exists("/dev/kvm"):
        return "/dev/kvm does not exist; load the module kvm_intel or kvm_amd"
    try:
        os.close(os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"/dev/kvm cannot be opened ({error.strerror.lower()}); join the group kvm"
    return None


def choose_accel(wanted: str | None, notice: Callable[[str], None]) -> str:
    if wanted == "tcg":
        return "tcg"
    problem = kvm_problem()
    if problem is None:
        return "kvm"
    if wanted == "kvm":
        raise StoutError(f"KVM cannot be used: {problem}; leave out --accel kvm to emulate.")
    notice(f"KVM cannot be used ({problem}); emulating, which is slower (--accel tcg hides this).")
    return "tcg"


def find_qemu(is_little_enough: bool = False) -> str:
    """is_little_enough: Debian's QEMU for virtual machines of few devices will do, if it is here."""
    path = shutil.which("qemu-system-x86_64")
    if path is None:
        raise missing("qemu-system-x86_64")
    little = f"{path}-microvm"
    return little if is_little_enough and os.access(little, os.X_OK) else path


def split_arguments(what: str, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        reason = "a quote is not closed" if "quotation" in str(error) else "nothing follows the last backslash"
        raise usage(f"{what} {text}: {reason}.") from None


def check_address(option: str, address: str) -> None:
    """What QEMU takes; also, no comma adds options to it."""
    import ipaddress
    try:
        ipaddress.IPv4Address(address)
    except ValueError:
        raise usage(f"-p {option}: {address or 'what comes first'} is not an IPv4 address of this host; write for example "
                    "-p 127.0.0.1:8080:80.") from None


class Forward:
    """-p [ADDRESS:]HOST:GUEST[/udp], or one number for both."""

    def __init__(self, text: str) -> None:
        self.text = text
        body, _, protocol = text.partition("/")
        parts = body.split(":")
        self.protocol = protocol or "tcp"
        self.address = "127.0.0.1"
        if len(parts) == 3:
            self.address = parts.pop(0)
            check_address(text, self.address)
        if len(parts) == 1:
            parts *= 2
        if self.protocol not in ("tcp", "udp") or len(parts) != 2 or not all(
                is_number(p) and 0 < int(p) < 65536 for p in parts):
            raise usage(f"-p {text} is not HOST:GUEST or HOST:GUEST/udp with ports from 1 to 65535.")
        self.host, self.guest = int(parts[0]), int(parts[1])

    def check_free(self) -> None:
        import errno
        import socket
        kind = socket.SOCK_DGRAM if self.protocol == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as probe:
            if kind == socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((self.address, self.host))
                if kind == socket.SOCK_STREAM:
                    probe.listen(1)
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    raise StoutError(f"Port {self.host} of {self.address} is taken by another program; stop that, or "
                                     f"use another one: -p {self.host + 1}:{self.guest}.") from None
                raise StoutError(f"Port {self.host} of {self.address} cannot be used: "
                                 f"{error.strerror.lower()}; use another one.") from None

    def qemu(self, machine: str) -> str:
        """machine: its address."""
        return f"hostfwd={self.protocol}:{self.address}:{self.host}-{machine}:{self.guest}"


def parse_memory(text: str) -> int:
    """512M, 2G, 65536K or a number of MiB; in bytes."""
    units = {"k": 10, "m": 20, "g": 30}
    digits, unit = (text[:-1], text[-1].lower()) if text[-1:].isalpha() else (text, "m")
    if not is_number(digits) or unit not in units or int(digits) == 0:
        raise usage(f"-m {text} is not an amount of memory; write for example 512M or 2G.")
    return (int(digits) << units[unit]) // MIB * MIB or MIB


def least_memory(archive_size: int, kernel_size: int) -> int:
    """Below this the program cannot start: image and kernel in memory, and a little to run in."""
    return archive_size + kernel_size + 3 * MIB


def default_memory(archive_size: int) -> int:
    return max(512 * MIB, (archive_size * 3 // 2 // MIB + 384) * MIB if archive_size > 64 * MIB else 0)


def check_memory(memory: int, archive_size: int, kernel_size: int) -> None:
    least = least_memory(archive_size, kernel_size)
    if memory < least:
        raise StoutError(f"{human_size(memory)} of memory are not enough: the image has {human_size(archive_size)}, so at "
                         f"least {-(-least // MIB)} MiB are needed; use for example -m "
                         f"{-(-least // MIB) * 2}M.")


def take_turns(accel: str) -> str:
    """For programs whose threads change code that others run (docs/decisions/0004): emulated processors one at a time."""
    return "tcg,thread=single" if accel == "tcg" else accel


def processors(cpus: int, accel: str) -> str:
    """-smp.  QEMU leaves the memory barriers out of what it translates for a machine that never has a second processor (up to its
    version 8.0: "tcg: Do not elide memory barriers for !CF_PARALLEL in system mode"), and then a device may miss what its driver
    says or the other way round, whereupon both wait.  So such a machine has room for another."""
    return f"{cpus},maxcpus=2" if accel.startswith("tcg") and cpus == 1 else str(cpus)


class Machine:
    """The command line, from options and chardev texts."""

    def __init__(self, options: RunOptions, accel: str) -> None:
        self.options = options
        self.accel = accel
        self.machine = options.machine
        self.is_microvm = self.machine == "microvm"

    def command(self, boot: list[str], chardevs: dict[str, str]) -> list[str]:
        """boot: the arguments of the boot method; chardevs: channel -> chardev text."""
        options = self.options
        args = [find_qemu(self._needs_few_devices()), *self._machine(), "-cpu", "host" if self.accel == "kvm" else "max",
                "-smp", str(options.cpus) if "-smp" in options.qemu_args else processors(options.cpus, self.accel), "-m", f"{options.memory // MIB}M",
                "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]
        args += boot
        args += ["-chardev", f"{chardevs['log']},id=log", "-serial", "chardev:log"]
        args += ["-device", self._device("virtio-serial", "max_ports=8")]
        for port in PORTS:
            if port in chardevs:
                args += ["-chardev", f"{chardevs[port]},id={port}",
                         "-device", f"virtserialport,chardev={port},name=stout.{port}"]
        args += ["-device", self._device("virtio-rng")]
        args += self._network()
        for tag, folder in options.folders:
            args += folder.qemu(tag, self._bus())
        if options.gdb:
            args += ["-gdb", "tcp:127.0.0.1:1234", "-S"]
        return args + options.qemu_args

    def _machine(self) -> list[str]:
        if self.is_microvm:
            machine = ("microvm,acpi=off,x-option-roms=off,isa-serial=on,rtc=on,"
                       "auto-kernel-cmdline=on")
            return ["-M", machine, "-accel", self.accel, "-global", "virtio-mmio.force-legacy=false"]
        return ["-M", self.machine, "-accel", self.accel, *(["-bios", "qboot.rom"] if self._needs_little_firmware() else [])]

    def _needs_little_firmware(self) -> bool:
        """microvm's own firmware starts a kernel at once, where SeaBIOS first looks for what could be started.  It sets up
        no devices: Stout does that for those which need an address and nothing else (drivers/pci.c)."""
        options = self.options
        has_others = any(word in ("-device", "-drive", "-bios") for word in options.qemu_args)
        return bool(options.boot == "pvh" and options.nic == "virtio" and not has_others)

    def _needs_few_devices(self) -> bool:
        """qemu-system-x86_64-microvm has microvm, KVM and tap devices, but neither the user network nor folders of the host.  It
        loads 8 libraries instead of 49, which takes a sixth of the time."""
        options = self.options
        return bool(self.accel == "kvm" and self.is_microvm and options.network.kind != "user" and not options.folders and not options.qemu_args)

    def _bus(self) -> str:
        return "device" if self.is_microvm else "pci"

    def _device(self, name: str, more: str = "") -> str:
        return f"{name}-{self._bus()}" + (f",{more}" if more else "")

    def _network(self) -> list[str]:
        network = self.options.network
        if network.kind == "none":
            return []
        queues = network.queues(self.options.cpus)
        more = f"netdev=n0{network.nic()}" + ("" if self.is_microvm else ",romfile=")
        if queues > 1 and self.options.cpus > 1 and self.options.nic == "virtio" and not self.is_microvm:  # whose devices have one interrupt each
            more += f",mq=on,vectors={2 * queues + 2}"  # two for each pair, one for changes, one for questions
        nic = f"{self.options.nic},{more}" if self.options.nic != "virtio" else self._device("virtio-net", more)
        return ["-netdev", network.netdev(self.options.forwards, queues), "-device", nic]
