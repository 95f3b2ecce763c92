// SPDX-License-Identifier: MIT
#pragma once
/*
 * Terminals: the line discipline, the console terminal, and descriptors 0-2.
 */
#include "fs/file.h"
#include "kernel/manifest.h"

struct process;

/* Installs descriptors 0, 1 and 2 in the running process, as the manifest wants them.  -errno. */
int stdio_install(const enum manifest_stdio stdio[3]) __must_check;
/* The host's window has another size: the console terminal tells its foreground group. */
void tty_console_set_size(unsigned rows, unsigned columns);
/* tty_nr of /proc/PID/stat: the device number of the process's terminal, 0 if none; the foreground
 * process group in *pgid (-1: none). */
unsigned tty_number_of(const struct process *process, int *pgid);
