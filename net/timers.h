// SPDX-License-Identifier: MIT
#pragma once
/*
 * lwIP's timers, run only while something needs them.  All under net_lock.
 */
#include "lib/compiler.h"

/* Runs what is due. */
void timers_run(nsec_t now);
/* When timers_run() should be called next; DEADLINE_NONE: not before something changes. */
nsec_t timers_deadline(void);
/* A packet came or went: tables age again. */
void timers_note_activity(void);
/* Multicast groups or DHCP changed. */
void timers_look_again(void);
