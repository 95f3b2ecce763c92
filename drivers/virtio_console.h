// SPDX-License-Identifier: MIT
#pragma once
#include "kernel/driver.h"

extern const struct driver virtio_console_driver;

/* Waits, not for long, until the host has named the ports of all consoles.  A thread. */
void virtio_console_settle(void);
