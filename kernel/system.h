// SPDX-License-Identifier: MIT
#pragma once
/*
 * What the system calls itself: uname(2), /proc/version, /proc/sys/kernel/hostname.
 */
#include "lib/compiler.h"

#define SYSTEM_NAME      "Linux"
#define SYSTEM_RELEASE   "6.1.0-stout"
#define SYSTEM_VERSION   "#1 SMP PREEMPT Stout"
#define SYSTEM_MACHINE   "x86_64"
#define SYSTEM_NAME_SIZE 65 /* of a field of struct utsname, the NUL included */

/* buf holds SYSTEM_NAME_SIZE bytes. */
void system_get_hostname(char *buf);
/* -EINVAL if longer than 64 bytes. */
int system_set_hostname(const char *name, size_t len) __must_check;
void system_get_domainname(char *buf);
