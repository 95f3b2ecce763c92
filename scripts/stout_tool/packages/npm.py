# SPDX-License-Identifier: MIT
"""The npm client: it knows the user's registry, proxy and credentials, and its cache."""
from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
from typing import Any

from ..errors import StoutError, not_found
from ..progress import bytes_below, progress

QUIET = {"npm_config_update_notifier": "false", "npm_config_fund": "false", "npm_config_audit": "false", "npm_config_progress": "false"}


def npm(*words: str, cwd: str | None = None) -> str:
    """The output of an npm command; its error becomes a sentence."""
    path = shutil.which("npm")
    if path is None:
        raise not_found("npm, which fetches from the registry, is not on PATH; install it (Debian: apt-get install npm).")
    with progress(f"npm {words[0]}", measure=(lambda: bytes_below(cwd or "")) if cwd else None):
        result = subprocess.run([path, words[0], "--json", *words[1:]], cwd=cwd, env={**os.environ, **QUIET}, stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, errors="replace", check=False)
    if result.returncode == 0:
        return result.stdout
    raise StoutError(f"npm {words[0]} {words[-1]} failed: {reason_of(result.stdout, result.stderr)}.")


class Absent(StoutError):
    """The registry has no such package or version."""


def reason_of(output: str, complaint: str) -> str:
    try:
        error = json.loads(output)["error"]
        code, summary = error.get("code", ""), str(error.get("summary", "")).strip().splitlines()
    except (ValueError, KeyError, TypeError, AttributeError):
        code, summary = "", [line.removeprefix("npm ERR! ").removeprefix("npm error ") for line in complaint.splitlines() if "ERR!" in line]
    if code in ("E404", "ETARGET"):
        raise Absent("the registry has no such package or version")
    if code == "EINTEGRITY":
        return "what the registry sent does not have its checksum"
    return (f"{code} " if code else "") + (summary[0].rstrip(".") if summary else "no reason given")


def view(spec: str) -> dict[str, Any]:
    """version, integrity: of the newest version that fits."""
    text = npm("view", spec, "version", "dist.integrity")
    if not text.strip():
        raise Absent("the registry has no such package or version")
    found = json.loads(text)
    items = found if isinstance(found, list) else [found]
    return max(items, key=lambda item: version_key(item["version"]))


def version_key(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdigit() else 0 for part in version.partition("-")[0].split("."))


def fetch(name: str, found: dict[str, Any], folder: str) -> str:
    """The archive of a version in a folder, with the integrity that the registry gave for it."""
    made = json.loads(npm("pack", f"{name}@{found['version']}", "--pack-destination", folder, cwd=folder))
    path = os.path.join(folder, os.path.basename(made[0]["filename"]))
    if not os.path.exists(path):  # npm 9 names scoped packages in another way than it writes them
        path = next(item.path for item in os.scandir(folder) if item.name.endswith(".tgz"))
    check_integrity(path, str(found.get("dist.integrity") or ""), f"{name}@{found['version']}")
    return path


def check_integrity(path: str, integrity: str, what: str) -> None:
    """Subresource Integrity: one of the strongest hashes must fit."""
    wanted = [word.partition("-")[2].partition("?")[0] for word in integrity.split() if word.startswith("sha512-")]
    with open(path, "rb") as file:
        digest = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if digest not in wanted:
        raise StoutError(f"What the registry sent as {what} does not have its checksum; it is not used.")
