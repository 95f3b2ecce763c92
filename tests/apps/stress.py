# SPDX-License-Identifier: MIT
"""stress-ng in a machine: several stressors one after another, each with a time limit, and what became of each.

A machine that ends or hangs costs only the stressor that ran; the next ones get another machine.
"""
import os
import re
import subprocess
import tempfile

from conftest import ACCEL, STOUT, add, need

# run.sh SECONDS LIMIT NAME...: a line "== NAME STATUS FREE_KIB" after each; before it, what the failing ones said.
SCRIPT = r"""
seconds=$1 limit=$2; shift 2
free() { sync; echo 3 >/proc/sys/vm/drop_caches; sed -n 's/^MemFree: *\([0-9]*\).*/\1/p' /proc/meminfo; }
mkdir -p /tmp/stress && cd /tmp/stress
for name; do
    echo "-- $name"
    timeout -s KILL "$limit" stress-ng --"$name" 1 -t "$seconds" --verify --no-rand-seed --oomable >/tmp/out 2>&1
    status=$?
    [ $status = 0 ] || grep -v 'dispatching hogs\|defaulting to\|setting to a' /tmp/out | tail -n 6
    rm -rf /tmp/stress/* /tmp/out
    echo "== $name $status $(free 2>/dev/null)"
done
"""


class Result:
    def __init__(self, status, text, free_kib):
        self.status, self.text, self.free_kib = status, text, free_kib

    @property
    def ok(self):
        return self.status == 0


def run_stressors(names, seconds, limit, memory="1G", cpus=2, say=lambda name, result: None):
    """{name: Result}; status "ended" or "hung" is the whole machine's."""
    results = {}
    left = list(names)
    while left:
        done = run_machine(left, seconds, limit, memory, cpus)
        for name, result in done.items():
            say(name, result)
        results.update(done)
        left = [name for name in left if name not in done]
    return results


def run_machine(names, seconds, limit, memory, cpus):
    with tempfile.TemporaryDirectory() as folder:
        script = os.path.join(folder, "run.sh")
        with open(script, "w", encoding="ascii") as file:
            file.write(SCRIPT)
        command = [STOUT, "run", "--accel", ACCEL, "-m", memory, "--cpus", str(cpus), "-e", "PATH=/usr/bin:/bin",
                   *add("sh", "sed", "grep", "tail", "timeout", "rm", "mkdir", "sync", "true"), "--add", need("stress-ng"),
                   "/bin/sh", script, str(seconds), str(limit), *names]
        try:
            result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                    timeout=60 + (limit + 5) * len(names), check=False)
            output, end = result.stdout, f"ended ({result.returncode})"
        except subprocess.TimeoutExpired as expired:
            output, end = expired.stdout or b"", "hung"
    return parse(output.decode("utf-8", "replace"), end)


def parse(output, end):
    results = {}
    for part in re.split(r"^-- ", output, flags=re.M)[1:]:
        name, _, text = part.partition("\n")
        name = name.strip()
        finish = re.search(rf"^== {re.escape(name)} (\d+) (\d*)", text, re.M)
        if finish:
            results[name] = Result(int(finish[1]), text[:finish.start()].strip(), int(finish[2] or 0))
        else:
            results[name] = Result(end, text[-3000:], 0)
    if not results:
        raise AssertionError(f"the machine {end}:\n{output[-3000:]}")
    return results
