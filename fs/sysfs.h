// SPDX-License-Identifier: MIT
#pragma once
/*
 * /sys and /sys/fs/cgroup, as far as C libraries and language runtimes look at them.
 */
#include "fs/inode.h"

extern const struct file_system sysfs;
extern const struct file_system cgroup2;
