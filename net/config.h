// SPDX-License-Identifier: MIT
#pragma once
/*
 * Addresses, routes and name servers.
 */
struct manifest;

/* Once, before the program starts.  DHCP goes on in the background. */
void config_apply(const struct manifest *manifest);
/* Writes down what DHCP has found since; the network thread calls it without net_lock. */
void config_settle(void);
