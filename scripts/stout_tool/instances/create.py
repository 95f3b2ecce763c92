# SPDX-License-Identifier: MIT
"""stout instance create: what stout run would start, kept in a folder and started there."""
from __future__ import annotations

import os
import re
import shutil
import signal
import sys
from typing import Any

from ..errors import StoutError, usage
from ..output import fresh_folder
from .instance import CONFIG, LOCK, Instance
from .log import now
from .state import lock_file, state_dir, write_json


def parse_restart(text: str) -> str:
    kind, colon, count = text.partition(":")
    good = kind in ("no", "always", "unless-stopped") and not colon or kind == "on-failure" and (
        not colon or count.isdigit() and int(count) > 0)
    if not good:
        raise usage(f"--restart {text} is none of no, on-failure, on-failure:N, always, unless-stopped.")
    return text


def free_name(values: dict[str, Any]) -> str:
    """After the program: redis-server, redis-server-2, ..."""
    base = re.sub(r"[^a-zA-Z0-9_.-]+", "-", os.path.basename(values["program"] or values.get("package") or values.get("image") or "")).strip("-._")[:50] or "instance"
    folder = state_dir("instances")
    name, number = base, 1
    while os.path.exists(os.path.join(folder, name)):
        number += 1
        name = f"{base}-{number}"
    return name


def create(name: str | None, restart: str, stop_timeout: float, tty: bool, start: bool, **values: Any) -> int:
    from ..run import RunOptions, prepare
    parse_restart(restart)
    check_stop_timeout(stop_timeout)
    name = free_name(values) if name is None else name
    instance = Instance(name)
    if os.path.exists(instance.folder):
        raise taken(name)
    interactive = bool(values.get("interactive")) or tty
    kinds = ["tty"] * 3 if tty else ["stream" if interactive else "null", "stream", "stream"]
    if tty:
        values["env"] = [f"TERM={os.environ.get('TERM', 'linux')}", *values.get("env", ())]
    options = RunOptions(**{**values, "hostname": values.get("hostname") or name, "interactive": interactive, "stdio": kinds})
    if options.boot != "pvh":
        raise usage("An instance starts directly; leave out --boot.")
    prepared = prepare(options, lambda text: None, notice)
    with fresh_folder(state_dir("instances")) as folder:
        take_file(prepared.archive, os.path.join(folder, "archive"), link=True)
        take_file(prepared.kernel, os.path.join(folder, "kernel"), link=False)
        config = {
            "format": 1, "name": name, "created": now(), "program": prepared.image.program, "argv": prepared.image.argv,
            "restart": restart, "stop_timeout": stop_timeout, "stdin": interactive, "tty": tty,
            "publish": [forward.text for forward in options.forwards], "memory": options.memory, "cpus": options.cpus,
            "hostname": options.hostname, "command": command_of(prepared, interactive, options),
        }
        write_json(os.path.join(folder, CONFIG), config)
        lock = lock_file(os.path.join(folder, LOCK))
        assert lock is not None
        try:
            try:
                os.rename(folder, instance.folder)
            except OSError:
                raise taken(name) from None
            if start:
                start_or_remove(instance)
        finally:
            os.close(lock)
    print(name)
    return 0


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


def taken(name: str) -> StoutError:
    return usage(f"There is an instance {name} already; delete it, or give another name with --name.")


def check_stop_timeout(seconds: float) -> None:
    if not 0 <= seconds <= 86400:
        raise usage(f"A time of {seconds:g} seconds is out of range; give 0 to 86400.")


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


def command_of(prepared: Any, has_stdin: bool, options: Any) -> list[str]:
    """QEMU's arguments with @NAME@ for the channels, and the files by their names in the instance's folder."""
    from ..run import boot_arguments
    names = ["stdin"] * has_stdin + ["stdout", "stderr", "control", "log"]
    words: list[str] = prepared.machine.command(boot_arguments(options, "kernel", "archive"), {name: f"@{name}@" for name in names})
    return [*words, "-chardev", "@qmp@,id=qmp", "-mon", "chardev=qmp,mode=control"]
