// SPDX-License-Identifier: MIT
#pragma once

/* Mounts /dev, /dev/shm, /dev/pts, /proc, /sys and makes /tmp; once, when the root is populated. */
void special_mounts_init(void);
