// SPDX-License-Identifier: MIT
#pragma once
#include "kernel/console.h"

/* Makes the console terminal; once at boot, before anybody opens it.  -ENOMEM. */
int tty_console_init(void) __must_check;
/* Which channel its output goes to, and whether it owns the input channel.  -ENOMEM. */
int tty_console_start(bool has_input, enum console_channel output) __must_check;
