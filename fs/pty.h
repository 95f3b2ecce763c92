// SPDX-License-Identifier: MIT
#pragma once
#include "fs/inode.h"

#define PTY_SLAVE_MAJOR 136

extern const struct file_system devpts;
