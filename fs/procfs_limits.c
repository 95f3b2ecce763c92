// SPDX-License-Identifier: MIT
/*
 * Limits in /proc/sys that can be set: numbers that other files keep and ask.
 */
#include "fs/mqueue.h"
#include "fs/procfs_internal.h"
#include "kernel/ipc/msg.h"
#include "kernel/ipc/sem.h"
#include "kernel/ipc/shm.h"
#include "kernel/mm/vmspace.h"

/* What Linux's sysctl takes: count numbers of at most max, with blanks between them. */
struct proc_limit {
    unsigned long *value;
    unsigned count;
    unsigned long min, max;
};

static const struct proc_limit limits[] = {
    [PROC_SHMMAX] = { &ipc_settings.shmmax, 1, 0, ~0UL },
    [PROC_SHMALL] = { &ipc_settings.shmall, 1, 0, ~0UL },
    [PROC_SHMMNI] = { &ipc_settings.shmmni, 1, 0, IPC_INDEX_MAX },
    [PROC_SEM] = { ipc_settings.sem, 4, 0, INT32_MAX },
    [PROC_MSGMAX] = { &ipc_settings.msgmax, 1, 0, INT32_MAX },
    [PROC_MSGMNB] = { &ipc_settings.msgmnb, 1, 0, INT32_MAX },
    [PROC_MSGMNI] = { &ipc_settings.msgmni, 1, 0, IPC_INDEX_MAX },
    [PROC_MQ_QUEUES_MAX] = { &mqueue_settings.queues_max, 1, 0, INT32_MAX },
    [PROC_MQ_MSG_MAX] = { &mqueue_settings.msg_max, 1, 1, MQUEUE_MSG_MAX },
    [PROC_MQ_MSG_DEFAULT] = { &mqueue_settings.msg_default, 1, 1, MQUEUE_MSG_MAX },
    [PROC_MQ_MSGSIZE_MAX] = { &mqueue_settings.msgsize_max, 1, 128, MQUEUE_MSGSIZE_MAX },
    [PROC_MQ_MSGSIZE_DEFAULT] = { &mqueue_settings.msgsize_default, 1, 128, MQUEUE_MSGSIZE_MAX },
    [PROC_MAX_MAP_COUNT] = { &vmspace_mappings_max, 1, 0, INT32_MAX },
};

int proc_limit_show(const struct pseudo_ref *ref, struct text *text)
{
    const struct proc_limit *limit = &limits[ref->entry->value];

    for (unsigned i = 0; i < limit->count; i++)
        text_printf(text, "%s%lu", i > 0 ? "\t" : "", READ_ONCE(limit->value[i]));
    text_printf(text, "\n");
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

static const char *skip_blanks(const char *at)
{
    while (is_blank(*at))
        at++;
    return at;
}

/* The value of a digit in that base, or base. */
static unsigned digit_value(char c, unsigned base)
{
    unsigned value = base;

    if (c >= '0' && c <= '9')
        value = (unsigned)(c - '0');
    else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        value = (unsigned)((c | 0x20) - 'a' + 10);
    return MIN(value, base);
}

/* As in C: 0x before a digit means 16, another 0 means 8. */
static unsigned take_base(const char **at)
{
    if (**at != '0')
        return 10;
    if (((*at)[1] | 0x20) != 'x' || digit_value((*at)[2], 16) == 16)
        return 8;
    *at += 2;
    return 16;
}

/* One number from *at on, with a blank or nothing behind it, where *at is then.  -EINVAL. */
static int number_parse(const char **at, unsigned long *out)
{
    const char *digit = skip_blanks(*at);
    unsigned long value = 0;

    if (digit_value(*digit, 10) == 10)
        return -EINVAL;
    unsigned base = take_base(&digit);
    for (unsigned n; (n = digit_value(*digit, base)) < base; digit++)
        if (__builtin_mul_overflow(value, (unsigned long)base, &value) ||
            __builtin_add_overflow(value, (unsigned long)n, &value))
            return -EINVAL;
    *at = digit;
    *out = value;
    return *digit && !is_blank(*digit) ? -EINVAL : 0;
}

int proc_limit_store(const struct pseudo_ref *ref, char *buf, size_t len)
{
    const struct proc_limit *limit = &limits[ref->entry->value];
    const char *at = buf;
    int err = *skip_blanks(at) ? 0 : -EINVAL;

    for (unsigned i = 0; i < limit->count && !err && *skip_blanks(at); i++) {
        unsigned long value;
        err = number_parse(&at, &value);
        if (!err && (value < limit->min || value > limit->max))
            err = -EINVAL;
        if (!err && limit->value == &ipc_settings.sem[0] && i == 3 && value > IPC_INDEX_MAX)
            err = -EINVAL;
        if (!err)
            WRITE_ONCE(limit->value[i], value);
    }
    return err;
}
