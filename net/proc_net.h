// SPDX-License-Identifier: MIT
#pragma once

struct text;

/* Registers the files of /proc/net; at boot. */
void proc_net_init(void);
/* sys_class_net.c: the interfaces under /sys/class/net; at boot. */
void sys_class_net_init(void);
/* proc_unix.c */
int proc_net_show_unix(struct text *text);
/* proc_snmp.c */
int proc_net_show_snmp(struct text *text);
int proc_net_show_netstat(struct text *text);
int proc_net_show_sockstat(struct text *text);
int proc_net_show_sockstat6(struct text *text);
