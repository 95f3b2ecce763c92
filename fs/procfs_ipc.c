// SPDX-License-Identifier: MIT
/*
 * System V IPC in /proc: sysvipc/.
 */
#include "fs/procfs_internal.h"
#include "kernel/ipc/msg.h"
#include "kernel/ipc/sem.h"
#include "kernel/ipc/shm.h"
#include "kernel/mm/pagecache.h"

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
