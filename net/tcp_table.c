// SPDX-License-Identifier: MIT
/*
 * A hash table whose chains run through the PCBs' additional arguments, of which lwIP has two for us: the next PCB of
 * the chain, and the pointer that points to this one.  The second one's callback takes a PCB out that lwIP frees.
 */
#include "net/tcp_table.h"

#include "kernel/entropy.h"
#include "lwip/tcp.h"
#include "net/lwip_port.h"
#include "net/net.h"
#include "net/tcp_socket.h"

#define BUCKETS  2048
#define COUNTS   4096
#define ARG_NEXT 0
#define ARG_LINK 1

static struct tcp_pcb *table[BUCKETS]; /* [n] */
static uint64_t key[2];
/* [n] How many connections without a socket in net/ports.c's table have a local port, by the port's lower bits. */
static uint32_t ncounted[COUNTS];

/* A secret, so that nobody can choose addresses that meet in one bucket. */
static struct tcp_pcb **bucket_of(const ip_addr_t *local, uint16_t local_port,
                                  const ip_addr_t *remote, uint16_t remote_port)
{
    uint64_t x = (uint64_t)remote_port << 16 | local_port;

    if (key[0] == 0) {
        random_bytes(key, sizeof(key));
        key[0] |= 1;
        key[1] |= 1;
    }
    if (IP_IS_V6(remote)) {
        for (int i = 0; i < 4; i++)
            x = (x ^ ip_2_ip6(remote)->addr[i]) * key[0] + ip_2_ip6(local)->addr[i];
    } else {
        x ^= (uint64_t)ip_2_ip4(remote)->addr << 32 ^ ip_2_ip4(local)->addr;
    }
    x *= key[0];
    x ^= x >> 32;
    x *= key[1];
    return &table[x >> 53];
}

static struct tcp_pcb *next_of(const struct tcp_pcb *pcb)
{
    return pcb->ext_args[ARG_NEXT].data;
}

/* The PCB that *link points to leaves its chain. */
static void unlink_at(u8_t id, void *link)
{
    struct tcp_pcb **at = link;

    if (!at)
        return;
    struct tcp_pcb *pcb = *at;
    if (pcb->recovery.counted) /* lwIP may have forgotten the port by now */
        ncounted[pcb->recovery.counted - 1]--;
    pcb->recovery.counted = 0;
    tcp_listen_forget(pcb);
    *at = next_of(pcb);
    if (*at)
        (*at)->ext_args[ARG_LINK].data = at;
    pcb->ext_args[ARG_LINK].data = NULL;
}

static const struct tcp_ext_arg_callbacks leave = { .destroy = unlink_at };

void tcp_table_insert(struct tcp_pcb *pcb)
{
    struct tcp_pcb **bucket =
        bucket_of(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port);

    assert_held(&net_lock);
    pcb->ext_args[ARG_NEXT].data = *bucket;
    if (*bucket)
        (*bucket)->ext_args[ARG_LINK].data = &pcb->ext_args[ARG_NEXT].data;
    pcb->ext_args[ARG_LINK].data = bucket;
    pcb->ext_args[ARG_LINK].callbacks = &leave;
    *bucket = pcb;
    if (pcb->state != SYN_SENT)
        tcp_table_count(pcb);
}

void tcp_table_count(struct tcp_pcb *pcb)
{
    assert_held(&net_lock);
    if (!pcb->ext_args[ARG_LINK].data || pcb->recovery.counted)
        return;
    pcb->recovery.counted = pcb->local_port % COUNTS + 1;
    ncounted[pcb->recovery.counted - 1]++;
}

bool tcp_table_may_have(uint16_t local_port)
{
    assert_held(&net_lock);
    return ncounted[local_port % COUNTS] > 0;
}

bool tcp_table_has(const struct tcp_pcb *pcb)
{
    return tcp_table_find(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port);
}

void tcp_table_remove(struct tcp_pcb *pcb)
{
    assert_held(&net_lock);
    unlink_at(ARG_LINK, pcb->ext_args[ARG_LINK].data);
}

struct tcp_pcb *tcp_table_find(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                               uint16_t remote_port)
{
    struct tcp_pcb *pcb;

    assert_held(&net_lock);
    for (pcb = *bucket_of(local, local_port, remote, remote_port); pcb; pcb = next_of(pcb)) {
        if (pcb->local_port == local_port && pcb->remote_port == remote_port &&
            ip_addr_cmp(&pcb->remote_ip, remote) && ip_addr_cmp(&pcb->local_ip, local))
            return pcb;
    }
    return NULL;
}
