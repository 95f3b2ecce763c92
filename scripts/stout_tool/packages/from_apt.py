# SPDX-License-Identifier: MIT
"""stout pkg from-apt: Debian packages with all they depend on, chosen and fetched by apt, unpacked without root.

apt solves for a system on which only those packages are installed that serve maintainer scripts.  It verifies what it
downloads.  The scripts are not run; maintainer.py does what they commonly do.
"""
from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import urllib.parse
from typing import Any

from ..errors import StoutError, cannot_run, not_found, usage
from ..output import UNFINISHED, no_room, scratch_folder
from ..progress import bytes_below, progress
from .commands import tell_made
from .layers import DamagedArchive, Layer
from .maintainer import Effects
from .manifest import FILE, Manifest
from .store import Store, check_name
from .triggers import run_triggers
from .writer import PackageWriter, UnsafePath

# Depended on for the sake of scripts; with them would come a good part of a Debian.
FOR_SCRIPTS = {"adduser": "", "debconf": "debconf-2.0", "init-system-helpers": "", "lsb-base": "", "sysvinit-utils": "", "dpkg": "", "passwd": "",
               "ucf": "", "install-info": "", "systemd": "systemd-sysusers, systemd-tmpfiles, default-logind, logind", "perl-base": "",
               "debianutils": "", "base-files": "", "sensible-utils": "", "tar": "", "mount": "", "logrotate": ""}
STATUS = "Package: {}\nStatus: install ok installed\nPriority: required\nMaintainer: none <none>\nArchitecture: amd64\nMulti-Arch: foreign\nVersion: 9999:1\n" \
         "{}Description: none\n\n"
ALWAYS = ("dash", "base-passwd")  # /bin/sh and the fixed users, which nothing depends on because they are essential
LEFT_OUT = re.compile(r"/usr/share/(doc/(?!.*/copyright$)|man/|info/|lintian/|locale/|bug/|bash-completion/|doc-base/)[^/].*")
MERGED = ("bin", "sbin", "lib", "lib64")
SCRIPTS = ("preinst", "postinst")
BINARY_FOLDERS = ("/usr/bin/", "/usr/sbin/", "/usr/games/", "/bin/", "/sbin/")
URI = re.compile(r"'([^']+)' (\S+) (\d+)")


def from_apt(names: tuple[str, ...], name: str | None, program: str | None, force: bool, as_json: bool, **settings: Any) -> int:
    for command in ("apt-get", "dpkg-deb"):
        if not shutil.which(command):
            raise not_found(f"from-apt needs {command}, which is not on PATH; it works on Debian and its relatives.")
    for word in names:
        if not re.fullmatch(r"[a-z0-9][a-z0-9.+-]+(=[\w.:~+-]+)?(/[\w-]+)?", word):
            raise usage(f"{word!r} is not the name of a Debian package; give for example redis-server.")
    main = re.split("[=/]", names[0])[0]
    manifest = Manifest(check_name(name or main), origin=f"Debian {' '.join(names)}", created=int(time.time()),
                        **{key: value for key, value in settings.items() if value})
    with scratch_folder() as folder, Store().making(manifest.name, force) as place:
        archives = fetch(names, folder)
        writer = PackageWriter(place, manifest)
        try:
            with progress("unpacking", measure=lambda: writer.written):
                own = unpack(writer, archives, main)
        except UnsafePath as error:
            raise cannot_run(f"A Debian package of {names[0]} is refused: {error}.") from None
        manifest.program = find_program(writer, own, main, program)
        writer.finish()
    return tell_made(manifest, as_json)


def fetch(names: tuple[str, ...], folder: str) -> list[str]:
    """The .deb files in the order in which apt would unpack them."""
    status = os.path.join(folder, "status")
    wanted = {re.split("[=/]", name)[0] for name in names}
    with open(status, "w", encoding="ascii") as file:
        for package, provides in FOR_SCRIPTS.items():
            if package not in wanted:
                file.write(STATUS.format(package, f"Provides: {provides}\n" if provides else ""))
    cache = os.path.join(folder, "archives")
    os.makedirs(os.path.join(cache, "partial"))
    command = ["apt-get", "-o", f"Dir::State::status={status}", "-o", f"Dir::Cache::archives={cache}/", "-o", "Dir::Cache::pkgcache=", "-o",
               "Dir::Cache::srcpkgcache=", "-o", "Debug::NoLocking=1", "-o", "APT::Install-Recommends=false", "-o", "APT::Architectures::=amd64",
               "-o", "APT::Sandbox::User=root", "-y", "-q"]
    wanted_words = [*names, *(name for name in ALWAYS if name not in wanted)]
    listing = run_apt([*command, "--print-uris", "install", *wanted_words], names)
    found = URI.findall(listing)
    sys.stderr.write(f"stout: fetching {len(found)} Debian packages ...\n")
    with progress("fetching", sum(int(size) for _, _, size in found), lambda: bytes_below(cache)):
        run_apt([*command, "--download-only", "install", *wanted_words], names)
    paths = [os.path.join(cache, file) if not uri.startswith("file:") else urllib.parse.unquote(uri.removeprefix("file:").replace("//", "/"))
             for uri, file, _ in found]
    missing = [path for path in paths if not os.path.exists(path)]
    if missing or not paths:
        raise StoutError(f"apt-get did not fetch {os.path.basename(missing[0]) if missing else names[0]}; run apt-get update and try again.")
    return paths


def run_apt(command: list[str], names: tuple[str, ...]) -> str:
    result = subprocess.run(command, env={**os.environ, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}, stdin=subprocess.DEVNULL,
                            capture_output=True, text=True, errors="replace", check=False)
    if result.returncode == 0:
        return result.stdout
    complaints = [line.removeprefix("E: ") for line in result.stderr.splitlines() if line.startswith("E: ")] or ["no reason given"]
    if "Unable to locate package" in complaints[0] or "has no installation candidate" in complaints[0]:
        raise not_found(f"apt knows no package {names[0] if len(names) == 1 else 'of these: ' + ' '.join(names)} ({complaints[0]}); check the "
                        "name with apt-cache search, and run apt-get update.")
    if "enough free space" in complaints[0]:  # which apt measures before it fetches
        raise no_room(complaints[0].partition(" in ")[2].partition(f"/{UNFINISHED}")[0])
    raise StoutError(f"apt-get cannot fetch {' '.join(names)}: {complaints[0].rstrip('.')}; run apt-get update and try again.")


def unpack(writer: PackageWriter, archives: list[str], main: str) -> set[str]:
    """All archives; the paths that the package `main` brought."""
    for folder in MERGED:
        writer.add_directory(f"/usr/{folder}")
        writer.add_link(f"/{folder}", f"usr/{folder}")
    own: set[str] = set()
    scripts = []
    for archive in archives:
        layer = Layer(writer, whiteouts=False, skip=lambda path: bool(LEFT_OUT.match(path)))
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", archive], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            try:
                layer.apply(process.stdout)
                while process.stdout.read(1 << 20):
                    pass
            except DamagedArchive:
                process.kill()
        if process.returncode:
            raise StoutError(f"{os.path.basename(archive)} is not a whole Debian package; run apt-get clean and try again.")
        if os.path.basename(archive).partition("_")[0] == main:
            own = layer.fresh
        scripts += [text for name in SCRIPTS if (text := control_file(archive, name))]
    effects = Effects(writer)
    for path in [path for path in writer.files if re.fullmatch(r"/usr/lib/sysusers\.d/[^/]+\.conf", path)]:
        with open(writer.place(path), encoding="utf-8", errors="replace") as file:
            effects.sysusers(file.read())
    for script in scripts:
        effects.run(script)
    link_shell(writer)
    effects.finish()
    run_triggers(writer)
    return own | {link for link in effects.alternatives if not own or link.startswith("/usr/bin/")}


def control_file(archive: str, name: str) -> str:
    result = subprocess.run(["dpkg-deb", "--info", archive, name], capture_output=True, text=True, errors="replace", check=False)
    return result.stdout if result.returncode == 0 else ""


def link_shell(writer: PackageWriter) -> None:
    if writer.find("/usr/bin/dash") and not writer.find("/usr/bin/sh"):
        writer.add_link("/usr/bin/sh", "dash")


def find_program(writer: PackageWriter, own: set[str], main: str, program: str | None) -> str:
    """What the user named, a program with the package's name, or the only one that the package has."""
    for word in [program] if program else (main, main.removesuffix("-server"), re.sub(r"-(light|full|core|cli|headless|extras)$", "", main)):
        paths = [word] if "/" in word else [folder + word for folder in BINARY_FOLDERS]
        for path in paths:
            if writer.find(path):
                return path
    if program:
        raise not_found(f"{program} is not in these Debian packages; give --program the path of a program in them.")
    found = sorted(path for path in own if path.startswith(BINARY_FOLDERS) and path.count("/") == 3)
    if len(found) == 1:
        return found[0]
    files = sorted(path for path in writer.files if path.startswith(BINARY_FOLDERS[:2]) and writer.files[path].type == FILE)
    what = ", ".join(os.path.basename(path) for path in (found or files)[:8])
    raise usage(f"Which program of {main} is to run?  Name it with --program; there is {what or 'none in the usual folders'}.")
