// SPDX-License-Identifier: MIT
#pragma once
/*
 * Whom a file sends SIGURG: F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP.
 */
#include "lib/compiler.h"

/* By numbers, as /proc has them: they may have ended since. */
struct file_owner {
    int pid;            /* 0: nobody; negative: a process group */
    bool is_thread;     /* pid is a tid, and only that thread is meant */
    uint32_t uid, euid; /* of who set it */
};

/* -EINVAL; -ESRCH: there is none such. */
int file_owner_set(struct file_owner *owner, int pid, bool is_thread) __must_check;
/* The number, as F_GETOWN tells it: 0 if it has ended. */
int file_owner_pid(const struct file_owner *owner);
/* To those that who set the owner may send signals to.  It takes the process table lock. */
void file_owner_signal(const struct file_owner *owner, int signo);
