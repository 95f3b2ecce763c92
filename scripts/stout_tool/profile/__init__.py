# SPDX-License-Identifier: MIT
"""The sampling profiler's half on the host: reading samples, unwinding, names, flame graphs."""
