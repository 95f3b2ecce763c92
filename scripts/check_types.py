#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The tool's types hold, by mypy with mypy.ini."""
import os
import shutil
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def main() -> int:
    mypy = "/usr/bin/mypy" if os.path.exists("/usr/bin/mypy") else shutil.which("mypy")
    if mypy is None:
        print("types: mypy is not on PATH; run scripts/setup --tests")
        return 1
    os.makedirs(os.path.join(TOP, "build"), exist_ok=True)
    result = subprocess.run([mypy, "--no-error-summary"], cwd=TOP, check=False)
    print("types: " + ("they do not hold" if result.returncode else "in order"))
    return 1 if result.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
