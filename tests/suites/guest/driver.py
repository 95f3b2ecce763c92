# SPDX-License-Identifier: MIT
"""Runs units of a suite one after another, in a machine or on Linux, and prints one JSON line per test.

    driver.py SUITE <PLAN

PLAN is JSON: {"timeout": seconds for one test, more that a suite wants, "units": [{"name": ..., "done": [tests], "timeouts":
{test: seconds, if it is another}}, ...]}.  The lines printed are {"u": unit, "t": test, "s": status, "d": seconds, "text": ...}, with status ok, skip, fail, error,
crash or timeout, of a stressor also "free", the KiB that are free behind it; {"u": unit, "begin": test} before each test, so that the host knows what ran when the whole
machine stopped; and {"u": unit, "done": status} at a unit's end.  A test that hangs or takes its
process down costs only itself: the unit goes on in a new process without the tests that have run.
"""
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = "/tmp/suite"
RESTARTS = 40
POLL = 0.1
DESCRIPTORS = 16384


def tell(**line):
    os.write(1, (json.dumps(line) + "\n").encode("ascii"))


class Unit:
    """One module or package; subclasses know how to start it and how to read what it tells."""

    def __init__(self, unit, plan):
        self.name, self.done, self.plan = unit["name"], set(unit["done"]), plan
        self.timeout, self.timeouts = plan["timeout"], unit["timeouts"]
        self.running = self.ended = None
        self.output = os.path.join(WORK, "output")
        self.position = 0

    def finish(self, test, status, seconds=0, text="", **more):
        self.done.add(test)
        self.running = None
        tell(u=self.name, t=test, s=status, d=seconds, **({"text": text} if text else {}), **more)

    def begin(self, test):
        self.running = test
        tell(u=self.name, begin=test)

    def new_lines(self):
        """The whole lines that were appended to the event file since the last call."""
        with open(self.events, "rb") as file:
            file.seek(self.position)
            data = file.read()
        data = data[:data.rfind(b"\n") + 1]
        self.position += len(data)
        return data.decode("utf-8", "replace").splitlines()

    def tail(self):
        with open(self.output, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 3000))
            return file.read().decode("utf-8", "replace")

    def run(self):
        for _ in range(RESTARTS):
            self.ended = None
            before = len(self.done)
            reason = self.run_process()
            if self.ended is not None:
                if reason[0] == "timeout" or "status 0\n" not in reason[2] and self.ended in ("ok", "skip"):
                    tell(u=self.name, t="(exit)", s=reason[0], d=reason[1], text=reason[2])
                break
            if self.running is not None:
                self.finish(self.running, *reason)
            elif len(self.done) == before:
                self.ended = "error"
                tell(u=self.name, t="(unit)", s=reason[0], d=0, text=reason[2])
                break
        tell(u=self.name, done=self.ended or "error")

    def run_process(self):
        """Until the process ends; (status, seconds, text) for the test that was running then."""
        self.position = 0
        open(self.events, "w", encoding="ascii").close()
        with open(self.output, "wb") as output:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       start_new_session=True, cwd=self.folder(), env=self.environment())
        begun = progress = time.monotonic()
        status = None
        while True:
            ended = process.poll() is not None
            lines = self.new_lines()
            if lines:
                progress = time.monotonic()
            for line in lines:
                self.take(line)
            if ended:
                break
            if time.monotonic() - progress > self.patience():
                status = ("timeout", round(time.monotonic() - progress), self.stacks(process))
                break
            time.sleep(POLL)
        kill_session(process)
        return status or ("crash", round(time.monotonic() - begun), f"status {process.returncode}\n{self.tail()}")

    def stacks(self, process):
        """What the process was doing: both suites' programs print their stacks when asked."""
        try:
            process.send_signal(self.dump_signal)
            time.sleep(2)
        except OSError:
            pass
        return f"no progress for {self.patience()} s\n{self.tail()}"

    def patience(self):
        return self.timeouts.get(self.running, self.timeout)

    def folder(self):
        return "/tmp"

    def environment(self):
        return dict(os.environ, HOME="/root", TERM="dumb")


class PythonUnit(Unit):
    dump_signal = signal.SIGUSR1  # faulthandler

    def __init__(self, *args):
        super().__init__(*args)
        self.events = os.path.join(WORK, "events")

    def command(self):
        skip = os.path.join(WORK, "skip")
        with open(skip, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write("\n".join(self.done))
        return [sys.executable, "-u", "-W", "default", "-bb", "-E", os.path.join(HERE, "python_unit.py"), self.name,
                self.events, skip]

    def take(self, line):
        event = json.loads(line)
        if event["e"] == "begin":
            self.begin(event["t"])
        elif event["e"] == "end":
            self.finish(event["t"], event["s"], event["d"], event.get("text", ""))
        else:
            self.ended = event["s"]
            if event.get("text"):
                tell(u=self.name, t="(unit)", s=self.ended, d=0, text=event["text"])


class GoUnit(Unit):
    """A package's test binary, built beforehand: /go/bin/os_exec.test runs in the package's folder."""

    dump_signal = signal.SIGQUIT
    line = re.compile(r"^(=== RUN  |--- PASS:|--- FAIL:|--- SKIP:|=== CONT |=== PAUSE) *(\S+)(?: \(([\d.]+)s\))?")
    STATUS = {"--- PASS:": "ok", "--- FAIL:": "fail", "--- SKIP:": "skip"}

    def __init__(self, *args):
        super().__init__(*args)
        self.events = self.output
        self.binary = f"/go/bin/{self.name.replace('/', '_')}.test"
        self.text = []

    def folder(self):
        return os.path.join(os.environ["GOROOT"], "src", self.name)

    def command(self):
        listed = subprocess.run([self.binary, "-test.list", "."], cwd=self.folder(), capture_output=True, text=True,
                                check=True).stdout.split()
        rest = [test for test in listed if test not in self.done and test.startswith(("Test", "Example"))]
        return [self.binary, "-test.v", "-test.short", "-test.parallel=1", "-test.timeout=0",
                f"-test.run=^({'|'.join(rest)})$"]

    def take(self, line):
        match = self.line.match(line)
        if not match:
            self.text.append(line)
            del self.text[:-40]
            if line in ("PASS", "FAIL"):
                self.ended = "ok" if line == "PASS" else "fail"
            return
        what, test, seconds = match.groups()
        if "/" in test:
            self.text.append(line)
            return
        if what in self.STATUS:
            bad = what == "--- FAIL:"
            self.finish(test, self.STATUS[what], float(seconds or 0), "\n".join(self.text)[-3000:] if bad else "")
            self.text = []
        elif what == "=== RUN  ":
            self.begin(test)


class StressUnit(Unit):
    """A stressor, which is its unit's only test."""

    skips = re.compile(r"skipping stress|will be skipped|skipped, |No stress workers invoked|--pathological option")
    SKIPPED = (3, 4)  # EXIT_NO_RESOURCE, EXIT_NOT_IMPLEMENTED

    def run(self):
        if self.name not in self.done:
            os.makedirs(WORK, exist_ok=True)
            self.begin(self.name)
            result = self.run_process()
            subprocess.run(["rm", "-rf", WORK], check=False)
            self.finish(self.name, *result, free=free_kib())
        tell(u=self.name, done="ok")

    def run_process(self):
        begun = time.monotonic()
        with open(self.output, "wb") as output:
            process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
                                       start_new_session=True, cwd=WORK, env=self.environment())
        try:
            status = self.judge(process.wait(self.plan["seconds"] + self.timeout))
        except subprocess.TimeoutExpired:
            status = "timeout"
        text = self.tail()
        kill_session(process)
        return status, round(time.monotonic() - begun), "" if status == "ok" else text

    def command(self):
        return ["stress-ng", f"--{self.name}", "1", "-t", str(self.plan["seconds"]), "--verify", "--oomable",
                "--no-rand-seed"]

    def judge(self, returncode):
        if returncode in self.SKIPPED or self.skips.search(self.tail()):
            return "skip"
        return "fail" if returncode else "ok"


UNITS = {"cpython": PythonUnit, "go": GoUnit, "stress-ng": StressUnit}


def kill_session(process):
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass
    process.wait()
    time.sleep(0.05)
    try:  # children that outlived their parent came to us: this is the first process here
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def free_kib():
    """Without what can be had again at any time."""
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as file:
        file.write("3")
    with open("/proc/meminfo", encoding="ascii") as file:
        return int(re.search(r"^MemFree: *(\d+)", file.read(), re.M).group(1))


def limit_descriptors():
    """The same on both sides: tests of CPython's try each number up to the limit, with some children at a time."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = min(hard, DESCRIPTORS) if hard != resource.RLIM_INFINITY else DESCRIPTORS
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


def main():
    suite, plan = sys.argv[1], json.load(sys.stdin)
    os.makedirs(WORK, exist_ok=True)
    if suite == "cpython":
        limit_descriptors()
    for unit in plan["units"]:
        UNITS[suite](unit, plan).run()
    tell(end=True)


if __name__ == "__main__":
    main()
