// SPDX-License-Identifier: MIT
/*
 * /proc/sys: settings.  Most are facts of this kernel in the words of Linux's sysctl; the few that can be
 * written have a store function.
 */
#include <string.h>

#include "fs/aio.h"
#include "fs/inotify.h"
#include "fs/pipe.h"
#include "fs/procfs_internal.h"
#include "kernel/entropy.h"
#include "kernel/process.h"
#include "kernel/seccomp.h"
#include "kernel/system.h"
#include "kernel/thread.h"

#define FIXED(name_, text_)                                                                        \
    {                                                                                              \
        .name = (name_), .mode = PROC_FILE, .show = proc_fixed_text, .data = (text_)               \
    }
#define DIRECTORY(name_, entries_)                                                                 \
    {                                                                                              \
        .name = (name_), .mode = PROC_DIR, .entries = (entries_)                                   \
    }

#define LIMIT(name_, number_)                                                                      \
    {                                                                                              \
        .name = (name_), .mode = ABI_S_IFREG | 0644, .show = proc_limit_show,                      \
        .store = proc_limit_store, .value = (number_)                                              \
    }

/* ---- kernel ----------------------------------------------------------------------------- */

static int show_hostname(const struct pseudo_ref *ref, struct text *text)
{
    char name[SYSTEM_NAME_SIZE];
    system_get_hostname(name);
    text_printf(text, "%s\n", name);
    return 0;
}

static int store_hostname(const struct pseudo_ref *ref, char *buf, size_t len)
{
    return system_set_hostname(buf, strcspn(buf, "\n"));
}

static int show_domainname(const struct pseudo_ref *ref, struct text *text)
{
    char name[SYSTEM_NAME_SIZE];
    system_get_domainname(name);
    text_printf(text, "%s\n", name);
    return 0;
}

static int show_number(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%ld\n", ref->entry->value);
    return 0;
}

static void print_uuid(struct text *text, const uint8_t id[16])
{
    for (int i = 0; i < 16; i++)
        text_printf(text, i == 4 || i == 6 || i == 8 || i == 10 ? "-%02x" : "%02x", id[i]);
    text_printf(text, "\n");
}

static void make_uuid(uint8_t id[16])
{
    random_bytes(id, 16);
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40); /* RFC 4122, 4.4: random */
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
}

static int show_uuid(const struct pseudo_ref *ref, struct text *text)
{
    uint8_t id[16];
    make_uuid(id);
    print_uuid(text, id);
    return 0;
}

static int show_boot_id(const struct pseudo_ref *ref, struct text *text)
{
    static struct mutex lock = MUTEX_INIT(lock, RANK_OBJECT);
    static uint8_t boot_id[16];
    mutex_lock(&lock);
    if (!boot_id[8])
        make_uuid(boot_id);
    mutex_unlock(&lock);
    print_uuid(text, boot_id);
    return 0;
}

static int show_entropy(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%d\n", entropy_is_ready() ? 256 : 0);
    return 0;
}

static int show_threads_max(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%u\n", thread_limit());
    return 0;
}

static const struct pseudo_entry random_entries[] = {
    { .name = "boot_id", .mode = PROC_FILE, .show = show_boot_id },
    { .name = "entropy_avail", .mode = PROC_FILE, .show = show_entropy },
    FIXED("poolsize", "256\n"),
    FIXED("urandom_min_reseed_secs", "60\n"),
    { .name = "uuid", .mode = PROC_FILE, .show = show_uuid },
    FIXED("write_wakeup_threshold", "256\n"),
    { 0 },
};

static const struct pseudo_entry seccomp_entries[] = {
    FIXED("actions_avail", SECCOMP_LOGGED " allow\n"),
    FIXED("actions_logged", SECCOMP_LOGGED "\n"),
    { 0 },
};

static const struct pseudo_entry kernel_entries[] = {
    FIXED("cap_last_cap", "40\n"),
    FIXED("core_pattern", "core\n"),
    FIXED("core_uses_pid", "0\n"),
    FIXED("ctrl-alt-del", "0\n"),
    FIXED("dmesg_restrict", "0\n"),
    { .name = "domainname", .mode = PROC_FILE, .show = show_domainname },
    { .name = "hostname",
      .mode = ABI_S_IFREG | 0644,
      .show = show_hostname,
      .store = store_hostname },
    FIXED("kptr_restrict", "0\n"),
    LIMIT("msgmax", PROC_MSGMAX),
    LIMIT("msgmnb", PROC_MSGMNB),
    LIMIT("msgmni", PROC_MSGMNI),
    FIXED("ngroups_max", "65536\n"),
    FIXED("numa_balancing", "0\n"),
    FIXED("osrelease", SYSTEM_RELEASE "\n"),
    FIXED("ostype", SYSTEM_NAME "\n"),
    FIXED("overflowgid", "65534\n"),
    FIXED("overflowuid", "65534\n"),
    FIXED("panic", "0\n"),
    FIXED("perf_event_paranoid", "2\n"),
    { .name = "pid_max", .mode = PROC_FILE, .show = show_number, .value = TID_MAX },
    FIXED("printk", "4\t4\t1\t7\n"),
    DIRECTORY("random", random_entries),
    FIXED("randomize_va_space", "2\n"),
    FIXED("sched_child_runs_first", "0\n"),
    FIXED("sched_rt_period_us", "1000000\n"),
    FIXED("sched_rt_runtime_us", "950000\n"),
    DIRECTORY("seccomp", seccomp_entries),
    LIMIT("sem", PROC_SEM),
    LIMIT("shmall", PROC_SHMALL),
    LIMIT("shmmax", PROC_SHMMAX),
    FIXED("shm_rmid_forced", "0\n"),
    LIMIT("shmmni", PROC_SHMMNI),
    FIXED("tainted", "0\n"),
    { .name = "threads-max", .mode = PROC_FILE, .show = show_threads_max },
    FIXED("unprivileged_bpf_disabled", "2\n"),
    FIXED("version", SYSTEM_VERSION "\n"),
    { 0 },
};

/* ---- vm -------------------------------------------------------------------------------------- */

/* 1: pages of files, 2: the rest; 4 is for Linux's log. */
static int store_drop_caches(const struct pseudo_ref *ref, char *buf, size_t len)
{
    long value = pseudo_number(buf, strcspn(buf, "\n"));

    if (value < 1 || value > 4)
        return -EINVAL;
    frame_drop_caches(value & 1, value & 2);
    return 0;
}

static const struct pseudo_entry vm_entries[] = {
    FIXED("dirty_background_ratio", "10\n"),
    FIXED("dirty_ratio", "20\n"),
    { .name = "drop_caches", .mode = ABI_S_IFREG | 0200, .store = store_drop_caches },
    FIXED("hugetlb_shm_group", "0\n"),
    LIMIT("max_map_count", PROC_MAX_MAP_COUNT),
    FIXED("min_free_kbytes", "1024\n"),
    { .name = "mmap_min_addr", .mode = PROC_FILE, .show = show_number, .value = APP_MIN },
    FIXED("nr_hugepages", "0\n"),
    FIXED("nr_overcommit_hugepages", "0\n"),
    FIXED("overcommit_kbytes", "0\n"),
    FIXED("overcommit_memory", "0\n"),
    FIXED("overcommit_ratio", "50\n"),
    FIXED("panic_on_oom", "0\n"),
    FIXED("swappiness", "60\n"),
    FIXED("zone_reclaim_mode", "0\n"),
    { 0 },
};

/* ---- fs ---------------------------------------------------------------------------------------- */

static int show_pipe_max(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%lu\n", pipe_max_size);
    return 0;
}

static int store_pipe_max(const struct pseudo_ref *ref, char *buf, size_t len)
{
    long value = pseudo_number(buf, strcspn(buf, "\n"));
    if (value < (long)PAGE_SIZE || value > 1L << 31)
        return -EINVAL;
    unsigned long size = PAGE_SIZE;
    while (size < (unsigned long)value)
        size *= 2;
    WRITE_ONCE(pipe_max_size, size);
    return 0;
}

static int show_aio_max(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%lu\n", READ_ONCE(aio_max_requests));
    return 0;
}

static int store_aio_max(const struct pseudo_ref *ref, char *buf, size_t len)
{
    long value = pseudo_number(buf, strcspn(buf, "\n"));
    if (value < 0)
        return -EINVAL;
    WRITE_ONCE(aio_max_requests, (unsigned long)value);
    return 0;
}

static int show_dnotify(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%u\n", READ_ONCE(dnotify_is_enabled));
    return 0;
}

static int store_dnotify(const struct pseudo_ref *ref, char *buf, size_t len)
{
    long value = pseudo_number(buf, strcspn(buf, "\n"));
    if (value < 0 || value > INT32_MAX)
        return -EINVAL;
    WRITE_ONCE(dnotify_is_enabled, (unsigned)value);
    return 0;
}

static int show_aio_promised(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%lu\n", aio_requests_promised());
    return 0;
}

static int show_file_nr(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%u\t0\t9223372036854775807\n", file_count());
    return 0;
}

static const struct pseudo_entry inotify_entries[] = {
    FIXED("max_queued_events", "16384\n"),
    FIXED("max_user_instances", "1024\n"),
    FIXED("max_user_watches", "524288\n"),
    { 0 },
};

static const struct pseudo_entry epoll_entries[] = {
    FIXED("max_user_watches", "1048576\n"),
    { 0 },
};

static const struct pseudo_entry mqueue_entries[] = {
    LIMIT("msg_default", PROC_MQ_MSG_DEFAULT),         LIMIT("msg_max", PROC_MQ_MSG_MAX),
    LIMIT("msgsize_default", PROC_MQ_MSGSIZE_DEFAULT), LIMIT("msgsize_max", PROC_MQ_MSGSIZE_MAX),
    LIMIT("queues_max", PROC_MQ_QUEUES_MAX),           { 0 },
};

static const struct pseudo_entry fs_entries[] = {
    { .name = "aio-max-nr",
      .mode = ABI_S_IFREG | 0644,
      .show = show_aio_max,
      .store = store_aio_max },
    { .name = "aio-nr", .mode = PROC_FILE, .show = show_aio_promised },
    { .name = "dir-notify-enable",
      .mode = ABI_S_IFREG | 0644,
      .show = show_dnotify,
      .store = store_dnotify },
    DIRECTORY("epoll", epoll_entries),
    FIXED("file-max", "9223372036854775807\n"),
    { .name = "file-nr", .mode = PROC_FILE, .show = show_file_nr },
    DIRECTORY("inotify", inotify_entries),
    FIXED("lease-break-time", "45\n"),
    FIXED("leases-enable", "0\n"),
    DIRECTORY("mqueue", mqueue_entries),
    FIXED("nr_open", "1048576\n"),
    FIXED("overflowgid", "65534\n"),
    FIXED("overflowuid", "65534\n"),
    { .name = "pipe-max-size",
      .mode = ABI_S_IFREG | 0644,
      .show = show_pipe_max,
      .store = store_pipe_max },
    FIXED("pipe-user-pages-hard", "0\n"),
    FIXED("pipe-user-pages-soft", "16384\n"),
    FIXED("protected_fifos", "0\n"),
    FIXED("protected_hardlinks", "0\n"),
    FIXED("protected_regular", "0\n"),
    FIXED("protected_symlinks", "0\n"),
    FIXED("suid_dumpable", "0\n"),
    { 0 },
};

/* ---- net --------------------------------------------------------------------------------------- */

static const struct pseudo_entry core_entries[] = {
    FIXED("netdev_max_backlog", "1000\n"), FIXED("optmem_max", "20480\n"),
    FIXED("rmem_default", "212992\n"),     FIXED("rmem_max", "212992\n"),
    FIXED("somaxconn", "4096\n"),          FIXED("wmem_default", "212992\n"),
    FIXED("wmem_max", "212992\n"),         { 0 },
};

static const struct pseudo_entry ipv4_entries[] = {
    FIXED("ip_default_ttl", "64\n"),
    FIXED("ip_forward", "0\n"),
    FIXED("ip_local_port_range", "32768\t60999\n"),
    FIXED("ip_local_reserved_ports", "\n"),
    FIXED("ip_nonlocal_bind", "0\n"),
    FIXED("ip_unprivileged_port_start", "1024\n"),
    FIXED("ping_group_range", "1\t0\n"),
    FIXED("tcp_allowed_congestion_control", "reno\n"),
    FIXED("tcp_available_congestion_control", "reno\n"),
    FIXED("tcp_congestion_control", "reno\n"),
    FIXED("tcp_fastopen", "0\n"),
    FIXED("tcp_fin_timeout", "60\n"),
    FIXED("tcp_keepalive_intvl", "75\n"),
    FIXED("tcp_keepalive_probes", "9\n"),
    FIXED("tcp_keepalive_time", "7200\n"),
    FIXED("tcp_max_syn_backlog", "256\n"),
    FIXED("tcp_max_tw_buckets", "8192\n"),
    FIXED("tcp_rmem", "4096\t131072\t6291456\n"),
    FIXED("tcp_sack", "1\n"),
    FIXED("tcp_syn_retries", "6\n"),
    FIXED("tcp_syncookies", "0\n"),
    FIXED("tcp_timestamps", "0\n"),
    FIXED("tcp_tw_reuse", "0\n"),
    FIXED("tcp_window_scaling", "1\n"),
    FIXED("tcp_wmem", "4096\t16384\t4194304\n"),
    { 0 },
};

static const struct pseudo_entry ipv6_one_entries[] = {
    FIXED("disable_ipv6", "0\n"),
    FIXED("forwarding", "0\n"),
    { 0 },
};

static const struct pseudo_entry ipv6_conf_entries[] = {
    DIRECTORY("all", ipv6_one_entries),
    DIRECTORY("default", ipv6_one_entries),
    DIRECTORY("lo", ipv6_one_entries),
    { 0 },
};

static const struct pseudo_entry ipv6_entries[] = {
    FIXED("bindv6only", "0\n"),
    DIRECTORY("conf", ipv6_conf_entries),
    { 0 },
};

static const struct pseudo_entry unix_entries[] = {
    FIXED("max_dgram_qlen", "512\n"),
    { 0 },
};

static const struct pseudo_entry net_entries[] = {
    DIRECTORY("core", core_entries),
    DIRECTORY("ipv4", ipv4_entries),
    DIRECTORY("ipv6", ipv6_entries),
    DIRECTORY("unix", unix_entries),
    { 0 },
};

const struct pseudo_entry proc_sys_entries[] = {
    DIRECTORY("fs", fs_entries),
    DIRECTORY("kernel", kernel_entries),
    DIRECTORY("net", net_entries),
    DIRECTORY("vm", vm_entries),
    { 0 },
};
