#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the test suites of CPython and Go and the stressors of stress-ng on Linux and in Stout, and compares test by test.

    suite.py SUITE [UNIT...] [--on linux|stout|both] [--again] [--list] [--shard I/N] [--budget SECONDS] [--text]

SUITE is cpython, go or stress-ng, a UNIT a module, package or stressor of it (all when none is named).  The results are kept one file
per unit in build/suites/SUITE/linux and .../stout, each with the kernel that it ran on; a unit whose results are there is not run
again (--again runs it), and of one that was stopped in its middle only the rest, so that a run that was stopped, or had a budget, goes
on where it was.  The units nearest to the kernel come first, then those that took Linux the least time.

What passes on Linux and does not in Stout must be a row in docs/compatibility.md, and what is a row there must
not pass: the list can only shrink.
"""
import argparse
import concurrent.futures
import glob
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile

from results import Store, compare, count

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
STOUT = os.path.join(TOP, "stout")
BUILD = os.path.join(TOP, "build", "suites")
PYTHON = "/usr/bin/python3.11"
PYTHON_LIB = "/usr/lib/python3.11"
ZONES = "/usr/share/zoneinfo"
COMMANDS = ("sh", "cat", "echo", "true", "false", "sleep", "ls", "env", "uname", "kill", "rm", "mkdir", "pwd", "id", "tty",
            "stty", "head", "grep", "ps", "bash", "sort", "touch", "ln", "chmod", "date", "hostname")


class Suite:
    """What a suite adds to the image, which units it has, how a unit is prepared."""

    memory, cpus = "1536M", 2  # the size of both sides' file systems, too
    timeout = {"linux": 120, "stout": 400}  # seconds without progress that end a test
    slowness = 40  # of an emulated machine: a test may take that many times as long as on Linux, too
    silence = 240  # seconds more without a word end a machine
    near = ()  # the units nearest to the kernel
    linux = "linux_root.py"  # what runs the command on Linux
    plan = {}  # more for the driver

    def __init__(self):
        self.folder = os.path.join(BUILD, self.name)

    def options(self):
        words = ["--net", "none", "-i", "-m", self.memory, "--cpus", str(self.cpus), "--workdir", "/tmp",
                 "--secrets",  # the suites' own keys
                 "--add", f"{HERE}/guest:/suite", "-e", "LANG=C.UTF-8", "-e", "TERM=dumb"]
        for command in COMMANDS:
            path = shutil.which(command)
            if path:
                words += ["--add", f"{path}:/usr/bin/{command}", "--add", f"{path}:/bin/{command}"]
        for path in self.adds():
            words += ["--add", path]
        return words

    def command(self):
        return [PYTHON, "-E", "/suite/driver.py", self.name]

    def prepare(self, units):
        pass

    def nearness(self, unit):
        """What units are sorted by."""
        parts = {unit, unit.split(".")[0]}
        return min((index for index, name in enumerate(self.near) if name in parts), default=len(self.near))


class CPython(Suite):
    name = "cpython"
    # Packages of many modules, which are run module by module.
    PACKAGES = ("test_asyncio",)
    # Not a test of this system: other platforms, an editor, the installer, a debugger, the compiler of C.
    LEFT_OUT = re.compile(r"test_(idle|tk|tix|ttk_.*|turtle|tcl|ensurepip|venv|gdb|lib2to3|launcher|msilib|winreg|"
                          r"winsound|winconsoleio|startfile|osx_env|_osx_support|kqueue|devpoll|ossaudiodev|distutils|"
                          r"cppext|peg_generator|clinic|tools|smtpnet|urllib2net|urllibnet|xmlrpc_net|regrtest|dtrace|"
                          r"bigmem|nis|zipfile64|check_c_globals|asdl_parser)$")
    near = tuple("test_" + name for name in (
        "os posix socket subprocess threading signal threadsignals select selectors epoll poll mmap fcntl asyncio asyncore asynchat "
        "multiprocessing_fork multiprocessing_spawn multiprocessing_forkserver multiprocessing_main_handling concurrent_futures fork1 "
        "wait3 wait4 eintr ioctl openpty pty tty termios popen pipes resource time timeout thread _thread queue sched "
        "fileio file io largefile tempfile shutil pathlib glob stat genericpath posixpath socketserver ssl ftplib httpservers "
        "syslog faulthandler pwd grp platform memoryio mailbox dbm sqlite3 logging").split())

    def adds(self):
        folders = ("test", "unittest/test", "lib2to3", "ensurepip", "pydoc_data", "tkinter", "distutils")
        return [f"{PYTHON_LIB}/{name}" for name in folders if os.path.isdir(f"{PYTHON_LIB}/{name}")] + \
            [path for path in (ZONES, "/etc/mime.types", "/etc/localtime", "/usr/lib/locale")
             if os.path.exists(path)]

    def units(self):
        for name in sorted(os.listdir(f"{PYTHON_LIB}/test")):
            base, extension = os.path.splitext(name)
            if not base.startswith("test_") or extension not in ("", ".py") or self.LEFT_OUT.match(base):
                continue
            if base in self.PACKAGES:
                for module in sorted(os.listdir(f"{PYTHON_LIB}/test/{base}")):
                    if module.startswith("test_") and module.endswith(".py"):
                        yield f"{base}.{module[:-3]}"
            else:
                yield base


class Go(Suite):
    name = "go"
    memory = "4096M"  # the tests' programs alone are 0.8 GiB, and one maps 3 GiB
    # Their tests compile programs, or read compiled packages.
    COMPILING = {"runtime", "runtime/pprof", "go/types", "go/internal/gcimporter"}
    TOOLS = ("asm", "buildid", "cgo", "compile", "link", "pack", "pprof")
    GCC = "/usr/lib/gcc/x86_64-linux-gnu/12"
    LIBRARIES = "/usr/lib/x86_64-linux-gnu"
    near = tuple("os os/exec os/signal syscall net internal/poll runtime time os/user sync sync/atomic net/http path/filepath".split())

    def __init__(self):
        super().__init__()
        self.root = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
        self.prepared = ()

    def units(self):
        """The packages of the library that have tests."""
        return subprocess.run(["go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}", "std"],
                              cwd=f"{self.root}/src", capture_output=True, text=True, check=True).stdout.split()

    def adds(self):
        # The sources too: tests read their own, and their neighbours' testdata.
        source = os.path.realpath(f"{self.root}/src")
        words = [f"{source}/{name}:{self.root}/src/{name}" for name in sorted(os.listdir(source)) if name != "cmd"]
        words += [f"{self.binary(unit)}:/go/bin/{os.path.basename(self.binary(unit))}" for unit in self.prepared]
        words += [f"{self.folder}/lib:{self.root}/lib", f"{os.path.realpath(self.root + '/bin/go')}:/usr/bin/go"]
        if self.COMPILING & set(self.prepared):
            words += self.compiler()
        return words + [path for path in (ZONES, "/etc/localtime") if os.path.exists(path)]

    def compiler(self):
        tools = "pkg/tool/linux_amd64"
        parts = [f"{tools}/{name}" for name in self.TOOLS] + ["pkg/include", "pkg/linux_amd64", "bin/go", "test"]
        words = [f"{os.path.realpath(f'{self.root}/{part}')}:{self.root}/{part}" for part in parts]
        paths = [f"{self.GCC}/{name}" for name in ("cc1", "collect2", "liblto_plugin.so", "libgcc.a", "libgcc_s.so", "libgcc_eh.a", "include")]
        paths += glob.glob(f"{self.GCC}/crt*.o") + glob.glob(f"{self.LIBRARIES}/*crt*.o") + ["/usr/include"]
        paths += [f"{self.LIBRARIES}/{name}" for name in ("libc.so", "libc_nonshared.a", "libpthread.a", "libgcc_s.so.1")]
        paths += [f"/usr/bin/{name}" for name in ("gcc", "as", "ld")]
        return words + [f"{os.path.realpath(path)}:{path}" for path in paths]

    def options(self):
        return super().options() + ["-e", f"GOROOT={self.root}", "-e", "GO_TEST_TIMEOUT_SCALE=4"]

    def binary(self, unit):
        return os.path.join(self.folder, "bin", unit.replace("/", "_") + ".test")

    def prepare(self, units):
        self.prepared = units
        os.makedirs(os.path.join(self.folder, "bin"), exist_ok=True)
        self.make_zones(os.path.join(self.folder, "lib", "time", "zoneinfo.zip"))
        for unit in units:
            path = self.binary(unit)
            if not os.path.exists(path):
                env = dict(os.environ, GOFLAGS="", GOCACHE=os.path.join(TOP, "build", "go-cache"))
                subprocess.run(["go", "test", "-c", "-o", path, unit], cwd=f"{self.root}/src", check=True, env=env)

    @staticmethod
    def make_zones(path):
        """The time zones as Go wants them, which Debian leaves out: an archive that is not compressed."""
        if os.path.exists(path):
            return
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with zipfile.ZipFile(path + ".part", "w", zipfile.ZIP_STORED) as archive:
            for base, _, names in os.walk(ZONES):
                for name in names:
                    relative = os.path.relpath(os.path.join(base, name), ZONES)
                    if relative[0].isupper() and "." not in name:
                        archive.write(os.path.join(base, name), relative)
        os.rename(path + ".part", path)


class StressNg(Suite):
    """Linux is a machine of its own here: stressors run as root, and some would change the host."""

    name = "stress-ng"
    memory = "2560M"  # the largest file of a stressor, 1 GiB, fits into half of it
    timeout = {"linux": 60, "stout": 60}
    silence = 240
    linux = "linux_machine.py"
    plan = {"seconds": {"linux": 2, "stout": 10}}

    def adds(self):
        return [shutil.which("stress-ng")]

    def units(self):
        return subprocess.run(["stress-ng", "--stressors"], capture_output=True, text=True, check=True).stdout.split()


SUITES = {"cpython": CPython, "go": Go, "stress-ng": StressNg}


class Run:
    """Units on one side, in as few machines as it takes: one that dies costs the test that ran, no more."""

    DEATHS = 20  # of machines, in one unit

    def __init__(self, suite, place, store, deadline, say=print):
        self.suite, self.place, self.store, self.deadline, self.say = suite, place, store, deadline, say
        self.kernel = None
        self.linux = Store(suite, "linux")

    def run(self, units):
        self.todo = list(units)
        self.deaths = 0
        while self.todo and self.deaths < self.DEATHS:
            self.running = self.kernel = None
            begun = time.monotonic()
            process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE if self.place == "stout" else None, start_new_session=True)
            try:
                why = self.follow(process)
            finally:
                kill_session(process)
            if time.monotonic() >= self.deadline:
                self.say(f"{self.place}: the budget is spent; {len(self.todo)} units are left")
                break
            if why is None:
                break
            self.deaths += 1
            unit, test = self.running or (self.todo[0], "(unit)")
            self.say(f"{self.place}: the whole run ended in {unit} {test}: {why[-1500:]}")
            self.add(unit, {"t": test, "s": "machine", "d": round(time.monotonic() - begun), "text": why[-3000:]})
            if self.running is None or sum(line["s"] == "machine" for line in self.store.load_part(unit).values()) > 5:
                self.end(unit)

    def command(self):
        run = [STOUT, "run", *self.suite.options()]
        if self.place == "stout":
            accel = os.environ.get("STOUT_TEST_ACCEL", "tcg")
            return [run[0], run[1], "--accel", accel, *run[2:], *self.suite.command()]
        plan = subprocess.run([*run, "--accel", "tcg", "--dry-run", *self.suite.command()], check=True,
                              capture_output=True, text=True).stdout
        image = re.search(r"-initrd (\S+)", plan).group(1)
        env = ["/usr/bin/env", "-i", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root",
               *re.findall(r"(?<=-e )\S+", " ".join(run))]
        return [sys.executable, os.path.join(HERE, self.suite.linux), image, self.suite.memory, "/tmp", *env, *self.suite.command()]

    def plan(self):
        plan = {name: values[self.place] for name, values in self.suite.plan.items()}
        return plan | {"timeout": self.suite.timeout[self.place],
                       "units": [{"name": unit, "done": sorted(self.store.load_part(unit)), "timeouts": self.timeouts(unit)}
                                 for unit in self.todo]}

    def timeouts(self, unit):
        """Those of tests that take long on Linux."""
        usual, slowness = self.suite.timeout[self.place], self.suite.slowness
        return {test: slowness * seconds for test, seconds in self.linux.seconds(unit).items() if slowness * seconds > usual}

    def follow(self, process):
        """None when the driver came to its end, else the reason why not."""
        process.stdin.write(json.dumps(self.plan()).encode())
        process.stdin.close()
        ended = False
        errors = []
        reader = process.stderr and threading.Thread(target=lambda: errors.append(process.stderr.read()))
        if reader:
            reader.start()
        watchdog = self.watch(process)
        for data in process.stdout:
            try:
                line = json.loads(data)
            except ValueError:
                self.say(f"{self.place}: {data[:300]!r}")
                continue
            ended = ended or "end" in line
            self.take(line)
            watchdog.cancel()
            watchdog = self.watch(process)
        process.wait()
        watchdog.cancel()
        if reader:
            reader.join()
        text = errors[0].decode("utf-8", "replace") if errors else ""
        return None if ended else f"status {process.returncode}\n{text}"

    def take(self, line):
        if "begin" in line:
            self.running = line["u"], line["begin"]
        elif "t" in line:
            self.add(line.pop("u"), line)
        elif "done" in line:
            self.end(line["u"])
            self.running = None

    def watch(self, process):
        """Ends a machine that says nothing for longer than the driver in it waits for a test, and any machine at the deadline."""
        unit, test = self.running or (self.todo[0] if self.todo else "", None)
        patience = self.timeouts(unit).get(test, self.suite.timeout[self.place]) + self.suite.silence
        watchdog = threading.Timer(max(0, min(patience, self.deadline - time.monotonic())), kill_session, (process,))
        watchdog.daemon = True  # a run that is stopped does not wait for it
        watchdog.start()
        return watchdog

    def add(self, unit, line):
        self.kernel = self.kernel or (kernel_name() if self.place == "stout" else "linux-" + os.uname().release)
        self.store.add(unit, line | {"kernel": self.kernel})

    def end(self, unit):
        self.todo.remove(unit)
        self.deaths = 0
        lines = self.store.finish(unit)
        self.say(f"{self.place}: {unit}: " + ", ".join(f"{n} {s}" for s, n in count(lines).items()) +
                 f" ({sum(line['d'] for line in lines.values()):.0f} s)")


def kill_session(process):
    """The machine, too, which what starts it may not take along."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_lanes(run, units, lanes):
    if lanes == 1:
        run(units)  # which a signal can end
        return
    with concurrent.futures.ThreadPoolExecutor(lanes) as pool:
        list(pool.map(run, (units[lane::lanes] for lane in range(lanes))))


def run_missing(suite, units, again=False, places=("linux", "stout"), stout="stout", budget=float("inf"), say=print, lanes=1):
    """Runs what has no results, for at most BUDGET seconds; {place: Store}.  lanes: how many run side by side on Linux, where tests
    mostly sleep."""
    deadline = time.monotonic() + budget
    suite.prepare(units)
    stores = {"linux": Store(suite, "linux"), "stout": Store(suite, stout)}
    for place in places:
        for unit in units if again else ():
            stores[place].drop(unit)
        todo = [unit for unit in units if not stores[place].has(unit)]
        todo.sort(key=lambda unit: (suite.nearness(unit), sum(stores["linux"].seconds(unit).values()), unit))
        if todo and time.monotonic() < deadline:
            run_lanes(lambda part, place=place: Run(suite, place, stores[place], deadline, say).run(part), todo,
                      lanes if place == "linux" else 1)
    return stores


def kernel_name():
    """For results that are kept: those of another kernel say nothing about this one."""
    path = os.environ.get("STOUT_KERNEL") or os.path.join(TOP, "build", "release", "stout.elf.stripped")
    with open(path, "rb") as file:
        return "stout-" + hashlib.sha256(file.read()).hexdigest()[:12]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("units", nargs="*")
    parser.add_argument("--on", choices=("linux", "stout", "both"), default="both")
    parser.add_argument("--again", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--shard", default="1/1")
    parser.add_argument("--budget", type=float, default=float("inf"), metavar="SECONDS", help="the longest run; the next goes on")
    parser.add_argument("--text", action="store_true", help="the failures' texts too")
    args = parser.parse_intermixed_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    suite = SUITES[args.suite]()
    index, shards = map(int, args.shard.split("/"))
    units = (args.units or list(suite.units()))[index - 1::shards]
    if args.list:
        print("\n".join(units))
        return 0
    places = ("linux", "stout") if args.on == "both" else (args.on,)
    stores = run_missing(suite, units, args.again, places, budget=args.budget)
    if args.on != "both":
        return 0
    comparison = compare(suite, units, stores)
    for problem in comparison.problems:
        print(problem if args.text else problem.split("\n")[0])
    print("kernels: " + ", ".join(f"{kernel} ({n} tests)" for kernel, n in comparison.kernels.most_common()))
    print(comparison)
    return 1 if comparison.problems else 0


if __name__ == "__main__":
    sys.exit(main())
