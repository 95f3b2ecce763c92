// SPDX-License-Identifier: MIT
/*
 * System calls about the system: names, memory and load figures, random bytes, the log, the end.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/process.h"
#include "abi/system.h"
#include "kernel/clock.h"
#include "kernel/entropy.h"
#include "kernel/log.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/system.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"
#include "kernel/wait.h"

/* ---- Names ---------------------------------------------------------------------- */

static struct spinlock names_lock = SPINLOCK_INIT(RANK_HOSTNAME);
static char hostname[SYSTEM_NAME_SIZE] = "stout";
static char domainname[SYSTEM_NAME_SIZE] = "(none)";

static void name_get(const char *name, char *buf)
{
    unsigned long flags = spin_lock_irq(&names_lock);
    memcpy(buf, name, SYSTEM_NAME_SIZE);
    spin_unlock_irq(&names_lock, flags);
}

static int name_set(char *name, const char *value, size_t len)
{
    if (len >= SYSTEM_NAME_SIZE)
        return -EINVAL;
    unsigned long flags = spin_lock_irq(&names_lock);
    memset(name, 0, SYSTEM_NAME_SIZE);
    memcpy(name, value, len);
    spin_unlock_irq(&names_lock, flags);
    return 0;
}

void system_get_hostname(char *buf)
{
    name_get(hostname, buf);
}

void system_get_domainname(char *buf)
{
    name_get(domainname, buf);
}

int system_set_hostname(const char *name, size_t len)
{
    return name_set(hostname, name, len);
}

long sys_uname(void __app *to)
{
    struct abi_utsname names = {
        .sysname = SYSTEM_NAME,
        .release = SYSTEM_RELEASE,
        .version = SYSTEM_VERSION,
        .machine = SYSTEM_MACHINE,
    };
    system_get_hostname(names.nodename);
    system_get_domainname(names.domainname);
    return copy_to_app(to, &names, sizeof(names));
}

static long name_from_app(char *name, const char __app *from, int len)
{
    char value[SYSTEM_NAME_SIZE];
    if (!process_is_capable(ABI_CAP_SYS_ADMIN))
        return -EPERM;
    if (len < 0 || len >= SYSTEM_NAME_SIZE)
        return -EINVAL;
    if (copy_from_app(value, from, (size_t)len))
        return -EFAULT;
    return name_set(name, value, (size_t)len);
}

long sys_sethostname(const char __app *name, int len)
{
    return name_from_app(hostname, name, len);
}

long sys_setdomainname(const char __app *name, int len)
{
    return name_from_app(domainname, name, len);
}

/* ---- Figures ---------------------------------------------------------------------- */

long sys_sysinfo(void __app *to)
{
    struct frame_stats stats;
    struct abi_sysinfo info = { .mem_unit = 1 };
    frame_get_stats(&stats);
    info.uptime = clock_monotonic() / NSEC_PER_SEC;
    info.totalram = stats.total_pages * PAGE_SIZE;
    info.sharedram = stats.shmem_pages * PAGE_SIZE;
    info.freeram = stats.free_pages * PAGE_SIZE;
    info.procs = (uint16_t)process_count();
    unsigned long load[3];
    load_average_get(load);
    for (int i = 0; i < 3; i++)
        info.loads[i] = load[i];
    return copy_to_app(to, &info, sizeof(info));
}

/* ---- Random bytes -------------------------------------------------------------------- */

/* How long a blocking reader sleeps before it looks again whether the pool is seeded. */
#define SEED_LOOK_NS (10 * NSEC_PER_MSEC)

static int entropy_wait(void)
{
    struct wait_queue nobody = WAIT_QUEUE_INIT(nobody);
    int err = 0;
    while (!err && !entropy_is_ready()) {
        err = wait_on(&nobody, entropy_is_ready(), deadline_after(SEED_LOOK_NS));
        if (err == -ETIMEDOUT)
            err = 0;
    }
    return err ? -ERESTARTSYS : 0;
}

long sys_getrandom(void __app *to, size_t len, unsigned flags)
{
    uint8_t buf[256];
    size_t done = 0;
    if (flags & ~(ABI_GRND_NONBLOCK | ABI_GRND_RANDOM | ABI_GRND_INSECURE))
        return -EINVAL;
    if ((flags & ABI_GRND_RANDOM) && (flags & ABI_GRND_INSECURE))
        return -EINVAL;
    if (!(flags & ABI_GRND_INSECURE) && !entropy_is_ready()) {
        int err = flags & ABI_GRND_NONBLOCK ? -EAGAIN : entropy_wait();
        if (err)
            return err;
    }
    len = MIN(len, 0x7fffffffUL);
    while (done < len) {
        size_t part = MIN(len - done, sizeof(buf));
        random_bytes(buf, part);
        size_t missing = copy_to_app_partial((void __app *)((uintptr_t)to + done), buf, part);
        done += part - missing;
        if (missing)
            break;
        if (done % PAGE_SIZE == 0 && signal_is_pending())
            break;
        sched_check();
    }
    memset(buf, 0, sizeof(buf));
    return done || !len ? (long)done : -EFAULT;
}

/* ---- The log ------------------------------------------------------------------------------ */

#define LOG_BUFFER_SIZE 65536

/* The text from *position on, at most len bytes of it, to the application. */
static long log_to_app(uint64_t *position, void __app *to, size_t len)
{
    char buf[512];
    size_t done = 0;
    while (done < len) {
        size_t part = log_read(position, buf, MIN(len - done, sizeof(buf)));
        if (!part)
            break;
        if (copy_to_app((void __app *)((uintptr_t)to + done), buf, part))
            return -EFAULT;
        done += part;
    }
    return (long)done;
}

static uint64_t log_cleared; /* SYSLOG_ACTION_CLEAR: what dmesg does not show any more */

static long log_read_all(void __app *to, size_t len, bool clear)
{
    uint64_t position = __atomic_load_n(&log_cleared, __ATOMIC_RELAXED);
    uint64_t end = position;
    char buf[512];
    size_t available = 0;
    for (size_t part = 1; part;)
        available += part = log_read(&end, buf, sizeof(buf));
    /* The last len bytes of it. */
    while (available > len) {
        size_t part = log_read(&position, buf, MIN(available - len, sizeof(buf)));
        if (!part)
            break;
        available -= part;
    }
    long result = log_to_app(&position, to, len);
    if (clear && result >= 0)
        __atomic_store_n(&log_cleared, position, __ATOMIC_RELAXED);
    return result;
}

long sys_syslog(int action, void __app *to, int len)
{
    if (action != ABI_SYSLOG_READ_ALL && action != ABI_SYSLOG_SIZE_BUFFER &&
        !process_is_capable(ABI_CAP_SYSLOG))
        return -EPERM;
    switch (action) {
    case ABI_SYSLOG_CLOSE:
    case ABI_SYSLOG_OPEN:
    case ABI_SYSLOG_CONSOLE_OFF:
    case ABI_SYSLOG_CONSOLE_ON:
    case ABI_SYSLOG_SIZE_UNREAD:
        return 0;
    case ABI_SYSLOG_READ:
    case ABI_SYSLOG_READ_ALL:
    case ABI_SYSLOG_READ_CLEAR:
        if (!to || len < 0)
            return -EINVAL;
        return log_read_all(to, (size_t)len, action == ABI_SYSLOG_READ_CLEAR);
    case ABI_SYSLOG_CLEAR: {
        char buf[512];
        uint64_t position = log_cleared;
        while (log_read(&position, buf, sizeof(buf)))
            continue;
        log_cleared = position;
        return 0;
    }
    case ABI_SYSLOG_CONSOLE_LEVEL:
        if (len < 1 || len > 8)
            return -EINVAL;
        log_set_level(len > 6 ? LOG_INFO : len > 4 ? LOG_WARNING : LOG_ERROR);
        return 0;
    case ABI_SYSLOG_SIZE_BUFFER:
        return LOG_BUFFER_SIZE;
    default:
        return -EINVAL;
    }
}

/* ---- The end ---------------------------------------------------------------------------------- */

long sys_reboot(unsigned magic1, unsigned magic2, unsigned command, const void __app *arg)
{
    if (!process_is_capable(ABI_CAP_SYS_BOOT))
        return -EPERM;
    if (magic1 != ABI_REBOOT_MAGIC1 ||
        (magic2 != ABI_REBOOT_MAGIC2 && magic2 != ABI_REBOOT_MAGIC2A &&
         magic2 != ABI_REBOOT_MAGIC2B && magic2 != ABI_REBOOT_MAGIC2C))
        return -EINVAL;
    switch (command) {
    case ABI_REBOOT_CAD_ON:
    case ABI_REBOOT_CAD_OFF:
        return 0;
    case ABI_REBOOT_RESTART:
    case ABI_REBOOT_RESTART2:
        arch_reset();
    case ABI_REBOOT_HALT:
    case ABI_REBOOT_POWER_OFF:
        process_end_machine(0);
    default:
        return -EINVAL;
    }
}

long sys_vhangup(void)
{
    return process_is_capable(ABI_CAP_SYS_TTY_CONFIG) ? 0 : -EPERM;
}

/* Ports are not for applications: a ring-0 program could use them, but no interface offers it. */
long sys_ioperm(unsigned long from, unsigned long count, int enable)
{
    log_warning_once("ioperm is refused: I/O ports belong to the kernel's drivers");
    return -EPERM;
}

long sys_iopl(unsigned level)
{
    log_warning_once("iopl is refused: I/O ports belong to the kernel's drivers");
    return -EPERM;
}
