#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the test suites of CPython and Go and the stressors of stress-ng on Linux and in Stout, and compares test by test.

    suite.py SUITE [UNIT...] [--on linux|stout|both] [--again] [--list] [--shard I/N] [--text]

SUITE is cpython, go or stress-ng, a UNIT a module, package or stressor of it (all when none is named).  The results are kept one file
per unit in build/suites/SUITE/linux and .../stout; a unit whose results are there is not run again (--again
runs it), so that a run that was stopped goes on where it was.

What passes on Linux and does not in Stout must be a row in docs/compatibility.md, and what is a row there must
not pass: the list can only shrink.
"""
import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
STOUT = os.path.join(TOP, "stout")
BUILD = os.path.join(TOP, "build", "suites")
LIST = os.path.join(TOP, "docs", "compatibility.md")
PYTHON = "/usr/bin/python3.11"
PYTHON_LIB = "/usr/lib/python3.11"
ZONES = "/usr/share/zoneinfo"
COMMANDS = ("sh", "cat", "echo", "true", "false", "sleep", "ls", "env", "uname", "kill", "rm", "mkdir", "pwd", "id", "tty",
            "stty", "head", "grep", "ps", "bash", "sort", "touch", "ln", "chmod", "date", "hostname")


class Suite:
    """What a suite adds to the image, which units it has, how a unit is prepared."""

    memory, cpus = "1536M", 2  # the size of both sides' file systems, too
    timeout = {"linux": 120, "stout": 400}  # seconds without progress that end a test
    silence = 3600  # and that end a machine
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


class CPython(Suite):
    name = "cpython"
    # Packages of many modules, which are run module by module.
    PACKAGES = ("test_asyncio",)
    # Not a test of this system: other platforms, an editor, the installer, a debugger, the compiler of C.
    LEFT_OUT = re.compile(r"test_(idle|tk|tix|ttk_.*|turtle|tcl|ensurepip|venv|gdb|lib2to3|launcher|msilib|winreg|"
                          r"winsound|winconsoleio|startfile|osx_env|_osx_support|kqueue|devpoll|ossaudiodev|distutils|"
                          r"cppext|peg_generator|clinic|tools|smtpnet|urllib2net|urllibnet|xmlrpc_net|regrtest|dtrace|"
                          r"bigmem|nis|zipfile64|check_c_globals|asdl_parser)$")

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
    PACKAGES = ("bufio", "context", "io", "io/fs", "io/ioutil", "math/rand", "net", "net/http", "net/http/httptest",
                "net/http/httputil", "net/rpc", "net/netip", "net/textproto", "os", "os/exec", "os/signal", "os/user",
                "path/filepath", "runtime", "runtime/debug", "runtime/pprof", "runtime/trace", "sync", "sync/atomic", "syscall",
                "testing", "time", "internal/poll", "log/syslog", "crypto/rand", "embed", "plugin")

    def __init__(self):
        super().__init__()
        self.root = subprocess.run(["go", "env", "GOROOT"], capture_output=True, text=True, check=True).stdout.strip()
        self.binaries = os.path.join(self.folder, "bin")

    def units(self):
        return [name for name in self.PACKAGES if os.path.isdir(f"{self.root}/src/{name}")]

    def adds(self):
        # The sources too: tests read their own, and their neighbours' testdata.
        source = os.path.realpath(f"{self.root}/src")
        names = {package.split("/")[0] for package in self.PACKAGES} | {"testdata", "internal", "go.mod"}
        words = [f"{source}/{name}:{self.root}/src/{name}" for name in sorted(names)]
        words += [f"{self.binaries}:/go/bin", f"{self.folder}/lib:{self.root}/lib",
                  f"{os.path.realpath(self.root + '/bin/go')}:/usr/bin/go"]
        return words + [path for path in (ZONES, "/etc/localtime") if os.path.exists(path)]

    def options(self):
        return super().options() + ["-e", f"GOROOT={self.root}", "-e", "GO_TEST_TIMEOUT_SCALE=4"]

    def prepare(self, units):
        os.makedirs(self.binaries, exist_ok=True)
        self.make_zones(os.path.join(self.folder, "lib", "time", "zoneinfo.zip"))
        for unit in units:
            path = os.path.join(self.binaries, unit.replace("/", "_") + ".test")
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


class Store:
    """Results: one file of JSON lines per unit."""

    def __init__(self, suite, place):
        self.folder = os.path.join(suite.folder, place)
        os.makedirs(self.folder, exist_ok=True)

    def path(self, unit):
        return os.path.join(self.folder, unit.replace("/", "_") + ".json")

    def has(self, unit):
        return os.path.exists(self.path(unit))

    def load(self, unit):
        """{test: its line}; None if the unit was not run."""
        if not self.has(unit):
            return None
        with open(self.path(unit), encoding="utf-8") as file:
            return {line["t"]: line for line in map(json.loads, file)}

    def save(self, unit, lines):
        temporary = self.path(unit) + ".part"
        with open(temporary, "w", encoding="utf-8") as file:
            for line in lines:
                file.write(json.dumps(line) + "\n")
        os.rename(temporary, self.path(unit))


class Run:
    """Units on one side, in as few machines as it takes: one that dies costs the test that ran, no more."""

    def __init__(self, suite, place, store, say=print):
        self.suite, self.place, self.store, self.say = suite, place, store, say
        self.lines = {}

    def run(self, units):
        todo = list(units)
        deaths = 0
        while todo and deaths < 20:
            self.running = None
            begun = time.monotonic()
            process = subprocess.Popen(self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE if self.place == "stout" else None)
            why = self.follow(process, todo)
            if why is None:
                break
            deaths += 1
            unit, test = self.running or (todo[0], "(unit)")
            self.say(f"{self.place}: the whole run ended in {unit} {test}: {why[-1500:]}")
            self.add(unit, {"t": test, "s": "machine", "d": round(time.monotonic() - begun), "text": why[-3000:]})
            if self.running is None or sum(line["s"] == "machine" for line in self.lines[unit].values()) > 5:
                self.end(unit, todo)

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

    def follow(self, process, todo):
        """None when the driver came to its end, else the reason why not."""
        plan = {name: values[self.place] for name, values in self.suite.plan.items()}
        plan |= {"timeout": self.suite.timeout[self.place],
                 "units": [{"name": unit, "done": sorted(self.lines.get(unit, {}))} for unit in todo]}
        process.stdin.write(json.dumps(plan).encode())
        process.stdin.close()
        ended = False
        errors = []
        reader = process.stderr and threading.Thread(target=lambda: errors.append(process.stderr.read()))
        if reader:
            reader.start()
        watchdog = self.watch(process)
        for data in process.stdout:
            watchdog.cancel()
            watchdog = self.watch(process)
            try:
                line = json.loads(data)
            except ValueError:
                self.say(f"{self.place}: {data[:300]!r}")
                continue
            ended = ended or "end" in line
            if "begin" in line:
                self.running = line["u"], line["begin"]
            elif "t" in line:
                self.add(line.pop("u"), line)
            elif "done" in line:
                self.end(line["u"], todo)
                self.running = None
        process.wait()
        watchdog.cancel()
        if reader:
            reader.join()
        text = errors[0].decode("utf-8", "replace") if errors else ""
        return None if ended else f"status {process.returncode}\n{text}"

    def watch(self, process):
        watchdog = threading.Timer(self.suite.silence, process.kill)
        watchdog.start()
        return watchdog

    def add(self, unit, line):
        self.lines.setdefault(unit, {})[line["t"]] = line

    def end(self, unit, todo):
        todo.remove(unit)
        lines = self.lines.pop(unit, {})
        self.store.save(unit, lines.values())
        counts = count(lines)
        self.say(f"{self.place}: {unit}: " + ", ".join(f"{n} {s}" for s, n in counts.items()) +
                 f" ({sum(line['d'] for line in lines.values()):.0f} s)")


def count(lines):
    counts = {}
    for line in lines.values():
        counts[line["s"]] = counts.get(line["s"], 0) + 1
    return counts


def listed():
    """{(suite, unit: test): reason} from the tables of docs/compatibility.md."""
    rows, suite = {}, None
    if os.path.exists(LIST):
        with open(LIST, encoding="utf-8") as file:
            for line in file:
                heading = re.match(r"## (CPython|Go|stress-ng)\b", line)
                if line.startswith("## "):
                    suite = heading.group(1).lower() if heading else None
                row = re.match(r"\| `([^`]+)` \| (.+) \|$", line)
                if suite and row:
                    rows[suite, row.group(1)] = row.group(2)
    return rows


def name_of(unit, test):
    if test == unit:
        return unit
    return test.removeprefix("test.") if test.startswith("test.") else f"{unit}: {test}"


def is_test(name):
    """Not a line about a unit as a whole, such as "(exit)"."""
    return not name.startswith("(")


class Comparison:
    """What passed on Linux, what of that passed in Stout, and the problems: differences that the list has not."""

    def __init__(self, suite):
        self.suite, self.rows = suite, listed()
        self.base = self.passed = 0
        self.problems = []

    def add(self, unit, linux, stout):
        """linux, stout: a unit's results by test, or None if it was not run."""
        if linux is None or stout is None:
            self.problems.append(f"{unit}: it was not run")
            return
        judged = set()
        for test in sorted(set(linux) | {test for test in stout if not is_test(test)}):
            usual = "not run" if is_test(test) else "ok"
            if linux.get(test, {"s": "ok"})["s"] != "ok":
                continue
            judged.add(name_of(unit, test))
            self.judge(name_of(unit, test), stout.get(test, {"s": usual}), is_test(test))
        for suite, name in self.rows:
            if suite == self.suite.name and f"{name}:".startswith((unit + ".", unit + ":")) and name not in judged:
                self.problems.append(f"{name}: it does not pass on Linux; take its row off docs/compatibility.md")

    def judge(self, name, result, counts):
        passes, row = result["s"] == "ok", self.rows.get((self.suite.name, name))
        self.base += counts
        self.passed += counts and passes
        if passes and row is not None:
            self.problems.append(f"{name}: it passes; take its row off docs/compatibility.md")
        elif not passes and row is None:
            self.problems.append(f"{name}: {result['s']}\n{result.get('text', '')}")

    def __str__(self):
        share = 100 * self.passed / max(self.base, 1)
        return f"{self.passed} of {self.base} that pass on Linux pass in Stout ({share:.2f} percent)"


def run_missing(suite, units, again=False, places=("linux", "stout"), stout="stout", say=print):
    """Runs what has no results; {place: Store}."""
    suite.prepare(units)
    stores = {"linux": Store(suite, "linux"), "stout": Store(suite, stout)}
    for place in places:
        todo = [unit for unit in units if again or not stores[place].has(unit)]
        if todo:
            Run(suite, place, stores[place], say).run(todo)
    return stores


def compare(suite, units, stores):
    comparison = Comparison(suite)
    for unit in units:
        comparison.add(unit, *(stores[place].load(unit) for place in ("linux", "stout")))
    return comparison


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
    parser.add_argument("--text", action="store_true", help="the failures' texts too")
    args = parser.parse_args()
    suite = SUITES[args.suite]()
    index, shards = map(int, args.shard.split("/"))
    units = (args.units or list(suite.units()))[index - 1::shards]
    if args.list:
        print("\n".join(units))
        return 0
    places = ("linux", "stout") if args.on == "both" else (args.on,)
    stores = run_missing(suite, units, args.again, places)
    if args.on != "both":
        return 0
    comparison = compare(suite, units, stores)
    for problem in comparison.problems:
        print(problem if args.text else problem.split("\n")[0])
    print(comparison)
    return 1 if comparison.problems else 0


if __name__ == "__main__":
    sys.exit(main())
