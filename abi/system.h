// SPDX-License-Identifier: MIT
#pragma once
/* uname(2), sysinfo(2), getrandom(2), reboot(2), syslog(2). */
#include <stdint.h>

struct abi_utsname {
    char sysname[65];
    char nodename[65];
    char release[65];
    char version[65];
    char machine[65];
    char domainname[65];
};

struct abi_sysinfo {
    int64_t uptime;
    uint64_t loads[3];
    uint64_t totalram;
    uint64_t freeram;
    uint64_t sharedram;
    uint64_t bufferram;
    uint64_t totalswap;
    uint64_t freeswap;
    uint16_t procs;
    uint16_t pad;
    uint64_t totalhigh;
    uint64_t freehigh;
    uint32_t mem_unit;
};
_Static_assert(sizeof(struct abi_sysinfo) == 112, "struct sysinfo");

#define ABI_GRND_NONBLOCK 1u
#define ABI_GRND_RANDOM   2u
#define ABI_GRND_INSECURE 4u

#define ABI_REBOOT_MAGIC1    0xfee1deadu
#define ABI_REBOOT_MAGIC2    672274793u
#define ABI_REBOOT_MAGIC2A   85072278u
#define ABI_REBOOT_MAGIC2B   369367448u
#define ABI_REBOOT_MAGIC2C   537993216u
#define ABI_REBOOT_RESTART   0x01234567u
#define ABI_REBOOT_HALT      0xcdef0123u
#define ABI_REBOOT_CAD_ON    0x89abcdefu
#define ABI_REBOOT_CAD_OFF   0x00000000u
#define ABI_REBOOT_POWER_OFF 0x4321fedcu
#define ABI_REBOOT_RESTART2  0xa1b2c3d4u

#define ABI_SYSLOG_CLOSE         0
#define ABI_SYSLOG_OPEN          1
#define ABI_SYSLOG_READ          2
#define ABI_SYSLOG_READ_ALL      3
#define ABI_SYSLOG_READ_CLEAR    4
#define ABI_SYSLOG_CLEAR         5
#define ABI_SYSLOG_CONSOLE_OFF   6
#define ABI_SYSLOG_CONSOLE_ON    7
#define ABI_SYSLOG_CONSOLE_LEVEL 8
#define ABI_SYSLOG_SIZE_UNREAD   9
#define ABI_SYSLOG_SIZE_BUFFER   10
