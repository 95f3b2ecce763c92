// SPDX-License-Identifier: MIT
/*
 * /sys/fs/cgroup: version 2 with one group, whose limits are the machine's own.  Runtimes (the JVM, libuv,
 * .NET, Go) size their heaps and thread pools by it.
 */
#include <string.h>

#include "arch/arch.h"
#include "fs/pseudo.h"
#include "fs/sysfs.h"
#include "kernel/clock.h"
#include "kernel/mm/frame.h"
#include "kernel/process.h"
#include "kernel/process_files.h"
#include "kernel/sched.h"

#define CGROUP2_MAGIC 0x63677270

#define FILE_MODE (ABI_S_IFREG | 0444)
#define FIXED(name_, text_)                                                                        \
    {                                                                                              \
        .name = (name_), .mode = FILE_MODE, .show = show_fixed, .data = (text_)                    \
    }
#define SHOW(name_, function_)                                                                     \
    {                                                                                              \
        .name = (name_), .mode = FILE_MODE, .show = (function_)                                    \
    }

static int show_fixed(const struct pseudo_ref *ref, struct text *text)
{
    const char *fixed = ref->entry->data;
    text_append(text, fixed, strlen(fixed));
    return 0;
}

static int show_memory(const struct pseudo_ref *ref, struct text *text)
{
    struct frame_stats stats;
    frame_get_stats(&stats);
    text_printf(text, "%llu\n",
                (unsigned long long)(stats.total_pages - stats.free_pages) * PAGE_SIZE);
    return 0;
}

static int show_memory_stat(const struct pseudo_ref *ref, struct text *text)
{
    struct frame_stats stats;
    frame_get_stats(&stats);
    const struct {
        const char *name;
        uint64_t pages;
    } lines[] = {
        { "anon", stats.app_pages },
        { "file", stats.cache_pages },
        { "kernel", stats.kernel_pages + stats.slab_pages },
        { "slab", stats.slab_pages },
        { "sock", 0 },
        { "shmem", 0 },
        { "file_mapped", 0 },
        { "file_dirty", 0 },
        { "inactive_anon", 0 },
        { "active_anon", stats.app_pages },
        { "inactive_file", 0 },
        { "active_file", stats.cache_pages },
        { "unevictable", 0 },
    };
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        text_printf(text, "%s %llu\n", lines[i].name,
                    (unsigned long long)lines[i].pages * PAGE_SIZE);
    return 0;
}

static int show_cpu_stat(const struct pseudo_ref *ref, struct text *text)
{
    nsec_t busy = 0, now = clock_monotonic();
    for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++)
        busy += now - MIN(sched_idle_time(cpu), now);
    unsigned long long usec = (unsigned long long)(busy / NSEC_PER_USEC);
    text_printf(text, "usage_usec %llu\nuser_usec %llu\nsystem_usec 0\n", usec, usec);
    return 0;
}

static int show_cpus(const struct pseudo_ref *ref, struct text *text)
{
    unsigned count = arch_cpu_count();
    text_printf(text, count > 1 ? "0-%u\n" : "%u\n", count - 1);
    return 0;
}

static bool pid_print(struct process *process, void *arg)
{
    text_printf(arg, "%d\n", process->pid);
    return true;
}

static int show_procs(const struct pseudo_ref *ref, struct text *text)
{
    process_for_each(pid_print, text);
    return 0;
}

static bool thread_count(struct process *process, void *arg)
{
    *(unsigned *)arg += process->nthreads;
    return true;
}

static int show_pids(const struct pseudo_ref *ref, struct text *text)
{
    unsigned count = 0;
    process_for_each(thread_count, &count);
    text_printf(text, "%u\n", count);
    return 0;
}

static const struct pseudo_entry root_entries[] = {
    FIXED("cgroup.controllers", "cpuset cpu memory pids\n"),
    FIXED("cgroup.events", "populated 1\nfrozen 0\n"),
    FIXED("cgroup.freeze", "0\n"),
    FIXED("cgroup.max.depth", "max\n"),
    FIXED("cgroup.max.descendants", "max\n"),
    SHOW("cgroup.procs", show_procs),
    FIXED("cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
    FIXED("cgroup.subtree_control", ""),
    FIXED("cgroup.type", "domain\n"),
    FIXED("cpu.max", "max 100000\n"),
    SHOW("cpu.stat", show_cpu_stat),
    FIXED("cpu.weight", "100\n"),
    FIXED("cpuset.cpus", "\n"),
    SHOW("cpuset.cpus.effective", show_cpus),
    FIXED("cpuset.mems", "\n"),
    FIXED("cpuset.mems.effective", "0\n"),
    SHOW("memory.current", show_memory),
    FIXED("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"),
    FIXED("memory.high", "max\n"),
    FIXED("memory.low", "0\n"),
    FIXED("memory.max", "max\n"),
    FIXED("memory.min", "0\n"),
    SHOW("memory.stat", show_memory_stat),
    FIXED("memory.swap.current", "0\n"),
    FIXED("memory.swap.max", "0\n"),
    SHOW("pids.current", show_pids),
    FIXED("pids.max", "max\n"),
    { 0 },
};

static const struct pseudo_entry root = { .mode = ABI_S_IFDIR | 0755, .entries = root_entries };

static int cgroup_mount(const struct file_system *type, const char *source, unsigned long flags,
                        const char *data, struct superblock **out)
{
    return pseudo_mount(type, &root, flags, CGROUP2_MAGIC, out);
}

const struct file_system cgroup2 = { .name = "cgroup2", .mount = cgroup_mount };

bool cgroup_is_open(int fd)
{
    struct file *file = fd_get_raw(fd);
    bool is_group = file && file->inode->sb->type == &cgroup2 &&
                    (file->inode->mode & ABI_S_IFMT) == ABI_S_IFDIR;

    if (file)
        file_put(file);
    return is_group;
}
