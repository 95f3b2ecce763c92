// SPDX-License-Identifier: MIT
/*
 * Words of the control channel about the network:
 *
 *   host ADDRESS NAME    a machine of the same named network; the list is complete when
 *   hosts                comes, and stands in /etc/hosts then
 *   network              answered by "network RECEIVED SENT", in bytes, of all interfaces
 *
 * All run in the control thread, which needs no lock against itself.
 */
#include "net/net_control.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/options.h"
#include "kernel/wait.h"
#include "lib/format.h"
#include "net/etc.h"
#include "net/net.h"
#include "net/netdev.h"

#define NEIGHBOURS_MAX (64UL << 10)
#define PATIENCE_NS    (5 * NSEC_PER_SEC)

static char *neighbours; /* "ADDRESS\tNAME\n"..., not complete yet; NULL: none */
static size_t neighbours_len;
static bool has_hosts; /* [a] a list has been complete */
static struct wait_queue hosts_arrived = WAIT_QUEUE_INIT(hosts_arrived);

static bool handle_host(const char *rest)
{
    size_t len = strlen(rest);
    const char *blank = strchr(rest, ' ');
    if (!blank || neighbours_len + len + 1 > NEIGHBOURS_MAX)
        return false;
    if (!neighbours)
        neighbours = kmalloc(NEIGHBOURS_MAX, ALLOC_WAIT);
    if (!neighbours)
        return false;
    memcpy(neighbours + neighbours_len, rest, len + 1);
    neighbours[neighbours_len + (size_t)(blank - rest)] = '\t';
    neighbours[neighbours_len + len] = '\n';
    neighbours_len += len + 1;
    return true;
}

static bool handle_hosts(const char *rest)
{
    int err = etc_set_neighbours(neighbours, neighbours_len);
    if (err)
        log_warning("net: /etc/hosts could not be written: %d", err);
    kfree(neighbours);
    neighbours = NULL;
    neighbours_len = 0;
    __atomic_store_n(&has_hosts, true, __ATOMIC_RELEASE);
    wake_all(&hosts_arrived);
    return true;
}

static bool handle_network(const char *rest)
{
    uint64_t received = 0, sent = 0;
    struct netif *netif;

    net_begin();
    NETIF_FOREACH(netif)
    {
        const struct netdev *dev = netdev_of(netif);
        if (dev) {
            received += dev->rx_bytes;
            sent += dev->tx_bytes;
        }
    }
    net_end();
    control_answer("network %llu %llu", (unsigned long long)received, (unsigned long long)sent);
    return true;
}

void net_control_init(void)
{
    control_register("host", handle_host);
    control_register("hosts", handle_hosts);
    control_register("network", handle_network);
}

void net_control_await_hosts(void)
{
    const char *wanted = option_string("hosts");
    if (!wanted || strcmp(wanted, "wait") != 0 || !console_has_device(CONSOLE_CONTROL))
        return;
    if (wait_on_always(&hosts_arrived, __atomic_load_n(&has_hosts, __ATOMIC_ACQUIRE),
                       clock_monotonic() + PATIENCE_NS))
        log_warning("net: the names of the network's machines did not arrive");
}
