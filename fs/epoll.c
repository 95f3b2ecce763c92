// SPDX-License-Identifier: MIT
/*
 * epoll(7).
 *
 * An epoll has a tree of items (what is watched, by file and descriptor) and a list of those that may
 * be ready.  A watched object's poll_wake() puts its item on that list; epoll_wait() takes items off
 * it and asks the file what really holds.  A level-triggered item that was ready goes back to
 * the list's end, so it is asked again next time; an edge-triggered one waits for the next wake-up.
 * The cost of a wait is the number of ready items.
 *
 * Items do not keep their files alive.  file->epoll_items lists the items of a file, and the file's
 * last put removes them (epoll_file_detach) before anything of it is freed.
 *
 * EPOLLEXCLUSIVE is checked as Linux does, but every epoll is woken: epoll_ctl(2) promises "one or
 * more", and a wake-up here costs no more than looking for who sleeps.
 *
 * An epoll may be watched by another: height is 0 for one that watches no epoll, and locks of
 * both kinds have a rank for each height.  epoll_nest serialises what changes heights.
 *
 * Locking: epoll->lock covers the tree and the items, and is held while events are copied to the
 * application.  ready_lock (irq) covers the ready list: poll_wake() comes from interrupts.
 * epoll_file_lock covers file->epoll_items of all files.
 */
#include "fs/epoll.h"

#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "kernel/mm/heap.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"
#include "kernel/wait.h"
#include "lib/rbtree.h"

#define NESTING_MAX 4u
#define OPTION_BITS (ABI_EPOLLWAKEUP | ABI_EPOLLONESHOT | ABI_EPOLLET | ABI_EPOLLEXCLUSIVE)
#define EXCLUSIVE_OK_BITS                                                                          \
    (ABI_POLLIN | ABI_POLLOUT | ABI_POLLERR | ABI_POLLHUP | ABI_EPOLLWAKEUP | ABI_EPOLLET |        \
     ABI_EPOLLEXCLUSIVE)

/* [i] set at creation  [e] lock  [r] ready_lock  [n] epoll_nest  [a] atomic */
struct epoll {
    unsigned refcount; /* [a] the file's, and detaching files' */
    struct mutex lock;
    struct rb_tree items; /* [e] by file and descriptor */
    struct spinlock ready_lock;
    struct list ready; /* [r] items that may have events */
    bool is_scanned;   /* [r] somebody has taken them all and will put some back */
    struct wait_queue waiters;
    struct poll_head poll; /* for those who watch this epoll */
    struct file *file;     /* [i] */
    unsigned height;       /* [n] */
    bool is_watched;       /* [e] by another epoll, now or before */
    unsigned round;        /* [n] the check that came here last */
    unsigned above;        /* [n] what it found */
};

struct epoll_item {
    struct rb_node node; /* [e] */
    struct epoll *epoll; /* [i] */
    struct file *file;   /* [i] no reference: see above */
    int fd;              /* [i] */
    struct poll_watcher watcher;
    struct list ready_node;          /* [r] */
    bool is_ready;                   /* [r] on the ready list, or on the list of a running scan */
    uint32_t events;                 /* [e, a] */
    uint64_t data;                   /* [e] */
    struct epoll_item *next_of_file; /* epoll_file_lock */
};

static struct mutex epoll_nest = MUTEX_INIT(epoll_nest, RANK_EPOLL_NEST);
static struct spinlock epoll_file_lock = SPINLOCK_INIT(RANK_EPOLL_FILE);

static const struct file_ops epoll_ops;

bool file_is_epoll(const struct file *file)
{
    return file->ops == &epoll_ops;
}

static struct epoll *epoll_of(const struct file *file)
{
    return file->private;
}

static void epoll_put(struct epoll *epoll)
{
    if (__atomic_sub_fetch(&epoll->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        kfree(epoll);
}

/* ---- The ready list ---------------------------------------------------------------- */

/* Items that a scan will put back count; who finds none of them waits for the scan's end at epoll->lock. */
static bool has_ready(struct epoll *epoll)
{
    unsigned long flags = spin_lock_irq(&epoll->ready_lock);
    bool result = epoll->is_scanned || !list_is_empty(&epoll->ready);
    spin_unlock_irq(&epoll->ready_lock, flags);
    return result;
}

/* True if item was not on the list. */
static bool ready_add(struct epoll *epoll, struct epoll_item *item)
{
    unsigned long flags = spin_lock_irq(&epoll->ready_lock);
    bool is_new = !item->is_ready;
    if (is_new) {
        item->is_ready = true;
        list_push_back(&epoll->ready, &item->ready_node);
    }
    spin_unlock_irq(&epoll->ready_lock, flags);
    return is_new;
}

static void ready_remove(struct epoll *epoll, struct epoll_item *item)
{
    unsigned long flags = spin_lock_irq(&epoll->ready_lock);
    if (item->is_ready)
        list_remove(&item->ready_node);
    item->is_ready = false;
    spin_unlock_irq(&epoll->ready_lock, flags);
}

/* The first item of list, taken off it; NULL: empty. */
static struct epoll_item *ready_pop(struct epoll *epoll, struct list *list)
{
    struct epoll_item *item = NULL;
    unsigned long flags = spin_lock_irq(&epoll->ready_lock);
    if (!list_is_empty(list)) {
        item = list_first(list, struct epoll_item, ready_node);
        list_remove(&item->ready_node);
        item->is_ready = false;
    }
    spin_unlock_irq(&epoll->ready_lock, flags);
    return item;
}

static void ready_push_front(struct epoll *epoll, struct list *list, struct epoll_item *item)
{
    unsigned long flags = spin_lock_irq(&epoll->ready_lock);
    if (!item->is_ready) {
        item->is_ready = true;
        list_push_front(list, &item->ready_node);
    }
    spin_unlock_irq(&epoll->ready_lock, flags);
}

/* An item has news.  Whoever sleeps was woken when the list got its first item, and hands on
 * what it leaves; those who watch this epoll by edges hear of each. */
static void epoll_tell(struct epoll *epoll, bool is_new)
{
    if (is_new)
        wake_one(&epoll->waiters);
    poll_wake(&epoll->poll, ABI_POLLIN | ABI_POLLRDNORM);
}

/* With the lock of the watched poll_head held, interrupts off. */
static void item_notify(struct poll_watcher *watcher, unsigned events)
{
    struct epoll_item *item = container_of(watcher, struct epoll_item, watcher);
    uint32_t wanted = READ_ONCE(item->events);
    if (!(wanted & ~OPTION_BITS))
        return; /* a one-shot that has fired */
    if (events & (ABI_POLLIN | ABI_POLLRDNORM))
        events |= ABI_POLLIN | ABI_POLLRDNORM;
    if (events & (ABI_POLLOUT | ABI_POLLWRNORM))
        events |= ABI_POLLOUT | ABI_POLLWRNORM;
    if (events && !(events & wanted))
        return;
    epoll_tell(item->epoll, ready_add(item->epoll, item));
}

/* What of item's events holds now. */
static unsigned item_poll(struct epoll_item *item)
{
    uint32_t wanted = item->events;
    if (!(wanted & ~OPTION_BITS))
        return 0;
    return file_poll(item->file) & wanted;
}

/* ---- Items --------------------------------------------------------------------------- */

static int item_compare(const struct epoll_item *item, const struct file *file, int fd)
{
    if (item->file != file)
        return item->file < file ? -1 : 1;
    return item->fd < fd ? -1 : item->fd > fd;
}

static struct epoll_item *item_find(struct epoll *epoll, const struct file *file, int fd)
{
    struct rb_node *node = epoll->items.root;
    while (node) {
        struct epoll_item *item = rb_entry(node, struct epoll_item, node);
        int order = item_compare(item, file, fd);
        if (order == 0)
            return item;
        node = node->child[order < 0];
    }
    return NULL;
}

static void item_link(struct epoll *epoll, struct epoll_item *item)
{
    struct rb_node **link = &epoll->items.root, *parent = NULL;
    while (*link) {
        parent = *link;
        struct epoll_item *at = rb_entry(parent, struct epoll_item, node);
        link = &parent->child[item_compare(at, item->file, item->fd) < 0];
    }
    rb_link(&item->node, parent, link);
    rb_insert_fixup(&epoll->items, &item->node);

    spin_lock(&epoll_file_lock);
    item->next_of_file = item->file->epoll_items;
    __atomic_store_n(&item->file->epoll_items, item, __ATOMIC_RELEASE);
    spin_unlock(&epoll_file_lock);
}

static void item_unlink_of_file(struct epoll_item *item)
{
    spin_lock(&epoll_file_lock);
    struct epoll_item **link = &item->file->epoll_items;
    while (*link != item)
        link = &(*link)->next_of_file;
    *link = item->next_of_file;
    spin_unlock(&epoll_file_lock);
}

/* epoll->lock held: the item is gone for good. */
static void item_destroy(struct epoll *epoll, struct epoll_item *item)
{
    assert_held(&epoll->lock);
    poll_unwatch(&item->watcher); /* no notification after this */
    item_unlink_of_file(item);
    rb_remove(&epoll->items, &item->node);
    ready_remove(epoll, item);
    kfree(item);
}

void epoll_file_detach(struct file *file)
{
    for (;;) {
        spin_lock(&epoll_file_lock);
        struct epoll_item *item = file->epoll_items;
        struct epoll *epoll = item ? item->epoll : NULL;
        int fd = item ? item->fd : -1;
        if (epoll)
            __atomic_add_fetch(&epoll->refcount, 1, __ATOMIC_RELAXED);
        spin_unlock(&epoll_file_lock);
        if (!epoll)
            return;
        mutex_lock(&epoll->lock);
        item = item_find(epoll, file, fd); /* its epoll may have been quicker */
        if (item)
            item_destroy(epoll, item);
        mutex_unlock(&epoll->lock);
        epoll_put(epoll);
    }
}

/* ---- An epoll in an epoll --------------------------------------------------------------- */

/* [n] A check meets every epoll once, however many ways lead there. */
static unsigned nest_round;

/* How many epolls watch each other above epoll at most; *has_loop if one of them is target. */
static unsigned watchers_above(struct epoll *epoll, const struct epoll *target, bool *has_loop)
{
    if (epoll == target)
        *has_loop = true;
    if (*has_loop || epoll->round == nest_round)
        return epoll->above;
    epoll->round = nest_round;
    epoll->above = 0;
    for (struct epoll_item *item = epoll->file->epoll_items; item; item = item->next_of_file) {
        unsigned above = 1 + watchers_above(item->epoll, target, has_loop);
        epoll->above = MAX(epoll->above, above);
    }
    return epoll->above;
}

/* epoll, and what watches it, is at least so high from now on. */
static void height_raise(struct epoll *epoll, unsigned height)
{
    if (epoll->height >= height)
        return;
    epoll->height = height;
    epoll->lock.rank = (uint16_t)(RANK_EPOLL - height);
    epoll->poll.lock.rank = (uint16_t)(RANK_POLL_1 + height);
    for (struct epoll_item *item = epoll->file->epoll_items; item; item = item->next_of_file)
        height_raise(item->epoll, height + 1);
}

/* epoll_nest held. */
static int nesting_check(struct epoll *epoll, struct epoll *target)
{
    bool has_loop = false;
    int err = 0;
    spin_lock(&epoll_file_lock);
    unsigned above = watchers_above(epoll, target, &has_loop);
    if (has_loop || above + 1 + target->height > NESTING_MAX)
        err = -ELOOP;
    else
        height_raise(epoll, target->height + 1);
    spin_unlock(&epoll_file_lock);
    return err;
}

/* ---- Ways to be woken ------------------------------------------------------------------ */

/* One wake-up of a file runs along every way that leads from it to an epoll which none watches.  So many may
 * pass n epolls before that, as in Linux; of those that pass none there may be any number. */
static const unsigned ways_max[NESTING_MAX + 1] = { 0, 500, 100, 50, 10 };

struct ways {
    struct epoll *epoll; /* is to watch target */
    const struct file *target;
    unsigned count[NESTING_MAX + 1];
};

static bool ways_count(struct ways *ways, const struct file *file, unsigned npassed);

static bool ways_count_by(struct ways *ways, const struct epoll *epoll, unsigned npassed)
{
    if (epoll->file->epoll_items || epoll->file == ways->target)
        return npassed < NESTING_MAX && ways_count(ways, epoll->file, npassed + 1);
    return npassed == 0 || ++ways->count[npassed] <= ways_max[npassed];
}

/* epoll_file_lock held.  False: there are too many, and the rest was not counted. */
static bool ways_count(struct ways *ways, const struct file *file, unsigned npassed)
{
    for (struct epoll_item *item = file->epoll_items; item; item = item->next_of_file) {
        if (!ways_count_by(ways, item->epoll, npassed))
            return false;
    }
    return file != ways->target || ways_count_by(ways, ways->epoll, npassed);
}

/* epoll_nest and the lock of an epoll that watches file held.  Whether all that file watches, or it itself, may be
 * woken by ways->epoll too. */
static bool ways_check(struct ways *ways, const struct file *file)
{
    bool is_ok = true;
    if (!file_is_epoll(file)) {
        memset(ways->count, 0, sizeof(ways->count));
        spin_lock(&epoll_file_lock);
        is_ok = ways_count(ways, file, 0);
        spin_unlock(&epoll_file_lock);
        return is_ok;
    }
    struct epoll *epoll = epoll_of(file);
    if (epoll->round == nest_round)
        return true;
    epoll->round = nest_round;
    mutex_lock(&epoll->lock);
    epoll->is_watched = true; /* what is added from now on is checked, too */
    for (struct rb_node *node = rb_first(&epoll->items); node && is_ok; node = rb_next(node))
        is_ok = ways_check(ways, rb_entry(node, struct epoll_item, node)->file);
    mutex_unlock(&epoll->lock);
    return is_ok;
}

/* ---- epoll_ctl ---------------------------------------------------------------------------- */

/* Events that hold already count as news: when an item is added or changed. */
static void item_check_now(struct epoll *epoll, struct epoll_item *item)
{
    if (item_poll(item))
        epoll_tell(epoll, ready_add(epoll, item));
}

static int control_add(struct epoll *epoll, struct file *target, int fd,
                       const struct abi_epoll_event *event, bool nests)
{
    struct ways ways = { .epoll = epoll, .target = target };
    if (item_find(epoll, target, fd))
        return -EEXIST;
    if (nests && !ways_check(&ways, target))
        return -EINVAL;
    struct epoll_item *item = kzalloc(sizeof(*item), ALLOC_WAIT);
    if (!item)
        return -ENOMEM;
    item->epoll = epoll;
    item->file = target;
    item->fd = fd;
    item->events = event->events | ABI_POLLERR | ABI_POLLHUP;
    item->data = event->data;
    item->watcher.notify = item_notify;
    list_init(&item->ready_node);
    item_link(epoll, item);
    struct poll_head *head = file_poll_head(target);
    if (head)
        poll_watch(head, &item->watcher);
    item_check_now(epoll, item);
    return 0;
}

static int control_modify(struct epoll *epoll, struct epoll_item *item,
                          const struct abi_epoll_event *event)
{
    if ((item->events | event->events) & ABI_EPOLLEXCLUSIVE)
        return -EINVAL;
    WRITE_ONCE(item->events, event->events | ABI_POLLERR | ABI_POLLHUP);
    item->data = event->data;
    /* The partner is poll_wake(): either it sees the new events or we see the new state. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    item_check_now(epoll, item);
    return 0;
}

/* nests: epoll_nest is held.  -EAGAIN: it has to be. */
static int control_locked(struct epoll *epoll, int op, struct file *target, int fd,
                          const struct abi_epoll_event *event, bool nests)
{
    if (op == ABI_EPOLL_CTL_ADD)
        return epoll->is_watched && !nests ? -EAGAIN : control_add(epoll, target, fd, event, nests);
    struct epoll_item *item = item_find(epoll, target, fd);
    if (!item)
        return -ENOENT;
    if (op == ABI_EPOLL_CTL_MOD)
        return control_modify(epoll, item, event);
    item_destroy(epoll, item);
    return 0;
}

static int exclusive_check(int op, const struct file *target, const struct abi_epoll_event *event)
{
    if (op == ABI_EPOLL_CTL_DEL || !(event->events & ABI_EPOLLEXCLUSIVE))
        return 0;
    bool is_ok =
        op == ABI_EPOLL_CTL_ADD && !file_is_epoll(target) && !(event->events & ~EXCLUSIVE_OK_BITS);
    return is_ok ? 0 : -EINVAL;
}

int epoll_control(struct file *file, int op, struct file *target, int fd,
                  const struct abi_epoll_event *event)
{
    if (!target->ops->poll)
        return -EPERM;
    if (!file_is_epoll(file) || file == target)
        return -EINVAL;
    int err = exclusive_check(op, target, event);
    if (err)
        return err;
    if (op < ABI_EPOLL_CTL_ADD || op > ABI_EPOLL_CTL_MOD)
        return -EINVAL;

    struct epoll *epoll = epoll_of(file);
    if (op != ABI_EPOLL_CTL_ADD || !file_is_epoll(target)) {
        mutex_lock(&epoll->lock);
        err = control_locked(epoll, op, target, fd, event, false);
        mutex_unlock(&epoll->lock);
        if (err != -EAGAIN)
            return err;
    }
    mutex_lock(&epoll_nest);
    nest_round++;
    err = file_is_epoll(target) ? nesting_check(epoll, epoll_of(target)) : 0;
    if (!err) {
        mutex_lock(&epoll->lock);
        err = control_locked(epoll, op, target, fd, event, true);
        mutex_unlock(&epoll->lock);
    }
    mutex_unlock(&epoll_nest);
    return err;
}

/* ---- epoll_wait ------------------------------------------------------------------------------ */

/* Ready items move to a list of the scan's own, so that those which go back are not met twice. */
static void scan_begin(struct epoll *epoll, struct list *scan)
{
    list_init(scan);
    unsigned long flags = spin_lock_irq(&epoll->ready_lock);
    list_splice_back(scan, &epoll->ready);
    epoll->is_scanned = true;
    spin_unlock_irq(&epoll->ready_lock, flags);
}

/* What the scan did not come to stays first in line. */
static void scan_end(struct epoll *epoll, struct list *scan)
{
    unsigned long flags = spin_lock_irq(&epoll->ready_lock);
    list_splice_back(scan, &epoll->ready);
    list_splice_back(&epoll->ready, scan);
    epoll->is_scanned = false;
    bool has_more = !list_is_empty(&epoll->ready);
    spin_unlock_irq(&epoll->ready_lock, flags);
    if (has_more)
        wake_one(&epoll->waiters);
}

/* 1: an event went out; 0: there was none; -EFAULT. */
static int item_send(struct epoll *epoll, struct epoll_item *item, void __app *to)
{
    unsigned events = item_poll(item);
    if (!events)
        return 0;
    struct abi_epoll_event event = { .events = events, .data = item->data };
    if (copy_to_app(to, &event, sizeof(event)) != 0)
        return -EFAULT;
    if (item->events & ABI_EPOLLONESHOT)
        WRITE_ONCE(item->events, item->events & OPTION_BITS);
    else if (!(item->events & ABI_EPOLLET))
        (void)ready_add(epoll, item);
    return 1;
}

/* One pass over what is ready: events sent, or -EFAULT if the first could not be. */
static long epoll_scan(struct epoll *epoll, char __app *events, int max)
{
    struct list scan;
    struct epoll_item *item;
    long sent = 0;
    mutex_lock(&epoll->lock);
    scan_begin(epoll, &scan);
    while (sent < max && (item = ready_pop(epoll, &scan)) != NULL) {
        int result = item_send(epoll, item, events + sent * (long)sizeof(struct abi_epoll_event));
        if (result < 0) {
            ready_push_front(epoll, &scan, item);
            if (sent == 0)
                sent = result;
            break;
        }
        sent += result;
    }
    scan_end(epoll, &scan);
    mutex_unlock(&epoll->lock);
    return sent;
}

long epoll_wait(struct file *file, void __app *events, int max, nsec_t deadline)
{
    struct epoll *epoll = epoll_of(file);
    for (;;) {
        if (has_ready(epoll)) {
            long sent = epoll_scan(epoll, events, max);
            thread_current()->nevents_left = sent > 0 ? (unsigned)sent - 1 : 0;
            if (sent != 0)
                return sent;
        }
        if (deadline == 0)
            return 0;
        int err = wait_on(&epoll->waiters, has_ready(epoll), deadline);
        if (err == -ETIMEDOUT)
            return 0;
        if (err)
            return -EINTR;
    }
}

/* ---- The epoll as a file ----------------------------------------------------------------------- */

/* Ready if one item really is; others that are not leave the ready list. */
static unsigned epoll_poll(struct file *file)
{
    struct epoll *epoll = epoll_of(file);
    if (!has_ready(epoll))
        return 0;
    struct list scan;
    struct epoll_item *item;
    unsigned events = 0;
    mutex_lock(&epoll->lock);
    scan_begin(epoll, &scan);
    while (!events && (item = ready_pop(epoll, &scan)) != NULL) {
        if (!item_poll(item))
            continue;
        ready_push_front(epoll, &scan, item);
        events = ABI_POLLIN | ABI_POLLRDNORM;
    }
    scan_end(epoll, &scan);
    mutex_unlock(&epoll->lock);
    return events;
}

static void epoll_release(struct file *file)
{
    struct epoll *epoll = epoll_of(file);
    mutex_lock(&epoll->lock);
    struct rb_node *node;
    while ((node = rb_first(&epoll->items)) != NULL)
        item_destroy(epoll, rb_entry(node, struct epoll_item, node));
    mutex_unlock(&epoll->lock);
    poll_head_fini(&epoll->poll);
    epoll_put(epoll);
}

static const struct file_ops epoll_ops = {
    .poll = epoll_poll,
    .release = epoll_release,
    .kind = "eventpoll",
};

int epoll_create(unsigned flags, struct file **out)
{
    struct epoll *epoll = kzalloc(sizeof(*epoll), ALLOC_WAIT);
    if (!epoll)
        return -ENOMEM;
    epoll->refcount = 1;
    mutex_init(&epoll->lock, RANK_EPOLL);
    spin_init(&epoll->ready_lock, RANK_EPOLL_READY);
    list_init(&epoll->ready);
    wait_queue_init(&epoll->waiters);
    poll_head_init(&epoll->poll);
    epoll->poll.lock.rank = RANK_POLL_1;
    int err = file_create(&epoll_ops, epoll, ABI_O_RDWR | flags, out);
    if (err) {
        kfree(epoll);
        return err;
    }
    epoll->file = *out;
    (*out)->poll_head = &epoll->poll;
    return 0;
}
