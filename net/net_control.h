// SPDX-License-Identifier: MIT
#pragma once
/*
 * What the tool says about the network (kernel/control.h).
 */
void net_control_init(void);
/* With the option hosts=wait, the program starts when the names of its neighbours are there. */
void net_control_await_hosts(void);
