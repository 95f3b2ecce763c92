// SPDX-License-Identifier: MIT
#pragma once
#include "lib/compiler.h"

/* Mounts /dev, /dev/shm, /dev/pts, /proc, /sys and makes /tmp; once, when the root is populated. */
void special_mounts_init(void);

struct manifest;
/* Mounts what the manifest asks for and makes the folders it goes to.  0, or -errno with a sentence in *error. */
int manifest_mounts_init(const struct manifest *manifest, const char **error) __must_check;
