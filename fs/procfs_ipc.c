// SPDX-License-Identifier: MIT
/*
 * System V IPC in /proc: sysvipc/ and the limits in sys/kernel/.
 */
#include "fs/mqueue.h"
#include "fs/procfs_internal.h"
#include "kernel/ipc/msg.h"
#include "kernel/ipc/sem.h"
#include "kernel/ipc/shm.h"
#include "kernel/mm/pagecache.h"

/* ---- sysvipc ------------------------------------------------------------------------------ */

static void shm_line(struct ipc_object *object, void *arg)
{
    const struct shm_segment *segment = shm_of_ipc(object);
    union ipc_status status;

    ipc_fill(object, &status);
    text_printf(
        arg,
        "%10d %10d  %4o %21llu %5u %5u  %5llu %5u %5u %5u %5u %10llu %10llu %10llu %21llu %21llu\n",
        status.perm.key, object->id, status.perm.mode, (unsigned long long)status.shm.segsz,
        (unsigned)status.shm.cpid, (unsigned)status.shm.lpid, (unsigned long long)status.shm.nattch,
        status.perm.uid, status.perm.gid, status.perm.cuid, status.perm.cgid,
        (unsigned long long)status.shm.atime, (unsigned long long)status.shm.dtime,
        (unsigned long long)status.shm.ctime,
        (unsigned long long)READ_ONCE(segment->cache->npages) * PAGE_SIZE, 0ULL);
}

static int show_shm(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text,
                "       key      shmid perms                  size  cpid  lpid nattch   uid   gid"
                "  cuid  cgid      atime      dtime      ctime                   rss"
                "                  swap\n");
    ipc_for_each(&shm_table, shm_line, text);
    return 0;
}

static void sem_line(struct ipc_object *object, void *arg)
{
    union ipc_status status;

    ipc_fill(object, &status);
    text_printf(arg, "%10d %10d  %4o %10u %5u %5u %5u %5u %10llu %10llu\n", status.perm.key,
                object->id, status.perm.mode, (unsigned)status.sem.nsems, status.perm.uid,
                status.perm.gid, status.perm.cuid, status.perm.cgid,
                (unsigned long long)status.sem.otime, (unsigned long long)status.sem.ctime);
}

static int show_sem(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "       key      semid perms      nsems   uid   gid  cuid  cgid      otime"
                      "      ctime\n");
    ipc_for_each(&sem_table, sem_line, text);
    return 0;
}

static void msg_line(struct ipc_object *object, void *arg)
{
    union ipc_status status;

    ipc_fill(object, &status);
    text_printf(arg, "%10d %10d  %4o  %10llu %10llu %5u %5u %5u %5u %5u %5u %10llu %10llu %10llu\n",
                status.perm.key, object->id, status.perm.mode,
                (unsigned long long)status.msg.cbytes, (unsigned long long)status.msg.qnum,
                (unsigned)status.msg.lspid, (unsigned)status.msg.lrpid, status.perm.uid,
                status.perm.gid, status.perm.cuid, status.perm.cgid,
                (unsigned long long)status.msg.stime, (unsigned long long)status.msg.rtime,
                (unsigned long long)status.msg.ctime);
}

static int show_msg(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text,
                "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid"
                "  cgid      stime      rtime      ctime\n");
    ipc_for_each(&msg_table, msg_line, text);
    return 0;
}

const struct pseudo_entry proc_sysvipc_entries[] = {
    { .name = "msg", .mode = PROC_FILE, .show = show_msg },
    { .name = "sem", .mode = PROC_FILE, .show = show_sem },
    { .name = "shm", .mode = PROC_FILE, .show = show_shm },
    { 0 },
};

/* ---- Limits ----------------------------------------------------------------------------------- */

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
};

int proc_limit_show(const struct pseudo_ref *ref, struct text *text)
{
    const struct proc_limit *limit = &limits[ref->entry->value];

    for (unsigned i = 0; i < limit->count; i++)
        text_printf(text, "%s%lu", i > 0 ? "\t" : "", READ_ONCE(limit->value[i]));
    text_printf(text, "\n");
    return 0;
}

static const char *skip_blanks(const char *at)
{
    while (*at == ' ' || *at == '\t' || *at == '\n')
        at++;
    return at;
}

/* One number from *at on, which is moved behind it.  -EINVAL. */
static int number_parse(const char **at, unsigned long max, unsigned long *out)
{
    const char *digit = skip_blanks(*at);
    unsigned long value = 0;

    if (*digit < '0' || *digit > '9')
        return -EINVAL;
    for (; *digit >= '0' && *digit <= '9'; digit++)
        if (__builtin_mul_overflow(value, 10UL, &value) ||
            __builtin_add_overflow(value, (unsigned long)(*digit - '0'), &value))
            return -EINVAL;
    *at = digit;
    *out = value;
    return value > max ? -EINVAL : 0;
}

int proc_limit_store(const struct pseudo_ref *ref, char *buf, size_t len)
{
    const struct proc_limit *limit = &limits[ref->entry->value];
    const char *at = buf;
    int err = 0;

    for (unsigned i = 0; i < limit->count && !err && *skip_blanks(at); i++) {
        unsigned long value;
        err = number_parse(&at, limit->max, &value);
        if (!err && value < limit->min)
            err = -EINVAL;
        if (!err && limit->value == &ipc_settings.sem[0] && i == 3 && value > IPC_INDEX_MAX)
            err = -EINVAL;
        if (!err)
            WRITE_ONCE(limit->value[i], value);
    }
    return err;
}
