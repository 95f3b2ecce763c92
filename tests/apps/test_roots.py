# SPDX-License-Identifier: MIT
"""Roots that people bring, as OCI images made on the spot: Debian's by debootstrap, Alpine's kind, and a distroless one."""
import hashlib
import os
import shutil
import subprocess

import pytest
from conftest import ACCEL, HERE, STOUT, TOP, need
from test_packages import home, layout  # noqa: F401  pylint: disable=unused-import

DEBS = os.path.join(TOP, "build", "debian-bookworm.tar")  # by scripts/setup --tests
PERL = r"""
use POSIX; print join(" ", (uname())[0], scalar(getpwuid($<)), scalar(localtime(0)), -d "/var/lib/dpkg" ? "dpkg" : ""), "\n";
print `dpkg-query -W -f '\${Package} \${Status}\n' bash; sh -c 'seq 5 | sort -rn | xargs'; apt-get --version | head -1`;
"""
SERVICE = """#!/bin/sh
set -e
mkdir -p /tmp/www
echo "$NAME of $(cat /etc/alpine-release), $(id -un)" >/tmp/www/index.html
sha256sum /lib/ld-musl-x86_64.so.1 | cut -d' ' -f1 >>/tmp/www/index.html
ls -l / | awk '{ print $1 }' | sort -u | wc -l
exec page-server /tmp/www/index.html
"""
# A thread a client, in a library of its own.
PAGE_LIBRARY = r"""
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
static const char *page;
static void *answer(void *arg)
{
    int client = (int)(long)arg;
    char request[4096], body[4096];
    struct passwd *user = getpwuid(getuid());
    if (read(client, request, sizeof request) > 0) {
        int fd = open(page, O_RDONLY);
        ssize_t len = read(fd, body, sizeof body);
        close(fd);
        dprintf(client, "HTTP/1.0 200 OK\r\nServer: %s\r\n\r\n%.*s", user ? user->pw_name : "?", (int)len, body);
    }
    close(client);
    return 0;
}
void serve(int client, const char *path)
{
    pthread_t thread;
    page = path;
    pthread_create(&thread, 0, answer, (void *)(long)client);
    pthread_detach(thread);
}
"""
PAGE_SERVER = r"""
#include <netinet/in.h>
#include <sys/socket.h>
void serve(int client, const char *path);
int main(int argc, char **argv)
{
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(8080) };
    if (argc != 2 || bind(listener, (struct sockaddr *)&any, sizeof any) || listen(listener, 16))
        return 1;
    for (;;)
        serve(accept(listener, 0, 0), argv[1]);
}
"""


def run_image(*words):
    result = subprocess.run([STOUT, *words], capture_output=True, text=True, timeout=240, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.usefixtures("home")
def test_debian_slim(layout, tmp_path):  # noqa: F811
    """A whole minimal Debian as debootstrap leaves it, unmodified."""
    if os.geteuid() or not os.path.exists(DEBS):
        pytest.skip("debootstrap needs root, and the packages that scripts/setup --tests keeps")
    root = tmp_path / "root"
    subprocess.run(["/usr/sbin/debootstrap", "--variant=minbase", f"--unpack-tarball={DEBS}",
                    "bookworm", root], check=True, stdout=subprocess.DEVNULL, timeout=300)
    image = layout(root, "--config.cmd", "bash", "--config.env", "LANG=C.UTF-8", "--config.env", "TZ=UTC")
    run_image("pkg", "from-docker", image, "-n", "debian")
    out = run_image("pkg", "load", "debian", "--accel", ACCEL, "-m", "1G", "--entrypoint", "perl", "--", "-e", PERL)
    lines = out.splitlines()
    assert lines[0] == "Linux root Thu Jan  1 00:00:00 1970 dpkg" and lines[1] == "bash install ok installed" and lines[2] == "5 4 3 2 1", out
    assert lines[3].startswith("apt 2."), out


def compile_for_musl(tmp_path, root):
    """A server and its library, which the root's loader has to find."""
    for name, text, place, words in (("page.c", PAGE_LIBRARY, root / "usr/lib/libpage.so", ["-shared", "-fPIC"]),
                                     ("server.c", PAGE_SERVER, root / "usr/bin/page-server", ["-L", str(root / "usr/lib"), "-lpage"])):
        place.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        subprocess.run([need("musl-gcc"), "-o", place, tmp_path / name, *words], check=True)


def interpreter(path):
    headers = subprocess.check_output(["readelf", "-Wl", path], text=True)
    return headers.partition("program interpreter: ")[2].partition("]")[0]


@pytest.mark.usefixtures("home")
def test_alpine_kind(layout, machine, tmp_path):  # noqa: F811
    """As alpine:3 is laid out: applets as links, os-release, a user, a script as entry point, and what it starts is dynamic.

    Debian's busybox is static, so the server is what needs the root's loader, which is the one whose calls are jumps.
    """
    root = tmp_path / "root"
    for folder in ("bin", "sbin", "lib", "usr/bin", "etc", "tmp", "var/run", "home/web"):
        (root / folder).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy(need("busybox"), root / "bin/busybox")
    for name in subprocess.check_output([need("busybox"), "--list-full"], text=True).split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(root / name):
            (root / name).symlink_to("/bin/busybox")
    shutil.copy(os.path.realpath("/lib/ld-musl-x86_64.so.1"), root / "lib/ld-musl-x86_64.so.1")
    (root / "lib/libc.musl-x86_64.so.1").symlink_to("ld-musl-x86_64.so.1")
    compile_for_musl(tmp_path, root)
    assert interpreter(root / "usr/bin/page-server") == "/lib/ld-musl-x86_64.so.1"
    (root / "etc/alpine-release").write_text("3.99.0\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/ash\nweb:x:100:101::/home/web:/bin/ash\n")
    (root / "etc/group").write_text("root:x:0:root\nweb:x:101:\n")
    (root / "entry").write_text(SERVICE)
    (root / "entry").chmod(0o755)
    image = layout(root, "--config.entrypoint", "/entry", "--config.user", "web", "--config.env", "NAME=service", "--config.env",
                   "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "--config.exposedports", "8080/tcp")
    vm = machine(guest_port=8080, options=["--image", image])
    status, page = vm.wait_for_http()
    with open(os.path.join(TOP, "build/release/ld-musl-x86_64.so.1"), "rb") as file:
        shipped = hashlib.sha256(file.read()).hexdigest()
    assert (status, page.decode()) == (200, f"service of 3.99.0, web\n{shipped}\n")


@pytest.mark.usefixtures("home")
def test_distroless_kind(layout, machine, tmp_path):  # noqa: F811
    """As distroless/base is laid out: glibc, certificates and a user, no shell; a dynamic Go server on it, by a package."""
    root = tmp_path / "root"
    for folder in ("etc/ssl/certs", "lib64", "lib/x86_64-linux-gnu", "tmp", "home/nonroot", "usr/bin"):
        (root / folder).mkdir(parents=True)
    environment = dict(os.environ, CGO_ENABLED="1", GO111MODULE="off", GOFLAGS="", GOCACHE=os.path.join(TOP, "build/go-cache"))
    subprocess.run([need("go"), "build", "-o", root / "usr/bin/server", os.path.join(HERE, "go/server.go")], check=True, env=environment)
    assert interpreter(root / "usr/bin/server") == "/lib64/ld-linux-x86-64.so.2"  # by cgo, for net's resolver
    shutil.copy("/lib64/ld-linux-x86-64.so.2", root / "lib64/ld-linux-x86-64.so.2")
    for name in ("libc.so.6", "libresolv.so.2", "libpthread.so.0", "libnss_files.so.2", "libnss_dns.so.2"):
        shutil.copy(f"/lib/x86_64-linux-gnu/{name}", root / "lib/x86_64-linux-gnu" / name)
    shutil.copy("/etc/ssl/certs/ca-certificates.crt", root / "etc/ssl/certs/ca-certificates.crt")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")
    (root / "etc/group").write_text("root:x:0:\nnonroot:x:65532:\n")
    image = layout(root, "--config.entrypoint", "/usr/bin/server", "--config.user", "65532:65532", "--config.workingdir", "/home/nonroot",
                   "--config.env", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt")
    run_image("pkg", "from-docker", image, "-n", "distroless")
    assert "/bin/sh" not in run_image("pkg", "contents", "distroless")
    vm = machine(guest_port=8080, options=["--package", "distroless", "--cpus", "2"])
    assert vm.wait_for_http() == (200, b"Hello from Go\n")
    assert vm.get("/work")[1] == b"total 9950\n"
