// SPDX-License-Identifier: MIT
/*
 * /proc: the root and what is not about one process.
 */
#include "fs/procfs.h"

#include <string.h>

#include "fs/dcache.h"
#include "fs/procfs_internal.h"
#include "kernel/clock.h"
#include "kernel/cpu_account.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/options.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/system.h"
#include "kernel/thread.h"
#include "lib/format.h"

#define PROC_MAGIC    0x9fa0
#define NET_FILES_MAX 24
#define CPUINFO_BYTES 4096

int proc_fixed_text(const struct pseudo_ref *ref, struct text *text)
{
    const char *fixed = ref->entry->data;
    text_append(text, fixed, strlen(fixed));
    return 0;
}

/* ---- The machine ---------------------------------------------------------------------- */

static int show_cpuinfo(const struct pseudo_ref *ref, struct text *text)
{
    char *buf = kmalloc(CPUINFO_BYTES, ALLOC_WAIT);
    if (!buf)
        return -ENOMEM;
    for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
        int len = arch_cpuinfo(cpu, buf, CPUINFO_BYTES);
        text_append(text, buf, MIN((size_t)len, (size_t)CPUINFO_BYTES - 1));
    }
    kfree(buf);
    return 0;
}

static void meminfo_line(struct text *text, const char *name, uint64_t pages)
{
    size_t line_start = text->len;
    text_printf(text, "%s:", name);
    text_pad(text, line_start, 16);
    text_printf(text, "%8llu kB\n", (unsigned long long)pages * (PAGE_SIZE / 1024));
}

static int show_meminfo(const struct pseudo_ref *ref, struct text *text)
{
    struct frame_stats stats;
    frame_get_stats(&stats);
    const struct {
        const char *name;
        uint64_t pages;
    } lines[] = {
        { "MemTotal", stats.total_pages },
        { "MemFree", stats.free_pages },
        /* The pages of the RAM file systems are not available. */
        { "MemAvailable", stats.free_pages + stats.cache_pages - stats.shmem_pages },
        { "Buffers", 0 },
        { "Cached", stats.cache_pages },
        { "SwapCached", 0 },
        { "Active", stats.app_pages + stats.cache_pages },
        { "Inactive", 0 },
        { "Active(anon)", stats.app_pages + stats.shmem_pages },
        { "Inactive(anon)", 0 },
        { "Active(file)", stats.cache_pages - stats.shmem_pages },
        { "Inactive(file)", 0 },
        { "Unevictable", 0 },
        { "Mlocked", 0 },
        { "SwapTotal", 0 },
        { "SwapFree", 0 },
        { "Dirty", 0 },
        { "Writeback", 0 },
        { "AnonPages", stats.app_pages },
        { "Mapped", 0 },
        { "Shmem", stats.shmem_pages },
        { "KReclaimable", 0 },
        { "Slab", stats.slab_pages },
        { "SReclaimable", 0 },
        { "SUnreclaim", stats.slab_pages },
        { "KernelStack", 0 },
        { "PageTables", 0 },
        { "NFS_Unstable", 0 },
        { "Bounce", 0 },
        { "WritebackTmp", 0 },
        { "CommitLimit", stats.total_pages },
        { "Committed_AS", stats.app_pages },
        { "VmallocTotal", 34359738367ULL / 4 },
        { "VmallocUsed", stats.kernel_pages },
        { "VmallocChunk", 0 },
        { "Percpu", 0 },
        { "AnonHugePages", 0 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        meminfo_line(text, lines[i].name, lines[i].pages);
    text_printf(text, "HugePages_Total:       0\nHugePages_Free:        0\n"
                      "HugePages_Rsvd:        0\nHugePages_Surp:        0\n"
                      "Hugepagesize:       2048 kB\nHugetlb:               0 kB\n");
    return 0;
}

static void stat_cpu_line(struct text *text, const char *name, const struct cpu_times *times)
{
    text_printf(text, "%s %llu %llu %llu %llu 0 0 0 0 0 0\n", name, ticks_of(times->user),
                ticks_of(times->nice), ticks_of(times->system), ticks_of(times->idle));
}

static int show_stat(const struct pseudo_ref *ref, struct text *text)
{
    uint64_t switches = 0, interrupts = 0;
    struct cpu_times one, all = { 0 };
    char name[8];
    for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
        cpu_times_get(cpu, &one);
        all.user += one.user;
        all.nice += one.nice;
        all.system += one.system;
        all.idle += one.idle;
        switches += READ_ONCE(percpu_area[cpu].nswitches);
        interrupts += READ_ONCE(percpu_area[cpu].ninterrupts);
    }
    stat_cpu_line(text, "cpu ", &all);
    for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
        cpu_times_get(cpu, &one);
        format_string(name, sizeof(name), "cpu%u", cpu);
        stat_cpu_line(text, name, &one);
    }
    text_printf(text,
                "intr %llu\nctxt %llu\nbtime %lld\nprocesses %llu\nprocs_running %u\n"
                "procs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n",
                (unsigned long long)interrupts, (unsigned long long)switches,
                (long long)((clock_realtime() - clock_monotonic()) / NSEC_PER_SEC),
                process_total_created(), sched_nready());
    return 0;
}

static int show_uptime(const struct pseudo_ref *ref, struct text *text)
{
    nsec_t now = clock_monotonic(), idle = 0;
    for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++)
        idle += MIN(sched_idle_time(cpu), now);
    text_printf(text, "%lld.%02lld %lld.%02lld\n", (long long)(now / NSEC_PER_SEC),
                (long long)(now % NSEC_PER_SEC / 10000000), (long long)(idle / NSEC_PER_SEC),
                (long long)(idle % NSEC_PER_SEC / 10000000));
    return 0;
}

static int show_loadavg(const struct pseudo_ref *ref, struct text *text)
{
    unsigned long load[3];
    load_average_get(load);
    for (int i = 0; i < 3; i++) {
        unsigned long hundredths = (load[i] * 100 + (1UL << (LOAD_SHIFT - 1))) >> LOAD_SHIFT;
        text_printf(text, "%lu.%02lu ", hundredths / 100, hundredths % 100);
    }
    text_printf(text, "%u/%u %d\n", sched_nready(), process_thread_count(), tid_last());
    return 0;
}

/* ---- The system ------------------------------------------------------------------------------ */

static int show_filesystems(const struct pseudo_ref *ref, struct text *text)
{
    static const char *const names[] = { "sysfs", "tmpfs",  "proc", "devtmpfs", "cgroup2",
                                         "ramfs", "devpts", "ext4", "9p",       "virtiofs" };
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!file_system_find(names[i]))
            continue;
        text_printf(text, strcmp(names[i], "ext4") ? "nodev\t%s\n" : "\t%s\n", names[i]);
    }
    return 0;
}

static int show_cmdline(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%s\n", options_text());
    return 0;
}

static int show_self(const struct pseudo_ref *ref, struct text *text)
{
    struct process *process = process_current();
    if (!process)
        return -ENOENT;
    text_printf(text, "%d", process->pid);
    return 0;
}

static int show_thread_self(const struct pseudo_ref *ref, struct text *text)
{
    struct process *process = process_current();
    if (!process)
        return -ENOENT;
    text_printf(text, "%d/task/%d", process->pid, thread_current()->tid);
    return 0;
}

/* Figures that are not kept are not listed; nothing is paged from or to a device. */
static int show_vmstat(const struct pseudo_ref *ref, struct text *text)
{
    struct frame_stats stats;
    frame_get_stats(&stats);
    text_printf(text, "nr_free_pages %llu\nnr_anon_pages %llu\nnr_file_pages %llu\n",
                (unsigned long long)stats.free_pages, (unsigned long long)stats.app_pages,
                (unsigned long long)stats.cache_pages);
    text_printf(text, "nr_slab_unreclaimable %llu\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\n",
                (unsigned long long)stats.slab_pages);
    return 0;
}

/* ---- /proc/net --------------------------------------------------------------------------------- */

/* Filled at boot; ends with an empty entry. */
struct pseudo_entry proc_net_table[NET_FILES_MAX + 1];
static unsigned net_count;
static int (*net_show[NET_FILES_MAX])(struct text *text);

static int show_net(const struct pseudo_ref *ref, struct text *text)
{
    return net_show[ref->entry->value](text);
}

int procfs_net_register(const char *name, int (*show)(struct text *text))
{
    if (net_count == NET_FILES_MAX)
        return -ENOSPC;
    net_show[net_count] = show;
    proc_net_table[net_count] = (struct pseudo_entry){
        .name = name, .mode = PROC_FILE, .show = show_net, .value = net_count
    };
    net_count++;
    return 0;
}

/* ---- The root ---------------------------------------------------------------------------------- */

#define FIXED(name_, text_)                                                                        \
    {                                                                                              \
        .name = (name_), .mode = PROC_FILE, .show = proc_fixed_text, .data = (text_)               \
    }
#define LINK(name_, target_)                                                                       \
    {                                                                                              \
        .name = (name_), .mode = PROC_LINK, .show = proc_fixed_text, .data = (target_)             \
    }
#define SHOW(name_, function_)                                                                     \
    {                                                                                              \
        .name = (name_), .mode = PROC_FILE, .show = (function_)                                    \
    }

static const struct pseudo_entry root_entries[] = {
    FIXED("cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"),
    SHOW("cmdline", show_cmdline),
    SHOW("cpuinfo", show_cpuinfo),
    FIXED("devices", "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n"
                     "  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"),
    FIXED("diskstats", ""),
    SHOW("filesystems", show_filesystems),
    SHOW("interrupts", proc_interrupts),
    SHOW("loadavg", show_loadavg),
    SHOW("locks", proc_locks),
    SHOW("meminfo", show_meminfo),
    FIXED("modules", ""),
    LINK("mounts", "self/mounts"),
    LINK("net", "self/net"),
    FIXED("partitions", "major minor  #blocks  name\n\n"),
    { .name = "self", .mode = PROC_LINK, .show = show_self },
    { .name = "slabinfo", .mode = ABI_S_IFREG | 0400, .show = proc_slabinfo },
    SHOW("softirqs", proc_softirqs),
    SHOW("stat", show_stat),
    FIXED("swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
    { .name = "sys", .mode = PROC_DIR, .entries = proc_sys_entries, .is_sealed = true },
    { .name = "sysvipc", .mode = PROC_DIR, .entries = proc_sysvipc_entries },
    { .name = "thread-self", .mode = PROC_LINK, .show = show_thread_self },
    SHOW("uptime", show_uptime),
    SHOW("vmstat", show_vmstat),
    FIXED("version",
          SYSTEM_NAME " version " SYSTEM_RELEASE " (stout@stout) (cc) " SYSTEM_VERSION "\n"),
    { 0 },
};

static const struct pseudo_entry root = {
    .mode = PROC_DIR,
    .entries = root_entries,
    .find = proc_pid_find,
    .next = proc_pid_next,
};

static int procfs_mount(const struct file_system *type, const char *source, unsigned long flags,
                        const char *data, struct superblock **out)
{
    return pseudo_mount(type, &root, flags, PROC_MAGIC, out);
}

const struct file_system procfs = { .name = "proc", .mount = procfs_mount };
