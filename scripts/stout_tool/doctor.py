# SPDX-License-Identifier: MIT
"""stout doctor: what this host offers and what is missing, one line each."""
from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from .host import OF_CHECKOUT, PROGRAMS
from .paths import IS_CHECKOUT, cache_dir, human_size, kernel_path
from .qemu import kvm_problem
from .tables import print_json

REQUIRED = {"qemu-system-x86_64", "gcc", "cmake"}


def doctor(as_json: bool = False) -> int:
    report = Report(as_json)
    say, problems = report.say, 0
    for command, program in (PROGRAMS | (OF_CHECKOUT if IS_CHECKOUT else {})).items():
        path = shutil.which(command)
        if path:
            say("ok", f"{command}: {path}{version_of(command)}")
        else:
            problems += command in REQUIRED
            say("MISSING" if command in REQUIRED else "missing", f"{command} ({program.purpose}); apt-get install {program.package}")
    problem = kvm_problem()
    say("ok" if problem is None else "note", "KVM: usable" if problem is None else
        f"KVM: {problem}; programs run emulated, which is slower")
    problems += check_memory(say)
    problems += check_kernel(say)
    folder = cache_dir()
    if os.access(folder, os.W_OK):
        say("ok", f"cache: {folder} ({human_size(cache_size(folder))})")
    else:
        problems += 1
        say("MISSING", f"cache: {folder} cannot be written; name another folder in STOUT_CACHE")
    if as_json:
        print_json({"missing": problems, "checks": report.checks})
    else:
        print("Everything that is needed is here." if not problems else
              f"{problems} thing{'s' if problems > 1 else ''} missing{'; scripts/setup installs them' if IS_CHECKOUT else ''}.")
    return 1 if problems else 0


Say = Callable[[str, str], None]


class Report:
    """Lines as they come, or a list for the end."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json
        self.checks: list[dict[str, str]] = []

    def say(self, state: str, text: str) -> None:
        self.checks.append({"state": state, "text": text})
        if not self.as_json:
            print(f"{state:8} {text}")


def version_of(command: str) -> str:
    if command not in ("qemu-system-x86_64", "gcc", "cmake", "node", "clang"):
        return ""
    result = subprocess.run([command, "--version"], capture_output=True, text=True, check=False)
    line = result.stdout.splitlines()[0] if result.stdout else ""
    return f" ({line.strip()})" if line else ""


def check_memory(say: Say) -> int:
    with open("/proc/meminfo", encoding="ascii") as file:
        values = dict(line.split(":", 1) for line in file)
    available = int(values["MemAvailable"].split()[0]) << 10
    enough = available >= 600 << 20
    say("ok" if enough else "MISSING", f"memory: {human_size(available)} available, {os.cpu_count()} processors")
    return not enough


def check_kernel(say: Say) -> int:
    path = kernel_path()
    if os.path.exists(path):
        say("ok", f"kernel: {path} ({human_size(os.stat(path).st_size)})")
    elif IS_CHECKOUT:
        say("note", "kernel: not built yet; the first stout run does it")
    else:
        say("MISSING", f"kernel: {path}; install stout again")
    return not IS_CHECKOUT and not os.path.exists(path)


def cache_size(folder: str) -> int:
    return sum(os.stat(os.path.join(base, name)).st_size for base, _, names in os.walk(folder) for name in names)
