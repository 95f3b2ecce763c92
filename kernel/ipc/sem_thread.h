// SPDX-License-Identifier: MIT
#pragma once
/*
 * What SEM_UNDO asks of the life of threads.
 */
#include "lib/compiler.h"

struct thread;

/* clone with CLONE_SYSVSEM: child shares the running thread's undo list.  -ENOMEM. */
int sem_undo_share(struct thread *child) __must_check;
/* exit, unshare(CLONE_SYSVSEM): thread leaves its list, and the last one undoes what is on it. */
void sem_undo_leave(struct thread *thread);
