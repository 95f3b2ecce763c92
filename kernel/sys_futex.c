// SPDX-License-Identifier: MIT
/*
 * futex(2), futex_waitv(2) and the robust lists: arguments, and how an interrupted wait goes on.
 *
 * A wait with a time is restarted by restart_syscall(2) with the deadline it had, and only if no handler ran.
 */
#include "abi/errno.h"
#include "abi/futex.h"
#include "abi/time.h"
#include "kernel/clock.h"
#include "kernel/futex.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

struct futex_call {
    uintptr_t address, address2;
    uint32_t value, value3;
    int count2;     /* nrequeue or nwake2: the timeout argument's place */
    unsigned flags; /* FUTEX_* of kernel/futex.h */
    nsec_t deadline;
};

static long futex_wait_restart(struct restart *restart);

static long wait_restartable(uintptr_t address, unsigned flags, uint32_t expected, nsec_t deadline,
                             uint32_t bitset)
{
    long result = futex_wait(address, flags, expected, deadline, bitset);

    if (result != -EINTR)
        return result;
    if (deadline == DEADLINE_NONE)
        return -ERESTARTSYS;
    thread_current()->restart = (struct restart){
        .function = futex_wait_restart,
        .address = address,
        .deadline = deadline,
        .flags = flags,
        .value = expected,
        .bitset = bitset,
    };
    return -ERESTART_RESTARTBLOCK;
}

static long futex_wait_restart(struct restart *restart)
{
    return wait_restartable(restart->address, restart->flags, restart->value, restart->deadline,
                            restart->bitset);
}

static bool command_has_timeout(int command)
{
    switch (command) {
    case ABI_FUTEX_WAIT:
    case ABI_FUTEX_LOCK_PI:
    case ABI_FUTEX_LOCK_PI2:
    case ABI_FUTEX_WAIT_BITSET:
    case ABI_FUTEX_WAIT_REQUEUE_PI:
        return true;
    default:
        return false;
    }
}

static bool command_takes_realtime(int command)
{
    return command == ABI_FUTEX_WAIT_BITSET || command == ABI_FUTEX_WAIT_REQUEUE_PI ||
           command == ABI_FUTEX_LOCK_PI2;
}

static int read_deadline(int command, const void __app *timeout, nsec_t *deadline)
{
    struct abi_timespec ts;

    *deadline = DEADLINE_NONE;
    if (!timeout)
        return 0;
    int err = copy_from_app(&ts, timeout, sizeof(ts));
    if (!err)
        err = nsec_from_timespec(&ts, deadline);
    if (!err && command == ABI_FUTEX_WAIT) /* the only relative one */
        *deadline = deadline_after(*deadline);
    return err;
}

static long lock_pi(const struct futex_call *call, bool try_only)
{
    long result = futex_lock_pi(call->address, call->flags, call->deadline, try_only);

    return result == -EINTR ? -ERESTARTNOINTR : result;
}

static long futex_command(int command, const struct futex_call *call)
{
    int count = (int)call->value;

    switch (command) {
    case ABI_FUTEX_WAIT:
        return wait_restartable(call->address, call->flags, call->value, call->deadline,
                                FUTEX_BITSET_ANY);
    case ABI_FUTEX_WAIT_BITSET:
        if (call->value3 == 0)
            return -EINVAL;
        return wait_restartable(call->address, call->flags, call->value, call->deadline,
                                call->value3);
    case ABI_FUTEX_WAKE:
        return futex_wake(call->address, call->flags, count, FUTEX_BITSET_ANY);
    case ABI_FUTEX_WAKE_BITSET:
        if (call->value3 == 0)
            return -EINVAL;
        return futex_wake(call->address, call->flags, count, call->value3);
    case ABI_FUTEX_REQUEUE:
        return futex_requeue(call->address, call->address2, call->flags, count, call->count2, NULL);
    case ABI_FUTEX_CMP_REQUEUE:
        return futex_requeue(call->address, call->address2, call->flags, count, call->count2,
                             &call->value3);
    case ABI_FUTEX_WAKE_OP:
        return futex_wake_op(call->address, call->address2, call->flags, count, call->count2,
                             call->value3);
    case ABI_FUTEX_LOCK_PI:
    case ABI_FUTEX_LOCK_PI2:
        return lock_pi(call, false);
    case ABI_FUTEX_TRYLOCK_PI:
        return lock_pi(call, true);
    case ABI_FUTEX_UNLOCK_PI:
        return futex_unlock_pi(call->address, call->flags);
    case ABI_FUTEX_WAIT_REQUEUE_PI:
        return futex_wait_requeue_pi(call->address, call->flags, call->value, call->deadline,
                                     FUTEX_BITSET_ANY, call->address2);
    case ABI_FUTEX_CMP_REQUEUE_PI:
        return futex_requeue_pi(call->address, call->address2, call->flags, count, call->count2,
                                &call->value3);
    default:
        return -ENOSYS;
    }
}

long sys_futex(unsigned long address, int op, unsigned value, unsigned long timeout,
               unsigned long address2, unsigned value3)
{
    int command = op & ABI_FUTEX_CMD_MASK;
    struct futex_call call = {
        .address = address,
        .address2 = address2,
        .value = value,
        .value3 = value3,
        .count2 = (int)timeout,
        .flags = op & ABI_FUTEX_PRIVATE_FLAG ? 0 : FUTEX_SHARED,
        .deadline = DEADLINE_NONE,
    };

    if (op & ABI_FUTEX_CLOCK_REALTIME && !command_takes_realtime(command))
        return -ENOSYS;
    if (op & ABI_FUTEX_CLOCK_REALTIME || command == ABI_FUTEX_LOCK_PI)
        call.flags |= FUTEX_REALTIME;
    if (command_has_timeout(command)) {
        int err = read_deadline(command, (const void __app *)timeout, &call.deadline);
        if (err)
            return err;
    }
    return futex_command(command, &call);
}

static int read_waitv(const void __app *waiters, unsigned n, struct futex_wait_entry *entries)
{
    for (unsigned i = 0; i < n; i++) {
        struct abi_futex_waitv one;
        int err = copy_from_app(&one, (const char __app *)waiters + i * sizeof(one), sizeof(one));
        if (err)
            return err;
        if (one.flags & ~(ABI_FUTEX_32 | ABI_FUTEX_PRIVATE_FLAG) || one.reserved ||
            !(one.flags & ABI_FUTEX_32))
            return -EINVAL;
        entries[i] = (struct futex_wait_entry){
            .address = one.uaddr,
            .expected = (uint32_t)one.val,
            .flags = one.flags & ABI_FUTEX_PRIVATE_FLAG ? 0 : FUTEX_SHARED,
        };
    }
    return 0;
}

long sys_futex_waitv(const void __app *waiters, unsigned nwaiters, unsigned flags,
                     const void __app *timeout, int clock)
{
    struct futex_wait_entry *entries;
    nsec_t deadline = DEADLINE_NONE;

    if (flags != 0 || nwaiters == 0 || nwaiters > ABI_FUTEX_WAITV_MAX || !waiters)
        return -EINVAL;
    if (timeout && clock != ABI_CLOCK_MONOTONIC && clock != ABI_CLOCK_REALTIME)
        return -EINVAL;
    long result = read_deadline(ABI_FUTEX_WAIT_BITSET, timeout, &deadline);
    if (result)
        return result;
    entries = kcalloc(nwaiters, sizeof(*entries), ALLOC_WAIT);
    if (!entries)
        return -ENOMEM;
    result = read_waitv(waiters, nwaiters, entries);
    if (!result)
        result = futex_wait_any(entries, nwaiters, clock == ABI_CLOCK_REALTIME ? FUTEX_REALTIME : 0,
                                deadline);
    kfree(entries);
    return result == -EINTR ? -ERESTARTSYS : result;
}

long sys_set_robust_list(unsigned long head, size_t size)
{
    if (size != sizeof(struct abi_robust_list_head))
        return -EINVAL;
    thread_current()->robust_list = head;
    return 0;
}

/* Of another thread: as for ptrace, the same user or CAP_SYS_PTRACE. */
long sys_get_robust_list(int pid, void __app *head, void __app *size)
{
    const uint64_t len = sizeof(struct abi_robust_list_head);
    struct thread *thread = pid ? thread_find(pid) : thread_get(thread_current());

    if (!thread)
        return -ESRCH;
    uint64_t list = READ_ONCE(thread->robust_list);
    bool allowed = ptrace_may_access(thread->process);
    thread_put(thread);
    if (!allowed)
        return -EPERM;
    int err = copy_to_app(size, &len, sizeof(len));
    return err ? err : copy_to_app(head, &list, sizeof(list));
}
