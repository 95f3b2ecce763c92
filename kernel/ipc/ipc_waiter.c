// SPDX-License-Identifier: MIT
#include "kernel/ipc/ipc_waiter.h"

#include "kernel/sleep.h"
#include "kernel/thread.h"

void ipc_waiter_init(struct ipc_waiter *waiter)
{
    waiter->status = IPC_PENDING;
    waiter->thread = thread_current();
}

void ipc_waiter_finish(struct ipc_waiter *waiter, int status)
{
    list_remove(&waiter->node);
    __atomic_store_n(&waiter->status, status, __ATOMIC_RELEASE);
    thread_wake(waiter->thread);
}

static bool is_finished(void *arg)
{
    const struct ipc_waiter *waiter = arg;

    return __atomic_load_n(&waiter->status, __ATOMIC_ACQUIRE) != IPC_PENDING;
}

int ipc_waiter_sleep(struct ipc_waiter *waiter, struct spinlock *lock, bool is_realtime,
                     nsec_t deadline)
{
    int err = sleep_until(is_finished, waiter, is_realtime, deadline);

    /* Whoever finished it may not have let go of it yet: the lock waits for him. */
    spin_lock(lock);
    int status = waiter->status;
    if (status == IPC_PENDING)
        list_remove(&waiter->node);
    spin_unlock(lock);
    return status == IPC_PENDING ? err : status;
}
