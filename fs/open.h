// SPDX-License-Identifier: MIT
#pragma once
/*
 * open(2) with its flags taken apart.
 */
#include "abi/fcntl.h"
#include "fs/file.h"
#include "fs/walk.h"

struct open_request {
    unsigned flags;
    unsigned mode;
    unsigned walk_flags;
};

/* From open(2)'s arguments. */
void open_request_init(struct open_request *request, unsigned flags, unsigned mode);
/* From openat2(2)'s: -EINVAL. */
int open_request_init_how(struct open_request *request,
                          const struct abi_open_how *how) __must_check;
int file_open_request(int dirfd, const char *name, struct open_request *request,
                      struct file **out) __must_check;
