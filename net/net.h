// SPDX-License-Identifier: MIT
#pragma once
/*
 * The network stack: lwIP under one lock, and the thread that feeds it.
 *
 * net_lock (a mutex) covers all of lwIP and of the sockets' state that its callbacks change.  Application
 * memory is never touched while it is held.  It is taken by net_begin() and given back by
 * net_end(), which also finishes what the section has begun: packets to ourselves are
 * delivered, devices are told of new packets once, sleepers on sockets are woken once.
 */
#include "kernel/clock.h"
#include "kernel/mutex.h"
#include "lib/compiler.h"

struct manifest;

extern struct mutex net_lock;

/* Before the drivers: lwIP, the loopback interface, the network thread. */
void net_init(void);
/* Gives the interfaces their addresses, as the manifest says. */
void net_configure(const struct manifest *manifest);

/* One round of the network thread: devices, timers, wake-ups.  True: at once again; else at *deadline, or when
 * net_wake() is called. */
bool net_round(nsec_t *deadline);

void net_begin(void);
void net_end(void);
/* The time, in a section: read when it is first asked for. */
nsec_t net_now(void);
/* The network thread has work to do: any context. */
void net_wake(void);
/* net_lock is held: a timer may be due earlier than the network thread expects. */
void net_timers_changed(void);
