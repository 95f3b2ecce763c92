# SPDX-License-Identifier: MIT
"""stout pkg: root file systems with a manifest, in the user's store."""
