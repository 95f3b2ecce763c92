#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs guest tests: each program on Linux first, then in Stout; output and status must agree.

    run.py [--list] [--linux-only] [--folder] [--road ROAD] [NAME[.VARIANT][@ROAD]...]

--folder runs any test as folder=yes has it, --road on a road into the kernel (docs/decisions/0006) with the others off:
    syscall   every call by the syscall instruction
    patched   each site patched when it was used once
    musl      the calls of the shipped musl by its own jumps (variant musl)

A test is a file NAME.c, NAME.cc or NAME.S here.  A line "test: KEY=VALUE ..." in its first comment sets:
    flags=...,...     for the compiler           variants=dynamic,static,musl,musl-static,static-pie,folder
    cpus=N memory=64M of the machine             timeout=SECONDS for the run in the guest (20)
    args=...,...      of the program             stdin=TEXT
    status=N          that it must have on Linux (0)
    options=...,...   of stout run               env=K=V,...
    stderr=yes        is compared too            linux=STATUS: is not run on Linux; the status is known
    only=...          guest: not run on Linux, must print "passed" and exit with 0
    folder=yes        the directory that it starts in is a folder of the host (stout run -v)
    roads=...,...     its first variant runs on these as well, as NAME@ROAD
    not_on=...,...    roads that it cannot run on, as it looks for what is off there
    counts=no         its system calls do not count as tested (every_call.py)

A test calls unable() where this host's Linux lacks what it is about (a hypervisor may hide it); it then runs in the guest
as with only=guest.
"""
import ctypes
import fcntl
import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
sys.path.append(os.path.join(TOP, "tests"))

from insides import Insides  # noqa: E402
from priority import usual_priority  # noqa: E402

CLONE_NEWIPC = 0x08000000  # sched.h
UNABLE = 77  # check.h
BUILD = os.path.join(TOP, "build", "guest")
COMPILE = {
    "dynamic": ["gcc"], "static": ["gcc", "-static"], "static-pie": ["gcc", "-static-pie"],
    "nopie": ["gcc", "-no-pie", "-fno-pie"], "musl": ["musl-gcc"], "musl-static": ["musl-gcc", "-static"],
    "clang": ["clang"], "folder": ["gcc"],
}
HEADERS = [os.path.join(HERE, name) for name in os.listdir(HERE) if name.endswith(".h")] + [
    os.path.join(TOP, "kernel", name) for name in ("syscalls.def", "syscall_kinds.def", "syscalls_absent.def")]
ROADS = {
    "syscall": ["patch_calls=off", "sysinfo=off", "vdso=off"],
    "patched": ["patch_calls=1", "sysinfo=off", "vdso=off"],
    "musl": ["patch_calls=off", "vdso=off"],
}
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"}


def prepare():
    """On Linux, before the program: what it makes of System V IPC is its own, as in a machine, and ends with it."""
    usual_priority()
    ctypes.CDLL(None).unshare(CLONE_NEWIPC)  # EPERM: an ordinary user's tests see each other's


class Test:
    def __init__(self, path, variant, road=None):
        self.path = path
        self.variant = variant
        self.base = os.path.splitext(os.path.basename(path))[0]
        self.settings = settings_of(path)
        if variant == "folder":
            self.settings["folder"] = "yes"
        self.road = road
        self.built = self.base if variant == "dynamic" else f"{self.base}.{variant}"
        self.name = f"{self.built}@{road}" if road else self.built
        self.program = os.path.join(BUILD, self.built)
        self.counts = os.path.join(BUILD, self.name + ".calls")

    def words(self, key):
        text = self.settings.get(key, "")
        return text.split(",") if text else []

    def build(self):
        """None, or why not.  The same program may be wanted on several roads at a time."""
        os.makedirs(BUILD, exist_ok=True)
        with open(self.program + ".lock", "w", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return self.build_locked()

    def build_locked(self):
        sources = [self.path, *HEADERS]
        newest = max(os.stat(source).st_mtime for source in sources)
        if os.path.exists(self.program) and os.stat(self.program).st_mtime >= newest:
            return None
        command = list(COMPILE[self.variant])
        if self.path.endswith(".cc"):
            command[0] = {"gcc": "g++", "clang": "clang++"}[command[0]]
        temporary = f"{self.program}.{os.getpid()}"
        result = subprocess.run([*command, "-O1", "-g", "-Wall", "-Wextra", "-I", TOP, "-o", temporary, self.path,
                                 *self.words("flags")], stderr=subprocess.PIPE, check=False)
        if result.returncode or result.stderr:
            return "it does not compile cleanly:\n" + text_of(result.stderr)
        os.rename(temporary, self.program)
        return None

    def stdin(self):
        """Without stdin= it is /dev/null, as in a machine without -i."""
        if "stdin" in self.settings:
            return {"input": self.settings["stdin"].encode()}
        return {"stdin": subprocess.DEVNULL}

    def run_linux(self):
        env = dict(ENVIRONMENT, **dict(word.split("=", 1) for word in self.words("env")))
        with tempfile.TemporaryDirectory() as folder:
            result = subprocess.run([self.program, *self.words("args")], cwd=folder, env=env, capture_output=True,
                                    check=False, timeout=int(self.settings.get("timeout", 20)),
                                    preexec_fn=prepare, **self.stdin())
        status = 128 - result.returncode if result.returncode < 0 else result.returncode
        return Outcome(result.stdout, result.stderr, status)

    def can_go(self, road):
        return road not in self.words("not_on") and (road != "musl" or self.variant == "musl")

    def run_guest(self):
        if "folder" in self.settings:
            with tempfile.TemporaryDirectory() as folder:
                return self.run_guest_in("/folder", "-v", f"{folder}:/folder")
        return self.run_guest_in("/tmp")

    def run_guest_in(self, workdir, *more):
        command = [os.path.join(TOP, "stout"), "run", "--accel", os.environ.get("STOUT_TEST_ACCEL", "tcg"),
                   "--workdir", workdir, *more]
        if self.settings.get("counts") != "no":
            command += ["--count-calls", self.counts]
        for key, option in (("cpus", "--cpus"), ("memory", "-m")):
            if key in self.settings:
                command += [option, self.settings[key]]
        for word in self.words("env"):
            command += ["-e", word]
        if "stdin" in self.settings:
            command.append("-i")
        command += self.words("options")
        for word in ROADS[self.road] if self.road else []:
            command += ["--kernel-option", word]
        timeout = int(self.settings.get("timeout", 20)) + 20
        stdin = self.stdin()
        pipe = subprocess.PIPE
        with Insides() as insides, subprocess.Popen(
                [*command, *insides.options, self.program, *self.words("args")], stdin=stdin.get("stdin", pipe),
                stdout=pipe, stderr=pipe) as process:
            try:
                stdout, stderr = process.communicate(stdin.get("input"), timeout)
            except subprocess.TimeoutExpired as expired:
                stderr = (expired.stderr or b"") + insides.text().encode()
                process.kill()
                return Outcome(expired.stdout, stderr, f"still running after {timeout} s")
        return Outcome(stdout, stderr, process.returncode)


class Outcome:
    def __init__(self, stdout, stderr, status):
        self.stdout = stdout or b""
        self.stderr = stderr or b""
        self.status = status


ALONE = Outcome(b"passed\n", b"", 0)


def settings_of(path):
    with open(path, encoding="utf-8") as file:
        head = file.read(2000)
    return dict(re.findall(r"(\w+)=(\S+)", " ".join(re.findall(r"test: (.*)", head))))


def variants_of(settings):
    return settings.get("variants", "dynamic").split(",")


def find_tests(road=None):
    """All of them, or all that can go a road."""
    for test in find_variants():
        if road is None:
            yield test
            if test.variant == variants_of(test.settings)[0]:
                yield from (Test(test.path, test.variant, name) for name in test.words("roads"))
        elif test.can_go(road):
            yield Test(test.path, test.variant, road)


def find_variants():
    for name in sorted(os.listdir(HERE)):
        if name.endswith((".c", ".cc")):
            path = os.path.join(HERE, name)
            yield from (Test(path, variant) for variant in variants_of(settings_of(path)))


def explain(test, linux, guest):
    """None when they agree, else what differs."""
    problems = []
    if guest.status != linux.status:
        problems.append(f"status: Linux {linux.status}, Stout {guest.status}")
    if guest.stdout != linux.stdout:
        problems.append("output differs; Linux:\n" + text_of(linux.stdout) + "\nStout:\n" + text_of(guest.stdout))
    if "stderr" in test.settings and guest.stderr != linux.stderr:
        problems.append("stderr of Linux:\n" + text_of(linux.stderr))
    if not problems:
        return None
    if guest.stderr:
        problems.append("stderr of Stout:\n" + text_of(guest.stderr))
    return "\n".join(problems)


def explain_alone(test, linux, guest):
    """As explain(), of a test that had no example; what it prints beside its verdict is not known."""
    last = Outcome(b"".join(guest.stdout.splitlines(True)[-1:]), guest.stderr, guest.status)
    problem = explain(test, ALONE, last)
    return problem and f"{text_of(linux.stdout)}\n{problem}\n{text_of(guest.stdout)}"


def text_of(data):
    text = data.decode("utf-8", "backslashreplace")
    return text if len(text) < 6000 else text[:3000] + "\n...\n" + text[-3000:]


def run_test(test, linux_only=False):
    problem = test.build()
    if problem:
        return problem
    if "linux" in test.settings:
        linux = Outcome(b"", b"", int(test.settings["linux"]))
    elif "only" in test.settings:
        linux = ALONE
    else:
        linux = test.run_linux()
        if linux.status == UNABLE:
            print(f"{test.name} is not compared: {text_of(linux.stdout).splitlines()[-1]}", flush=True)
            return None if linux_only else explain_alone(test, linux, test.run_guest())
        if linux.status != int(test.settings.get("status", 0)):
            return f"its status on Linux is {linux.status}:\n{text_of(linux.stdout)}"
        if b"FAIL" in linux.stdout:
            return "it fails on Linux:\n" + text_of(linux.stdout)
    if linux_only:
        return None
    return explain(test, linux, test.run_guest())


def main(args):
    linux_only = "--linux-only" in args
    road = None
    if "--road" in args:
        at = args.index("--road")
        road = args[at + 1] if args[at + 1:] else ""
        if road not in ROADS:
            print(f"run.py: the roads are {', '.join(ROADS)}", file=sys.stderr)
            return 2
        del args[at:at + 2]
    names = [arg for arg in args if not arg.startswith("-")]
    tests = [t for t in find_tests(road) if not names or t.name in names or t.base in names or road and t.built in names]
    for test in tests if "--folder" in args else []:
        test.settings["folder"] = "yes"
    if "--list" in args:
        print("\n".join(test.name for test in tests))
        return 0
    if not tests:
        print(f"run.py: no test is called {' '.join(names)}", file=sys.stderr)
        return 2
    failed = 0
    for test in tests:
        problem = run_test(test, linux_only)
        print(f"{'FAIL' if problem else 'ok'} {test.name}", flush=True)
        if problem:
            failed += 1
            print("    " + problem.replace("\n", "\n    "), flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
