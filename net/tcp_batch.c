// SPDX-License-Identifier: MIT
/*
 * Small answers wait for the end of a batch of events.
 *
 * While a thread answers the events of one epoll_wait(), the device is told of packets at the batch's end (net.c).  A
 * packet made before that would only wait in the ring; so the answer waits in the connection's queue instead, and
 * what the program writes next to the same connection joins it: a header and a body, two writes, are one packet to
 * make, one to receive and one to acknowledge.  Linux does the same while a device has the connection's last
 * packet (tcp_autocorking, ip-sysctl.rst).  A full segment goes at once, and so does what stays on this machine.
 */
#include "net/tcp_batch.h"

#include "kernel/thread.h"
#include "lwip/priv/tcp_priv.h"
#include "net/net.h"
#include "net/tcp_socket.h"

static struct list waiting = LIST_INIT(waiting); /* [n] by batch_node */
static bool has_grown;                           /* [n] */

bool tcp_batch_add(struct tcp_socket *tcp)
{
    const struct tcp_pcb *pcb = tcp->pcb;
    const struct tcp_seg *seg = pcb->unsent;

    assert_held(&net_lock);
    if (thread_current()->nevents_left == 0)
        return false;
    if (!seg || seg->next || seg->len >= pcb->mss || ip_addr_cmp(&pcb->local_ip, &pcb->remote_ip))
        return false;
    if (list_is_empty(&tcp->batch_node)) {
        list_push_back(&waiting, &tcp->batch_node);
        has_grown = true;
    }
    return true;
}

void tcp_batch_remove(struct tcp_socket *tcp)
{
    assert_held(&net_lock);
    list_remove(&tcp->batch_node);
}

void tcp_batch_output(void)
{
    assert_held(&net_lock);
    while (!list_is_empty(&waiting)) {
        struct tcp_socket *tcp = list_first(&waiting, struct tcp_socket, batch_node);
        list_remove(&tcp->batch_node);
        tcp_output(tcp->pcb);
    }
}

bool tcp_batch_is_waiting(void)
{
    return !list_is_empty(&waiting);
}

bool tcp_batch_has_grown(void)
{
    bool result = has_grown;
    has_grown = false;
    return result;
}
