// SPDX-License-Identifier: MIT
/*
 * poll(2), select(2) and epoll(7) as system calls.
 *
 * poll and select share one engine: an entry for each descriptor, each with a watcher on its file's
 * poll_head once nothing was ready at the first look.  A call that finds something ready, or does
 * not want to wait, touches no poll_head.  The files are held for the length of the call.
 *
 * The forms with a signal mask: the mask holds from before the first look; if a signal ends the
 * wait, its handler still runs under it and the old mask comes back afterwards.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/epoll.h"
#include "fs/fdtable.h"
#include "fs/file.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/process_files.h"
#include "kernel/rlimit.h"
#include "kernel/signal.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"
#include "kernel/wait.h"

#define INLINE_ENTRIES 8

struct poll_call;

struct poll_entry {
    struct poll_watcher watcher;
    struct poll_call *call;
    struct file *file; /* with a reference; NULL: nothing to ask */
    unsigned wanted;
    unsigned found;
};

struct poll_call {
    struct wait_queue queue;
    bool is_woken; /* [a] */
    struct poll_entry *entry;
    unsigned nentries;
    struct poll_entry inline_entry[INLINE_ENTRIES];
};

/* ---- The engine ------------------------------------------------------------------- */

static int call_init(struct poll_call *call, unsigned nentries)
{
    wait_queue_init(&call->queue);
    call->is_woken = false;
    call->nentries = nentries;
    call->entry = call->inline_entry;
    if (nentries > INLINE_ENTRIES)
        call->entry = kcalloc(nentries, sizeof(call->entry[0]), ALLOC_WAIT);
    return call->entry ? 0 : -ENOMEM;
}

static void call_fini(struct poll_call *call)
{
    for (unsigned i = 0; i < call->nentries; i++) {
        if (call->entry[i].file)
            file_put(call->entry[i].file);
    }
    if (call->entry != call->inline_entry)
        kfree(call->entry);
}

/* With the poll_head's lock held. */
static void entry_notify(struct poll_watcher *watcher, unsigned events)
{
    struct poll_entry *entry = container_of(watcher, struct poll_entry, watcher);
    if (events && !(events & entry->wanted))
        return;
    __atomic_store_n(&entry->call->is_woken, true, __ATOMIC_RELEASE);
    wake_all(&entry->call->queue);
}

static void entry_init(struct poll_call *call, struct poll_entry *entry, int fd, unsigned wanted)
{
    entry->watcher.head = NULL;
    entry->watcher.notify = entry_notify;
    entry->call = call;
    entry->wanted = wanted;
    entry->found = 0;
    entry->file = fd >= 0 ? fd_get(fd) : NULL;
    if (!entry->file && fd >= 0)
        entry->found = ABI_POLLNVAL;
}

/* How many entries have events. */
static unsigned call_look(struct poll_call *call)
{
    unsigned count = 0;
    for (unsigned i = 0; i < call->nentries; i++) {
        struct poll_entry *entry = &call->entry[i];
        if (entry->file)
            entry->found = file_poll(entry->file) & entry->wanted;
        count += entry->found != 0;
    }
    return count;
}

static void call_watch(struct poll_call *call)
{
    for (unsigned i = 0; i < call->nentries; i++) {
        struct poll_entry *entry = &call->entry[i];
        struct poll_head *head = entry->file ? file_poll_head(entry->file) : NULL;
        if (head)
            poll_watch(head, &entry->watcher);
    }
}

static void call_unwatch(struct poll_call *call)
{
    for (unsigned i = 0; i < call->nentries; i++) {
        struct poll_entry *entry = &call->entry[i];
        if (entry->file)
            poll_unwatch(&entry->watcher);
    }
}

static bool take_wake_up(struct poll_call *call)
{
    return __atomic_exchange_n(&call->is_woken, false, __ATOMIC_ACQUIRE);
}

/* Entries with events; 0: the deadline (0: do not wait) passed; -EINTR. */
static long call_run(struct poll_call *call, nsec_t deadline)
{
    long count = call_look(call);
    if (count || deadline == 0)
        return count;
    call_watch(call);
    for (;;) {
        count = call_look(call);
        if (count)
            break;
        int err = wait_on(&call->queue, take_wake_up(call), deadline);
        if (err) {
            count = err == -ETIMEDOUT ? 0 : -EINTR;
            break;
        }
    }
    call_unwatch(call);
    return count;
}

/* ---- Time limits and signal masks ---------------------------------------------------- */

/* Milliseconds, negative: for ever.  0 stays 0: do not wait. */
static nsec_t deadline_from_ms(int timeout)
{
    if (timeout < 0)
        return DEADLINE_NONE;
    return timeout == 0 ? 0 : deadline_after(timeout * NSEC_PER_MSEC);
}

static nsec_t deadline_from_nsec(nsec_t timeout)
{
    return timeout == 0 ? 0 : deadline_after(timeout);
}

/* An optional timespec. */
static int deadline_from_timespec(const void __app *from, nsec_t *deadline)
{
    *deadline = DEADLINE_NONE;
    if (!from)
        return 0;
    struct abi_timespec time;
    nsec_t timeout;
    if (copy_from_app(&time, from, sizeof(time)) != 0)
        return -EFAULT;
    int err = nsec_from_timespec(&time, &timeout);
    if (!err)
        *deadline = deadline_from_nsec(timeout);
    return err;
}

static nsec_t time_left(nsec_t deadline)
{
    nsec_t left = deadline - clock_monotonic();
    return left > 0 ? left : 0;
}

/*
 * The result of a call that reports the time left at to (a timespec, or a timeval): as on Linux, a
 * call whose time cannot be written back is not restarted but succeeds, or ends with EINTR.
 */
static long finish_with_time(long result, void __app *to, bool is_timeval, nsec_t deadline)
{
    if (!to || deadline == 0)
        return result;
    struct abi_timespec left = timespec_from_nsec(time_left(deadline));
    if (is_timeval)
        left.tv_nsec /= NSEC_PER_USEC; /* struct timeval has the same layout */
    if (copy_to_app(to, &left, sizeof(left)) != 0 && result == -ERESTARTNOHAND)
        return -EINTR;
    return result;
}

/* ---- poll ------------------------------------------------------------------------------ */

static int poll_load(struct poll_call *call, const struct abi_pollfd __app *fds)
{
    struct abi_pollfd chunk[16];
    for (unsigned i = 0; i < call->nentries; i += ARRAY_SIZE(chunk)) {
        unsigned count = MIN(call->nentries - i, (unsigned)ARRAY_SIZE(chunk));
        if (copy_from_app(chunk, fds + i, count * sizeof(chunk[0])) != 0) {
            call->nentries = i; /* those are all that hold files */
            return -EFAULT;
        }
        for (unsigned j = 0; j < count; j++)
            entry_init(call, &call->entry[i + j], chunk[j].fd,
                       (uint16_t)chunk[j].events | ABI_POLLERR | ABI_POLLHUP);
    }
    return 0;
}

/* Only revents: the rest is the application's, and another thread may be changing it. */
static int poll_store(struct poll_call *call, struct abi_pollfd __app *fds)
{
    for (unsigned i = 0; i < call->nentries; i++) {
        int16_t revents = (int16_t)call->entry[i].found;
        char __app *to = (char __app *)(fds + i) + offsetof(struct abi_pollfd, revents);
        if (copy_to_app(to, &revents, sizeof(revents)) != 0)
            return -EFAULT;
    }
    return 0;
}

static long poll_do(void __app *fds, unsigned nfds, nsec_t deadline)
{
    struct poll_call call;
    if (nfds > rlimit_current(LIMIT_NOFILE))
        return -EINVAL;
    int err = call_init(&call, nfds);
    if (err)
        return err;
    long result = poll_load(&call, fds);
    if (!result) {
        result = call_run(&call, deadline);
        err = result < 0 ? 0 : poll_store(&call, fds);
        if (err)
            result = err;
    }
    call_fini(&call);
    return result;
}

static long poll_restart(struct restart *restart)
{
    long result = poll_do((void __app *)restart->address, restart->value, restart->deadline);
    return result == -EINTR ? -ERESTART_RESTARTBLOCK : result;
}

long sys_poll(void __app *fds, unsigned nfds, int timeout)
{
    nsec_t deadline = deadline_from_ms(timeout);
    long result = poll_do(fds, nfds, deadline);
    if (result != -EINTR)
        return result;
    struct restart *restart = &thread_current()->restart;
    restart->function = poll_restart;
    restart->address = (uintptr_t)fds;
    restart->value = nfds;
    restart->deadline = deadline;
    return -ERESTART_RESTARTBLOCK;
}

long sys_ppoll(void __app *fds, unsigned nfds, void __app *timeout, const void __app *mask,
               size_t mask_size)
{
    nsec_t deadline;
    int err = deadline_from_timespec(timeout, &deadline);
    if (!err)
        err = signal_mask_begin(mask, mask_size);
    if (err)
        return err;
    long result = poll_do(fds, nfds, deadline);
    signal_mask_end(mask, result == -EINTR);
    if (result == -EINTR)
        result = -ERESTARTNOHAND;
    return finish_with_time(result, timeout, false, deadline);
}

/* ---- select ------------------------------------------------------------------------------ */

#define SELECT_READ                                                                                \
    (ABI_POLLRDNORM | ABI_POLLRDBAND | ABI_POLLIN | ABI_POLLHUP | ABI_POLLERR | ABI_POLLNVAL)
#define SELECT_WRITE     (ABI_POLLWRBAND | ABI_POLLWRNORM | ABI_POLLOUT | ABI_POLLERR | ABI_POLLNVAL)
#define SELECT_EXCEPT    (ABI_POLLPRI | ABI_POLLNVAL)
#define SET_INLINE_WORDS 16 /* FD_SETSIZE descriptors */

/* The three sets, one behind the other. */
struct select_sets {
    unsigned nfds;
    size_t nwords; /* of one set */
    uint64_t *word;
    uint64_t inline_word[3 * SET_INLINE_WORDS];
};

static const unsigned select_events[3] = { SELECT_READ, SELECT_WRITE, SELECT_EXCEPT };

static void sets_fini(struct select_sets *sets)
{
    if (sets->word != sets->inline_word)
        kfree(sets->word);
}

/* The sets as the application gave them; a NULL pointer is an empty set. */
static int sets_load(struct select_sets *sets, unsigned nfds, void __app *const from[3])
{
    sets->nfds = nfds;
    sets->nwords = (nfds + 63) / 64;
    sets->word = sets->inline_word;
    if (sets->nwords > SET_INLINE_WORDS)
        sets->word = kcalloc(3 * sets->nwords, sizeof(uint64_t), ALLOC_WAIT);
    if (!sets->word)
        return -ENOMEM;
    memset(sets->word, 0, 3 * sets->nwords * sizeof(uint64_t));
    for (size_t set = 0; set < 3; set++) {
        uint64_t *word = sets->word + set * sets->nwords;
        if (from[set] && copy_from_app(word, from[set], sets->nwords * sizeof(uint64_t)) != 0) {
            sets_fini(sets);
            return -EFAULT;
        }
    }
    return 0;
}

static int sets_store(const struct select_sets *sets, void __app *const to[3])
{
    for (size_t set = 0; set < 3; set++) {
        const uint64_t *word = sets->word + set * sets->nwords;
        if (to[set] && copy_to_app(to[set], word, sets->nwords * sizeof(uint64_t)) != 0)
            return -EFAULT;
    }
    return 0;
}

/* In which sets fd is, bit n: set n. */
static unsigned sets_of(const struct select_sets *sets, unsigned fd)
{
    unsigned in = 0;
    for (unsigned set = 0; set < 3; set++)
        in |= (unsigned)(sets->word[set * sets->nwords + fd / 64] >> (fd % 64) & 1) << set;
    return in;
}

static unsigned sets_count(const struct select_sets *sets)
{
    unsigned count = 0;
    for (unsigned fd = 0; fd < sets->nfds; fd++)
        count += sets_of(sets, fd) != 0;
    return count;
}

/* An entry for each descriptor of the sets.  -EBADF if one is not open. */
static int select_load(struct poll_call *call, const struct select_sets *sets)
{
    unsigned at = 0, limit = call->nentries;
    for (unsigned fd = 0; fd < sets->nfds && at < limit; fd++) {
        unsigned in = sets_of(sets, fd), wanted = 0;
        if (!in)
            continue;
        for (int set = 0; set < 3; set++)
            wanted |= in & 1u << set ? select_events[set] : 0;
        entry_init(call, &call->entry[at], (int)fd, wanted);
        call->nentries = ++at;
        if (!call->entry[at - 1].file)
            return -EBADF;
    }
    return 0;
}

/* Turns the sets into the result; how many bits are set. */
static long select_result(const struct poll_call *call, struct select_sets *sets)
{
    long count = 0;
    unsigned at = 0;
    for (unsigned fd = 0; fd < sets->nfds; fd++) {
        unsigned in = sets_of(sets, fd);
        if (!in)
            continue;
        unsigned found = call->entry[at++].found;
        for (int set = 0; set < 3; set++) {
            uint64_t *word = &sets->word[set * sets->nwords + fd / 64];
            if (in & 1u << set && !(found & select_events[set]))
                *word &= ~(1ULL << (fd % 64));
            else if (in & 1u << set)
                count++;
        }
    }
    return count;
}

static long select_run(struct select_sets *sets, nsec_t deadline)
{
    struct poll_call call;
    int err = call_init(&call, sets_count(sets));
    if (err)
        return err;
    long result = select_load(&call, sets);
    if (!result) {
        result = call_run(&call, deadline);
        if (result >= 0)
            result = select_result(&call, sets);
    }
    call_fini(&call);
    return result;
}

static long select_do(int nfds, void __app *const set[3], nsec_t deadline)
{
    if (nfds < 0)
        return -EINVAL;
    struct select_sets sets;
    uint64_t limit = rlimit_current(LIMIT_NOFILE);
    int err = sets_load(&sets, (unsigned)MIN((uint64_t)nfds, limit), set);
    if (err)
        return err;
    long result = select_run(&sets, deadline);
    if (result >= 0 && sets_store(&sets, set) != 0)
        result = -EFAULT;
    sets_fini(&sets);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

/* select's timeval may hold a second and more of microseconds. */
static int deadline_from_timeval(const void __app *from, nsec_t *deadline)
{
    *deadline = DEADLINE_NONE;
    if (!from)
        return 0;
    struct abi_timeval time;
    if (copy_from_app(&time, from, sizeof(time)) != 0)
        return -EFAULT;
    if (time.tv_sec < 0 || time.tv_usec < 0)
        return -EINVAL;
    struct abi_timespec normal = { time.tv_sec, time.tv_usec % 1000000 * NSEC_PER_USEC };
    if (__builtin_add_overflow(time.tv_sec, time.tv_usec / 1000000, &normal.tv_sec))
        return -EINVAL;
    nsec_t timeout;
    int err = nsec_from_timespec(&normal, &timeout);
    if (!err)
        *deadline = deadline_from_nsec(timeout);
    return err;
}

long sys_select(int nfds, void __app *readable, void __app *writable, void __app *except,
                void __app *timeout)
{
    nsec_t deadline;
    int err = deadline_from_timeval(timeout, &deadline);
    if (err)
        return err;
    void __app *const set[3] = { readable, writable, except };
    return finish_with_time(select_do(nfds, set, deadline), timeout, true, deadline);
}

long sys_pselect6(int nfds, void __app *readable, void __app *writable, void __app *except,
                  void __app *timeout, const void __app *mask_argument)
{
    struct {
        uint64_t mask;
        uint64_t size;
    } argument = { 0, 0 };
    if (mask_argument && copy_from_app(&argument, mask_argument, sizeof(argument)) != 0)
        return -EFAULT;
    const void __app *mask = (const void __app *)argument.mask;
    nsec_t deadline;
    int err = deadline_from_timespec(timeout, &deadline);
    if (!err)
        err = signal_mask_begin(mask, argument.size);
    if (err)
        return err;
    void __app *const set[3] = { readable, writable, except };
    long result = select_do(nfds, set, deadline);
    signal_mask_end(mask, result == -ERESTARTNOHAND);
    return finish_with_time(result, timeout, false, deadline);
}

/* ---- epoll ---------------------------------------------------------------------------------- */

long sys_epoll_create1(unsigned flags)
{
    if (flags & ~(unsigned)ABI_EPOLL_CLOEXEC)
        return -EINVAL;
    struct file *file;
    int err = epoll_create(0, &file);
    if (err)
        return err;
    int fd = fd_install(file, flags & ABI_EPOLL_CLOEXEC, 0);
    if (fd < 0)
        file_put(file);
    return fd;
}

long sys_epoll_create(int size)
{
    return size <= 0 ? -EINVAL : sys_epoll_create1(0);
}

long sys_epoll_ctl(int epfd, int op, int fd, const void __app *event)
{
    struct abi_epoll_event copy = { 0, 0 };
    if (op != ABI_EPOLL_CTL_DEL && copy_from_app(&copy, event, sizeof(copy)) != 0)
        return -EFAULT;
    struct file *epoll = fd_get(epfd);
    if (!epoll)
        return -EBADF;
    struct file *target = fd_get(fd);
    int err = target ? epoll_control(epoll, op, target, fd, &copy) : -EBADF;
    if (target)
        file_put(target);
    file_put(epoll);
    return err;
}

static long epoll_wait_fd(int epfd, void __app *events, int max, nsec_t deadline)
{
    if (max <= 0 || (size_t)max > INT32_MAX / sizeof(struct abi_epoll_event))
        return -EINVAL;
    if (!app_range_ok(events, (size_t)max * sizeof(struct abi_epoll_event)))
        return -EFAULT;
    struct fd_hold epoll = fd_hold(epfd);
    if (!epoll.file)
        return -EBADF;
    long result =
        file_is_epoll(epoll.file) ? epoll_wait(epoll.file, events, max, deadline) : -EINVAL;
    fd_release(epoll);
    return result;
}

static long epoll_wait_masked(int epfd, void __app *events, int max, nsec_t deadline,
                              const void __app *mask, size_t mask_size)
{
    int err = signal_mask_begin(mask, mask_size);
    if (err)
        return err;
    long result = epoll_wait_fd(epfd, events, max, deadline);
    signal_mask_end(mask, result == -EINTR);
    return result;
}

long sys_epoll_wait(int epfd, void __app *events, int max, int timeout)
{
    return epoll_wait_fd(epfd, events, max, deadline_from_ms(timeout));
}

long sys_epoll_pwait(int epfd, void __app *events, int max, int timeout, const void __app *mask,
                     size_t mask_size)
{
    return epoll_wait_masked(epfd, events, max, deadline_from_ms(timeout), mask, mask_size);
}

long sys_epoll_pwait2(int epfd, void __app *events, int max, const void __app *timeout,
                      const void __app *mask, size_t mask_size)
{
    nsec_t deadline;
    int err = deadline_from_timespec(timeout, &deadline);
    if (err)
        return err;
    return epoll_wait_masked(epfd, events, max, deadline, mask, mask_size);
}
