// SPDX-License-Identifier: MIT
/*
 * lwIP's cyclic timers without its timer list, so that an idle machine sleeps.
 *
 * Each timer has a condition under which it is needed: TCP's while there are connections, DHCP's while
 * it is on, the multicast ones while a report is due.  The one-second timers of ARP, neighbour
 * discovery and reassembly age tables; they run while there is traffic and for a minute
 * after it.  Later they run in batches, the missed seconds at once.
 *
 * lwIP's LAST-ACK lasts 2 TCP_MSL.  That would drop data that a slow peer has not read yet, so its clock stands still
 * while the peer acknowledges.
 */
#include "net/timers.h"

#include "lib/compiler.h"
#include "lwip/dhcp.h"
#include "lwip/etharp.h"
#include "lwip/igmp.h"
#include "lwip/ip4_frag.h"
#include "lwip/ip6_frag.h"
#include "lwip/mld6.h"
#include "lwip/nd6.h"
#include "lwip/netif.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/timeouts.h"
#include "net/net.h"
#include "net/tcp_recovery.h"

#define SLOW_INTERVAL    NSEC_PER_SEC
#define SLOW_QUIET_TICKS 60 /* seconds of silence after which ageing is batched */
#define SLOW_BATCH       30L

struct cyclic {
    nsec_t interval;
    bool (*is_needed)(void);
    void (*run)(void);
    nsec_t due; /* DEADLINE_NONE: off */
};

static nsec_t slow_due = DEADLINE_NONE;
static nsec_t slow_last;
static unsigned slow_quiet_ticks;
static nsec_t next_due = DEADLINE_NONE; /* the earliest of slow_due and the cyclic timers' */

/* ---- TCP -------------------------------------------------------------------- */

static bool tcp_is_needed(void)
{
    return tcp_active_pcbs || tcp_tw_pcbs;
}

static void hold_last_ack(void)
{
    for (struct tcp_pcb *pcb = tcp_active_pcbs; pcb; pcb = pcb->next) {
        if (pcb->state == LAST_ACK && pcb->nrtx == 0 && pcb->persist_probe == 0)
            pcb->tmr = tcp_ticks;
    }
}

static void tcp_run(void)
{
    hold_last_ack();
    tcp_tmr();
}

/* ---- Multicast reports, DHCP -------------------------------------------------- */

static bool igmp_is_needed(void)
{
    struct netif *netif;
    NETIF_FOREACH(netif)
    {
        for (struct igmp_group *group = netif_igmp_data(netif); group; group = group->next) {
            if (group->timer > 0)
                return true;
        }
    }
    return false;
}

static bool mld_is_needed(void)
{
    struct netif *netif;
    NETIF_FOREACH(netif)
    {
        for (struct mld_group *group = netif_mld6_data(netif); group; group = group->next) {
            if (group->timer > 0)
                return true;
        }
    }
    return false;
}

static bool dhcp_is_needed(void)
{
    struct netif *netif;
    NETIF_FOREACH(netif)
    {
        if (netif_dhcp_data(netif))
            return true;
    }
    return false;
}

/* Requests that wait for an answer: the half-second timer. */
static bool dhcp_is_waiting(void)
{
    struct netif *netif;
    NETIF_FOREACH(netif)
    {
        struct dhcp *dhcp = netif_dhcp_data(netif);
        if (dhcp && dhcp->request_timeout > 0)
            return true;
    }
    return false;
}

static struct cyclic cyclics[] = {
    { TCP_TMR_INTERVAL * NSEC_PER_MSEC, tcp_is_needed, tcp_run, DEADLINE_NONE },
    { IGMP_TMR_INTERVAL * NSEC_PER_MSEC, igmp_is_needed, igmp_tmr, DEADLINE_NONE },
    { MLD6_TMR_INTERVAL * NSEC_PER_MSEC, mld_is_needed, mld6_tmr, DEADLINE_NONE },
    { DHCP_FINE_TIMER_MSECS * NSEC_PER_MSEC, dhcp_is_waiting, dhcp_fine_tmr, DEADLINE_NONE },
    { DHCP_COARSE_TIMER_SECS * NSEC_PER_SEC, dhcp_is_needed, dhcp_coarse_tmr, DEADLINE_NONE },
};

/* ---- The tables that age --------------------------------------------------------- */

static void slow_tick(void)
{
    etharp_tmr();
    ip_reass_tmr();
    nd6_tmr();
    ip6_reass_tmr();
}

static void slow_run(nsec_t now)
{
    int64_t ticks = (now - slow_last) / SLOW_INTERVAL;

    for (int64_t i = 0; i < MIN(ticks, 2 * SLOW_BATCH); i++)
        slow_tick();
    slow_last = now;
    slow_quiet_ticks += (unsigned)ticks;
    slow_due = now + (slow_quiet_ticks < SLOW_QUIET_TICKS ? 1 : SLOW_BATCH) * SLOW_INTERVAL;
}

void timers_note_activity(void)
{
    assert_held(&net_lock);
    if (slow_due == DEADLINE_NONE)
        slow_last = net_now();
    else if (slow_quiet_ticks < SLOW_QUIET_TICKS) {
        slow_quiet_ticks = 0;
        return;
    }
    slow_quiet_ticks = 0;
    slow_due = slow_last + SLOW_INTERVAL;
    next_due = MIN(next_due, slow_due);
}

/* ---- Running ------------------------------------------------------------------------ */

static void look(struct cyclic *cyclic, nsec_t now)
{
    if (!cyclic->is_needed())
        cyclic->due = DEADLINE_NONE;
    else if (cyclic->due == DEADLINE_NONE)
        cyclic->due = now + cyclic->interval;
}

void timers_look_again(void)
{
    nsec_t now = net_now();

    assert_held(&net_lock);
    next_due = slow_due;
    for (size_t i = 0; i < ARRAY_SIZE(cyclics); i++) {
        look(&cyclics[i], now);
        next_due = MIN(next_due, cyclics[i].due);
    }
}

void timers_run(nsec_t now)
{
    assert_held(&net_lock);
    if (slow_due <= now)
        slow_run(now);
    tcp_rto_run(now);
    for (size_t i = 0; i < ARRAY_SIZE(cyclics); i++) {
        struct cyclic *cyclic = &cyclics[i];
        if (cyclic->due <= now) {
            cyclic->run();
            /* From the time it was due, unless that is long past. */
            cyclic->due = MAX(cyclic->due + cyclic->interval, now + cyclic->interval / 2);
        }
    }
    timers_look_again();
}

nsec_t timers_deadline(void)
{
    return MIN(next_due, tcp_rto_deadline());
}

/* ---- What lwIP calls ------------------------------------------------------------------ */

/* A connection was registered. */
void tcp_timer_needed(void)
{
    if (cyclics[0].due == DEADLINE_NONE)
        cyclics[0].due = net_now() + cyclics[0].interval;
    next_due = MIN(next_due, cyclics[0].due);
}

void sys_timeouts_init(void)
{
}
