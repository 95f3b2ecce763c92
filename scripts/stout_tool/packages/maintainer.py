# SPDX-License-Identifier: MIT
"""What Debian's maintainer scripts commonly do, done to a package's files without running them.

The scripts are read line by line, and of commands whose words are plain (or variables and loops of plain words) those that
only add something are carried out: users and groups, directories, owners, links, alternatives.  Conditions are ignored:
what is made in excess is an empty folder or a link to a file that is there.
"""
from __future__ import annotations

import io
import posixpath
import re
import shlex
from typing import Iterator

from ..defaults import GROUP, PASSWD
from .writer import PackageWriter, UnsafePath

FIRST_ID = 101
ASSIGNMENT = re.compile(r"(?:local\s+)?([A-Za-z_]\w*)=(\"[^\"`]*\"|'[^']*'|[^\s`;&|]*)$")
LOOP = re.compile(r"for\s+(\w+)\s+in\s+(.+?)\s*(?:;\s*do\b.*)?$")
VARIABLE = re.compile(r"\$(?:\{(\w+)\}|(\w+))")
WITH_VALUE = {"adduser": {"--home", "--shell", "--uid", "--gid", "--ingroup", "--gecos", "--comment"},
              "addgroup": {"--gid"}, "useradd": {"-d", "-s", "-u", "-g", "-c", "-G", "-b", "-K", "--home", "--home-dir", "--shell", "--comment", "--uid",
                                                 "--gid", "--base-dir"}, "groupadd": {"-g", "-K", "--gid"}}
KEYWORD = re.compile(r"^\s*(?:(?:if|then|else|do|!)\s+)+")
EXPANSIONS_MAX = 200


class Effects:
    """The effects of all scripts on one package."""

    def __init__(self, writer: PackageWriter) -> None:
        self.writer = writer
        self.users: dict[str, tuple[int, int, str]] = {}
        self.groups: dict[str, int] = {}
        self.alternatives: dict[str, tuple[int, str]] = {}
        self._passwd, self._group = self._read("/usr/share/base-passwd/passwd.master", PASSWD), self._read(
            "/usr/share/base-passwd/group.master", GROUP)
        for line in self._group.splitlines():
            self.groups[line.split(":")[0]] = int(line.split(":")[2])
        for line in self._passwd.splitlines():
            fields = line.split(":")
            self.users[fields[0]] = (int(fields[2]), int(fields[3]), fields[5])
        self._known = set(self.users), set(self.groups)

    def _read(self, path: str, default: str) -> str:
        if path not in self.writer.files:
            return default
        with open(self.writer.place(path), encoding="utf-8", errors="replace") as file:
            return "".join(line.replace(":*:", ":x:", 1) for line in file)

    def run(self, script: str) -> None:
        for words in commands(script):
            name = posixpath.basename(words[0])
            try:
                if name in ("adduser", "useradd"):
                    self._add_user(name, words[1:])
                elif name in ("addgroup", "groupadd"):
                    self.add_group(last_plain(words[1:], WITH_VALUE[name]))
                elif name == "update-alternatives":
                    self._add_alternatives(words[1:])
                elif name in ("mkdir", "install", "chown", "ln", "dpkg-statoverride"):
                    getattr(self, "_" + name.replace("-", "_"))(words[1:])
            except (UnsafePath, ValueError, LookupError, OSError):
                continue  # not as plain as it looked

    def sysusers(self, text: str) -> None:
        """Lines of sysusers.d(5)."""
        for line in text.splitlines():
            words = shlex.split(line, comments=True)
            if len(words) >= 2 and words[0].rstrip("!") == "u":
                self.add_user(words[1], words[4] if len(words) > 4 and words[4] != "-" else "/")
            elif len(words) >= 2 and words[0] == "g":
                self.add_group(words[1])

    def _add_user(self, name: str, words: list[str]) -> None:
        options = WITH_VALUE[name]
        plain = [word for word in plain_words(words, options)]
        if len(plain) == 2:  # adduser USER GROUP
            return
        home = next((words[at + 1] for at, word in enumerate(words[:-1]) if word in ("--home", "-d", "--home-dir")), "/nonexistent")
        self.add_user(plain[-1], home)

    def add_user(self, name: str, home: str) -> None:
        if re.fullmatch(r"[a-z_][\w.-]*", name) and name not in self.users:
            gid = self.add_group(name)
            uid = gid if gid not in {user[0] for user in self.users.values()} else self._free()
            self.users[name] = (uid, gid, home)

    def add_group(self, name: str) -> int:
        if name not in self.groups and re.fullmatch(r"[a-z_][\w.-]*", name):
            self.groups[name] = self._free()
        return self.groups[name]

    def _free(self) -> int:
        used = {user[0] for user in self.users.values()} | set(self.groups.values())
        return next(number for number in range(FIRST_ID, 60000) if number not in used)

    def _add_alternatives(self, words: list[str]) -> None:
        """--install LINK NAME PATH PRIORITY [--slave LINK NAME PATH]..."""
        for at, word in enumerate(words):
            if word == "--install":
                link, name, path, priority = words[at + 1:at + 5]
            elif word == "--slave":
                link, name, path = words[at + 1:at + 4]
            else:
                continue
            place = f"/etc/alternatives/{name}"
            if self.writer.find(path) and (link not in self.alternatives or self.alternatives[link][0] < int(priority)):
                self.alternatives[link] = int(priority), place
                self.writer.add_link(place, path)

    def _mkdir(self, words: list[str]) -> None:
        for path in plain_words(words, {"-m", "--mode"}):
            self._need_directory(path)

    def _install(self, words: list[str]) -> None:
        if "-d" in words or any(word.startswith("-d") for word in words):
            owner = next((words[at + 1] for at, word in enumerate(words) if word == "-o"), "root")
            group = next((words[at + 1] for at, word in enumerate(words) if word == "-g"), "root")
            for path in plain_words(words, {"-o", "-g", "-m"}):
                self._own(self._need_directory(path), f"{owner}:{group}")

    def _chown(self, words: list[str]) -> None:
        owner, *paths = plain_words(words, set())
        for path in paths:
            if place := self.writer.find(path):
                self._own(place, owner)
                if any(word.startswith("-") and "R" in word for word in words):
                    for below in [name for name in self.writer.files if name.startswith(place + "/")]:
                        self._own(below, owner)

    def _dpkg_statoverride(self, words: list[str]) -> None:
        user, group, mode, path = plain_words(words, set())
        if place := self.writer.find(path):
            self._own(place, f"{user}:{group}")
            self.writer.files[place].mode = int(mode, 8)

    def _ln(self, words: list[str]) -> None:
        target, link = plain_words(words, set())
        whole = posixpath.normpath(posixpath.join(posixpath.dirname(link), target))
        if link.startswith("/") and any("s" in word for word in words if word.startswith("-")) and self.writer.find(whole) and not self.writer.find(link):
            self.writer.add_link(link, target)

    def _need_directory(self, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError(path)
        place = self.writer.find(path)
        return place if place else self.writer.add_directory(path)

    def _own(self, path: str, owner: str) -> None:
        user, colon, group = owner.replace(".", ":", 1).partition(":")
        entry = self.writer.files[path]
        if user:
            entry.uid = int(user) if user.isdigit() else self.users[user][0]
        if group:
            entry.gid = int(group) if group.isdigit() else self.groups[group]
        elif colon and user in self.users:
            entry.gid = self.users[user][1]

    def finish(self) -> None:
        """What depends on all scripts: links of alternatives, passwd and group, certificates, modules of PHP."""
        for link, (_, place) in self.alternatives.items():
            if not self.writer.find(link):
                self.writer.add_link(link, place)
        users, groups = self._known
        passwd = self._passwd + "".join(f"{name}:x:{uid}:{gid}::{home}:/usr/sbin/nologin\n" for name, (uid, gid, home) in self.users.items()
                                        if name not in users)
        group = self._group + "".join(f"{name}:x:{gid}:\n" for name, gid in self.groups.items() if name not in groups)
        for path, text in (("/etc/passwd", passwd), ("/etc/group", group)):
            if not self.writer.find(path):
                self.writer.add_bytes(path, text.encode())
        self._join_certificates()
        self._enable_php_modules()

    def _join_certificates(self) -> None:
        found = [path for path in sorted(self.writer.files) if path.startswith("/usr/share/ca-certificates/") and path.endswith(".crt")]
        if found:
            whole = io.BytesIO()
            for path in found:
                with open(self.writer.place(path), "rb") as file:
                    whole.write(file.read().rstrip(b"\n") + b"\n")
            self.writer.add_bytes("/etc/ssl/certs/ca-certificates.crt", whole.getvalue())

    def _enable_php_modules(self) -> None:
        """php_invoke enmod: each module's .ini, for every kind of PHP that is there."""
        kinds = [path for path in self.writer.files if re.fullmatch(r"/etc/php/[\d.]+/(cli|fpm|cgi|apache2)", path)]
        kinds += [f"/etc/php/{m[1]}/{m[2]}" for path in self.writer.files if (m := re.fullmatch(r"/usr/lib/php/([\d.]+)/php\.ini-production\.(cli)", path))]
        for path in sorted(self.writer.files):
            match = re.fullmatch(r"/usr/share/php([\d.]+)-[\w-]+/[\w-]+/(\w+)\.ini", path)
            if not match:
                continue
            with open(self.writer.place(path), "rb") as file:
                text = file.read()
            order = re.search(rb"priority=(\d+)", text)
            available = self.writer.add_bytes(f"/etc/php/{match[1]}/mods-available/{match[2]}.ini", text)
            for kind in dict.fromkeys(kinds):
                if kind.startswith(f"/etc/php/{match[1]}/"):
                    self.writer.add_link(f"{kind}/conf.d/{order[1].decode() if order else '20'}-{match[2]}.ini", available)


def commands(script: str) -> Iterator[list[str]]:
    """The simple commands with their variables filled in; a line in a loop comes once for each word."""
    variables: dict[str, str] = {}
    loops: list[tuple[str, list[str]]] = []
    for line in re.sub(r"\\\r?\n", " ", script).splitlines():
        line = KEYWORD.sub("", line.strip())
        if match := ASSIGNMENT.match(line):
            value = expand(match[2].strip("\"'"), variables)
            if value is not None:
                variables[match[1]] = value
            continue
        if match := LOOP.match(line):
            words = expand(match[2], variables)
            if re.search(r";\s*done\b", line):
                continue  # a loop on one line is not plain
            loops.append((match[1], words.split() if words is not None else []))
            continue
        if re.match(r"done\b", line):
            loops = loops[:-1]
            continue
        yield from simple(line, variables, loops)


def simple(line: str, variables: dict[str, str], loops: list[tuple[str, list[str]]]) -> Iterator[list[str]]:
    scopes = [variables]
    for name, words in loops:
        scopes = [{**scope, name: word} for scope in scopes for word in words][:EXPANSIONS_MAX]
    for scope in scopes:
        for part in re.split(r"\s*(?:\|\||&&|;|\||>|\d>)\s*", line):
            filled = expand(KEYWORD.sub("", part), scope)
            if not filled or "`" in filled or "*" in filled:
                continue
            try:
                words = shlex.split(filled, comments=True)
            except ValueError:
                continue
            if words:
                yield words


def expand(text: str, variables: dict[str, str]) -> str | None:
    """The text with its variables, or None if it is not plain.  A variable that was never set is empty at the end of a line only."""
    result = VARIABLE.sub(lambda match: variables.get(match[1] or match[2], "\0"), text)
    result = re.sub(r"\s+\0", "", result)  # optional words, as $slave in openjdk
    return None if "\0" in result or "$" in result else result


def plain_words(words: list[str], with_value: set[str]) -> list[str]:
    result, skip = [], False
    for word in words:
        if skip or word.startswith("-"):
            skip = not skip and word in with_value
            continue
        result.append(word)
    return result


def last_plain(words: list[str], with_value: set[str]) -> str:
    return plain_words(words, with_value)[-1]
