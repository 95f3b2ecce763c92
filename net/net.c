// SPDX-License-Identifier: MIT
/*
 * The lock and the network thread.
 *
 * One thread polls the devices in batches and runs lwIP's timers.  It sleeps until a device
 * interrupts (netdev_wake() does nothing but wake it) or until the next timer is due; without
 * connections that is for ever, so an idle machine does not tick.  Everything else happens in the
 * thread that makes the system call, loopback traffic included.
 */
#include "net/net.h"

#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/wait.h"
#include "lwip/init.h"
#include "net/config.h"
#include "net/netdev.h"
#include "net/proc_net.h"
#include "net/socket.h"
#include "net/timers.h"

#define NET_THREAD_NICE (-10) /* packets wait for nobody's time slice */

struct mutex net_lock = MUTEX_INIT(net_lock, RANK_NET);

static struct wait_queue net_queue = WAIT_QUEUE_INIT(net_queue);
static bool net_has_work;                     /* [a] */
static nsec_t sleeping_until = DEADLINE_NONE; /* [n] when the thread wakes by itself */

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
}

/* Packets first, then the threads they concern: those may take the other CPUs at once. */
static void finish_section(void)
{
    netdev_poll_loopback();
    netdev_kick();
    socket_flush_wakes();
}

void net_end(void)
{
    finish_section();
    net_timers_changed();
    mutex_unlock(&net_lock);
}

static bool take_work(void)
{
    return __atomic_exchange_n(&net_has_work, false, __ATOMIC_SEQ_CST);
}

static void net_thread(void *arg)
{
    for (;;) {
        net_begin();
        if (timers_deadline() <= clock_monotonic())
            netdev_poll_soon();
        bool is_busy = netdev_poll();
        timers_run(clock_monotonic());
        finish_section();
        sleeping_until = timers_deadline();
        nsec_t deadline = sleeping_until;
        mutex_unlock(&net_lock);

        config_settle();
        if (is_busy)
            sched_check();
        else
            (void)wait_on_always(&net_queue, take_work(), deadline);
    }
}

void net_init(void)
{
    mutex_lock(&net_lock);
    lwip_init();
    netdev_init();
    mutex_unlock(&net_lock);
    socket_init();

    struct thread *thread = thread_create_kernel("net", net_thread, NULL);
    if (!thread)
        panic("no memory for the network thread");
    sched_set_nice(thread, NET_THREAD_NICE);
    thread_start(thread); /* its one reference goes when it ends */
}

void net_configure(const struct manifest *manifest)
{
    proc_net_init();
    config_apply(manifest);
}
