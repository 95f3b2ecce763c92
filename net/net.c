// SPDX-License-Identifier: MIT
/*
 * The lock and the network thread.
 *
 * One thread polls the devices in batches and runs lwIP's timers.  It sleeps until a device
 * interrupts (netdev_wake() does nothing but wake it) or until the next timer is due; without
 * connections that is for ever, so an idle machine does not tick.  Everything else happens in the
 * thread that makes the system call, loopback traffic included.
 *
 * Polled mode: under load an interrupt and two switches of threads for each packet would cost more than the packet.  So
 * a device's interrupt stays off after packets came, as long as somebody else wants the CPU: then each thread
 * polls the devices before it sleeps, and so does a section under net_lock, now and then.  Should nobody
 * do so for some milliseconds, a timer wakes the network thread.  The first poll before a sleep, or by the network
 * thread, that finds nothing turns the interrupts on again, so nobody sleeps on a CPU that could have taken one.
 *
 * To tell a device of a packet is an exit to the hypervisor.  While a thread answers the events of one
 * epoll_wait() the device is told once for several answers; the others of the batch wait for the same CPU anyway.
 * A small answer waits in its connection's queue until then (tcp_batch.c).
 * It is told at the last event of the batch, before a thread sleeps, after DEFER_MAX packets, or by the first sender
 * after DEFER_NS; if all that fails, the timer sees to it.
 *
 * Under the lock nobody may sleep for memory, so packets come and go out of a reserve.  When a section finds it used,
 * the network thread fills it again: otherwise each further packet would be lost until some page fault reclaims memory.
 */
#include "net/net.h"

#include "kernel/log.h"
#include "kernel/mm/frame.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "lwip/init.h"
#include "net/config.h"
#include "net/net_control.h"
#include "net/netdev.h"
#include "net/proc_net.h"
#include "net/socket.h"
#include "net/tcp_batch.h"
#include "net/tcp_memory.h"
#include "net/tcp_pages.h"
#include "net/tcp_socket.h"
#include "net/timers.h"

#define NET_THREAD_NICE (-10) /* packets wait for nobody's time slice */

/* Polled mode: how often a section under net_lock looks at the devices. */
#define POLL_EVERY_NS (250 * NSEC_PER_USEC)
/* When the network thread polls, and tells devices of packets, if nobody has: about a thread's time slice. */
#define LATEST_NS     (3 * NSEC_PER_MSEC)

/* For how long at least nothing is reclaimed for the reserve after there was too little to reclaim. */
#define REPLENISH_NS (10 * NSEC_PER_MSEC)

struct mutex net_lock = MUTEX_INIT(net_lock, RANK_NET);

static struct wait_queue net_queue = WAIT_QUEUE_INIT(net_queue);
static bool net_has_work;                     /* [a] */
static nsec_t sleeping_until = DEADLINE_NONE; /* [n] when the thread wakes by itself */
static nsec_t section_time;                   /* [n] net_now(); 0: nobody has asked */

/* Packets that a device has not been told of: how many, and how long a sender lets the first one wait. */
#define DEFER_MAX 16
#define DEFER_NS  NSEC_PER_MSEC

static bool is_polled;        /* [a] polled mode; set under net_lock */
static nsec_t last_poll;      /* [a] */
static unsigned ndeferred;    /* [a] set under net_lock */
static nsec_t deferred_since; /* [a] */
static struct timer watch_timer;
static nsec_t replenish_after; /* [a] set by the network thread */

void net_wake(void)
{
    __atomic_store_n(&net_has_work, true, __ATOMIC_SEQ_CST);
    wake_all(&net_queue);
}

void net_timers_changed(void)
{
    assert_held(&net_lock);
    nsec_t due = timers_deadline();
    if (due < sleeping_until) {
        sleeping_until = due;
        net_wake();
    }
}

void net_begin(void)
{
    mutex_lock(&net_lock);
    section_time = 0;
}

nsec_t net_now(void)
{
    assert_held(&net_lock);
    if (section_time == 0)
        section_time = clock_monotonic();
    return section_time;
}

/* ---- Polled mode and deferred notifications -------------------------------------------- */

/* When the network thread has to do what nobody else did; DEADLINE_NONE: there is nothing. */
static nsec_t watch_due(void)
{
    nsec_t poll_due = READ_ONCE(is_polled) ? READ_ONCE(last_poll) + LATEST_NS : DEADLINE_NONE;
    nsec_t kick_due = READ_ONCE(ndeferred) ? READ_ONCE(deferred_since) + LATEST_NS : DEADLINE_NONE;
    return MIN(poll_due, kick_due);
}

static void watch_timer_fire(struct timer *timer)
{
    __atomic_thread_fence(
        __ATOMIC_SEQ_CST); /* the timer is disarmed, for watch() to see, before watch_due() looks */
    nsec_t due = watch_due();

    if (due <= clock_monotonic())
        net_wake();
    else if (due != DEADLINE_NONE)
        timer_set(timer, due);
}

/*
 * Called after is_polled or ndeferred was set.  The timer is not moved or stopped afterwards: that would cost more
 * than a look now and then.
 */
static void watch(void)
{
    __atomic_thread_fence(
        __ATOMIC_SEQ_CST); /* or both this and watch_timer_fire() miss what the other did */
    if (!timer_is_armed(&watch_timer))
        timer_set(&watch_timer, net_now() + LATEST_NS);
}

/* The end of polled mode, if nothing came.  True: packets came, or may come without an interrupt. */
static bool poll_devices(void)
{
    bool is_busy = netdev_poll(false);

    WRITE_ONCE(last_poll, net_now());
    if (!is_busy)
        WRITE_ONCE(is_polled, false);
    return is_busy;
}

/* In a section: that nothing came since the last look says nothing about the next one. */
static void poll_now_and_then(void)
{
    nsec_t now = net_now();

    if (now - last_poll <= POLL_EVERY_NS)
        return;
    (void)netdev_poll(true);
    WRITE_ONCE(last_poll, now);
}

/* More answers will follow soon, and the device can wait for them.  has_answered: this section sent something. */
static bool may_defer(bool has_answered)
{
    struct thread *thread = thread_current();

    if (thread->nevents_left == 0 || ndeferred + 1 >= DEFER_MAX)
        return false;
    nsec_t now = net_now();
    if (ndeferred == 0)
        WRITE_ONCE(deferred_since, now);
    if (has_answered) {
        thread->nevents_left--;
        WRITE_ONCE(ndeferred, ndeferred + 1);
        watch();
    }
    return now - deferred_since < DEFER_NS;
}

static void output_or_defer(bool is_sender)
{
    bool is_waiting = tcp_batch_is_waiting();
    bool has_joined = tcp_batch_has_grown(), has_sent = netdev_has_grown();

    if (!is_waiting && !netdev_needs_kick())
        return;
    if (is_sender && may_defer(has_joined || has_sent))
        return;
    if (is_waiting) {
        tcp_batch_output();
        (void)netdev_has_grown();
        netdev_poll_loopback();
    }
    netdev_kick();
    WRITE_ONCE(ndeferred, 0);
}

/* ---- Sections ---------------------------------------------------------------------- */

/* Packets first, then the threads they concern: those may take the other CPUs at once. */
static void finish_section(bool is_sender)
{
    netdev_poll_loopback();
    output_or_defer(is_sender);
    socket_flush_wakes();
}

void net_end(void)
{
    if (READ_ONCE(is_polled))
        poll_now_and_then();
    finish_section(true);
    if (unlikely(frame_reserve_is_used()) && net_now() >= READ_ONCE(replenish_after))
        net_wake();
    net_timers_changed();
    mutex_unlock(&net_lock);
}

/* Packets that come without end must not keep a thread from its signals, its deadline, or the CPU from others. */
static bool may_poll_on(const bool *is_woken, nsec_t deadline)
{
    return !READ_ONCE(*is_woken) && !signal_is_pending() && net_now() < deadline &&
           !sched_is_contended();
}

/* wait_before_sleep(): until the thread has to go on, or there are no packets and their interrupt is on. */
static void poll_before_sleep(const bool *is_woken, nsec_t deadline)
{
    if (!READ_ONCE(is_polled) && READ_ONCE(ndeferred) == 0)
        return;
    if (!mutex_try_lock(&net_lock)) {
        net_wake();
        return;
    }
    bool is_busy;
    do {
        section_time = 0;
        is_busy = READ_ONCE(is_polled) && poll_devices();
        finish_section(false);
    } while (is_busy && may_poll_on(is_woken, deadline));
    if (is_busy && !READ_ONCE(*is_woken))
        net_wake();
    net_timers_changed();
    mutex_unlock(&net_lock);
}

/* ---- The thread ---------------------------------------------------------------------- */

static bool take_work(void)
{
    return __atomic_exchange_n(&net_has_work, false, __ATOMIC_SEQ_CST);
}

static void replenish_reserve(void)
{
    if (likely(!frame_reserve_is_used()) || clock_monotonic() < replenish_after)
        return;
    nsec_t begin = clock_monotonic();
    if (frame_replenish())
        return;
    nsec_t end = clock_monotonic();
    WRITE_ONCE(replenish_after, end + MAX(REPLENISH_NS, 10 * (end - begin)));
}

bool net_round(nsec_t *deadline)
{
    replenish_reserve();
    net_begin();
    if (timers_deadline() <= net_now())
        netdev_poll_soon();
    bool is_busy = poll_devices();
    section_time = 0; /* that may have taken long */
    timers_run(net_now());
    finish_section(false);
    if (is_busy && sched_is_contended()) {
        WRITE_ONCE(is_polled, true);
        watch();
        is_busy = false;
    }
    *deadline = sleeping_until = timers_deadline();
    mutex_unlock(&net_lock);
    config_settle();
    return is_busy;
}

static void net_thread(void *arg)
{
    for (;;) {
        nsec_t deadline;
        if (net_round(&deadline))
            sched_check();
        else
            (void)wait_on_always(&net_queue, take_work(), deadline);
    }
}

void net_init(void)
{
    mutex_lock(&net_lock);
    lwip_init();
    tcp_memory_init();
    netdev_init();
    tcp_pages_init();
    tcp_listen_init();
    mutex_unlock(&net_lock);
    socket_init();
    net_control_init();
    timer_init(&watch_timer, watch_timer_fire);
    wait_before_sleep = poll_before_sleep;

    struct thread *thread = thread_create_kernel("net", net_thread, NULL);
    if (!thread)
        panic("no memory for the network thread");
    sched_set_nice(thread, NET_THREAD_NICE);
    thread_start(thread); /* its one reference goes when it ends */
}

void net_configure(const struct manifest *manifest)
{
    proc_net_init();
    sys_class_net_init();
    config_apply(manifest);
}
