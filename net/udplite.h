// SPDX-License-Identifier: MIT
#pragma once
/*
 * UDP-Lite (RFC 3828, udplite(7)): UDP whose checksum may cover a packet's first bytes only.
 */
#include <stdbool.h>
#include <stdint.h>

struct pbuf;

/* A socket's part of it.  [n] net_lock */
struct udplite {
    bool is_lite;          /* set at creation; the rest has no meaning for UDP */
    bool checks_coverage;  /* [n] UDPLITE_RECV_CSCOV was set */
    uint16_t coverage;     /* [n] of what is sent, with the header; 0: everything */
    uint16_t min_coverage; /* [n] of what is received */
};

/* Whether a packet that lwIP has just delivered is of the socket's protocol, intact and covered as wanted. */
bool udplite_accepts(const struct udplite *lite, struct pbuf *p);
/* SOL_UDPLITE; -ENOPROTOOPT, -EINVAL. */
int udplite_set_option(struct udplite *lite, int name, const void *value, unsigned len);
int udplite_get_option(const struct udplite *lite, int name, void *value, unsigned *len);
