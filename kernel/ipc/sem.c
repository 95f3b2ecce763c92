// SPDX-License-Identifier: MIT
/*
 * Semaphore sets.
 *
 * A semop() is a list of operations that happen all or not at all.  It is tried at once; if an
 * operation would block, the call waits on set->waiters, in order of arrival, and whoever changes a value tries
 * for it: so a call is done by the one that makes it possible, and nobody can slip in between.
 * Calls that change nothing (all wait for zero) go before those that do, and the oldest goes first; after
 * each change it begins anew.  That is Linux's order.
 *
 * Locking: set->lock (spinlock) for values and waiters.  is_removed is set with it and the table's lock held, so
 * either is enough to see it.
 */
#include "kernel/ipc/sem.h"

#include "kernel/mm/heap.h"

static unsigned total; /* table locked: SEMMNS */

/* ---- Operations --------------------------------------------------------------------------- */

/* Takes back the first n operations. */
static void call_revert(struct sem_set *set, const struct sem_call *call, unsigned n)
{
    while (n-- > 0) {
        const struct abi_sembuf *op = &call->ops[n];
        set->member[op->num].value -= op->op;
        if (op->flags & ABI_SEM_UNDO)
            call->undo->adjust[op->num] = (int16_t)(call->undo->adjust[op->num] + op->op);
    }
}

/* 0: done.  IPC_PENDING: it would block.  -EAGAIN, -ERANGE. */
static int op_apply(struct sem_set *set, const struct sem_call *call, const struct abi_sembuf *op)
{
    struct semaphore *member = &set->member[op->num];
    int value = member->value + op->op;

    if (value < 0 || (op->op == 0 && value != 0))
        return op->flags & ABI_IPC_NOWAIT ? -EAGAIN : IPC_PENDING;
    if (value > ABI_SEMVMX)
        return -ERANGE;
    if (op->flags & ABI_SEM_UNDO) {
        int adjust = call->undo->adjust[op->num] - op->op;
        if (adjust < -ABI_SEMVMX - 1 || adjust > ABI_SEMVMX)
            return -ERANGE;
        call->undo->adjust[op->num] = (int16_t)adjust;
    }
    member->value = value;
    return 0;
}

static int call_try(struct sem_set *set, struct sem_call *call)
{
    int err = 0;
    unsigned n = 0;

    for (; n < call->nops && !err; n++)
        err = op_apply(set, call, &call->ops[n]);
    if (err) {
        call->blocking = n - 1;
        call_revert(set, call, n - 1);
        return err;
    }
    for (n = 0; n < call->nops; n++)
        set->member[call->ops[n].num].pid = call->pid;
    return 0;
}

/* A single operation that still cannot be done: most waiters of a big set. */
static bool is_still_blocked(const struct sem_set *set, const struct sem_call *call)
{
    const struct abi_sembuf *op = call->ops;

    if (call->nops > 1)
        return false;
    return op->op ? set->member[op->num].value + op->op < 0 : set->member[op->num].value != 0;
}

/* Tries those that alter something or those that do not; true after the first one that did. */
static bool waiters_try(struct sem_set *set, bool altering)
{
    struct sem_call *call, *following;

    list_for_each_safe (call, following, &set->waiters, waiter.node) {
        if (call->alters != altering || is_still_blocked(set, call))
            continue;
        int status = call_try(set, call);
        if (status == IPC_PENDING)
            continue;
        if (status == 0)
            set->otime = ipc_now();
        ipc_waiter_finish(&call->waiter, status);
        if (status == 0 && altering)
            return true;
    }
    return false;
}

void sem_update_locked(struct sem_set *set)
{
    assert_held(&set->lock);
    do
        waiters_try(set, false);
    while (waiters_try(set, true));
}

/* Tries, and enters the call among the waiters if it would block. */
static int call_begin(struct sem_set *set, struct sem_call *call)
{
    if (set->ipc.is_removed)
        return -EIDRM;
    int status = call_try(set, call);
    if (status == IPC_PENDING) {
        list_push_back(&set->waiters, &call->waiter.node);
    } else if (status == 0) {
        set->otime = ipc_now();
        if (call->alters)
            sem_update_locked(set);
    }
    return status;
}

int sem_operate(struct sem_set *set, struct sem_call *call, nsec_t deadline)
{
    ipc_waiter_init(&call->waiter);
    spin_lock(&set->lock);
    int status = call_begin(set, call);
    spin_unlock(&set->lock);
    if (status == IPC_PENDING)
        status = ipc_waiter_sleep(&call->waiter, &set->lock, false, deadline);
    return status == -ETIMEDOUT ? -EAGAIN : status;
}

/* ---- Control ---------------------------------------------------------------------------------- */

int sem_set_values(struct sem_set *set, unsigned first, unsigned count, const uint16_t *values)
{
    struct sem_undo *undo;
    int err = 0;

    spin_lock(&set->lock);
    if (set->ipc.is_removed) {
        err = -EIDRM;
    } else {
        for (unsigned i = 0; i < count; i++) {
            set->member[first + i].value = values[i];
            set->member[first + i].pid = ipc_current_pid();
        }
        list_for_each (undo, &set->undos, set_node)
            for (unsigned i = 0; i < count; i++)
                undo->adjust[first + i] = 0;
        set->ctime = ipc_now();
        sem_update_locked(set);
    }
    spin_unlock(&set->lock);
    return err;
}

unsigned sem_count_waiters(const struct sem_set *set, unsigned number, bool for_zero)
{
    const struct sem_call *call;
    unsigned n = 0;

    list_for_each (call, &set->waiters, waiter.node) {
        const struct abi_sembuf *op = &call->ops[call->blocking];
        n += op->num == number && (for_zero ? op->op == 0 : op->op < 0);
    }
    return n;
}

static void set_remove(struct ipc_object *object)
{
    struct sem_set *set = sem_of_ipc(object);
    struct list dead = LIST_INIT(dead);

    ipc_get(&set->ipc);
    spin_lock(&set->lock);
    total -= set->count;
    ipc_remove_locked(&set->ipc);
    while (!list_is_empty(&set->waiters))
        ipc_waiter_finish(list_first(&set->waiters, struct ipc_waiter, node), -EIDRM);
    sem_undo_detach_locked(set, &dead);
    spin_unlock(&set->lock);
    sem_undo_free(&dead);
    ipc_put(&set->ipc);
}

static void set_fill(struct ipc_object *object, union ipc_status *out)
{
    struct sem_set *set = sem_of_ipc(object);

    out->sem.nsems = set->count;
    spin_lock(&set->lock);
    out->sem.otime = set->otime;
    out->sem.ctime = set->ctime;
    spin_unlock(&set->lock);
}

static void set_changed(struct ipc_object *object, const union ipc_status *status)
{
    struct sem_set *set = sem_of_ipc(object);

    spin_lock(&set->lock);
    set->ctime = ipc_now();
    spin_unlock(&set->lock);
}

/* ---- Creation ---------------------------------------------------------------------------------- */

static int set_create(const struct ipc_request *request, struct ipc_object **out)
{
    size_t count = request->size;

    if (count == 0)
        return -EINVAL;
    if (total + count > READ_ONCE(ipc_settings.sem[1]))
        return -ENOSPC;
    struct sem_set *set = kzalloc(sizeof(*set) + count * sizeof(struct semaphore), ALLOC_WAIT);
    if (!set)
        return -ENOMEM;
    spin_init(&set->lock, RANK_SEM);
    list_init(&set->waiters);
    list_init(&set->undos);
    set->count = (unsigned)count;
    set->ctime = ipc_now();
    *out = &set->ipc;
    return 0;
}

static void set_created(struct ipc_object *object)
{
    total += sem_of_ipc(object)->count;
}

static int set_check(const struct ipc_request *request, const struct ipc_object *object)
{
    return container_of(object, struct sem_set, ipc)->count < request->size ? -EINVAL : 0;
}

static void set_release(struct ipc_object *object)
{
    kfree(sem_of_ipc(object));
}

static const struct ipc_ops set_ops = {
    .status_size = sizeof(struct abi_semid_ds),
    .create = set_create,
    .created = set_created,
    .check = set_check,
    .fill = set_fill,
    .changed = set_changed,
    .remove = set_remove,
    .release = set_release,
};

struct ipc_table sem_table = IPC_TABLE_INIT(sem_table, &ipc_settings.sem[3], &set_ops);

unsigned sem_total(void)
{
    return total;
}
