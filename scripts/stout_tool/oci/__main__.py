# SPDX-License-Identifier: MIT
from .cli import entry

entry()
