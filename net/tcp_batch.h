// SPDX-License-Identifier: MIT
#pragma once
/*
 * Small answers of one batch of events: tcp_batch.c.  All under net_lock.
 */
#include <stdbool.h>

struct tcp_socket;

/* What was queued may wait for the batch's end: true, and tcp_batch_output() sees to it.  False: send it now. */
bool tcp_batch_add(struct tcp_socket *tcp);
/* The socket loses its PCB, whose queue goes on without it. */
void tcp_batch_remove(struct tcp_socket *tcp);
/* Sends what waits. */
void tcp_batch_output(void);
bool tcp_batch_is_waiting(void);
/* Whether a connection has begun to wait since the last call. */
bool tcp_batch_has_grown(void);
