// SPDX-License-Identifier: MIT
/*
 * When memory has run out.  A system call that needs some gets -ENOMEM; a page fault has nobody to tell, so a
 * process is killed: the one with the most resident pages, to which oom_score_adj adds thousandths of all memory and
 * which -1000 spares (Linux's mm/oom_kill.c).  By then every shrinker has been asked (kernel/mm/frame.c).
 *
 * The fault may come from a system call that copies under locks, perhaps one that the victim waits for.  So a thread
 * of its own chooses, which holds none, and who waits for the memory does so for PATIENCE at most and is killed then.
 * While a victim is on its way no other is chosen; one that does not go in time is passed over.
 */
#include "kernel/mm/oom.h"

#include <limits.h>

#include "abi/signal.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/thread.h"

#define PATIENCE    (5 * NSEC_PER_SEC)
#define LOOK_AGAIN  (10 * NSEC_PER_MSEC) /* a waiter, for signals: only fatal ones concern it */
#define VICTIM_TIME NSEC_PER_SEC         /* for a victim to go, before another is chosen */
#define UNKILLABLE  LONG_MIN

static struct wait_queue requests = WAIT_QUEUE_INIT(requests);
static struct wait_queue waiters = WAIT_QUEUE_INIT(waiters);
static bool is_requested; /* [a] */
static unsigned nwaiting; /* [a] */
static unsigned nfreed;   /* [a] address spaces, while somebody waited */

static unsigned long long mib(uint64_t npages)
{
    return npages >> (20 - PAGE_SHIFT);
}

/* ---- The choice ------------------------------------------------------------------------ */

struct choice {
    struct process *victim;
    struct vmspace *vm; /* compared only */
    long points;
    bool is_under_way; /* an earlier victim is still there */
};

/* Pages; UNKILLABLE: it has no memory of its own, or is not to be killed. */
static long badness(struct process *process, struct vmspace **vm)
{
    struct frame_stats stats;
    int adjust = READ_ONCE(process->oom_score_adj);
    long points = UNKILLABLE;

    mutex_lock(&process->lock);
    *vm = process->vmspace;
    if (*vm && adjust != OOM_SCORE_ADJ_MIN && !READ_ONCE(process->is_vfork_child))
        points = (long)READ_ONCE((*vm)->resident_pages);
    mutex_unlock(&process->lock);
    if (points == UNKILLABLE)
        return UNKILLABLE;
    frame_get_stats(&stats);
    return points + adjust * (long)(stats.total_pages / OOM_SCORE_ADJ_MAX);
}

int oom_score(struct process *process)
{
    struct frame_stats stats;
    struct vmspace *vm;
    long points = badness(process, &vm);

    frame_get_stats(&stats);
    if (points == UNKILLABLE)
        return 0;
    return (int)((OOM_SCORE_ADJ_MAX + points * OOM_SCORE_ADJ_MAX / (long)stats.total_pages) * 2 /
                 3);
}

static bool choose(struct process *process, void *arg)
{
    struct choice *choice = arg;
    struct vmspace *vm;
    long points = badness(process, &vm);

    if (!vm)
        return true;
    nsec_t killed_at = READ_ONCE(process->oom_killed_at);
    if (killed_at) {
        choice->is_under_way |= clock_monotonic() - killed_at < VICTIM_TIME;
    } else if (points != UNKILLABLE && (!choice->victim || points > choice->points)) {
        if (choice->victim)
            process_put(choice->victim);
        choice->victim = process_get(process);
        choice->vm = vm;
        choice->points = points;
    }
    return true;
}

/* ---- The end ------------------------------------------------------------------------- */

static void report(struct process *victim)
{
    struct vmspace *vm = process_vmspace(victim);
    struct frame_stats stats;

    frame_get_stats(&stats);
    log_error("out of memory: %s (pid %d) has %llu MiB resident, %llu MiB mapped, oom_score_adj %d",
              victim->comm, victim->pid, vm ? mib(vm->resident_pages) : 0,
              vm ? (unsigned long long)vm->mapped_bytes >> 20 : 0,
              READ_ONCE(victim->oom_score_adj));
    log_error("  of %llu MiB: application %llu, files %llu, slabs %llu, kernel %llu, free %llu",
              mib(stats.total_pages), mib(stats.app_pages), mib(stats.cache_pages),
              mib(stats.slab_pages), mib(stats.kernel_pages), mib(stats.free_pages));
    log_error("  it is killed; give the machine more memory (stout run -m)");
    vmspace_put(vm);
}

/* Its memory goes only with all who share it. */
static bool kill_sharer(struct process *process, void *arg)
{
    struct choice *choice = arg;
    struct vmspace *vm;

    (void)badness(process, &vm);
    if (process == choice->victim || vm == choice->vm) {
        WRITE_ONCE(process->oom_killed_at, clock_monotonic());
        (void)signal_send_process(process, ABI_SIGKILL, NULL);
    }
    return true;
}

static void relieve(void)
{
    struct choice choice = { 0 };

    process_for_each(choose, &choice);
    if (choice.victim && !choice.is_under_way) {
        report(choice.victim);
        process_for_each(kill_sharer, &choice);
    }
    if (choice.victim)
        process_put(choice.victim);
}

static void oom_thread(void *arg)
{
    for (;;) {
        (void)wait_on_always(&requests, __atomic_exchange_n(&is_requested, false, __ATOMIC_SEQ_CST),
                             DEADLINE_NONE);
        relieve();
    }
}

/* ---- Who needs memory ------------------------------------------------------------------ */

void oom_memory_freed(void)
{
    if (__atomic_load_n(&nwaiting, __ATOMIC_SEQ_CST) == 0)
        return;
    __atomic_fetch_add(&nfreed, 1, __ATOMIC_SEQ_CST);
    wake_all(&waiters);
}

static bool was_freed(unsigned seen)
{
    return __atomic_load_n(&nfreed, __ATOMIC_SEQ_CST) != seen;
}

int oom_wait(void)
{
    struct thread *self = arch_current();
    nsec_t end = clock_monotonic() + PATIENCE;

    if (!self || !self->process || signal_is_fatal_pending())
        return -ENOMEM;
    __atomic_fetch_add(&nwaiting, 1, __ATOMIC_SEQ_CST);
    unsigned seen = __atomic_load_n(&nfreed, __ATOMIC_SEQ_CST);
    __atomic_store_n(&is_requested, true, __ATOMIC_SEQ_CST);
    wake_all(&requests);
    while (!was_freed(seen) && !signal_is_fatal_pending() && clock_monotonic() < end)
        (void)wait_on_always(&waiters, was_freed(seen), clock_monotonic() + LOOK_AGAIN);
    __atomic_fetch_sub(&nwaiting, 1, __ATOMIC_SEQ_CST);
    if (was_freed(seen) && !signal_is_fatal_pending())
        return 0;
    if (!signal_is_fatal_pending()) {
        report(self->process);
        (void)signal_send_process(self->process, ABI_SIGKILL, NULL);
    }
    return -ENOMEM;
}

void oom_init(void)
{
    struct thread *thread = thread_create_kernel("oom", oom_thread, NULL);

    if (!thread)
        panic("no memory for the first threads");
    thread_start(thread); /* its one reference goes when it ends */
}
