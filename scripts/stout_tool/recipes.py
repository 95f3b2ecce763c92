# SPDX-License-Identifier: MIT
"""Interpreters and servers: which one runs a script, and what it needs beside its libraries.

The knowledge is data, one file each in recipes/: name, extensions, commands (looked for on PATH),
binary (a pattern of the program's real base name), script ("file" or "folder": what a script
brings), package (a file that marks the folder that is brought, if it is above), upwards (names also taken from the folders above), before_script (arguments put before
it), certificates, patches_code (its threads change code that others run: qemu.take_turns()), users (names of
this host's passwd that the program looks up), directories (made empty, the first user's), and [[take]] tables:
path (a glob; {prefix} {release} {version} {venv} {home} are filled in), include or exclude (name patterns, at the
top level or anywhere), max_mib, and modules: of what is larger than that, the imported ones are taken (modules.py).
"""
from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .elf import is_elf
from .errors import not_found
from .modules import LeftOut
from .paths import TOOL, human_size

if TYPE_CHECKING:
    from .private import SecretFilter
    from .tree import OnElf, Skip, Tree

SERVER_FOLDERS = ("/usr/local/sbin", "/usr/sbin", "/sbin")  # of servers; not on everyone's PATH
FOLDER_FILES_MAX = 20000
FOLDER_SIZE_MAX = 256 << 20
# Not taken along with a script, beside what private.py knows.
SCRIPT_FOLDER_SKIP = (".*", "*.core", "__pycache__.lock")
SCRIPT_FOLDER_KEEP = (".bin", ".package-lock.json", ".next", ".output", ".venv")


class Recipe:
    def __init__(self, data: dict[str, Any]) -> None:
        self.name = data["name"]
        self.extensions = data.get("extensions", [])
        self.commands = data.get("commands", [])
        self.binary = re.compile(data["binary"])
        self.script = data.get("script", "file")
        self.package = data.get("package")
        self.upwards = data.get("upwards", [])
        self.before_script = data.get("before_script", [])
        self.certificates = data.get("certificates", False)
        self.patches_code = data.get("patches_code", False)
        self.users = data.get("users", [])
        self.directories = data.get("directories", [])
        self.take = data.get("take", [])


_loaded: list[Recipe] | None = None


def load_all() -> list[Recipe]:
    global _loaded
    if _loaded is None:
        import tomllib
        _loaded = []
        folder = os.path.join(TOOL, "recipes")
        for name in sorted(os.listdir(folder)):
            if name.endswith(".toml"):
                with open(os.path.join(folder, name), "rb") as file:
                    _loaded.append(Recipe(tomllib.load(file)))
    return _loaded


def for_extension(path: str) -> Recipe | None:
    extension = os.path.splitext(path)[1].lower()
    if not extension:
        return None
    return next((r for r in load_all() if extension in r.extensions), None)


def for_interpreter(path: str) -> Recipe | None:
    """The recipe of an interpreter, by the name of what its path really leads to."""
    base = os.path.basename(os.path.realpath(path))
    return next((r for r in load_all() if r.binary.match(base)), None)


def find_on_path(name: str) -> str | None:
    """As root's shell finds it, but version managers' wrapper scripts are passed over for a program."""
    import shutil
    first = None
    for directory in [*os.environ.get("PATH", os.defpath).split(os.pathsep), *SERVER_FOLDERS]:
        path = shutil.which(name, path=directory)
        if path and is_elf(path):
            return path
        first = first or path
    return first


def find_command(recipe: Recipe, script: str) -> str:
    for command in recipe.commands:
        path = find_on_path(command)
        if path:
            return path
    raise not_found(f"{script} needs {recipe.name}, but no {' or '.join(recipe.commands)} is on PATH; "
                    f"install it (Debian: apt-get install {debian_name(recipe.name)}).")


def debian_name(name: str) -> str:
    return {"node": "nodejs", "python": "python3", "php": "php-cli", "java": "default-jre-headless",
            "shell": "dash"}.get(name, name)


def substitutions(recipe: Recipe, interpreter: str) -> dict[str, str]:
    real = os.path.realpath(interpreter)
    match = recipe.binary.match(os.path.basename(real))
    version = (match.groupdict().get("version") if match else None) or "*"
    venv = os.path.dirname(os.path.dirname(os.path.abspath(interpreter)))
    if not os.path.isfile(os.path.join(venv, "pyvenv.cfg")):
        venv = "/nonexistent"
    prefix = os.path.dirname(os.path.dirname(real))
    return {"prefix": prefix, "home": prefix, "release": os.path.basename(prefix), "venv": venv, "version": version}


class Hint(str):
    """Something may be missing, and there is a remedy."""


def saying(notice: Callable[[str], None], verbose: bool) -> Callable[[str], None]:
    """For an image that is to start elsewhere or later, where nobody looks for the reason at once: hints are shown in any case."""
    def say(text: str) -> None:
        if verbose or isinstance(text, Hint):
            notice(text)

    return say


def take_files(recipe: Recipe, interpreter: str, tree: Tree, on_elf: OnElf, say: Callable[[str], None]) -> list[LeftOut]:
    """Adds the program's own files to the tree; the folders of modules that are too large are left to take_imported()."""
    values = substitutions(recipe, interpreter)
    left_out = []
    for item in recipe.take:
        for path in sorted(glob.glob(item["path"].format(**values))):
            if os.path.islink(path) and os.path.isdir(path):
                tree.add_host(path)
                path = os.path.realpath(path)
            if os.path.isfile(path):
                on_elf(path, tree.add_host(path))
                continue
            skip = make_skip(item, values)
            limit = item.get("max_mib", 0) << 20
            if limit and (size := folder_size(path, skip, limit)[1]) > limit:
                if item.get("modules"):
                    left_out.append(LeftOut(path, skip, tree.why))
                else:
                    say(Hint(f"left out {path}: more than {human_size(limit)} ({human_size(size)}); "
                             "use --add if the program needs it"))
                continue
            tree.add_folder(path, skip=skip, on_elf=on_elf)
    return left_out


def make_skip(item: dict[str, Any], values: dict[str, str]) -> Callable[..., Any]:
    exclude = [pattern.format(**values) for pattern in item.get("exclude", ())]
    include = item.get("include")

    def skip(relative: str, is_dir: bool) -> bool:
        name = os.path.basename(relative)
        if include is not None and not any(
                p == relative or p.startswith(relative + "/") or relative.startswith(p + "/")
                for p in include):
            return True
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in exclude)

    return skip


def folder_size(path: str, skip: Skip | None, limit: int | None = None, files_max: int | None = None) -> tuple[int, int]:
    """(files, bytes); stops when a limit is passed."""
    files = size = 0
    todo = [(path, "")]
    while todo:
        top, relative = todo.pop()
        try:
            items = list(os.scandir(top))
        except OSError:
            continue
        for item in items:
            below = f"{relative}/{item.name}" if relative else item.name
            is_dir = item.is_dir(follow_symlinks=False)
            if skip and skip(below, is_dir):
                continue
            if is_dir:
                todo.append((item.path, below))
            elif item.is_file(follow_symlinks=False):
                files += 1
                size += item.stat(follow_symlinks=False).st_size
        if (limit and size > limit) or (files_max and files > files_max):
            break
    return files, size


def skip_hidden(relative: str, is_dir: bool) -> bool:
    name = os.path.basename(relative)
    if name in SCRIPT_FOLDER_KEEP:
        return False
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in SCRIPT_FOLDER_SKIP)


def take_script(recipe: Recipe | None, script: str, tree: Tree, on_elf: OnElf, say: Callable[[str], None], private: SecretFilter) -> None:
    """Adds the script, its folder if that is of a sensible size, and its package."""
    script = os.path.abspath(script)
    tree.add_host(script)
    folder = os.path.dirname(script)
    if recipe is None or recipe.script == "file":
        return
    real = os.path.dirname(os.path.realpath(script))  # where interpreters look, if the script is a link
    folders = [one for one in dict.fromkeys((folder, real)) if not is_general_folder(one)]
    if not folders:
        say(Hint(f"took only {script}: {folder} is not a folder of one program; use --add for more"))
    for one in folders:
        above = package_folder(recipe, one)
        if not take_program_folder(above, tree, on_elf, say, private) and (
                above == one or not take_program_folder(one, tree, on_elf, say, private)):
            say(Hint(f"took only {script}: its folder {one} is large; use --add for what it needs"))
    for one in dict.fromkeys((folder, real)):
        take_upwards(recipe, one, tree, on_elf, say, private)


def package_folder(recipe: Recipe, folder: str) -> str:
    """The nearest one above the script that is marked as a package's: bin/www needs ../app.js."""
    at = folder
    while recipe.package and not is_general_folder(at):
        if os.path.isfile(os.path.join(at, recipe.package)):
            return at
        at = os.path.dirname(at)
    return folder


def take_program_folder(folder: str, tree: Tree, on_elf: OnElf, say: Callable[[str], None], private: SecretFilter) -> bool:
    """False: it is too large."""
    skip = private.below(folder, skip_hidden)
    files, size = folder_size(folder, skip, FOLDER_SIZE_MAX, FOLDER_FILES_MAX)
    if files > FOLDER_FILES_MAX or size > FOLDER_SIZE_MAX:
        return False
    say(f"took the folder {folder} ({files} files, {human_size(size)})")
    tree.add_folder(folder, skip=skip, on_elf=on_elf)
    return True


def is_general_folder(folder: str) -> bool:
    home = os.path.realpath(os.path.expanduser("~"))
    real = os.path.realpath(folder)
    return (real == home or real.count("/") < 2
            or real in ("/var/tmp", "/usr/bin", "/usr/local/bin", "/usr/sbin", "/usr/local/sbin",
                        "/var/www", "/dev/shm"))


def take_upwards(recipe: Recipe, folder: str, tree: Tree, on_elf: OnElf, say: Callable[[str], None], private: SecretFilter) -> None:
    """package.json and node_modules as Node looks for them: here and in the folders above."""
    while recipe.upwards and folder != "/":
        for name in recipe.upwards:
            path = os.path.join(folder, name)
            if path in tree:
                continue
            if os.path.isfile(path):
                tree.add_host(path)
            elif os.path.isdir(path):
                say(f"took {path}")
                tree.add_folder(path, skip=private.below(path, skip_hidden), on_elf=on_elf)
        folder = os.path.dirname(folder)
