// SPDX-License-Identifier: MIT
/*
 * What a thread leaves behind: locks in its robust list (set_robust_list(2)), PI locks with waiters, and
 * the word at clear_child_tid that pthread_join() waits for.  All of it is the application's memory and may
 * say anything: a bad pointer ends the walk, and a list that never ends is cut off.
 */
#include "abi/futex.h"
#include "kernel/futex_internal.h"
#include "kernel/usercopy.h"

/* Bit 0 of a list pointer says that the entry before it is a PI lock. */
struct robust_pointer {
    uintptr_t entry;
    bool is_pi;
};

static int fetch_pointer(struct robust_pointer *pointer, uintptr_t from)
{
    uint64_t value;
    int err = copy_from_app(&value, (const void __app *)from, sizeof(value));

    if (!err)
        *pointer = (struct robust_pointer){ .entry = value & ~1UL, .is_pi = value & 1 };
    return err;
}

static void wake_shared(uintptr_t address)
{
    (void)futex_wake(address, FUTEX_SHARED, 1, FUTEX_BITSET_ANY);
}

/* A lock that the thread may own.  False: its memory cannot be had, stop. */
static bool word_release(struct thread *thread, uintptr_t address, bool is_pi, bool is_pending)
{
    uint32_t __app *word = (uint32_t __app *)address;
    uint32_t value, seen;

    if (address % sizeof(uint32_t) != 0 || load_app32(&value, word))
        return false;
    for (;;) {
        /* It died between unlocking the word and the system call that wakes the next one. */
        if (is_pending && !is_pi && (value & ABI_FUTEX_TID_MASK) == 0) {
            wake_shared(address);
            return true;
        }
        if ((value & ABI_FUTEX_TID_MASK) != (uint32_t)thread->tid)
            return true;
        uint32_t died = (value & ABI_FUTEX_WAITERS) | ABI_FUTEX_OWNER_DIED;
        if (cmpxchg_app32(word, value, died, &seen))
            return false;
        if (seen == value)
            break;
        value = seen;
    }
    if (!is_pi && (value & ABI_FUTEX_WAITERS))
        wake_shared(address);
    return true;
}

static void robust_list_walk(struct thread *thread)
{
    uintptr_t head = thread->robust_list;
    struct robust_pointer entry, pending;
    int64_t offset;

    if (fetch_pointer(&entry, head + offsetof(struct abi_robust_list_head, next)) ||
        copy_from_app(
            &offset,
            (const void __app *)(head + offsetof(struct abi_robust_list_head, futex_offset)),
            sizeof(offset)) ||
        fetch_pointer(&pending, head + offsetof(struct abi_robust_list_head, list_op_pending)))
        return;
    for (int i = 0; entry.entry != head && i < ABI_ROBUST_LIST_LIMIT; i++) {
        struct robust_pointer next;
        int err =
            fetch_pointer(&next, entry.entry); /* before others may take the lock and move it */
        if (entry.entry != pending.entry &&
            !word_release(thread, entry.entry + (uintptr_t)offset, entry.is_pi, false))
            return;
        if (err)
            return;
        entry = next;
        sched_check();
    }
    if (pending.entry)
        (void)word_release(thread, pending.entry + (uintptr_t)offset, pending.is_pi, true);
}

static void clear_child_tid(uintptr_t address)
{
    const uint32_t zero = 0;

    if (copy_to_app((void __app *)address, &zero, sizeof(zero)) == 0)
        wake_shared(address);
}

static void leave_memory(struct thread *thread)
{
    if (!thread->vmspace)
        return;
    if (thread->robust_list)
        robust_list_walk(thread);
    thread->robust_list = 0;
    futex_pi_exit(thread);
    if (thread->clear_child_tid)
        clear_child_tid(thread->clear_child_tid);
    thread->clear_child_tid = 0;
}

void futex_thread_exit(struct thread *thread)
{
    leave_memory(thread);
}

void futex_thread_exec(struct thread *thread)
{
    leave_memory(thread);
    __atomic_fetch_and(&thread->flags, ~THREAD_OWNS_NO_PI, __ATOMIC_SEQ_CST);
}
