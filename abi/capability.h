// SPDX-License-Identifier: MIT
#pragma once
/* Capability numbers (linux/capability.h): the bits of the sets in struct credentials. */

#define ABI_CAP_CHOWN            0
#define ABI_CAP_DAC_OVERRIDE     1
#define ABI_CAP_DAC_READ_SEARCH  2
#define ABI_CAP_FOWNER           3
#define ABI_CAP_FSETID           4
#define ABI_CAP_KILL             5
#define ABI_CAP_SETGID           6
#define ABI_CAP_SETUID           7
#define ABI_CAP_SETPCAP          8
#define ABI_CAP_LINUX_IMMUTABLE  9
#define ABI_CAP_NET_BIND_SERVICE 10
#define ABI_CAP_NET_BROADCAST    11
#define ABI_CAP_NET_ADMIN        12
#define ABI_CAP_NET_RAW          13
#define ABI_CAP_IPC_LOCK         14
#define ABI_CAP_IPC_OWNER        15
#define ABI_CAP_SYS_MODULE       16
#define ABI_CAP_SYS_RAWIO        17
#define ABI_CAP_SYS_CHROOT       18
#define ABI_CAP_SYS_PTRACE       19
#define ABI_CAP_SYS_PACCT        20
#define ABI_CAP_SYS_ADMIN        21
#define ABI_CAP_SYS_BOOT         22
#define ABI_CAP_SYS_NICE         23
#define ABI_CAP_SYS_RESOURCE     24
#define ABI_CAP_SYS_TIME         25
#define ABI_CAP_SYS_TTY_CONFIG   26
#define ABI_CAP_MKNOD            27
#define ABI_CAP_LEASE            28
#define ABI_CAP_AUDIT_WRITE      29
#define ABI_CAP_AUDIT_CONTROL    30
#define ABI_CAP_SETFCAP          31
#define ABI_CAP_WAKE_ALARM       35
#define ABI_CAP_LAST             40
