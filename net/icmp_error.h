// SPDX-License-Identifier: MIT
#pragma once
/*
 * ICMP errors about packets we sent, for the sockets that sent them.  lwIP ignores them; Linux
 * reports them to connected UDP sockets (ECONNREFUSED from a port that nobody has).
 */
struct pbuf;

/* Looks at a received packet, IP header first; changes nothing of it.  net_lock is held. */
void icmp_error_input4(const struct pbuf *p);
void icmp_error_input6(const struct pbuf *p);
