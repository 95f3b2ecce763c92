// SPDX-License-Identifier: MIT
#pragma once
/*
 * RLIMIT_SIGPENDING: how many signals are queued for all processes of a user.
 */
#include "lib/compiler.h"

struct signal_quota;

/* One more for the user; NULL: limit are queued already, or no memory.  signals.lock of somebody may be held. */
struct signal_quota *signal_quota_take(uint32_t uid, uint64_t limit);
void signal_quota_give(struct signal_quota *quota);
unsigned signal_quota_count(uint32_t uid);
