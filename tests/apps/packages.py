# SPDX-License-Identifier: MIT
"""Programs from npm packages, fetched once into build/packages by npm, which verifies them."""
import fcntl
import os
import shutil
import subprocess
import tarfile

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FOLDER = os.path.join(TOP, "build", "packages")


def npm_package(name, version):
    """The folder of the unpacked package; the test is skipped where there is no npm or network."""
    os.makedirs(FOLDER, exist_ok=True)
    place = os.path.join(FOLDER, f"{name.replace('/', '-').lstrip('@')}-{version}")
    with open(place + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.isdir(place):
            return os.path.join(place, "package")
        if not shutil.which("npm"):
            pytest.skip("no npm to fetch it with")
        result = subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=FOLDER, check=False,
                                capture_output=True, text=True, timeout=300)
        if result.returncode:
            pytest.skip(f"npm cannot fetch {name}: {result.stderr.strip()[-200:]}")
        archive = os.path.join(FOLDER, result.stdout.strip().splitlines()[-1])
        with tarfile.open(archive) as tar:
            tar.extractall(place + ".part")
        os.unlink(archive)
        os.rename(place + ".part", place)
    return os.path.join(place, "package")


def program(name, version, path):
    file = os.path.join(npm_package(name, version), path)
    os.chmod(file, 0o755)
    return file


def npm_application(folder, spec):
    """A new application's folder with what npm install makes of the package, as fetched once into build/packages."""
    kept = os.path.join(FOLDER, "application-" + spec.replace("/", "-"))
    os.makedirs(FOLDER, exist_ok=True)
    with open(kept + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.isdir(kept):
            part = kept + ".part"
            shutil.rmtree(part, ignore_errors=True)
            os.makedirs(part)
            with open(os.path.join(part, "package.json"), "w", encoding="ascii") as file:
                file.write('{"name": "app", "private": true}\n')
            result = subprocess.run(["npm", "install", "--silent", "--ignore-scripts", spec], cwd=part, check=False, capture_output=True, text=True,
                                    timeout=300)
            if result.returncode:
                pytest.skip(f"npm cannot install {spec}: {result.stderr.strip()[-200:]}")
            os.rename(part, kept)
    shutil.copytree(kept, folder, symlinks=True)
    return folder
