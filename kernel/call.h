// SPDX-License-Identifier: MIT
#pragma once
/*
 * A system call that the kernel itself makes for the application, by calling its function: io_uring's
 * requests.  The thread's call context says what such a call sees differently.
 */
#include "lib/compiler.h"

struct file;

/* A descriptor that stands for context->file, and one for context->file2. */
#define FD_BORROWED  (-0x40000000)
#define FD_BORROWED2 (-0x40000001)

struct call_context {
    struct file *file;
    struct file *file2;
    bool nonblock; /* as if the file had O_NONBLOCK */
    /* A new descriptor is not entered into the table: the file comes here, with the reference. */
    bool wants_file;
    struct file *new_file;
    /* Kernel memory that usercopy takes for application memory. */
    struct {
        uintptr_t start;
        size_t size;
    } arg[2];
};
