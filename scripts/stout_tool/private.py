# SPDX-License-Identifier: MIT
"""Files that look like secrets: they stay out of images and packages unless they are named or --secrets is given."""
from __future__ import annotations

import fnmatch
import os
import sys
from typing import Callable

FOLDERS = (".git", ".hg", ".svn", ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker")
FILES = (".env", ".env.*", "*.env", ".npmrc", ".pypirc", ".netrc", ".git-credentials", ".htpasswd", ".pgpass", ".my.cnf",
         "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.kdbx", "*.p12", "*.pfx", "*.jks", "*_history",
         "id_*_sk", "*.keytab", ".vault-token", "*.tfstate", "*.tfstate.backup", "*.ovpn")
HARMLESS = (".env.example", ".env.sample", ".env.template")
KEYS = ("*.pem", "*.key", "*.der", "*.asc")  # certificates too have such names: the content tells
NAMED_MAX = 3


def looks_secret(path: str, is_dir: bool) -> bool:
    name = os.path.basename(path)
    if is_dir:
        return name in FOLDERS
    if name in HARMLESS:
        return False
    if matches(name, FILES) or name == ".git":  # a work tree's .git is a file
        return True
    return matches(name, KEYS) and has_private_key(path)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def has_private_key(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return b"PRIVATE KEY" in file.read(1 << 16)
    except OSError:
        return False


class SecretFilter:
    """What is left out of one image, for one notice at the end."""

    def __init__(self, keep: bool = False) -> None:
        self.keep = keep
        self.left_out: list[str] = []

    def leaves_out(self, path: str, is_dir: bool) -> bool:
        if self.keep or not looks_secret(path, is_dir):
            return False
        self.left_out.append(path)
        return True

    def below(self, top: str, also: Callable[[str, bool], bool] = lambda path, is_dir: False) -> Callable[[str, bool], bool]:
        """As Tree.add_folder() asks for a folder: what is secret, and what `also` leaves out, but not the secrets that are kept."""
        def skip(relative: str, is_dir: bool) -> bool:
            path = os.path.join(top, relative)
            if looks_secret(path, is_dir):
                return self.leaves_out(path, is_dir)
            return also(relative, is_dir)

        return skip

    def tell(self) -> None:
        if not self.left_out:
            return
        named, more = sorted(set(self.left_out)), ""
        if len(named) > NAMED_MAX:
            named, more = named[:NAMED_MAX], f" and {len(named) - NAMED_MAX} more"
        sys.stderr.write(f"stout: left out {', '.join(named)}{more}, which may hold secrets; --secrets puts them in.\n")
        self.left_out.clear()
