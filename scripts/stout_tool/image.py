# SPDX-License-Identifier: MIT
"""From "run this program" to a file tree and a manifest, and from these to a cached archive."""
from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import defaults, manifest, musl, recipes
from .cpio import CpioError, CpioWriter
from .elf import check_ident, is_linked
from .errors import StoutError, cannot_run, not_found, usage
from .ldcache import make_cache
from .libraries import Resolver, Root
from .modules import take_imported
from .output import fresh_folder
from .paths import cache_dir, is_number
from .private import SecretFilter
from .progress import progress
from .tree import Tree

if TYPE_CHECKING:
    from .modules import LeftOut
    from .packages.store import Package
    from .recipes import Recipe
    from .run import RunOptions

CACHE_LIMIT = 3 << 30
FORMAT = "2"  # part of the cache's key: change it when the archive's form changes
MERGED_FOLDERS = ("/bin", "/sbin", "/lib", "/lib64")
HASHBANG_DEPTH = 5  # scripts that are each other's interpreters; Linux says ELOOP to more
GUEST_PATH = defaults.ENVIRONMENT["PATH"].split(":")


class User:
    def __init__(self, uid: int = 0, gid: int = 0, name: str | None = None) -> None:
        self.uid, self.gid, self.name = uid, gid, name


class Image:
    """What is to run and the tree it runs in."""

    def __init__(self, options: RunOptions, say: Callable[[str], None]) -> None:
        self.options = options
        self.say = say
        self.package: Package | None = None
        self.place = f"the root folder {options.root}"
        if options.package or options.image:
            from .packages.launch import open_package, place_of
            self.place = place_of(options)
            self.package = open_package(options)
        self.is_container = bool(self.package or options.container)  # docker's rules for PATH, HOME and the directory
        self.root = Root(options.root or "/", options.container and options.container.places())
        self.tree = Tree(keep_owner=bool(options.root) and not self.package)
        self.resolver = Resolver(self.root)
        self.host_resolver = Resolver(Root("/")) if options.root else self.resolver
        self.private = SecretFilter(options.secrets)
        self.program: str = ""
        self.argv: list[str] = []
        self.patches_code = False  # see recipes.py
        self.large_folders: list[LeftOut] = []  # of modules
        self.env: dict[str, str] = dict(defaults.ENVIRONMENT)
        self.cwd: str = options.workdir or (os.getcwd() if not options.root else "/")
        self.hostname: str = options.hostname
        self.user = find_user(options.user, self.root)
        self.users = [self.user]  # those that passwd must know
        self.uid: int = self.user.uid
        self.gid: int = self.user.gid
        self.net: str = options.net_manifest
        self.stdio: list[str] = options.stdio
        self.trace: str | None = options.trace
        self.mounts: list[str] = [folder.mount(tag, self.uid, self.gid) for tag, folder in options.folders]
        self.groups: list[int] = []
        self.rlimits: list[tuple[int, int, int]] = []
        if options.container:
            self.mounts = options.container.order_mounts(self.mounts)
            self.groups, self.rlimits = options.container.groups(), options.container.rlimits()

    def gather(self) -> None:
        """Fills the tree; the order matters: what the user adds wins over defaults."""
        with self.tree.because(self.place):
            if self.package:
                from .packages.launch import fill_tree
                fill_tree(self.package, self.tree)
            elif self.options.root:
                self.tree.add_folder(self.root.top, "/")
                if self.options.container:
                    self.options.container.fill(self.tree)
        self.env.update(self.options.env)
        path = self._locate_program(self.options.program)
        with self.tree.because("the program and its script"):
            self._add_program(path)
            self._add_user_files()
        items = [split_item(item) for item in self.options.add]
        for path, _ in items:  # what programs bring; the user's own files come after and win
            if os.path.isfile(path) and is_linked(path):
                self._add_recipe(recipes.for_interpreter(path), path)
        for path, guest in items:
            with self.tree.because(f"--add {path}"):
                self._add_item(path, guest)
        if self.large_folders:
            take_imported(self.large_folders, self.tree, self.argv, self._on_elf, self.say)
        if self.user.name and self.user.name != "root":
            self.env.setdefault("USER", self.user.name)
        if self.is_container and "HOME" not in self.options.env:
            self.env["HOME"] = home_of(self.uid, self.root)
        with self.tree.because("every image has it"):
            defaults.add_defaults(self.tree, self.hostname, self.users, self.net)
            if not self.options.root:
                self._add_merged_folders()
            self._add_loader_config()
            if not self.options.root or self.tree.follow(self.cwd) not in self.tree:
                self._add_cwd()
        if not self.options.own_musl:
            musl.replace(self.tree, self.say)
        self.put_manifest(self.trace, self.stdio)
        if self.options.keep_reasons:
            self.put_reasons()
        self.private.tell()

    def put_manifest(self, trace: str | None, stdio: list[str]) -> None:
        self.trace, self.stdio = trace, stdio
        with self.tree.because("the kernel starts the program by it"):
            self.tree.add_bytes(manifest.PATH, manifest.make_manifest(self), 0o600)

    def put_reasons(self, left_out: dict[str, int] | None = None) -> None:
        """For stout image inspect; left_out: files with their sizes."""
        from .images import LEFT_OUT, REASONS, pack_json, reasons_of
        self.tree.add_bytes(REASONS, pack_json(reasons_of(self.tree)), 0o600)
        if left_out is not None:
            self.tree.add_bytes(LEFT_OUT, pack_json(left_out), 0o600)

    def _add_merged_folders(self) -> None:
        """/bin -> usr/bin and the like: programs name both /bin/sh and /usr/bin/env."""
        for folder in MERGED_FOLDERS:
            if os.path.islink(folder) and folder not in self.tree:
                self.tree.make_directory(os.path.realpath(folder))
                self.tree.add_symlink(folder, os.readlink(folder))

    def _add_cwd(self) -> None:
        if not self.cwd.startswith("/"):
            raise usage(f"The working directory {self.cwd} is not an absolute path; give one that "
                        "begins with /.")
        if not self.options.root and os.path.isdir(self.cwd):
            self.tree.add_host(self.cwd)
        else:
            self.tree.make_directory(self.cwd)

    def _locate_program(self, name: str) -> str:
        """The path of the program: in the root with --root, else on this host."""
        if self.options.root:
            folders = self.env["PATH"].split(":") if self.is_container else GUEST_PATH
            candidates = [name] if "/" in name else [f"{d}/{name}" for d in folders]
            for path in candidates:
                path = os.path.join(self.cwd if self.is_container else "/", path.removeprefix("./"))
                if self.root.is_file(path):
                    return path
            raise not_found(f"{name} is not in {self.place}; looked for "
                            f"{', '.join(os.path.join('/', c) for c in candidates)}.")
        if os.path.isfile(name):
            return os.path.abspath(name)
        if "/" not in name:
            found = recipes.find_on_path(name)
            if found:
                return found
            raise not_found(f"{name} is neither a file here nor a command on PATH; check the name, or give "
                            "its path.")
        if os.path.isdir(name):
            raise cannot_run(f"{name} is a folder; give the program in it.")
        if os.path.exists(name):
            raise cannot_run(f"{name} is a device, a pipe or a socket; give the path of a program.")
        raise not_found(f"{name} does not exist; check the path.")

    def _add_program(self, path: str) -> None:
        host = self.root.host(path)
        head = read_head(host)
        args = list(self.options.args)
        if head[:4] == b"\x7fELF":
            self._need_execute(path)
            self._add_elf(path)
            self.program = path
            self.argv = [self.options.program] + args
            recipe = recipes.for_interpreter(host)
            self._add_recipe(recipe, path)
            if recipe and not self.options.root:
                self._add_script_argument(recipe, args)
            elif not self.options.root:
                self._add_file_arguments(args)
            if self.resolver.files[path].is_go and not self.options.root:
                defaults.add_certificates(self.tree)
            return
        if head[:2] == b"#!":
            self._add_hashbang(path, head, args)
            return
        recipe = recipes.for_extension(path)
        if recipe is None:
            check_ident(path, head[:16], head[16:20])  # says what it is instead
        assert recipe is not None
        self._run_script_by(recipe, path, args)

    def _run_script_by(self, recipe: Recipe, path: str, args: list[str]) -> None:
        if self.options.root:
            found = next((f"{d}/{c}" for d in GUEST_PATH for c in recipe.commands
                                if self.root.is_file(f"{d}/{c}")), None)
            if found is None:
                raise not_found(f"{path} needs {recipe.name}, which is not in {self.place}; add it there.")
            interpreter = found
        else:
            interpreter = recipes.find_command(recipe, path)
        self._start_with(recipe, interpreter, recipe.before_script, path, args)

    def _start_with(self, recipe: Recipe | None, interpreter: str, before: list[str], path: str, args: list[str]) -> None:
        self._add_interpreter(interpreter)
        if not self.options.root:
            recipes.take_script(recipe, path, self.tree, self._on_elf, self.say, self.private)
            self._add_file_arguments(args)
        self.program = interpreter
        typed = self.options.program
        script = typed if "/" in typed and self.options.workdir is None and not self.options.root else path
        self.argv = [os.path.basename(interpreter), *before, script, *args]

    def _add_hashbang(self, path: str, head: bytes, args: list[str]) -> None:
        """A script that names its interpreter; the kernel follows the line, `env` is spared."""
        named, interpreter, argument = self._read_hashbang(path, head)
        recipe = recipes.for_interpreter(self.root.host(interpreter))
        self._start_with(recipe, interpreter, argument, path, args)
        if interpreter == named and os.access(self.root.host(path), os.X_OK):
            self.program = path
            self.argv = [self.options.program] + args

    def _read_hashbang(self, path: str, head: bytes) -> tuple[str, str, list[str]]:
        """(the program on the line, the interpreter that it or `env` starts, [its argument])"""
        words = os.fsdecode(head[2:].split(b"\n")[0]).strip().split(None, 1)
        if not words:
            raise cannot_run(f"{path} begins with #! but names no interpreter; write its path there.")
        interpreter = words[0]
        argument = [words[1]] if len(words) > 1 else []
        if os.path.basename(interpreter) == "env" and argument:
            name = [w for w in argument[0].split() if not w.startswith("-")]
            found = self._find_on_path(name[0]) if name else None
            if found is None:
                raise not_found(f"{path} needs {argument[0]}, which is not on PATH; install it.")
            interpreter, argument = found, name[1:]
        if not self.root.is_file(interpreter):
            raise not_found(f"{path} needs the interpreter {interpreter}, which does not exist; install "
                            "it or correct the first line of the script.")
        return words[0], interpreter, argument

    def _add_interpreter(self, path: str, depth: int = 1) -> None:
        """With what it needs itself: libraries and a standard library, or another interpreter."""
        head = read_head(self.root.host(path))
        if head[:2] != b"#!":
            self._add_elf(path)
            self._add_recipe(recipes.for_interpreter(self.root.host(path)), path)
            return
        if not self.options.root:
            self.tree.add_host(path)
        self._add_interpreters_of(path, head, depth + 1)

    def _add_interpreters_of(self, path: str, head: bytes, depth: int = 1) -> None:
        if depth > HASHBANG_DEPTH:
            raise cannot_run(f"The interpreter of {path} is a script, and so on, more than {HASHBANG_DEPTH} times; "
                             "correct the first line of the script.")
        named, interpreter, _ = self._read_hashbang(path, head)
        for program in dict.fromkeys([named, interpreter]):
            self._add_interpreter(program, depth)

    def _find_on_path(self, name: str) -> str | None:
        if not self.options.root:
            return recipes.find_on_path(name)
        return next((f"{d}/{name}" for d in GUEST_PATH if self.root.is_file(f"{d}/{name}")), None)

    def _add_recipe(self, recipe: Recipe | None, path: str) -> None:
        """What is known about an interpreter or server, if anything is; a root has its files already."""
        if recipe is None:
            return
        self.patches_code |= recipe.patches_code
        if self.options.root:
            return
        with self.tree.because(f"{recipe.name} needs it"):
            self.large_folders += recipes.take_files(recipe, path, self.tree, self._on_elf, self.say)
        users = [find_user(name, self.root) for name in recipe.users if is_user(name, self.root)]
        self.users += users
        for directory in recipe.directories:
            self.tree.make_directory(directory, owner=users[0] if users else None)
        if recipe.certificates:
            defaults.add_certificates(self.tree)

    def _add_script_argument(self, recipe: Recipe, args: list[str]) -> None:
        """`stout run node server.js`: the first argument that is a file is the script."""
        for index, arg in enumerate(args):
            if os.path.isfile(arg) and not arg.startswith("-"):
                recipes.take_script(recipe, arg, self.tree, self._on_elf, self.say, self.private)
                self._add_file_arguments(args[index + 1:])
                return

    def _add_user_files(self) -> None:
        """Those of this host that are arguments of a package: `pkg load node -a server.js`."""
        files = self.options.user_files
        recipe = recipes.for_interpreter(self.root.host(self.program)) if files and self.program else None
        if recipe:
            recipes.take_script(recipe, files[0], self.tree, self._on_elf, self.say, self.private)
            files = files[1:]
        self._add_file_arguments(files)

    def _add_file_arguments(self, args: list[str]) -> None:
        for arg in args:
            if arg and os.path.isfile(arg) and not arg.startswith(("/dev/", "/proc/", "/sys/")):
                self.say(f"took {arg}, named as an argument")
                self.tree.add_host(os.path.abspath(arg))

    def _add_item(self, path: str, guest: str | None) -> None:
        if os.path.isdir(path):
            self.tree.add_folder(path, guest, skip=self.private.below(path), on_elf=self._on_elf)
            return
        self.tree.add_host(path, guest)
        head = read_head(path)
        if is_linked(path):
            self._add_host_libraries(path, optional=False)
        elif head[:2] == b"#!" and not self.options.root:
            try:
                self._add_interpreters_of(path, head)
            except StoutError as error:  # perhaps it is only data
                self.say(f"{path}: its interpreter was not added ({error.sentence})")

    def _on_elf(self, source: str, place: str) -> None:
        """Each file of a folder: an ELF file brings its libraries, as far as they are there."""
        if source.endswith((".so", ".node")) or ".so." in source or os.access(source, os.X_OK):
            if is_linked(source):
                try:
                    self._add_host_libraries(source, optional=True)
                except StoutError as error:
                    self.say(f"{source}: its libraries were not looked for ({error.sentence})")

    def _add_elf(self, path: str) -> None:
        self._add_libraries(path, optional=False)
        if not self.options.root:
            self.tree.add_host(path)

    def _add_host_libraries(self, source: str, optional: bool) -> None:
        """The libraries of a file of this host; in a root those that it lacks, so that no C library is mixed with another."""
        if not self.options.root:
            self._add_libraries(source, optional)
            return
        for library in self.host_resolver.add(source, optional):
            if library != source and not self.root.is_file(library) and not self.resolver.finds(os.path.basename(library)):
                self.tree.add_host(library)

    def _add_libraries(self, path: str, optional: bool) -> None:
        for library in self.resolver.add(path, optional):
            if self.options.root:
                continue
            if library != path:
                with self.tree.because(f"a library of {path}"):
                    self.tree.add_host(library)
            if library not in self.resolver.by_name.values() and ".so" in os.path.basename(library):
                self.resolver.by_name.setdefault(os.path.basename(library), library)

    def _add_loader_config(self) -> None:
        """What the dynamic loaders read: a cache for glibc, the path list for musl."""
        if self.options.root:
            return
        names = {n: p for n, p in self.resolver.by_name.items() if self.tree.follow(
            os.path.realpath(p)) in self.tree and "ld-musl" not in n}
        loaders = {e.interpreter for e in self.resolver.files.values() if e.interpreter}
        if any("ld-linux" in loader for loader in loaders) and names:
            self.tree.add_bytes("/etc/ld.so.cache", make_cache(names))
        if any("ld-musl" in loader for loader in loaders):
            if os.path.isfile("/etc/ld-musl-x86_64.path"):
                self.tree.add_host("/etc/ld-musl-x86_64.path")

    def _need_execute(self, path: str) -> None:
        if not os.stat(self.root.host(path)).st_mode & (stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH):
            raise cannot_run(f"{path} is not executable; make it so with: chmod +x {path}")

    def write(self) -> str:
        """The archive's path: from the cache when nothing changed."""
        folder = os.path.join(cache_dir(), "images")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        path = os.path.join(folder, f"{FORMAT}-{self.tree.key()}{'-gz' if self.options.compress else ''}.cpio")
        try:
            os.utime(path)
            return path
        except OSError:
            pass
        self._make_room(folder)
        try:
            with fresh_folder(folder) as place, progress("packing", self.tree.total) as bar:
                with open(os.path.join(place, "archive"), "wb") as file:
                    writer = CpioWriter(file, bar.advance, self.options.compress)
                    self.tree.write(writer)
                    writer.close()
                os.rename(file.name, path)
        except CpioError as error:
            raise StoutError(f"The image cannot be made: {error}.") from None
        except OSError as error:
            raise StoutError(f"The image cannot be written to {folder}: {error.strerror.lower()}; make room or "
                             "name another folder in STOUT_CACHE.") from None
        return path

    def _make_room(self, folder: str) -> None:
        """Drops the images that were not used for the longest time."""
        items = []
        for item in os.scandir(folder):
            try:
                info = item.stat()
            except OSError:
                continue  # another stout made room, too
            items.append((info.st_mtime, info.st_size, item.path))
        total = sum(size for _, size, _ in items) + self.tree.total
        for _, size, path in sorted(items):
            if total <= CACHE_LIMIT:
                break
            total -= size
            try:
                os.unlink(path)
            except OSError:
                pass


def read_head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(256)
    except OSError as error:
        raise cannot_run(f"{path} cannot be read: {error.strerror.lower()}; run stout as a user who may "
                         "read it.") from None


def split_item(item: str) -> tuple[str, str | None]:
    """(path of this host, guest path or None) of an --add; a bare name is a command's."""
    path, colon, place = item.rpartition(":")
    guest: str | None = place
    if not colon or not place.startswith("/") or os.path.exists(item):
        path, guest = item, None
    if not os.path.exists(path):
        command = None if "/" in path else recipes.find_on_path(path)
        if command is None:
            raise not_found(f"{path}, given with --add, does not exist; check the path.")
        path = command
    return os.path.abspath(path), guest


def is_user(name: str, root: Root) -> bool:
    return any(fields[0] == name for fields in passwd_lines(root, "/etc/passwd"))


def find_user(text: str | None, root: Root) -> User:
    """NAME, UID, or either with :GROUP; names from the root's passwd, else this host's."""
    if not text:
        return User(0, 0, "root")
    name, _, group = text.partition(":")
    user = User(name=None)
    entry = next((fields for fields in passwd_lines(root, "/etc/passwd") if fields[0] == name), None)
    if is_number(name):
        user.uid = user.gid = int(name)
    elif entry:
        user.uid, user.gid, user.name = int(entry[2]), int(entry[3]), name
    else:
        raise usage(f"There is no user {name}; give a number or a name of /etc/passwd.")
    if is_number(group):
        user.gid = int(group)
    elif group:
        found = next((f for f in passwd_lines(root, "/etc/group") if f[0] == group), None)
        if found is None:
            raise usage(f"There is no group {group}; give a number or a name of /etc/group.")
        user.gid = int(found[2])
    return user


def home_of(uid: int, root: Root) -> str:
    return next((fields[5] for fields in passwd_lines(root, "/etc/passwd") if fields[2] == str(uid) and len(fields) > 5),
                "/root" if uid == 0 else "/")


def passwd_lines(root: Root, path: str) -> list[list[str]]:
    try:
        with open(root.host(path), encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.rstrip("\n").split(":") for line in file]
    except OSError:
        return []
    return [fields for fields in lines if len(fields) >= 3]
