# SPDX-License-Identifier: MIT
"""Machines in the background and their networks."""
