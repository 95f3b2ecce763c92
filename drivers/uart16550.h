// SPDX-License-Identifier: MIT
#pragma once
/*
 * The first serial port of the PC (COM1): where the log goes from the first instruction on, and
 * the keyboard of a machine without virtio-console.
 */
#include "lib/compiler.h"

/* Finds the port and makes it the log's sink.  Needs nothing: no memory, no interrupts, no clock. */
void uart_early_init(void);
/* Makes received characters the program's stdin (console channel), with interrupts.  -ENODEV: no
 * such port. */
int uart_register_stdin(void) __must_check;
