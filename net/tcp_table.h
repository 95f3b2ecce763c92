// SPDX-License-Identifier: MIT
#pragma once
/*
 * All connections by their addresses, with or without a socket, also those in TIME-WAIT: lwIP would walk a list of
 * all of them for every segment.  net_lock is held.
 */
#include <stdbool.h>
#include <stdint.h>

#include "lwip/ip_addr.h"

struct tcp_pcb;

/* tcp_table_insert() is lwIP's: net/lwip_port.h.  A PCB that is freed leaves the table. */
void tcp_table_remove(struct tcp_pcb *pcb);
/* A connection that no socket in net/ports.c's table stands for (any more): accepted ones are counted already. */
void tcp_table_count(struct tcp_pcb *pcb);
/* Whether there may be one of those with this port. */
bool tcp_table_may_have(uint16_t local_port);
struct tcp_pcb *tcp_table_find(const ip_addr_t *local, uint16_t local_port, const ip_addr_t *remote,
                               uint16_t remote_port);
