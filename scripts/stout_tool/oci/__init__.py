# SPDX-License-Identifier: MIT
"""stout-oci: an OCI runtime whose containers are machines."""
