// SPDX-License-Identifier: MIT
#pragma once
/*
 * The kernel command line: words "name" or "name=value" separated by blanks.  It holds
 * kernel options only; what to run is in the manifest (kernel/manifest.h).
 */
#include "lib/compiler.h"

/* cmdline must outlive the kernel's use of the values. */
void options_init(const char *cmdline);
const char *options_text(void); /* all of it, for /proc/cmdline */
/* The value, "" for a bare word, NULL if absent; the last one wins. Valid for ever. */
const char *option_string(const char *name);
bool option_bool(const char *name, bool otherwise); /* name, name=1|on|yes, name=0|off|no */
uint64_t option_number(const char *name, uint64_t otherwise); /* decimal or 0x, with K M G */
/* The words of the form name=value one after the other (virtio_mmio.device=...): *cursor is
 * NULL at first; the value is not NUL-terminated, its length is in *len.  NULL: no more. */
const char *option_next(const char *name, const char **cursor, size_t *len);
