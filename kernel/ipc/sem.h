// SPDX-License-Identifier: MIT
#pragma once
/*
 * System V semaphores.
 *
 * [i] set at creation  [s] set->lock (RANK_SEM)  [u] undo_list->lock (RANK_SEM_UNDO)  [a] atomic
 */
#include "kernel/ipc/ipc_table.h"
#include "kernel/ipc/ipc_waiter.h"
#include "lib/list.h"

struct thread;

struct semaphore {
    int value; /* [s] */
    int pid;   /* [s] of the last operation */
};

struct sem_set {
    struct ipc_object ipc;
    struct spinlock lock;
    unsigned count;            /* [i] */
    int64_t otime, ctime;      /* [s] */
    struct list waiters;       /* [s] struct sem_call, oldest first */
    struct list undos;         /* [s] struct sem_undo */
    struct semaphore member[]; /* [s] */
};

/* What one holder of SEM_UNDO has to undo in a set: on the lists of both. */
struct sem_undo {
    struct list set_node;  /* [s] */
    struct list list_node; /* [u] */
    struct sem_undo_list *list;
    struct sem_set *set; /* with a reference */
    int16_t adjust[];    /* [s] */
};

/* Of a thread, or of several that were cloned with CLONE_SYSVSEM. */
struct sem_undo_list {
    unsigned refcount; /* [a] */
    struct spinlock lock;
    struct list undos; /* [u] */
};

/* One semop() under way, on its caller's stack. */
struct sem_call {
    struct ipc_waiter waiter; /* on set->waiters */
    const struct abi_sembuf *ops;
    unsigned nops, blocking; /* [s] the operation that it waits for */
    bool alters;
    struct sem_undo *undo; /* NULL: nothing to undo */
    int pid;
};

extern struct ipc_table sem_table;

/* Does all the operations or none, waiting until they can be done. -EAGAIN, -EIDRM, -EINTR, -ERANGE ... */
int sem_operate(struct sem_set *set, struct sem_call *call, nsec_t deadline) __must_check;
/* SETVAL (first, one value) and SETALL; the caller has checked the values.  -EIDRM. */
int sem_set_values(struct sem_set *set, unsigned first, unsigned count,
                   const uint16_t *values) __must_check;
/* How many wait for the semaphore to grow, or to be zero. [s] held. */
unsigned sem_count_waiters(const struct sem_set *set, unsigned number, bool for_zero);
unsigned sem_total(void); /* semaphores in all sets; table locked */
/* Looks whose operations can be done now, after values have changed. [s] held. */
void sem_update_locked(struct sem_set *set);

/* ---- sem_undo.c ---- */

/* The running thread's undo for set, made if it has none: in *out.  -ENOMEM, -EIDRM. */
int sem_undo_find(struct sem_set *set, struct sem_undo **out) __must_check;
/* The set goes away.  [s] held; the undos are freed, and their references on the set dropped, by
 * sem_undo_free(). */
void sem_undo_detach_locked(struct sem_set *set, struct list *dead);
void sem_undo_free(struct list *dead);

static inline struct sem_set *sem_of_ipc(struct ipc_object *object)
{
    return container_of(object, struct sem_set, ipc);
}
