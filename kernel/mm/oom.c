// SPDX-License-Identifier: MIT
/*
 * When memory has run out.  A system call that needs some gets -ENOMEM; a page fault has nobody to tell, so a
 * process is killed: the one with the most resident pages, to which oom_score_adj adds thousandths of all memory and
 * which -1000 spares (Linux's mm/oom_kill.c).  By then every shrinker has been asked (kernel/mm/frame.c), and what is
 * dirty of files was written back: a shrinker cannot, for locks.
 *
 * The fault may come from a system call that copies under locks, perhaps one that the victim waits for.  So a thread
 * of its own chooses, which holds none, and who waits for the memory does so for PATIENCE at most and is killed then.
 * While a victim is on its way no other is chosen, until its memory is free: it has left its address space before.
 * One that does not go in time is passed over.  If nobody may be killed, who faulted is (Linux panics).
 */
#include "kernel/mm/oom.h"

#include <limits.h>

#include "abi/signal.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/mm/pagecache.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/thread.h"

#define PATIENCE     (30 * NSEC_PER_SEC)
#define LOOK_AGAIN   (10 * NSEC_PER_MSEC) /* the thread, while somebody waits */
#define VICTIM_TIME  (10 * NSEC_PER_SEC)  /* for a victim to go, before another is chosen */
#define ENOUGH       8                    /* frames: a fault needs one, and perhaps tables */
#define CLEAN_PAGES  2048                 /* written back at a time */
#define CLEAN_ROUNDS 8
#define UNKILLABLE   LONG_MIN

static struct wait_queue requests = WAIT_QUEUE_INIT(requests);
static struct wait_queue waiters = WAIT_QUEUE_INIT(waiters);
static bool is_requested;  /* [a] */
static unsigned nwaiting;  /* [a] */
static unsigned nfreed;    /* [a] how often memory came back while somebody waited */
static unsigned nhopeless; /* [a] how often there was nobody to kill */

static const struct vmspace *victim_vm; /* [a] the last victim's, until its memory is back */
static nsec_t victim_killed_at;         /* the oom thread's */

static unsigned long long mib(uint64_t npages)
{
    return npages >> (20 - PAGE_SHIFT);
}

static long total_pages(void)
{
    struct frame_stats stats;

    frame_get_stats(&stats);
    return (long)stats.total_pages;
}

/* ---- The choice ------------------------------------------------------------------------ */

struct choice {
    long total;
    struct process *victim; /* a reference */
    long points;
    bool is_under_way; /* an earlier victim is still there */
};

/* Pages; UNKILLABLE: it is not to be killed, or has no memory of its own. */
static long badness(struct process *process, long total)
{
    int adjust = READ_ONCE(process->oom_score_adj);
    long points = UNKILLABLE;

    mutex_lock(&process->lock);
    struct vmspace *vm = process->vmspace;
    if (vm && adjust != OOM_SCORE_ADJ_MIN && !READ_ONCE(process->is_vfork_child))
        points = (long)READ_ONCE(vm->resident_pages) + adjust * (total / OOM_SCORE_ADJ_MAX);
    mutex_unlock(&process->lock);
    return points;
}

int oom_score(struct process *process)
{
    long total = total_pages(), points = badness(process, total);

    if (points == UNKILLABLE)
        return 0;
    return (int)((OOM_SCORE_ADJ_MAX + points * OOM_SCORE_ADJ_MAX / total) * 2 / 3);
}

static bool choose(struct process *process, void *arg)
{
    struct choice *choice = arg;
    long points = badness(process, choice->total);
    nsec_t killed_at = READ_ONCE(process->oom_killed_at);

    if (points == UNKILLABLE)
        return true;
    if (killed_at) {
        choice->is_under_way |= clock_monotonic() - killed_at < VICTIM_TIME;
    } else if (!choice->victim || points > choice->points) {
        if (choice->victim)
            process_put(choice->victim);
        choice->victim = process_get(process);
        choice->points = points;
    }
    return true;
}

/* ---- The end ------------------------------------------------------------------------- */

static void report(const struct process *victim, const struct vmspace *vm)
{
    struct frame_stats stats;

    frame_get_stats(&stats);
    log_error("out of memory: %s (pid %d) has %llu MiB resident, %llu MiB mapped, oom_score_adj %d",
              victim->comm, victim->pid, mib(vm->resident_pages),
              (unsigned long long)vm->mapped_bytes >> 20, READ_ONCE(victim->oom_score_adj));
    log_error("  of %llu MiB: application %llu, files %llu, slabs %llu, kernel %llu, free %llu",
              mib(stats.total_pages), mib(stats.app_pages), mib(stats.cache_pages),
              mib(stats.slab_pages), mib(stats.kernel_pages), mib(stats.free_pages));
    log_error("  it is killed; give the machine more memory (stout run -m)");
}

/* The memory goes only with all who share it. */
static bool kill_sharer(struct process *process, void *vm)
{
    mutex_lock(&process->lock);
    bool is_sharer = process->vmspace == vm;
    mutex_unlock(&process->lock);
    if (is_sharer) {
        WRITE_ONCE(process->oom_killed_at, clock_monotonic());
        (void)signal_send_process(process, ABI_SIGKILL, NULL);
    }
    return true;
}

static void kill_victim(struct process *victim)
{
    struct vmspace *vm = process_vmspace(victim); /* so that no other takes its place meanwhile */

    if (!vm)
        return; /* it has ended by itself */
    report(victim, vm);
    victim_killed_at = clock_monotonic();
    __atomic_store_n(&victim_vm, vm, __ATOMIC_SEQ_CST);
    process_for_each(kill_sharer, vm);
    vmspace_put(vm);
}

static void tell(unsigned *count)
{
    __atomic_fetch_add(count, 1, __ATOMIC_SEQ_CST);
    wake_all(&waiters);
}

/* It may have come back between the fault and now; to kill somebody then would be one too many. */
static bool memory_is_back(void)
{
    struct frame *frames[ENOUGH];
    unsigned count = 0;

    while (count < ENOUGH && (frames[count] = frame_alloc(0, ALLOC_WAIT | ALLOC_APP)))
        count++;
    for (unsigned i = 0; i < count; i++)
        frame_put(frames[i]);
    return count == ENOUGH;
}

/* Who goes on storing to what was just written back is not waited for. */
static bool memory_comes_back(void)
{
    for (unsigned round = 0; !memory_is_back(); round++) {
        if (round == CLEAN_ROUNDS || pagecache_clean(CLEAN_PAGES) == 0)
            return false;
    }
    return true;
}

static bool victim_is_under_way(void)
{
    return __atomic_load_n(&victim_vm, __ATOMIC_SEQ_CST) &&
           clock_monotonic() - victim_killed_at < VICTIM_TIME;
}

static void relieve(void)
{
    /* First: its memory may come back from here on. */
    struct choice choice = { .total = total_pages(), .is_under_way = victim_is_under_way() };

    if (memory_comes_back()) {
        tell(&nfreed);
        return;
    }
    process_for_each(choose, &choice);
    if (!choice.is_under_way && choice.victim)
        kill_victim(choice.victim);
    else if (!choice.is_under_way)
        tell(&nhopeless);
    if (choice.victim)
        process_put(choice.victim);
}

static void oom_thread(void *arg)
{
    for (;;) {
        /* The last victim may have ended without giving enough. */
        bool is_awaited = __atomic_load_n(&nwaiting, __ATOMIC_SEQ_CST) > 0;
        (void)wait_on_always(&requests, __atomic_exchange_n(&is_requested, false, __ATOMIC_SEQ_CST),
                             is_awaited ? deadline_after(LOOK_AGAIN) : DEADLINE_NONE);
        if (__atomic_load_n(&nwaiting, __ATOMIC_SEQ_CST) > 0)
            relieve();
    }
}

/* ---- Who needs memory ------------------------------------------------------------------ */

void oom_memory_freed(const struct vmspace *vm)
{
    const struct vmspace *victim = vm;
    (void)__atomic_compare_exchange_n(&victim_vm, &victim, NULL, false, __ATOMIC_SEQ_CST,
                                      __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&nwaiting, __ATOMIC_SEQ_CST) > 0)
        tell(&nfreed);
}

static bool has_changed(const unsigned *count, unsigned seen)
{
    return __atomic_load_n(count, __ATOMIC_SEQ_CST) != seen;
}

/* True: memory has come back; false: there is no hope, or the process is being killed. */
static bool await_memory(void)
{
    unsigned freed = __atomic_load_n(&nfreed, __ATOMIC_SEQ_CST);
    unsigned hopeless = __atomic_load_n(&nhopeless, __ATOMIC_SEQ_CST);

    __atomic_store_n(&is_requested, true, __ATOMIC_SEQ_CST);
    wake_all(&requests);
    (void)wait_on_killable(&waiters,
                           has_changed(&nfreed, freed) || has_changed(&nhopeless, hopeless),
                           deadline_after(PATIENCE));
    return !signal_is_fatal_pending() && has_changed(&nfreed, freed);
}

int oom_wait(void)
{
    struct thread *self = arch_current();

    if (!self || !self->process || signal_is_fatal_pending())
        return -ENOMEM;
    __atomic_fetch_add(&nwaiting, 1, __ATOMIC_SEQ_CST);
    bool is_back = await_memory();
    __atomic_fetch_sub(&nwaiting, 1, __ATOMIC_SEQ_CST);
    if (is_back)
        return 0;
    if (!signal_is_fatal_pending()) {
        report(self->process, self->process->vmspace);
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
