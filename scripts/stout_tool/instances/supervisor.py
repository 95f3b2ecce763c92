# SPDX-License-Identifier: MIT
"""The process that owns one instance while it runs: python3 -m stout_tool.instances.supervisor FOLDER READY_FD.

It starts QEMU, keeps what the program writes, answers the commands of `stout instance` at the socket `control`,
starts the machine again as the restart policy says, and writes `state.json` on every change.  It holds the lock of
`supervisor.lock` all its life: that, and not a pid, tells whether an instance runs.  QEMU dies with it.

A conversation is one JSON object a line and direction; "attach" goes on with frames (frames.py).  The answer to "stop" comes
when the machine has ended.
"""
from __future__ import annotations

import contextlib
import functools
import json
import os
import selectors
import signal
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from . import frames
from ..errors import StoutError
from ..relay import GuestInput
from .guest import Guest
from .log import Appender, LogWriter, now
from .network import Network, ports_of
from .qmp import QmpError
from .restart import Policy
from .state import identify, lock_file, read_json, write_json
from .switch import Switch

CONTROL = "control"
LOCK = "supervisor.lock"
STATE = "state.json"
CONFIG = "config.json"
KERNEL_LOG_LIMIT = 1 << 20
STATS_SECONDS = 0.5  # for the guest to answer


class Client:
    """A connection to the socket `control`."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = b""
        self.is_attached = False
        self.is_held = False  # not read until the program has read what came before
        self.waits_for_end = False
        self.is_profiler = False
        self.stats_until: float | None = None  # when it is answered without the guest


class Supervisor:
    def __init__(self) -> None:
        config = read_json(CONFIG)
        if config is None:
            raise StoutError("The instance has no configuration; delete it.")
        self.config = config
        self.policy = Policy(config["restart"])
        self.log = LogWriter(".")
        self.kernel = Appender("kernel.log", KERNEL_LOG_LIMIT)
        self.selector = selectors.DefaultSelector()
        self.clients: list[Client] = []
        self.guest: Guest | None = None
        self.input: GuestInput | None = None  # its standard input
        self.switches: list[Switch] = []
        self.figures: dict[str, int] = {}  # of the guest, as it last said
        self.is_over = False
        self.user_stopped = False
        self.is_leaving = False
        self.restart_at: float | None = None
        self.state: dict[str, Any] = {"status": "starting", "supervisor": identify(os.getpid()), "restarts": 0}

    # ---- What the guest says (guest.Sink) ----

    def output(self, stream: str, data: bytes) -> None:
        self.log.write(stream, data)
        for client in [client for client in self.clients if client.is_attached]:
            self._send(client, frames.frame(frames.KINDS[stream], data))

    def kernel_log(self, data: bytes) -> None:
        self.kernel.append(data)

    def control(self, words: list[str]) -> None:
        """Answers to "memory" and "network"; in this order, so the second completes them."""
        if len(words) != 3 or not (words[1].isdigit() and words[2].isdigit()):
            return
        if words[0] == "memory":
            self.figures |= {"guest_memory_used": int(words[1]), "guest_memory_total": int(words[2])}
        elif words[0] == "network":
            self.figures |= {"network_received": int(words[1]), "network_sent": int(words[2])}
            self._answer_stats(float("inf"))

    # ---- Life ----

    def begin(self) -> None:
        """The first start; StoutError if the machine does not come up."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(CONTROL)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        listener.bind(CONTROL)
        listener.listen(64)
        self._watch(listener, lambda: self._accept(listener))
        self._watch_signals()
        self._start_guest()
        assert self.guest is not None
        if self.guest.process.poll() is not None:
            outcome = self._end_guest()
            if outcome["exit"] is None:
                self._write_state("failed", finished=now(), **outcome)
                raise StoutError(outcome["reason"] + ".")
            self._after(outcome)

    def run(self) -> None:
        while not self.is_over:
            for key, _ in self.selector.select(self._timeout()):
                if not self.is_over and key.fileobj in self._watched():
                    key.data()
            self._look_at_clock()
        for client in list(self.clients):
            self._close(client)
        os.unlink(CONTROL)

    def _watched(self) -> set[Any]:
        return {key.fileobj for key in self.selector.get_map().values()}

    def _watch(self, fileobj: Any, handle: Callable[[], None]) -> None:
        self.selector.register(fileobj, selectors.EVENT_READ, handle)

    def _watch_signals(self) -> None:
        """The host goes down: the program ends in order, and is started again at the next boot if its policy says so."""
        ours, theirs = socket.socketpair()
        for sock in (ours, theirs):
            sock.setblocking(False)
        signal.set_wakeup_fd(theirs.fileno(), warn_on_full_buffer=False)
        self._signals = theirs
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        self._watch(ours, lambda: self._on_signal(ours))

    def _on_signal(self, sock: socket.socket) -> None:
        sock.recv(100)
        self._stop(signal.SIGTERM, self.config["stop_timeout"])

    def _timeout(self) -> float | None:
        times = [at for at in (self.restart_at, self.guest.deadline if self.guest else None, *(client.stats_until for client in self.clients))
                 if at is not None]
        return max(min(times) - time.monotonic(), 0) if times else None

    def _look_at_clock(self) -> None:
        at = time.monotonic()
        if self.guest and self.guest.deadline is not None and at >= self.guest.deadline:
            self.guest.make_end()
            self._guest_ended()
        if self.restart_at is not None and at >= self.restart_at:
            self._restart()
        self._answer_stats(at)

    def _start_guest(self) -> None:
        self.restart_at = None
        self.figures = {}
        self.switches = [Switch(ports_of(item), item["mac"]) for item in self.config.get("networks", ())]
        try:
            self._start_qemu()
        except BaseException:
            self._close_switches()
            raise
        self._tell_hosts()

    def _start_qemu(self) -> None:
        guest = self.guest = Guest(self.config["command"], self.config["stdin"], self)
        if "stdin" in guest.sockets:
            self.input = GuestInput(self.selector, guest.sockets["stdin"], self._input_drained)
        for name in guest.channels():
            self._watch(guest.sockets[name], functools.partial(self._read_guest, name))
        self._watch(guest.pidfd, self._guest_ended)
        self._write_state("running", qemu=identify(guest.process.pid), version=guest.qmp.version, started=now(), finished=None,
                          exit=None, reason=None, failed=False)

    def _read_guest(self, name: str) -> None:
        assert self.guest is not None
        sock = self.guest.sockets[name]
        self.guest.receive(name)
        if name not in self.guest.sockets:
            self.selector.unregister(sock)

    def _end_guest(self) -> dict[str, Any]:
        guest = self.guest
        assert guest is not None
        if self.input:
            self.input.stop()
            self.input = None
            self._input_drained()
        for sock in guest.sockets.values():
            with contextlib.suppress(KeyError):
                self.selector.unregister(sock)
        self.selector.unregister(guest.pidfd)
        outcome = guest.finish()
        self.guest = None
        self._close_switches()
        lines = guest.report()
        if lines:
            from .crash import names_in
            lines += names_in(lines)
        for line in lines:
            self.log.write("kernel", line + b"\n")
        self.policy.ran(time.monotonic() - guest.started)
        return outcome

    def _close_switches(self) -> None:
        for switch in self.switches:
            switch.close()
        self.switches = []

    def _tell_hosts(self) -> None:
        """The names and addresses of the machines on its networks, itself included (net/net_control.c)."""
        if self.guest is None or not self.config.get("networks", ()):
            return
        for item in self.config.get("networks", ()):
            for name, address in Network(item["name"]).members().items():
                self.guest.tell(f"host {address} {name}")
        self.guest.tell("hosts")

    def profile(self, line: bytes) -> None:
        for client in [client for client in self.clients if client.is_profiler]:
            self._send(client, line + b"\n")

    def _guest_ended(self) -> None:
        self._after(self._end_guest())

    def _after(self, outcome: dict[str, Any]) -> None:
        wanted = not self.is_leaving and self.policy.wants(outcome["failed"], self.state["restarts"])
        if not wanted:
            status = "stopped" if self.is_leaving else "failed" if outcome["failed"] else "exited"
            self._over(status, outcome)
            return
        self.restart_at = time.monotonic() + self.policy.next_wait()
        self._write_state("restarting", finished=now(), **outcome)

    def _restart(self) -> None:
        self.state["restarts"] += 1
        try:
            self._start_guest()
        except (StoutError, OSError) as error:
            self.restart_at = None
            self._after({"exit": None, "failed": True, "reason": str(error)})

    def _over(self, status: str, outcome: dict[str, Any]) -> None:
        self.is_over = True
        self.restart_at = None
        self._write_state(status, finished=now(), user_stopped=self.user_stopped, **outcome)
        for client in list(self.clients):
            if client.waits_for_end:
                self._answer(client, {"ok": True, "state": self.state})
            elif client.is_attached:
                self._send(client, frames.frame(frames.END, json.dumps(self.state).encode()))

    def _write_state(self, status: str, **more: Any) -> None:
        self.state.update(more, status=status)
        with contextlib.suppress(OSError):  # a full disk: what runs goes on
            write_json(STATE, self.state)

    def _stop(self, number: int, seconds: float) -> None:
        self.is_leaving = True
        if self.guest is None:
            self._over("stopped", {name: self.state[name] for name in ("exit", "failed", "reason")})
        else:
            self.guest.stop(number, seconds)
            self._write_state("stopping")

    # ---- Commands ----

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except OSError:
            return
        sock.setblocking(False)
        client = Client(sock)
        self.clients.append(client)
        self._watch(sock, lambda: self._read_client(client))

    def _close(self, client: Client) -> None:
        if client in self.clients:
            self.clients.remove(client)
            if not client.is_held:
                self.selector.unregister(client.sock)
            client.sock.close()
            if client.is_profiler and self.guest:
                self.guest.tell("profile 0")

    def _send(self, client: Client, data: bytes) -> None:
        """A client that does not read for a second is not waited for."""
        try:
            client.sock.settimeout(1)
            client.sock.sendall(data)
            client.sock.setblocking(False)
        except OSError:
            self._close(client)

    def _answer(self, client: Client, document: dict[str, Any]) -> None:
        self._send(client, json.dumps(document).encode() + b"\n")

    def _read_client(self, client: Client) -> None:
        try:
            data = client.sock.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        client.buffer += data
        if not data or len(client.buffer) > 1 << 20:
            self._close(client)
        elif client.is_attached:
            self._read_frames(client)
        elif client.is_profiler:
            if self.guest:
                self.guest.tell("profile 0")
        elif b"\n" in client.buffer:
            line, client.buffer = client.buffer.split(b"\n", 1)
            try:
                request = json.loads(line)
                handle = getattr(self, f"_do_{request['command']}")
            except (ValueError, KeyError, TypeError, AttributeError):
                self._answer(client, {"ok": False, "error": "the supervisor does not know this command"})
                return
            handle(client, request)

    def _do_stop(self, client: Client, request: dict[str, Any]) -> None:
        client.waits_for_end = True
        self.user_stopped = True
        self._stop(int(request["signal"]), float(request["seconds"]))

    def _do_hosts(self, client: Client, request: dict[str, Any]) -> None:
        self._tell_hosts()
        self._answer(client, {"ok": True})

    def _do_stats(self, client: Client, request: dict[str, Any]) -> None:
        client.stats_until = time.monotonic() + (STATS_SECONDS if self.guest else 0)
        if self.guest:
            self.guest.tell("memory")
            self.guest.tell("network")

    def _do_profile(self, client: Client, request: dict[str, Any]) -> None:
        """The kernel's lines follow the answer, until the client writes anything (then the last ones come) or goes away."""
        if self.guest is None or any(other.is_profiler for other in self.clients):
            self._answer(client, {"ok": False, "error": "it is being profiled already" if self.guest else "it is not running now"})
            return
        client.is_profiler = True
        self._answer(client, {"ok": True})
        self.guest.tell(f"profile {int(request['hz'])}")

    def _answer_stats(self, until: float) -> None:
        for client in list(self.clients):
            if client.stats_until is not None and client.stats_until <= until:
                client.stats_until = None
                self._answer(client, {
                    "ok": True, "status": self._status_by_qmp(), "pid": self.guest.process.pid if self.guest else None,
                    "restarts": self.state["restarts"], "guest": self.figures,
                    "switch": [{"frames": switch.frames, "bytes": switch.bytes, "dropped": switch.dropped} for switch in self.switches]})

    def _status_by_qmp(self) -> str:
        """QEMU knows of a machine that is paused, or stopped on an error of its disk."""
        if self.guest and self.state["status"] == "running":
            with contextlib.suppress(QmpError, KeyError, TypeError):
                return str(self.guest.qmp.execute("query-status")["status"])
        return str(self.state["status"])

    def _do_attach(self, client: Client, request: dict[str, Any]) -> None:
        client.is_attached = True
        self._answer(client, {"ok": True, "stdin": self.config["stdin"], "tty": self.config["tty"]})
        self._read_frames(client)

    def _read_frames(self, client: Client) -> None:
        found, client.buffer = frames.split(client.buffer)
        for kind, data in found:
            if kind == frames.WINDOW:
                rows, columns = frames.parse_window(data)
                if self.guest:
                    self.guest.tell(f"winsize {rows} {columns}")
            elif kind == frames.STDIN:
                self._write_stdin(client, data)

    def _write_stdin(self, client: Client, data: bytes) -> None:
        """A program that does not read stops its writer, as a pipe does."""
        if self.input is None:
            return
        if not data:  # the end of the client's input
            self.input.end()
            return
        self.input.give(data)
        if not client.is_held:
            client.is_held = True
            self.selector.unregister(client.sock)

    def _input_drained(self) -> None:
        for client in self.clients:
            if client.is_held:
                client.is_held = False
                self._watch(client.sock, functools.partial(self._read_client, client))


def main() -> None:
    folder, ready = sys.argv[1], int(sys.argv[2])
    os.chdir(folder)
    lock = lock_file(LOCK, wait=False)
    try:
        if lock is None:
            raise StoutError("It is running already.")
        supervisor = Supervisor()
        supervisor.begin()
    except StoutError as error:
        os.write(ready, error.sentence.encode() or b"?")
        sys.exit(1)
    except OSError as error:
        os.write(ready, f"The host says: {error}.".encode())
        sys.exit(1)
    os.close(ready)
    supervisor.run()


if __name__ == "__main__":
    main()
