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

static void set_release(struct ipc_object *object)
{
    kfree(sem_of_ipc(object));
}

struct ipc_table sem_table = IPC_TABLE_INIT(sem_table, &ipc_settings.sem[3], set_release);

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

/* 0: done.  SEM_PENDING: it would block.  -EAGAIN, -ERANGE. */
static int op_apply(struct sem_set *set, const struct sem_call *call, const struct abi_sembuf *op)
{
    struct semaphore *member = &set->member[op->num];
    int value = member->value + op->op;

    if (value < 0 || (op->op == 0 && value != 0))
        return op->flags & ABI_IPC_NOWAIT ? -EAGAIN : SEM_PENDING;
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

static void call_finish(struct sem_call *call, int status)
{
    list_remove(&call->node);
    __atomic_store_n(&call->status, status, __ATOMIC_RELEASE);
    wake_all(&call->done);
}

/* Tries those that alter something or those that do not; true after the first one that did. */
static bool waiters_try(struct sem_set *set, bool altering)
{
    struct sem_call *call, *following;

    list_for_each_safe (call, following, &set->waiters, node) {
        if (call->alters != altering || is_still_blocked(set, call))
            continue;
        int status = call_try(set, call);
        if (status == SEM_PENDING)
            continue;
        if (status == 0)
            set->otime = ipc_now();
        call_finish(call, status);
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
    if (status == SEM_PENDING) {
        list_push_back(&set->waiters, &call->node);
    } else if (status == 0) {
        set->otime = ipc_now();
        if (call->alters)
            sem_update_locked(set);
    }
    return status;
}

int sem_operate(struct sem_set *set, struct sem_call *call, nsec_t deadline)
{
    call->status = SEM_PENDING;
    wait_queue_init(&call->done);
    spin_lock(&set->lock);
    int status = call_begin(set, call);
    spin_unlock(&set->lock);
    if (status != SEM_PENDING)
        return status;
    int err = wait_on(&call->done, __atomic_load_n(&call->status, __ATOMIC_ACQUIRE) != SEM_PENDING,
                      deadline);
    /* Whoever finished the call may not have let go of it yet: the lock waits for him. */
    spin_lock(&set->lock);
    status = call->status;
    if (status == SEM_PENDING)
        list_remove(&call->node);
    spin_unlock(&set->lock);
    if (status != SEM_PENDING)
        return status;
    return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
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

    list_for_each (call, &set->waiters, node) {
        const struct abi_sembuf *op = &call->ops[call->blocking];
        n += op->num == number && (for_zero ? op->op == 0 : op->op < 0);
    }
    return n;
}

void sem_remove_locked(struct sem_set *set)
{
    struct list dead = LIST_INIT(dead);

    ipc_get(&set->ipc);
    spin_lock(&set->lock);
    total -= set->count;
    ipc_remove_locked(&set->ipc);
    while (!list_is_empty(&set->waiters))
        call_finish(list_first(&set->waiters, struct sem_call, node), -EIDRM);
    sem_undo_detach_locked(set, &dead);
    spin_unlock(&set->lock);
    sem_undo_free(&dead);
    ipc_put(&set->ipc);
}

void sem_fill(struct sem_set *set, struct abi_semid_ds *out)
{
    *out = (struct abi_semid_ds){ .nsems = set->count };
    ipc_perm_fill(&set->ipc, &out->perm);
    spin_lock(&set->lock);
    out->otime = set->otime;
    out->ctime = set->ctime;
    spin_unlock(&set->lock);
}

/* ---- Creation ---------------------------------------------------------------------------------- */

static int set_create(const struct ipc_request *request, struct ipc_object **out)
{
    if (request->count == 0)
        return -EINVAL;
    if (total + request->count > READ_ONCE(ipc_settings.sem[1]))
        return -ENOSPC;
    struct sem_set *set =
        kzalloc(sizeof(*set) + request->count * sizeof(struct semaphore), ALLOC_WAIT);
    if (!set)
        return -ENOMEM;
    spin_init(&set->lock, RANK_SEM);
    list_init(&set->waiters);
    list_init(&set->undos);
    set->count = request->count;
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
    return container_of(object, struct sem_set, ipc)->count < request->count ? -EINVAL : 0;
}

long sem_get_id(int32_t key, unsigned count, unsigned flags)
{
    const struct ipc_request request = {
        .key = key,
        .flags = flags,
        .count = count,
        .create = set_create,
        .check = set_check,
        .created = set_created,
    };

    return ipc_get_id(&sem_table, &request);
}

unsigned sem_total(void)
{
    return total;
}
