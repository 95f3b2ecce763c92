// SPDX-License-Identifier: MIT
/*
 * Queues of pending signals.
 *
 * A queue is a bit for each signal that is pending and a list of siginfos, oldest first.  Signals
 * below 32 are pending once at most; real-time signals queue up.  Where memory or RLIMIT_SIGPENDING
 * does not allow an entry, the bit alone says that the signal came (signal(7)).
 *
 * All functions run with signals.lock held, with interrupts off, so what they take out is freed
 * later, by signal_queue_free().
 */
#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/signal_quota.h"

struct entry {
    struct list node;
    struct signal_quota *quota;
    struct abi_siginfo info;
};

void signal_queue_init(struct signal_queue *queue)
{
    queue->set = 0;
    list_init(&queue->entries);
}

/* NULL: the limit or memory does not allow it.  No limit holds for what kill() or the kernel sends below 32. */
static struct entry *entry_alloc(const struct process *process, int signo,
                                 const struct abi_siginfo *info)
{
    uint64_t limit = READ_ONCE(process->limits.limit[LIMIT_SIGPENDING].cur);
    if (signo < ABI_SIGRTMIN && info->si_code >= 0)
        limit = LIMIT_INFINITY;
    struct signal_quota *quota = signal_quota_take(process->creds.uid, limit);
    if (!quota)
        return NULL;
    struct entry *entry = kmalloc(sizeof(*entry), ALLOC_ATOMIC);
    if (!entry) {
        signal_quota_give(quota);
        return NULL;
    }
    entry->quota = quota;
    return entry;
}

int signal_queue_add(struct process *process, struct signal_queue *queue, int signo,
                     const struct abi_siginfo *info)
{
    if (signo < ABI_SIGRTMIN && (queue->set & SIGNAL_BIT(signo)))
        return 0;
    struct entry *entry = entry_alloc(process, signo, info);
    if (!entry) {
        if (signo >= ABI_SIGRTMIN && info->si_code != ABI_SI_USER && info->si_code != ABI_SI_KERNEL)
            return -EAGAIN;
        queue->set |= SIGNAL_BIT(signo);
        return 0;
    }
    entry->info = *info;
    entry->info.si_signo = signo;
    list_push_back(&queue->entries, &entry->node);
    queue->set |= SIGNAL_BIT(signo);
    return 0;
}

void signal_queue_take(struct signal_queue *queue, int signo, struct abi_siginfo *info, void **dead)
{
    struct entry *entry, *found = NULL;
    bool has_more = false;
    list_for_each (entry, &queue->entries, node) {
        if (entry->info.si_signo != signo)
            continue;
        if (found) {
            has_more = true;
            break;
        }
        found = entry;
    }
    if (!has_more)
        queue->set &= ~SIGNAL_BIT(signo);
    *info = (struct abi_siginfo){ .si_signo = signo, .si_code = ABI_SI_USER };
    *dead = found;
    if (!found)
        return;
    *info = found->info;
    list_remove(&found->node);
    signal_quota_give(found->quota);
}

bool signal_queue_peek(const struct signal_queue *queue, uint64_t index, struct abi_siginfo *info)
{
    const struct entry *entry;
    list_for_each (entry, &queue->entries, node) {
        if (index-- == 0) {
            *info = entry->info;
            return true;
        }
    }
    return false;
}

void signal_queue_flush(struct signal_queue *queue, uint64_t mask, struct list *dead)
{
    struct entry *entry, *following;
    if (!(queue->set & mask))
        return;
    queue->set &= ~mask;
    list_for_each_safe (entry, following, &queue->entries, node) {
        if (!(SIGNAL_BIT(entry->info.si_signo) & mask))
            continue;
        list_remove(&entry->node);
        list_push_back(dead, &entry->node);
        signal_quota_give(entry->quota);
    }
}

void signal_queue_free(struct list *dead)
{
    struct entry *entry, *following;
    list_for_each_safe (entry, following, dead, node)
        kfree(entry);
    list_init(dead);
}
