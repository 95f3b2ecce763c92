// SPDX-License-Identifier: MIT
#pragma once
struct file;

/* The ioctls that every socket knows: interfaces.  -ENOTTY: not one of them. */
long net_ioctl(struct file *file, unsigned command, unsigned long arg);
