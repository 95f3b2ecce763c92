// SPDX-License-Identifier: MIT
#pragma once
/*
 * The program that the machine is for: pid 1.
 */
#include "lib/compiler.h"

struct manifest;

/* Starts it; what goes wrong from then on is told on its standard error and ends the machine with
 * status 126 or 127.  -ENOMEM.  manifest must stay for ever. */
int process_start_first(const struct manifest *manifest) __must_check;
