# SPDX-License-Identifier: MIT
"""Runs a command on Linux in the files of a machine's image: the other half of a comparison.

    linux_root.py IMAGE.cpio SIZE WORKDIR COMMAND...

The command is the first process of namespaces of its own (mounts, processes, network, IPC, host name), in a RAM
file system of at most SIZE with exactly the files of the image, with loopback as its only interface.  So what differs between
its results and the machine's is the kernel.  Without root rights it is root of a user namespace.
"""
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
IGNORED = (signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ)  # perhaps, by a shell's & and by Python
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1


def mount(*args):
    subprocess.run(["mount", *args], check=True)


def bring_up_loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(control, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(control, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))


def make_devices(root):
    dev = os.path.join(root, "dev")
    mount("-t", "tmpfs", "tmpfs", dev)
    for name in DEVICES:
        open(f"{dev}/{name}", "w", encoding="ascii").close()
        mount("--bind", f"/dev/{name}", f"{dev}/{name}")
    for name in ("pts", "shm", "mqueue"):
        os.mkdir(f"{dev}/{name}")
    mount("-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620", "devpts", f"{dev}/pts")
    mount("-t", "tmpfs", "-o", "mode=1777", "tmpfs", f"{dev}/shm")
    mount("-t", "mqueue", "mqueue", f"{dev}/mqueue")
    os.symlink("pts/ptmx", f"{dev}/ptmx")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        os.symlink(f"/proc/self/fd/{number}", f"{dev}/{name}")
    os.symlink("/proc/self/fd", f"{dev}/fd")


def inside(image, size, workdir, command):
    root = "/mnt"
    mount("--make-rprivate", "/")
    mount("-t", "tmpfs", "-o", f"mode=755,size={size}", "tmpfs", root)
    with open(image, "rb") as archive:
        subprocess.run(["cpio", "-idm", "--quiet", "--no-absolute-filenames"], stdin=archive, cwd=root, check=True)
    mount("-t", "proc", "proc", f"{root}/proc")
    mount("--rbind", "/sys", f"{root}/sys")
    make_devices(root)
    bring_up_loopback()
    socket.sethostname("stout")
    os.makedirs(f"{root}/oldroot", exist_ok=True)
    subprocess.run(["pivot_root", root, f"{root}/oldroot"], check=True)
    os.chdir("/")
    subprocess.run(["/oldroot/usr/bin/umount", "-l", "/oldroot"], check=True,
                   env={"LD_LIBRARY_PATH": "/oldroot/lib/x86_64-linux-gnu:/oldroot/usr/lib/x86_64-linux-gnu"})
    os.rmdir("/oldroot")
    os.chdir(workdir)
    os.umask(0o022)
    for number in IGNORED:
        signal.signal(number, signal.SIG_DFL)
    os.execvp(command[0], command)


def main():
    if sys.argv[1] == "--inside":
        inside(sys.argv[2], sys.argv[3], sys.argv[4], sys.argv[5:])
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    os.execvp("unshare", ["unshare", *user, "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
                          sys.executable, os.path.abspath(__file__), "--inside", *sys.argv[1:]])


if __name__ == "__main__":
    main()
