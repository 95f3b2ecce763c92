# SPDX-License-Identifier: MIT
"""stout export: definitions for engines that run many machines (docs/export.md)."""
