// SPDX-License-Identifier: MIT
#pragma once
/*
 * Whom a file sends signals: F_SETOWN, F_SETOWN_EX, FIOSETOWN, SIOCSPGRP.
 */
#include "abi/signal.h"
#include "lib/compiler.h"

struct process;

/* Changed under fs/owner.c's lock.  Numbers, as /proc has them: they may have ended since. */
struct file_owner {
    int pid;            /* 0: nobody; negative: a process group */
    bool is_thread;     /* pid is a tid, and only that thread is meant */
    uint32_t uid, euid; /* of who set it */
    struct process
        *process; /* that pid stands for, with a reference; NULL: a thread, a group, nobody */
    int signo;    /* F_SETSIG: instead of SIGIO; 0 */
};

/* -EINVAL; -ESRCH: there is none such; -ENOMEM. */
int file_owner_set(struct file_owner *owner, int pid, bool is_thread) __must_check;
/* The same, unless it has an owner. */
int file_owner_set_default(struct file_owner *owner, int pid) __must_check;
void file_owner_fini(struct file_owner *owner);
/* The number, as F_GETOWN tells it: 0 if it has ended. */
int file_owner_pid(const struct file_owner *owner);
/*
 * To those that who set the owner may send signals to: signo with info, or plain, from the kernel, without one
 * (signo 0, or its queue is full).  Any context; a group hears of it a little later.
 */
void file_owner_tell(const struct file_owner *owner, int signo, const struct abi_siginfo *info,
                     int plain);
