# SPDX-License-Identifier: MIT
"""What the host's administrator allows (docs/containers.md), in a file of root's: nobody else can name another.

    {"allow": ["stout.qemu-args"]}

Annotations come from whoever wrote the image or the pod: podman copies an image's own, Kubernetes a pod's.
"""
from __future__ import annotations

import json
import os
import stat

from ..errors import StoutError

PATH = "/etc/stout/oci.json"
ALLOW = "allow"
UNMAPPED = 65534  # root, as a user namespace shows it


def allowed(unsafe: tuple[str, ...]) -> list[str]:
    """Those of the unsafe annotations that may be given."""
    try:
        with open(PATH, encoding="utf-8") as file:
            info = os.fstat(file.fileno())
            if info.st_uid not in (0, UNMAPPED) or stat.S_IMODE(info.st_mode) & 0o022:
                raise StoutError(f"{PATH} is not used: it must belong to root, and nobody else may write it; use chown root and chmod 644.")
            document = json.load(file)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoutError(f"{PATH} cannot be read: {(error.strerror or '').lower()}.") from None
    except (ValueError, RecursionError):
        document = None
    names = document.get(ALLOW, []) if isinstance(document, dict) and not set(document) - {ALLOW} else None
    if not isinstance(names, list) or not all(name in unsafe for name in names):
        raise StoutError(f'{PATH} is wrong: write {{"{ALLOW}": [...]}} with one or more of {", ".join(unsafe)}.')
    return names
