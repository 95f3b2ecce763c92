// SPDX-License-Identifier: MIT
/*
 * Readiness.
 *
 * A poll_head and its watchers die independently: whoever goes first detaches the other.  Both
 * roads take detach_lock, so poll_unwatch() never follows a head that is being freed.  Waking
 * takes the head's lock alone, and none while nobody watches (kernel/wait.c says why no wake-up is lost: who watches
 * asks for the state after poll_watch()).
 */
#include "kernel/poll.h"

#include "abi/poll.h"

static struct spinlock detach_lock = SPINLOCK_INIT(RANK_POLL_DETACH);

void poll_head_init(struct poll_head *head)
{
    spin_init(&head->lock, RANK_POLL);
    list_init(&head->watchers);
    head->nwatchers = 0;
}

void poll_head_fini(struct poll_head *head)
{
    unsigned long flags = spin_lock_irq(&detach_lock);
    spin_lock(&head->lock);
    while (!list_is_empty(&head->watchers)) {
        struct poll_watcher *watcher = list_first(&head->watchers, struct poll_watcher, node);
        list_remove(&watcher->node);
        (void)__atomic_fetch_sub(&head->nwatchers, 1, __ATOMIC_RELAXED);
        watcher->notify(watcher, ABI_POLLHUP | ABI_POLLFREE);
        __atomic_store_n(&watcher->head, NULL, __ATOMIC_RELEASE);
    }
    spin_unlock(&head->lock);
    spin_unlock_irq(&detach_lock, flags);
}

void poll_watch(struct poll_head *head, struct poll_watcher *watcher)
{
    unsigned long flags = spin_lock_irq(&head->lock);
    watcher->head = head;
    list_push_back(&head->watchers, &watcher->node);
    (void)__atomic_fetch_add(&head->nwatchers, 1, __ATOMIC_SEQ_CST);
    spin_unlock_irq(&head->lock, flags);
}

void poll_unwatch(struct poll_watcher *watcher)
{
    unsigned long flags = spin_lock_irq(&detach_lock);
    struct poll_head *head = watcher->head;
    if (head) {
        spin_lock(&head->lock);
        list_remove(&watcher->node);
        (void)__atomic_fetch_sub(&head->nwatchers, 1, __ATOMIC_RELAXED);
        watcher->head = NULL;
        spin_unlock(&head->lock);
    }
    spin_unlock_irq(&detach_lock, flags);
}

void poll_wake(struct poll_head *head, unsigned events)
{
    struct poll_watcher *watcher, *following;

    if (__atomic_fetch_add(&head->nwatchers, 0, __ATOMIC_SEQ_CST) == 0)
        return;
    unsigned long flags = spin_lock_irq(&head->lock);
    list_for_each_safe (watcher, following, &head->watchers, node)
        watcher->notify(watcher, events);
    spin_unlock_irq(&head->lock, flags);
}
