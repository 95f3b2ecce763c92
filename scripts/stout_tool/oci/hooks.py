# SPDX-License-Identifier: MIT
"""A bundle's hooks (config.md, POSIX-platform Hooks): programs of this host that get the container's state on stdin."""
from __future__ import annotations

import json
import subprocess
from typing import Any

from ..errors import StoutError


def run_hooks(hooks: list[dict[str, Any]], state: dict[str, Any], kind: str, network: int | None = None) -> None:
    """In order; the first that fails is a StoutError.  network: the namespace to run them in, if it is not ours."""
    for hook in hooks:
        path = str(hook["path"])
        try:
            result = subprocess.run(
                [str(word) for word in hook.get("args") or [path]], executable=path, input=json.dumps(state).encode(), check=False,
                env=dict(str(text).split("=", 1) for text in hook.get("env") or () if "=" in text), timeout=hook.get("timeout"),
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=state["bundle"],
                preexec_fn=(lambda: enter(network)) if network is not None else None)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise StoutError(f"The {kind} hook {path} failed: {error}.") from None
        if result.returncode:
            said = result.stdout.decode("utf-8", "replace").strip()[-400:]
            raise StoutError(f"The {kind} hook {path} failed with status {result.returncode}{': ' if said else ''}{said}.")


def enter(namespace: int) -> None:
    from .network import setns
    setns(namespace)


