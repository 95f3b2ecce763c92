# SPDX-License-Identifier: MIT
"""Standard input's way into a machine: whole, with back-pressure, and to its end."""
import fcntl
import os
import selectors
import socket

import pytest

from stout_tool.relay import InputRelay


@pytest.fixture
def ends():
    """(relay, selector, the writer's descriptor, the guest's socket)"""
    source, writer = os.pipe()
    ours, guest = socket.socketpair()
    with selectors.PollSelector() as selector, ours, guest:
        yield InputRelay(selector, source, ours), selector, writer, guest
    os.close(source)
    try:
        os.close(writer)
    except OSError:
        pass


def turn(selector):
    """What is ready, once; whether anything was."""
    ready = selector.select(0)
    for key, _ in ready:
        key.data()
    return bool(ready)


def test_all_bytes_in_order_and_the_end(ends):
    _, selector, writer, guest = ends
    sent, got = os.urandom(300_000), b""
    rest = memoryview(sent)
    os.set_blocking(writer, False)
    while len(got) < len(sent):
        try:
            rest = rest[os.write(writer, rest):] if rest else rest
        except BlockingIOError:
            pass
        turn(selector)
        try:
            got += guest.recv(1000, socket.MSG_DONTWAIT)
        except BlockingIOError:
            pass
    os.close(writer)
    assert turn(selector) and not turn(selector)
    assert got == sent and guest.recv(1) == b""
    guest.sendall(b"x")  # only this direction is shut


def test_a_guest_that_does_not_read_stops_the_writer(ends):
    _, selector, writer, guest = ends
    os.set_blocking(writer, False)
    written = 0
    while True:
        try:
            written += os.write(writer, b"x" * 4096)
        except BlockingIOError:
            if not turn(selector):
                break
    assert written < guest.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) * 4 + fcntl.fcntl(writer, fcntl.F_GETPIPE_SZ) * 2
    guest.setblocking(False)
    taken = 0
    while taken < written:
        try:
            taken += len(guest.recv(written))
        except BlockingIOError:
            assert turn(selector)


def test_a_guest_that_is_gone(ends):
    _, selector, writer, guest = ends
    guest.close()
    os.write(writer, b"for nobody")
    assert turn(selector) and turn(selector) and not turn(selector)


@pytest.mark.parametrize("is_writing", [False, True])
def test_stop(ends, is_writing):
    relay, selector, writer, _ = ends
    os.write(writer, b"x")
    if is_writing:
        turn(selector)
    relay.stop()
    relay.stop()
    assert not selector.get_map()
