// SPDX-License-Identifier: MIT
#pragma once
/*
 * Readiness.  Whatever can become ready has a poll_head; poll, select, epoll and io
 * completion put watchers on it.  poll_wake() calls each watcher's notify() with the
 * head's lock held and interrupts off: notify only marks and wakes.
 *
 * The state itself (which events hold now) is asked through file_ops->poll; a change
 * must be visible before poll_wake() is called.
 */
#include "kernel/spinlock.h"
#include "lib/list.h"

/* With the events of poll_wake(): O_ASYNC does not tell of it.  Room that nobody looked for, or what the caller did. */
#define POLL_QUIET 0x80000000u

struct poll_head {
    struct spinlock lock;
    unsigned nwatchers; /* [a] changed under lock */
    struct list watchers;
};

struct poll_watcher {
    struct list node;
    struct poll_head *head; /* NULL when not attached or the head is gone */
    void (*notify)(struct poll_watcher *watcher, unsigned events);
};

void poll_head_init(struct poll_head *head);
/* The object goes away: every watcher is notified with POLLHUP|POLLFREE and detached. */
void poll_head_fini(struct poll_head *head);
void poll_watch(struct poll_head *head, struct poll_watcher *watcher);
void poll_unwatch(struct poll_watcher *watcher);
/* Any context.  events: POLLIN and so on of abi/poll.h. */
void poll_wake(struct poll_head *head, unsigned events);
