# SPDX-License-Identifier: MIT
"""The runtime's operations (runtime.md): create, start, state, kill, delete, and those that engines add."""
from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from ..errors import STATUS_NOT_FOUND, StoutError, not_found, usage
from ..instances.state import identify, is_alive, write_json
from ..paths import TOOL, is_number
from . import cgroup, network
from .bundle import Bundle
from .container import MACHINE, Container
from .hooks import run_hooks


def create(root: str, name: str, bundle_path: str, console: str | None, pid_file: str | None, notice: Callable[[str], None]) -> None:
    bundle = Bundle(bundle_path)
    if bundle.terminal != bool(console):
        raise usage("A process with a terminal needs --console-socket." if bundle.terminal else
                    "--console-socket is for a process with a terminal, and this one has none (process.terminal).")
    container = Container(root, name)
    container.claim(bundle.path)
    monitor = None
    try:
        with container.locked() as state:
            before = network.enter(bundle.namespaces)
            monitor, promise = start_monitor(container, bundle, console)
            state |= {"annotations": bundle.annotations, "monitor": identify(monitor.pid), "hooks": bundle.hooks}
            container.write(state)
            state["cgroups"] = cgroup.join(monitor.pid, bundle.linux, notice)
            container.write(state)
            for kind in ("prestart", "createRuntime"):
                run_hooks(bundle.hooks.get(kind) or [], container.describe("creating"), kind, before)
            write_json(container.path(MACHINE), {"sandbox": True} if bundle.is_sandbox else prepare_machine(container, bundle, notice))
            if pid_file:
                write_pid(pid_file, monitor.pid)
            container.write(state | {"created": True})
            promise.write(b"c")
            promise.close()
    except BaseException:
        if monitor:
            monitor.kill()
            monitor.wait()
        container.remove()
        if not bundle.is_sandbox:
            from . import archives
            archives.sweep()
        raise


def start_monitor(container: Container, bundle: Bundle, console: str | None) -> tuple[subprocess.Popen[bytes], BinaryIO]:
    """It has our standard streams, and goes on when we end if a byte came through the pipe that is returned as well."""
    ready, theirs = os.pipe()
    promised, promise = os.pipe()
    words = [sys.executable, "-m", "stout_tool.oci.monitor", container.folder, str(theirs), str(promised)]
    if console:
        words += [os.path.abspath(console), json.dumps(bundle.process.get("consoleSize"))]
    try:
        monitor = subprocess.Popen(words, pass_fds=[theirs, promised], start_new_session=True,
                                   env=dict(os.environ, PYTHONPATH=os.path.dirname(TOOL), PYTHONSAFEPATH="1"))
    finally:
        os.close(theirs)
        os.close(promised)
    with open(ready, "rb") as file:
        sentence = file.read().decode("utf-8", "replace")
    if sentence or monitor.poll() is not None:
        monitor.kill()
        monitor.wait()
        raise StoutError(sentence or "The container's monitor did not start.")
    return monitor, open(promise, "wb", buffering=0)


def prepare_machine(container: Container, bundle: Bundle, notice: Callable[[str], None]) -> dict[str, Any]:
    """Packs the root and makes QEMU's command (instances/create.py does the same for an instance)."""
    from ..instances.create import command_of
    from ..run import RunOptions, prepare
    from . import archives
    values = bundle.options()
    ports = bundle.annotation("ports")
    if ports:
        values |= {"publish": [text if text.count(":") == 2 else f"0.0.0.0:{full(text)}" for text in ports.replace(",", " ").split()],
                   "net": "user"}
    options = RunOptions(**values)
    network.attach(options, bundle.namespaces)
    try:
        prepared = prepare(options, lambda text: None, notice)
    except StoutError as error:
        if error.status != STATUS_NOT_FOUND:
            raise
        words = f"{error.sentence.rstrip('.')}: no such file or directory."  # by these podman and Docker know that it is 127
        raise not_found(words) from None
    kept = archives.keep(prepared.archive, container.folder)
    archive = os.path.join(kept, archives.ARCHIVE)
    command = [archive if word == "archive" else prepared.kernel if word == "kernel" else word
               for word in command_of(prepared, options, [])]
    return {"command": command, "kept": kept, "ports": [forward.host for forward in options.forwards if forward.protocol == "tcp"]}


def full(port: str) -> str:
    """80 and 80/udp are 80:80 and 80:80/udp."""
    number, slash, protocol = port.partition("/")
    return port if ":" in port else f"{number}:{number}{slash}{protocol}"


def write_pid(path: str, pid: int) -> None:
    temporary = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.{os.getpid()}")
    with open(temporary, "w", encoding="ascii") as file:
        file.write(str(pid))
    os.rename(temporary, path)


def start(root: str, name: str) -> None:
    container = Container(root, name)
    with container.locked() as state:
        need(container, state, "started", "created")
        container.ask("start")
        container.write(state | {"phase": "running"})
    try:
        run_hooks(state["hooks"].get("poststart") or [], container.describe(), "poststart")
    except StoutError as error:
        sys.stderr.write(f"stout-oci: {error.sentence}\n")  # the specification: a warning


def need(container: Container, state: dict[str, Any], what: str, *wanted: str) -> None:
    status = container.status(state)
    if status not in wanted:
        raise StoutError(f"The container {container.name} is {status}; only one that is {' or '.join(wanted)} can be {what}.")


def state(root: str, name: str) -> None:
    print(json.dumps(Container(root, name).describe(), indent=2))


def kill(root: str, name: str, text: str, everything: bool = False) -> None:
    number = parse_signal(text)
    container = Container(root, name)
    with container.locked() as state:
        if container.status(state) == "stopped":
            if everything:
                return  # runc: nothing is left to be killed
            raise StoutError(f"The container {name} has stopped: container not running.")  # runc's words, which containerd's shim looks for
        need(container, state, "killed", "created", "running", "paused")
        if number == signal.SIGKILL:
            end(container, state)
        else:
            container.ask(f"signal {number}")


def end(container: Container, state: dict[str, Any]) -> None:
    """The monitor ends QEMU first, so that nothing has the container's folders any more; if it hangs, both are killed."""
    with contextlib.suppress(StoutError):
        container.ask("signal 9", timeout=2)
    monitor = state.get("monitor")
    if monitor and is_alive(monitor):
        with contextlib.suppress(ProcessLookupError):
            os.kill(monitor["pid"], signal.SIGKILL)
    container.wait_until_stopped(state)


def parse_signal(text: str) -> int:
    """15, TERM, SIGTERM, RTMIN+3."""
    name = text.upper().removeprefix("SIG")
    if is_number(name) and 0 < int(name) <= signal.SIGRTMAX:
        return int(name)
    base, _, more = name.partition("+")
    number = getattr(signal, "SIG" + base, None)
    if base.isalnum() and isinstance(number, signal.Signals) and (not more or is_number(more)):
        return number + int(more or 0)
    raise usage(f"There is no signal {text}.")


def delete(root: str, name: str, force: bool) -> None:
    container = Container(root, name)
    try:
        with container.locked() as state:
            if force and container.status(state) != "stopped":
                end(container, state)
            need(container, state, "deleted", "stopped")
            described = container.describe()
            container.remove()
    except StoutError:
        if force and not os.path.exists(container.folder):
            return
        raise
    try:
        run_hooks(state.get("hooks", {}).get("poststop") or [], described, "poststop")
    except StoutError as error:
        sys.stderr.write(f"stout-oci: {error.sentence}\n")


def pause(root: str, name: str) -> None:
    change_phase(root, name, "stop", "running", "paused")


def resume(root: str, name: str) -> None:
    change_phase(root, name, "cont", "paused", "running")


def change_phase(root: str, name: str, word: str, before: str, after: str) -> None:
    container = Container(root, name)
    with container.locked() as state:
        need(container, state, after, before)
        container.ask(word)
        container.write(state | {"phase": after})


