// SPDX-License-Identifier: MIT
#include "net/tcp_table.h"

#include "kernel/entropy.h"
#include "net/net.h"

#define BUCKETS 1024

static struct list table[BUCKETS]; /* tcp_socket.table_node; all zero until used */
static uint64_t key[2];

/* A secret, so that nobody can choose addresses that meet in one bucket. */
static struct list *bucket_of(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                              uint16_t remote_port)
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
    struct list *bucket = &table[x >> 54];
    if (!bucket->next)
        list_init(bucket);
    return bucket;
}

void tcp_table_insert(struct tcp_socket *tcp)
{
    const struct tcp_pcb *pcb = tcp->pcb;

    assert_held(&net_lock);
    list_push_back(bucket_of(&pcb->local_ip, pcb->local_port, &pcb->remote_ip, pcb->remote_port),
                   &tcp->table_node);
}

void tcp_table_remove(struct tcp_socket *tcp)
{
    assert_held(&net_lock);
    list_remove(&tcp->table_node);
}

struct tcp_pcb *tcp_table_find(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                               uint16_t remote_port)
{
    struct tcp_socket *tcp;

    assert_held(&net_lock);
    list_for_each (tcp, bucket_of(local, local_port, remote, remote_port), table_node) {
        struct tcp_pcb *pcb = tcp->pcb;
        if (pcb->local_port == local_port && pcb->remote_port == remote_port &&
            ip_addr_cmp(&pcb->remote_ip, remote) && ip_addr_cmp(&pcb->local_ip, local))
            return pcb;
    }
    return NULL;
}
