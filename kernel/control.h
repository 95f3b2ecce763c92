// SPDX-License-Identifier: MIT
#pragma once
/*
 * What the tool says to a running machine: lines "WORD REST" on the control channel, each for whoever
 * registered the word.
 *
 *   signal N                      to pid 1, as `docker stop` does
 *   clock SECONDS NANOSECONDS     the answer to "clock" (kernel/clock_control.c)
 *   memory                        answered by "memory USED TOTAL", in bytes
 *   files                         kernel/archive_use.h
 *   host, hosts, network          net/net_control.c
 *   profile HZ                    samples begin; 0: end (kernel/profile_report.c has the answers)
 *   winsize ROWS COLUMNS          the console terminal's window (fs/tty_console.c)
 */
#include "lib/compiler.h"

/* Before control_start().  handle() runs in the control thread; rest is what follows the blank, "" if nothing
 * does.  False: it makes no sense. */
void control_register(const char *word, bool (*handle)(const char *rest));
/* A line to the tool, without newline.  In the control thread: waits until the host has taken it. */
void control_answer(const char *format, ...) __printf(1, 2);
/* Whole lines, newlines included.  Any thread; waits as control_answer() does. */
void control_write(const char *text, size_t len);
/* Starts the thread that reads, if there is a channel.  -ENOMEM. */
int control_start(void) __must_check;

/* `count` decimal numbers with one separator between them, each at most max, and nothing else. */
bool control_numbers(const char *text, char separator, unsigned max, unsigned *values,
                     unsigned count);
