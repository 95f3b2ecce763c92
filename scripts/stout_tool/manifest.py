# SPDX-License-Identifier: MIT
"""/.stout/manifest, what the kernel is to run: NUL-ended records "key=value" (kernel/manifest.h)."""
from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .errors import usage

if TYPE_CHECKING:
    from .image import Image

PATH = "/.stout/manifest"
ARGUMENTS_MAX = 2 << 20       # argv and envp together: a quarter of the 8 MiB stack, as on Linux
ARGUMENT_MAX = 128 << 10      # one string, Linux's MAX_ARG_STRLEN


def make_manifest(run: Image) -> bytes:
    """run: program, argv, env, cwd, hostname, uid, gid, net, stdio, trace, mounts, groups, rlimits.  The file's bytes."""
    check_arguments(run.argv, run.env)
    records = ["format=1", "program=" + run.program]
    records += ["arg=" + arg for arg in run.argv]
    records += [f"env={name}={value}" for name, value in run.env.items()]
    records += ["cwd=" + run.cwd, "hostname=" + run.hostname, f"user={run.uid}:{run.gid}",
                "net=" + run.net, "stdio=" + ",".join(run.stdio)]
    if run.groups:
        records.append("groups=" + ",".join(map(str, run.groups)))
    records += [f"rlimit={resource}:{soft}:{hard}" for resource, soft, hard in run.rlimits]
    if run.trace:
        records.append("trace=" + run.trace)
    records += ["mount=" + mount for mount in run.mounts]
    return b"".join(os.fsencode(record) + b"\0" for record in records)


def check_arguments(argv: list[str], env: dict[str, str]) -> None:
    strings = [os.fsencode(arg) for arg in argv]
    strings += [os.fsencode(f"{name}={value}") for name, value in env.items()]
    for string in strings:
        if len(string) >= ARGUMENT_MAX:
            raise usage(f"An argument or variable of {len(string)} bytes is too long: Linux takes at most "
                        f"{ARGUMENT_MAX - 1} ({os.fsdecode(string[:40])}...); put it in a file.")
    total = sum(len(string) + 9 for string in strings)
    if total > ARGUMENTS_MAX:
        raise usage(f"The argument list is too long: {total} bytes of arguments and environment, and Linux takes "
                    f"{ARGUMENTS_MAX}; put them in a file.")
