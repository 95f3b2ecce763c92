# SPDX-License-Identifier: MIT
"""stout instance create: what stout run would start, kept in a folder and started there."""
from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import sys
from typing import TYPE_CHECKING, Any

from ..errors import STATUS_USAGE, StoutError, usage
from ..output import fresh_folder
from ..tables import print_names
from .instance import CONFIG, LOCK, Instance, check_stop_timeout
from .log import now
from .network import Network, device_arguments, static_text, tell_members
from .restart import parse_restart
from .state import FORMAT, lock_file, state_dir, write_json

if TYPE_CHECKING:
    from ..run import Prepared, RunOptions


class NameTaken(StoutError):
    def __init__(self, name: str) -> None:
        super().__init__(f"There is an instance {name} already; delete it, or give another name with --name.", STATUS_USAGE)


def free_name(values: dict[str, Any]) -> str:
    """After the program: redis-server, redis-server-2, ..."""
    what = values["program"] or values.get("package") or values.get("image") or ""
    base = re.sub(r"[^a-zA-Z0-9_.-]+", "-", os.path.basename(what)).strip("-._")[:50] or "instance"
    folder = state_dir("instances")
    name, number = base, 1
    while os.path.lexists(os.path.join(folder, name)):
        number += 1
        name = f"{base}-{number}"
    return name


def create(name: str | None, restart: str, stop_timeout: float, tty: bool, start: bool, as_json: bool, networks: tuple[str, ...],
           **values: Any) -> int:
    parse_restart(restart)
    check_stop_timeout(stop_timeout)
    interactive = bool(values.get("interactive")) or tty
    kinds = ["tty"] * 3 if tty else ["stream" if interactive else "null", "stream", "stream"]
    if tty:
        values["env"] = [f"TERM={os.environ.get('TERM', 'linux')}", *values.get("env", ())]
    values |= {"interactive": interactive, "stdio": kinds}
    own = {"format": FORMAT, "created": now(), "restart": restart, "stop_timeout": stop_timeout, "tty": tty}
    while True:
        chosen = free_name(values) if name is None else name
        try:
            make(chosen, values | {"hostname": values.get("hostname") or chosen}, networks, {**own, "name": chosen}, start)
            break
        except NameTaken:
            if name is not None:
                raise  # else another create was faster, and the next name is free
    tell_members(list(networks), but=chosen)
    print_names((chosen,), as_json)
    return 0


def make(name: str, values: dict[str, Any], networks: tuple[str, ...], own: dict[str, Any], start: bool) -> None:
    instance = Instance(name)
    if os.path.lexists(instance.folder):
        raise NameTaken(name)
    with contextlib.ExitStack() as stack:
        with contextlib.ExitStack() as network_locks, fresh_folder(state_dir("instances")) as folder:
            items = []
            for network in [Network(text) for text in sorted(set(networks))]:
                network_locks.enter_context(network.locked())
                items.append(network.join())
            fill(folder, values, items, own)
            lock = lock_file(os.path.join(folder, LOCK))
            assert lock is not None
            stack.callback(os.close, lock)
            try:
                os.rename(folder, instance.folder)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
                raise NameTaken(name) from None
        if start:
            start_or_remove(instance)


def fill(folder: str, values: dict[str, Any], items: list[dict[str, Any]], own: dict[str, Any]) -> None:
    """What an instance starts with, and its config.json."""
    from ..recipes import saying
    from ..run import RunOptions, prepare
    options = RunOptions(**values)
    if options.boot != "pvh" or options.gdb or options.dry_run or options.count_calls:
        raise usage("An instance starts directly; leave out --boot, --gdb, --dry-run and --count-calls.")
    check_slots(options, items)
    options.network.check_usable()
    if items:
        first = [options.net_manifest] if options.network.kind != "none" else []
        options.net_manifest = ";".join(first + [static_text(item) for item in items])
        options.kernel_options.append("hosts=wait")
    prepared = prepare(options, saying(notice, options.verbose), notice)
    take_file(prepared.archive, os.path.join(folder, "archive"), link=True)
    take_file(prepared.kernel, os.path.join(folder, "kernel"), link=False)
    write_json(os.path.join(folder, CONFIG), {
        **own, "program": prepared.image.program, "argv": prepared.image.argv, "stdin": options.interactive, "networks": items,
        "publish": [forward.text for forward in options.forwards], "memory": options.memory, "cpus": options.cpus,
        "hostname": options.hostname, "command": command_of(prepared, options, items),
    })


def check_slots(options: RunOptions, items: list[dict[str, Any]]) -> None:
    """The machine microvm has eight places; the console, randomness, the network and each folder take one."""
    used = 2 + (options.network.kind != "none") + len(options.folders) + len(items)
    if options.machine == "microvm" and used > 8:
        raise usage("The machine microvm has no room for so many networks and folders; use --machine q35.")


def start_or_remove(instance: Instance) -> None:
    """What could not be started was not created."""
    try:
        instance.start()
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is done
    except BaseException:
        shutil.rmtree(instance.folder, ignore_errors=True)
        raise


def notice(text: str) -> None:
    sys.stderr.write(f"stout: {text}\n")


def take_file(source: str, target: str, link: bool) -> None:
    """A link costs nothing, and stays when the cache drops its name."""
    try:
        if not link:
            raise OSError
        os.link(source, target)
    except OSError:
        try:
            shutil.copyfile(source, target)
        except OSError as error:
            raise StoutError(f"The image cannot be kept in {os.path.dirname(target)}: {(error.strerror or '').lower()}.") from None


def command_of(prepared: Prepared, options: RunOptions, items: list[dict[str, Any]]) -> list[str]:
    """QEMU's arguments with @NAME@ for the channels, and the files by their names in the instance's folder."""
    from ..run import boot_arguments
    names = ["stdin"] * options.interactive + ["stdout", "stderr", "control", "log"]
    words: list[str] = prepared.machine.command(boot_arguments(options, "kernel", "archive"), {name: f"@{name}@" for name in names})
    words += device_arguments(items, "device" if prepared.machine.is_microvm else "pci")
    return [*words, "-chardev", "@qmp@,id=qmp", "-mon", "chardev=qmp,mode=control"]
