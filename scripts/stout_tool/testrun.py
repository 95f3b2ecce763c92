# SPDX-License-Identifier: MIT
"""stout test: every tier, one result per test, and the last line "N passed, N failed".

Tiers (labels), in this order: style (scripts/check_*.py), build (warnings of both compilers),
unit (tests/host under ASan and UBSan, those with threads under TSan too; tests/tool), fuzz (a few
seconds each), guest (tests/guest, Linux as oracle), app (tests/apps, real software), kvm (nested),
bench (what is fixed, not timed), and slow, which runs only when asked for.  Jobs of one tier run side
by side.
"""
from __future__ import annotations

import concurrent.futures
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from . import musl
from .cli import TEST_LABELS as LABELS
from .errors import StoutError
from .kernel import build
from .paths import TOP, build_dir, kernel_path

PYTHON = "/usr/bin/python3"
# Of the application tests those that wait long enough for whatever they start to run beside another.
PATIENT = {f"test_{name}.py" for name in ("binaries", "compress", "export", "images", "languages", "minimal", "nics", "packages", "recipes", "roots")}


class Job:
    """A command that is one test, or a pytest file that reports several."""

    def __init__(self, name: str, label: str, command: list[str], timeout: float = 120, pytest: bool = False, alone: bool = False) -> None:
        self.name, self.label, self.command = name, label, command
        self.timeout, self.pytest, self.alone = timeout, pytest, alone


class Results:
    def __init__(self, verbose: bool) -> None:
        self.passed = self.failed = self.skipped = 0
        self.failures: list[tuple[str, str]] = []
        self._verbose = verbose
        self._lock = threading.Lock()

    def add(self, name: str, label: str, ok: bool, seconds: float, output: str = "") -> None:
        with self._lock:
            self.passed += bool(ok)
            self.failed += not ok
            print(f"{'ok  ' if ok else 'FAIL'} {label:6} {name} ({seconds:.1f} s)", flush=True)
            if not ok:
                self.failures.append((name, output))
            if output and (not ok or self._verbose):
                print("     " + output.rstrip().replace("\n", "\n     "), flush=True)

    def skip(self, name: str, label: str, reason: str) -> None:
        with self._lock:
            self.skipped += 1
            print(f"skip {label:6} {name}: {reason}", flush=True)


def run_tests(labels: Sequence[str] = (), pattern: str | None = None, jobs: int | None = None, list_only: bool = False, verbose: bool = False) -> int:
    for label in labels:
        if label not in LABELS:
            raise StoutError(f"There is no label {label}; the labels are {', '.join(LABELS)}.", 2)
    wanted = labels or tuple(label for label in LABELS if label != "slow")
    if not list_only:
        set_up_tests()
    os.environ["STOUT_TESTING"] = "1"
    # A shell starts its background jobs with SIGINT ignored, and what ignores it cannot be interrupted.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    results = Results(verbose)
    start = time.monotonic()
    for label in wanted:
        if label in LABELS:
            run_label(label, pattern, jobs or os.cpu_count() or 1, results, list_only)
    if list_only:
        return 1 if results.failed else 0
    print(f"{time.monotonic() - start:.0f} s" + (f", {results.skipped} skipped" if results.skipped else ""))
    for name, output in results.failures:
        print("\n     ".join([f"failed: {name}", *last_lines(output)]))
    print(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed or not results.passed else 0


def last_lines(output: str, count: int = 8, width: int = 300) -> list[str]:
    """What a long log's reader sees first; pytest marks its reasons with E, and in them what differs with - and +."""
    lines = [line.rstrip()[:width] for line in output.splitlines() if line.strip()]
    reasons = [line for line in lines if line.startswith("E ")]
    differences = [line for line in reasons if re.match(r"E +[-+] (?! *(where|and)\b)", line)]
    return differences[:count] or (reasons or lines)[-count:]


def set_up_tests() -> None:
    script, stamp = os.path.join(TOP, "scripts", "setup"), os.path.join(TOP, "build", ".setup-tests")
    if not os.path.exists(stamp) or os.stat(stamp).st_mtime < os.stat(script).st_mtime:
        subprocess.run([script, "--tests"], check=True)


def run_label(label: str, pattern: str | None, workers: int, results: Results, list_only: bool) -> None:
    begun = time.monotonic()
    try:
        found = COLLECTORS[label](not list_only)
    except (StoutError, subprocess.SubprocessError, OSError, ValueError) as error:
        text = error.sentence if isinstance(error, StoutError) else str(error)
        results.add(f"{label} (preparing)", label, False, time.monotonic() - begun, text)
        return
    found = [job for job in found if not pattern or job.pytest or pattern in job.name]
    if list_only:
        for job in found:
            print(f"{job.label:6} {job.name}")
        return
    together = [job for job in found if not job.alone]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda job: run_job(job, pattern, results), together))
    for job in found:
        if job.alone:
            run_job(job, pattern, results)


def run_job(job: Job, pattern: str | None, results: Results) -> None:
    start = time.monotonic()
    if job.pytest:
        run_pytest(job, pattern, results)
        return
    try:
        result = subprocess.run(job.command, cwd=TOP, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, timeout=job.timeout, check=False)
        output, ok = result.stdout.decode("utf-8", "replace"), result.returncode == 0
        if result.returncode == 77:
            results.skip(job.name, job.label, output.strip().split("\n")[-1])
            return
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode("utf-8", "replace") + f"\nstill running after {job.timeout} s"
        ok = False
    except OSError as error:
        output, ok = str(error), False
    results.add(job.name, job.label, ok, time.monotonic() - start, output[-8000:])


def run_pytest(job: Job, pattern: str | None, results: Results) -> None:
    """Each test function of the file counts for itself."""
    import tempfile
    import xml.etree.ElementTree as tree
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        command = [PYTHON, "-m", "pytest", "-vv", "-p", "no:cacheprovider", f"--junitxml={report}",
                   f"--rootdir={TOP}", *job.command]
        if pattern:
            command += ["-k", pattern]
        environment = os.environ | {"STOUT_TEST_TIMEOUT": str(job.timeout)}
        try:
            result = subprocess.run(command, cwd=TOP, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, timeout=job.timeout, check=False)
        except subprocess.TimeoutExpired as expired:
            text = (expired.stdout or b"").decode("utf-8", "replace")[-4000:]
            results.add(job.name, job.label, False, job.timeout, f"{text}\nstill running after {job.timeout} s")
            return
        if result.returncode == 5:  # nothing matched the pattern
            return
        try:
            cases = list(tree.parse(report).getroot().iter("testcase"))
        except (OSError, tree.ParseError):
            results.add(job.name, job.label, False, 0, result.stdout.decode("utf-8", "replace")[-4000:])
            return
    for case in cases:
        name = f"{job.name}::{case.get('name')}"
        skipped = case.find("skipped")
        if skipped is not None:
            results.skip(name, job.label, skipped.get("message", ""))
            continue
        failure = case.find("failure") if case.find("failure") is not None else case.find("error")
        text = "" if failure is None else (failure.text or failure.get("message", ""))
        results.add(name, job.label, failure is None, float(case.get("time", 0)), text[-6000:])


# Each collector makes what its tests need unless they are only listed.

def collect_style(prepare: bool) -> list[Job]:
    """The checks read the tree; two of them need the flags of a configured build."""
    if prepare:
        configure_release()
    return [Job(name.removesuffix(".py"), "style", [os.path.join(TOP, "scripts", name)], 300)
            for name in sorted(os.listdir(os.path.join(TOP, "scripts")))
            if name.startswith("check_") and name.endswith(".py")]


def configure_release() -> None:
    """build/release/compile_commands.json as CMakeLists.txt has it now, and what the sources include."""
    is_built = os.path.exists(os.path.join(build_dir("release"), "compile_commands.json"))
    build("release", targets=["rebuild_cache"] if is_built else [])


def collect_build(prepare: bool) -> list[Job]:
    """Both compilers, warnings are errors; and the image's size."""
    script = os.path.join(TOP, "scripts", "build_strict")
    return [Job(f"warnings-{preset}", "build", [script, preset], 1800) for preset in ("release", "clang")]


def collect_unit(prepare: bool) -> list[Job]:
    jobs = [Job(name, "unit", [os.path.join("tests", "tool", name)], 300, pytest=True)
            for name in python_tests("tool")]
    jobs += collect_ctest("host-asan", "unit", "unit", prepare)
    for job in collect_ctest("host-tsan", "threads", "threads", prepare):
        jobs.append(Job(job.name + "_tsan", "unit", job.command, job.timeout))
    return jobs


def collect_fuzz(prepare: bool) -> list[Job]:
    return collect_ctest("fuzz", "fuzz", "fuzzers", prepare)


def collect_ctest(preset: str, label: str, target: str, prepare: bool) -> list[Job]:
    build(preset, targets=[target if prepare else "rebuild_cache"])  # ctest reads what CMake has written
    result = subprocess.run(["ctest", "--test-dir", build_dir(preset), "--show-only=json-v1", "-L", label],
                            stdout=subprocess.PIPE, check=True)
    jobs = []
    for test in json.loads(result.stdout)["tests"]:
        if prepare and "command" not in test:
            continue
        properties = {p["name"]: p["value"] for p in test.get("properties", ())}
        jobs.append(Job(test["name"], label, test.get("command", []), float(properties.get("TIMEOUT", 60))))
    return jobs


def collect_guest(prepare: bool) -> list[Job]:
    if prepare:
        build_kernel()
    runner = os.path.join(TOP, "tests", "guest", "run.py")
    names = subprocess.run([runner, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    jobs = [Job(name, "guest", [runner, name], 200) for name in names]
    # After the others, from what they have counted; alone it runs them all first.
    checker = os.path.join(TOP, "tests", "guest", "every_call.py")
    return jobs + [Job("every_call", "guest", [checker], 1800, alone=True)]


def collect_python(folder: str, label: str, timeout: float, alone: bool, prepare: bool) -> list[Job]:
    if prepare:
        build_kernel()
    return [Job(name, label, [os.path.join("tests", folder, name)], timeout, pytest=True, alone=alone)
            for name in python_tests(folder)]


def collect_apps(prepare: bool) -> list[Job]:
    """Alone, since they measure time-outs of their clients, but for the patient ones."""
    jobs = collect_python("apps", "app", 1800, True, prepare)
    for job in jobs:
        job.alone = job.name not in PATIENT
    return jobs


def python_tests(folder: str) -> list[str]:
    path = os.path.join(TOP, "tests", folder)
    if not os.path.isdir(path):
        return []
    return sorted(name for name in os.listdir(path) if name.startswith("test_") and name.endswith(".py"))


def collect_slow(prepare: bool) -> list[Job]:
    if prepare:
        configure_release()
    checker = os.path.join(TOP, "scripts", "check_tidy.py")
    return collect_python("slow", "slow", 7200, True, prepare) + [Job("analyzer", "slow", [checker, "--all"], 3600)]


def build_kernel() -> None:
    """Once, here: the tests then start the tool without looking for newer sources."""
    from .kernel import newest_source
    path = kernel_path()
    if not os.path.exists(path) or os.stat(path).st_mtime < newest_source():
        build("release", [path])
    musl.shipped()
    os.environ["STOUT_NO_BUILD"] = "1"


COLLECTORS = {
    "style": collect_style,
    "build": collect_build,
    "unit": collect_unit,
    "fuzz": collect_fuzz,
    "guest": collect_guest,
    "app": collect_apps,
    "kvm": lambda prepare: collect_python("kvm", "kvm", 1800, True, prepare),
    "bench": lambda prepare: collect_python("bench", "bench", 600, True, prepare),
    "slow": collect_slow,
}


def main() -> None:
    sys.exit(run_tests())
