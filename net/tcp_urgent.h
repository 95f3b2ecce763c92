// SPDX-License-Identifier: MIT
#pragma once
/*
 * TCP's urgent data as Linux has it: one byte, the last before the urgent pointer (RFC 1122, 4.2.2.4, the other
 * way), which recv(MSG_OOB) reads and recv() without SO_OOBINLINE leaves out.
 */
#include "lwip/prot/tcp.h"
#include "net/tcp_socket.h"

/* A segment of an established connection has the urgent flag: SIGURG.  net_lock is held. */
void tcp_urgent_announced(struct tcp_pcb *pcb, const struct tcp_hdr *header);
/* p is being appended at the end of what was received; net_lock is held. */
void tcp_urgent_arrived(struct tcp_socket *tcp, const struct pbuf *p);
/* n bytes have been read; net_lock is held. */
void tcp_urgent_consumed(struct tcp_socket *tcp, size_t n);
/* A new connection begins; net_lock is held. */
void tcp_urgent_forget(struct tcp_socket *tcp);

/* The reader is skip bytes behind the first unread one. */
bool tcp_urgent_is_at_mark(const struct tcp_socket *tcp, size_t skip);
/* From there available bytes may be read: fewer if the urgent one is among them.  *leave_out: the first
 * of the available ones is it, and is not part of the stream. */
size_t tcp_urgent_limit(const struct tcp_socket *tcp, size_t skip, size_t available,
                        bool *leave_out);
/* POLLPRI */
bool tcp_urgent_is_there(const struct tcp_socket *tcp);
/* recv(MSG_OOB) */
long tcp_urgent_receive(struct tcp_socket *tcp, struct message *message);

/* The last byte of what was queued for pcb is urgent: marks all that has not been sent. net_lock is held. */
void tcp_urgent_mark(struct tcp_pcb *pcb);
