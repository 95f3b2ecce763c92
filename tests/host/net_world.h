// SPDX-License-Identifier: MIT
#pragma once
/*
 * fs_world.h with a network: lwIP, the sockets, loopback, and one Ethernet device whose other end is the
 * test.  Time stands still until the test moves it.
 */
#include "kernel/netdev.h"
#include "lwip/prot/ethernet.h"
#include "lwip/prot/ip4.h"
#include "lwip/prot/tcp.h"
#include "tests/host/fs_world.h"

#define WORLD_ADDRESS 0x0a00020fu /* 10.0.2.15/24; the gateway is 10.0.2.2 */
#define WORLD_PEER    0x0a000202u

/* world_init() and the network; the device vouches for checksums. */
void net_world_init(void);
/* Moves time on in steps of the stack's timers. */
void net_world_advance(nsec_t duration);
/* A frame arrives, in one buffer or cut after split bytes. */
void net_world_inject(const void *frame, size_t len, size_t split);
/* The same, but the frame waits in the device until somebody polls it. */
void net_world_arrive(const void *frame, size_t len);
/* The oldest frame that was sent; its length, or 0. */
size_t net_world_sent(void *frame, size_t size);
/* What the device was asked to do to it. */
extern struct netdev_offload net_world_offload;
/* Writes every file of /proc/net, and drops the text. */
void net_world_show_all(void);
/* How many buffers of frames the stack still has. */
extern unsigned net_world_nbuffers;
/* How often the device was told of packets, and whether its interrupt is on. */
extern unsigned net_world_nkicks;
extern bool net_world_interrupts;
/* What sched_is_contended() says. */
extern bool net_world_is_contended;
/* Time passes without the network thread's doing anything. */
void net_world_pass(nsec_t duration);
/* When the timer goes off that looks after polled mode; DEADLINE_NONE: it is not armed. */
nsec_t net_world_watch(void);
/* Called by the device when it is polled, if not NULL. */
extern void (*net_world_polled)(void);
/* What signal_is_pending() says. */
extern bool net_world_has_signal;
/* The next frames are refused: the ring is full. */
extern bool net_world_is_full;

struct net_segment {
    struct eth_hdr eth;
    struct ip_hdr ip;
    struct tcp_hdr tcp;
    uint8_t data[1000];
} __packed;

/* A segment from the peer arrives; the data of a SYN are its options. */
void net_world_send_segment(uint32_t seq, uint32_t ack, unsigned flags, unsigned local,
                            unsigned remote, const void *data, size_t len);
/* The next TCP segment that was sent to it; other frames are dropped. */
bool net_world_next_segment(struct net_segment *segment);
/* Resolves the peer's address, so that packets leave at once. */
void net_world_answer_arp(void);
