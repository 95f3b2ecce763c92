# SPDX-License-Identifier: MIT
"""The network cards of other hypervisors: pages, large bodies both ways, many connections, datagrams, a pulled cable."""
import concurrent.futures
import hashlib
import http.client
import socket
import subprocess

import pytest
from conftest import free_port

# Each connection has a thread; what it is sent with a length, it sends back.  Port 8084 does so with datagrams.
SERVER = r"""
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int opened(int type, int port)
{
    int fd = socket(AF_INET, type, 0), on = 1;
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(port)};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, (struct sockaddr *)&any, sizeof any))
        exit(1);
    return fd;
}

static void *datagrams(void *arg)
{
    static char buf[2048];
    struct sockaddr_in from;
    socklen_t len = sizeof from;
    for (int fd = opened(SOCK_DGRAM, 8084);; len = sizeof from) {
        ssize_t n = recvfrom(fd, buf, sizeof buf, 0, (struct sockaddr *)&from, &len);
        if (n >= 0)
            sendto(fd, buf, n, 0, (struct sockaddr *)&from, len);
    }
}

static void *client(void *arg)
{
    FILE *in = fdopen((int)(long)arg, "r"), *out = fdopen(dup((int)(long)arg), "w");
    char line[1024];
    while (fgets(line, sizeof line, in)) {
        size_t length = 0;
        while (fgets(line, sizeof line, in) && strcmp(line, "\r\n"))
            if (!strncasecmp(line, "Content-Length:", 15))
                length = strtoul(line + 15, 0, 10);
        char *body = malloc(length + 1);
        if (fread(body, 1, length, in) != length)
            break;
        if (length == 0)
            length = strlen(strcpy(realloc(body, 8), "served\n"));
        fprintf(out, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", length);
        fwrite(body, 1, length, out);
        fflush(out);
        free(body);
    }
    fclose(in), fclose(out);
    return 0;
}

int main(void)
{
    int fd = opened(SOCK_STREAM, 8083);
    pthread_t thread;
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (listen(fd, 256) || pthread_create(&thread, &detached, datagrams, 0))
        return 1;
    for (;;)
        if (pthread_create(&thread, &detached, client, (void *)(long)accept(fd, 0, 0)))
            return 1;
}
"""
MIB = 1 << 20


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("server")
    (folder / "server.c").write_text(SERVER)
    subprocess.run(["gcc", "-O2", "-static", "-pthread", "-w", "-o", str(folder / "server"), str(folder / "server.c")],
                   check=True)
    return str(folder / "server")


def same_back(port, requests, size, seed):
    """Sends bodies over one connection; each has to come back as it was."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        for number in range(requests):
            body = hashlib.shake_128(f"{seed} {number}".encode()).digest(size)
            connection.request("POST", "/", body)
            answer = connection.getresponse()
            assert answer.status == 200
            assert hashlib.md5(answer.read()).digest() == hashlib.md5(body or b"served\n").digest()
    finally:
        connection.close()


def datagrams_back(port, count):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1)
        client.connect(("127.0.0.1", port))
        lost = 0
        for number in range(count):
            data = hashlib.shake_128(b"%d" % number).digest(1 + number * 37 % 1472)
            client.send(data)
            try:
                assert client.recv(2048) == data
            except socket.timeout:
                lost += 1
        assert lost <= count // 20


def monitor(path, command):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(10)
        client.connect(path)
        text = b""
        for line in ("", command):
            client.sendall(line.encode() + b"\n" if line else b"")
            while not text.endswith(b"(qemu) "):
                text += client.recv(4096)
            text = b""


def exercise(vm, udp):
    assert vm.wait_for_http() == (200, b"served\n")
    same_back(vm.port, 4, MIB, "large")
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda number: same_back(vm.port, 5, number * 331, number), range(64)))
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: same_back(vm.port, 2, MIB, number), range(4)))
    datagrams_back(udp, 100)


@pytest.mark.parametrize("cpus", ["1", "2"])
@pytest.mark.parametrize("machine_name", ["pc", "q35"])
@pytest.mark.parametrize("nic", ["e1000", "e1000e", "vmxnet3"])
def test_card(machine, server, nic, machine_name, cpus):
    udp = free_port()
    vm = machine(server, guest_port=8083,
                 options=["--nic", nic, "--machine", machine_name, "--cpus", cpus, "-p", f"{udp}:8084/udp"])
    exercise(vm, udp)


@pytest.mark.parametrize("nic", ["e1000", "e1000e", "vmxnet3"])
def test_pulled_cable(machine, server, tmp_path, nic):
    """Without a link nothing comes; with it the same connection goes on."""
    path = str(tmp_path / "monitor")
    vm = machine(server, guest_port=8083,
                 options=["--nic", nic, "--qemu-arg", f"-monitor unix:{path},server=on,wait=off"])
    assert vm.wait_for_http() == (200, b"served\n")
    connection = http.client.HTTPConnection("127.0.0.1", vm.port, timeout=60)
    for number in range(3):
        monitor(path, "set_link n0 off")
        connection.request("POST", "/", b"through %d" % number)
        with pytest.raises(TimeoutError):
            connection.sock.settimeout(1.5)
            connection.sock.recv(1)
        monitor(path, "set_link n0 on")
        connection.sock.settimeout(60)
        assert connection.getresponse().read() == b"through %d" % number
    connection.close()
