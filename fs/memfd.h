// SPDX-License-Identifier: MIT
#pragma once
/*
 * memfd_create(2): a RAM file without a name, and its seals (F_ADD_SEALS, F_GET_SEALS).
 */
#include "fs/file.h"

#define ABI_F_SEAL_SEAL         1u
#define ABI_F_SEAL_SHRINK       2u
#define ABI_F_SEAL_GROW         4u
#define ABI_F_SEAL_WRITE        8u
#define ABI_F_SEAL_FUTURE_WRITE 16u
#define ABI_F_SEAL_EXEC         32u

/* name is what /proc/self/fd shows after "/memfd:". */
int memfd_create_file(const char *name, unsigned flags, struct file **out) __must_check;
/* F_ADD_SEALS: 0, -EINVAL (not a memfd), -EPERM (sealed, not writable), -EBUSY (mapped writable). */
int memfd_add_seals(struct file *file, unsigned seals) __must_check;
long memfd_get_seals(struct file *file); /* -EINVAL: not a memfd */
