# SPDX-License-Identifier: MIT
"""One machine in the background, as the commands see it.

An instance is a folder: `config.json` (how it was created; never changes), the archive and the kernel it starts with,
`state.json` and the logs, which its supervisor writes while it runs (supervisor.py).  A command that changes something
holds the lock of the file `lock`, so two at once come one after the other.
"""
from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import StoutError, usage
from ..paths import TOOL
from .state import boot_id, check_format, check_name, connect_in, is_alive, is_locked, is_newer, lock_file, read_json, state_dir

if TYPE_CHECKING:
    from ..qemu import Forward

CONFIG, STATE, LOCK, CONTROL = "config.json", "state.json", "lock", "control"
SUPERVISOR_LOCK = "supervisor.lock"
ALIVE = ("starting", "running", "stopping", "restarting")
ANSWER_SECONDS, END_SECONDS = 10.0, 10.0


class Instance:
    def __init__(self, name: str) -> None:
        self.name = check_name(name, "an instance")
        self.folder = os.path.join(state_dir("instances"), name)

    def path(self, name: str) -> str:
        return os.path.join(self.folder, name)

    def config(self) -> dict[str, Any]:
        config = read_json(self.path(CONFIG))
        if config is None:
            raise no_instance(self.name)
        check_format(config, f"The instance {self.name}")
        return config

    def known_config(self) -> dict[str, Any] | None:
        """None: it is deleted meanwhile, or a newer stout's."""
        config = read_json(self.path(CONFIG))
        return None if config is None or is_newer(config) else config

    def is_running(self) -> bool:
        return is_locked(self.path(SUPERVISOR_LOCK))

    def state(self) -> dict[str, Any]:
        """As it is, whatever the file says: a supervisor that was killed, or the host, could not write the end down."""
        state = read_json(self.path(STATE)) or {"status": "created"}
        if state["status"] in ALIVE and not self.is_running():
            state = read_json(self.path(STATE)) or state  # it may have ended between the two looks
            if state["status"] in ALIVE:
                rebooted = state["supervisor"]["boot"] != boot_id()
                state |= {"status": "lost", "failed": True, "exit": None,
                          "reason": "the host was restarted" if rebooted else "its supervisor was killed, and the machine with it"}
        return state

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with the instance; it exists."""
        try:
            descriptor = lock_file(self.path(LOCK))
        except (FileNotFoundError, NotADirectoryError):
            raise no_instance(self.name) from None
        assert descriptor is not None
        try:
            try:
                same = os.fstat(descriptor).st_ino == os.stat(self.path(LOCK)).st_ino
            except FileNotFoundError:
                same = False
            if not same:  # deleted, perhaps made anew, while we waited
                raise no_instance(self.name)
            yield
        finally:
            os.close(descriptor)

    def connect(self) -> socket.socket:
        return connect_in(self.folder, CONTROL)

    def ask(self, command: str, timeout: float = ANSWER_SECONDS, **arguments: Any) -> dict[str, Any]:
        """One question to the supervisor."""
        try:
            with self.connect() as sock:
                sock.settimeout(timeout)
                sock.sendall(json.dumps({"command": command, **arguments}).encode() + b"\n")
                with sock.makefile("rb") as file:
                    line = file.readline()
        except TimeoutError:
            raise StoutError(f"The supervisor of {self.name} did not answer in {timeout:.0f} seconds; "
                             f"stout instance delete -f {self.name} ends it.") from None
        except OSError:
            line = b""
        if not line:
            raise NotRunning(f"{self.name} is not running; start it with: stout instance start {self.name}")
        answer: dict[str, Any] = json.loads(line)
        if not answer.get("ok"):
            raise StoutError(f"{self.name}: {answer.get('error')}.")
        return answer

    # ---- Life ----

    def start(self) -> None:
        """Holds the lock.  Returns when QEMU runs."""
        check_ports(self.config(), self.name)
        end_orphan(self.state())
        ready, theirs = os.pipe()
        try:
            with open(self.path("supervisor.err"), "wb") as errors:
                supervisor = subprocess.Popen(
                    [sys.executable, "-m", "stout_tool.instances.supervisor", self.folder, str(theirs)], stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=errors, pass_fds=[theirs], start_new_session=True, cwd="/",
                    env=dict(os.environ, PYTHONPATH=os.path.dirname(TOOL), PYTHONSAFEPATH="1"))
        finally:
            os.close(theirs)
        try:
            with open(ready, "rb") as file:
                sentence = file.read().decode("utf-8", "replace")
        except BaseException:  # a Ctrl-C
            supervisor.kill()
            supervisor.wait()
            raise
        if sentence:
            raise StoutError(f"{self.name} did not start: {sentence}")
        if not self.is_running() and self.state()["status"] in ("created", "lost"):
            raise StoutError(f"{self.name} did not start; see {self.path('supervisor.err')}.")

    def wait_until_over(self) -> None:
        """The supervisor has told the end; it takes a moment to leave."""
        deadline = time.monotonic() + END_SECONDS
        while self.is_running():
            if time.monotonic() > deadline:
                raise StoutError(f"The supervisor of {self.name} does not end; stout instance delete -f {self.name} ends it.")
            time.sleep(0.01)

    def stop(self, seconds: float, number: int) -> None:
        """Holds the lock."""
        try:
            self.ask("stop", timeout=seconds + END_SECONDS + ANSWER_SECONDS, signal=number, seconds=seconds)
        except NotRunning:
            if self.is_running():
                self.kill()
            return
        self.wait_until_over()

    def kill(self) -> None:
        """For a supervisor that does not answer: QEMU dies with it."""
        supervisor = (read_json(self.path(STATE)) or {}).get("supervisor")
        if is_alive(supervisor):
            assert supervisor is not None
            os.kill(supervisor["pid"], signal.SIGKILL)
        self.wait_until_over()


class NotRunning(StoutError):
    pass


def check_stop_timeout(seconds: float) -> None:
    if not 0 <= seconds <= 86400:
        raise usage(f"A time of {seconds:g} seconds is out of range; give 0 to 86400.")


def no_instance(name: str) -> StoutError:
    return StoutError(f"There is no instance {name}; stout instance list shows those there are.")


def end_orphan(state: dict[str, Any]) -> None:
    """A QEMU whose supervisor was killed dies with it where setpriv is there; else here."""
    qemu = state.get("qemu")
    if state["status"] == "lost" and is_alive(qemu):
        assert qemu is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(qemu["pid"], signal.SIGKILL)


def all_instances() -> list[Instance]:
    with os.scandir(state_dir("instances")) as items:
        names = sorted(item.name for item in items if not item.name.startswith("."))
    return [Instance(name) for name in names]


def check_ports(config: dict[str, Any], name: str) -> None:
    """A taken port is named, and who has it if it is one of ours."""
    from ..qemu import Forward
    for text in config["publish"]:
        forward = Forward(text)
        try:
            forward.check_free()
        except StoutError as error:
            owner = port_owner(forward, name)
            if owner is None:
                raise
            raise StoutError(f"Port {forward.host} of {forward.address} is taken by the instance {owner}; stop that, or use "
                             "another one.") from error


def port_owner(wanted: Forward, name: str) -> str | None:
    from ..qemu import Forward
    for instance in all_instances():
        config = instance.known_config()
        if config is None or instance.name == name or not instance.is_running():
            continue
        for text in config["publish"]:
            forward = Forward(text)
            if (forward.protocol, forward.host) == (wanted.protocol, wanted.host):
                return instance.name
    return None
