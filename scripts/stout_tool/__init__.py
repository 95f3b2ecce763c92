# SPDX-License-Identifier: MIT
"""The stout command-line tool: packs a program with the kernel and starts the machine."""

__version__ = "0.1.0"
