// SPDX-License-Identifier: MIT
#pragma once

/* Registers the files of /proc/net; at boot. */
void proc_net_init(void);
