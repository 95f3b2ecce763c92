# SPDX-License-Identifier: MIT
"""stout pkg get: packages that are made from a registry when somebody names them."""
from __future__ import annotations

from .store import Package, Store


def open_or_get(store: Store, name: str) -> Package:
    return store.open(name)
