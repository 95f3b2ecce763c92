// SPDX-License-Identifier: MIT
/*
 * /sys: the CPUs, the one memory node, large pages and interfaces, as glibc, libuv, Go and the JVM read them.
 *
 * Each CPU shows as a core of its own in one package, with caches of its own below level 3: the machine's true
 * topology is the host's affair.
 */
#include "fs/sysfs.h"

#include <string.h>

#include "abi/errno.h"
#include "arch/arch.h"
#include "kernel/mm/frame.h"
#include "kernel/smp.h"
#include "lib/format.h"

#define SYSFS_MAGIC 0x62656572

#define FIXED(name_, text_)                                                                        \
    {                                                                                              \
        .name = (name_), .mode = SYSFS_FILE, .show = sysfs_show_fixed, .data = (text_)             \
    }
#define SHOW(name_, function_)                                                                     \
    {                                                                                              \
        .name = (name_), .mode = SYSFS_FILE, .show = (function_)                                   \
    }
#define DIRECTORY(name_, entries_)                                                                 \
    {                                                                                              \
        .name = (name_), .mode = SYSFS_DIRECTORY, .entries = (entries_)                            \
    }

int sysfs_show_fixed(const struct pseudo_ref *ref, struct text *text)
{
    const char *fixed = ref->entry->data;
    text_append(text, fixed, strlen(fixed));
    return 0;
}

/* ---- CPUs ------------------------------------------------------------------------------ */

static uint64_t all_cpus(void)
{
    unsigned count = arch_cpu_count();
    return count >= 64 ? ~0ULL : (1ULL << count) - 1;
}

/* "f", or groups of 32 bits where there are more CPUs. */
static int print_mask(struct text *text, uint64_t mask)
{
    if (arch_cpu_count() > 32)
        text_printf(text, "%08x,%08x\n", (unsigned)(mask >> 32), (unsigned)mask);
    else
        text_printf(text, "%x\n", (unsigned)mask);
    return 0;
}

static int show_online(const struct pseudo_ref *ref, struct text *text)
{
    unsigned count = arch_cpu_count();
    text_printf(text, count > 1 ? "0-%u\n" : "%u\n", count - 1);
    return 0;
}

static int show_own_mask(const struct pseudo_ref *ref, struct text *text)
{
    return print_mask(text, 1ULL << ref->number);
}

static int show_own_number(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%ld\n", ref->number);
    return 0;
}

static int show_all_mask(const struct pseudo_ref *ref, struct text *text)
{
    return print_mask(text, all_cpus());
}

static const struct pseudo_entry topology_entries[] = {
    SHOW("core_cpus", show_own_mask),
    SHOW("core_cpus_list", show_own_number),
    SHOW("core_id", show_own_number),
    SHOW("core_siblings", show_all_mask),
    SHOW("core_siblings_list", show_online),
    SHOW("die_cpus", show_all_mask),
    SHOW("die_cpus_list", show_online),
    FIXED("die_id", "0\n"),
    SHOW("package_cpus", show_all_mask),
    SHOW("package_cpus_list", show_online),
    FIXED("physical_package_id", "0\n"),
    SHOW("thread_siblings", show_own_mask),
    SHOW("thread_siblings_list", show_own_number),
    { 0 },
};

/* ---- A CPU's caches: number is the CPU and, above it, the cache's index ---- */

#define CACHE_SHIFT  8
#define SHARED_LEVEL 3
#define CACHES_MAX   8

enum cache_value { CACHE_LINE, CACHE_LEVEL, CACHE_SETS, CACHE_PARTITIONS, CACHE_SIZE, CACHE_WAYS };

static int cache_of(const struct pseudo_ref *ref, struct arch_cache *cache, long *cpu)
{
    *cpu = ref->number & ((1 << CACHE_SHIFT) - 1);
    return arch_cpu_cache((unsigned)(ref->number >> CACHE_SHIFT), cache) ? 0 : -ENOENT;
}

static int show_cache_value(const struct pseudo_ref *ref, struct text *text)
{
    struct arch_cache c;
    long cpu;
    int err = cache_of(ref, &c, &cpu);
    if (err)
        return err;
    const unsigned values[] = {
        [CACHE_LINE] = c.line_size,
        [CACHE_LEVEL] = c.level,
        [CACHE_SETS] = c.nsets,
        [CACHE_PARTITIONS] = c.npartitions,
        [CACHE_SIZE] = c.line_size * c.npartitions * c.nways * c.nsets / 1024,
        [CACHE_WAYS] = c.nways,
    };
    text_printf(text, ref->entry->value == CACHE_SIZE ? "%uK\n" : "%u\n",
                values[ref->entry->value]);
    return 0;
}

static int show_cache_kind(const struct pseudo_ref *ref, struct text *text)
{
    struct arch_cache c;
    long cpu;
    int err = cache_of(ref, &c, &cpu);
    if (!err)
        text_printf(text, "%s\n",
                    c.kind == 'D'   ? "Data"
                    : c.kind == 'I' ? "Instruction"
                                    : "Unified");
    return err;
}

static int show_cache_list(const struct pseudo_ref *ref, struct text *text)
{
    struct arch_cache c;
    long cpu;
    int err = cache_of(ref, &c, &cpu);
    if (!err && c.level >= SHARED_LEVEL)
        return show_online(ref, text);
    if (!err)
        text_printf(text, "%ld\n", cpu);
    return err;
}

static int show_cache_mask(const struct pseudo_ref *ref, struct text *text)
{
    struct arch_cache c;
    long cpu;
    int err = cache_of(ref, &c, &cpu);
    return err ? err : print_mask(text, c.level >= SHARED_LEVEL ? all_cpus() : 1ULL << cpu);
}

static int show_cache_id(const struct pseudo_ref *ref, struct text *text)
{
    struct arch_cache c;
    long cpu;
    int err = cache_of(ref, &c, &cpu);
    if (!err)
        text_printf(text, "%ld\n", c.level >= SHARED_LEVEL ? 0 : cpu);
    return err;
}

#define CACHE(name_, value_)                                                                       \
    {                                                                                              \
        .name = (name_), .mode = SYSFS_FILE, .show = show_cache_value, .value = (value_)           \
    }

static const struct pseudo_entry cache_entries[] = {
    CACHE("coherency_line_size", CACHE_LINE),
    SHOW("id", show_cache_id),
    CACHE("level", CACHE_LEVEL),
    CACHE("number_of_sets", CACHE_SETS),
    CACHE("physical_line_partition", CACHE_PARTITIONS),
    SHOW("shared_cpu_list", show_cache_list),
    SHOW("shared_cpu_map", show_cache_mask),
    CACHE("size", CACHE_SIZE),
    SHOW("type", show_cache_kind),
    CACHE("ways_of_associativity", CACHE_WAYS),
    { 0 },
};

static const struct pseudo_entry cache_entry = { .name = "index",
                                                 .mode = SYSFS_DIRECTORY,
                                                 .entries = cache_entries };

static bool cache_exists(long index)
{
    struct arch_cache c;
    return index >= 0 && index < CACHES_MAX && arch_cpu_cache((unsigned)index, &c);
}

static int cache_find(const struct pseudo_ref *dir, const char *name, size_t len,
                      struct pseudo_ref *child)
{
    if (len < 6 || memcmp(name, "index", 5) != 0)
        return -ENOENT;
    long index = pseudo_number(name + 5, len - 5);
    if (!cache_exists(index))
        return -ENOENT;
    *child =
        (struct pseudo_ref){ .entry = &cache_entry, .number = dir->number | index << CACHE_SHIFT };
    return 0;
}

static long cache_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry)
{
    *entry = &cache_entry;
    return cache_exists(from) ? from : -1;
}

static const struct pseudo_entry one_cpu_entries[] = {
    { .name = "cache", .mode = SYSFS_DIRECTORY, .find = cache_find, .next = cache_next },
    FIXED("online", "1\n"),
    DIRECTORY("topology", topology_entries),
    { 0 },
};

static const struct pseudo_entry cpu_entry = { .name = "cpu",
                                               .mode = SYSFS_DIRECTORY,
                                               .entries = one_cpu_entries };

static int cpu_find(const struct pseudo_ref *dir, const char *name, size_t len,
                    struct pseudo_ref *child)
{
    if (len < 4 || memcmp(name, "cpu", 3) != 0)
        return -ENOENT;
    long cpu = pseudo_number(name + 3, len - 3);
    if (cpu < 0 || cpu >= (long)arch_cpu_count())
        return -ENOENT;
    *child = (struct pseudo_ref){ .entry = &cpu_entry, .number = cpu };
    return 0;
}

static long cpu_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry)
{
    *entry = &cpu_entry;
    return from < (long)arch_cpu_count() ? from : -1;
}

static const struct pseudo_entry smt_entries[] = {
    FIXED("active", "0\n"),
    FIXED("control", "notsupported\n"),
    { 0 },
};

static const struct pseudo_entry cpu_entries[] = {
    FIXED("isolated", "\n"),       FIXED("kernel_max", "63\n"),
    FIXED("offline", "\n"),        SHOW("online", show_online),
    SHOW("possible", show_online), SHOW("present", show_online),
    DIRECTORY("smt", smt_entries), { 0 },
};

/* ---- Memory ---------------------------------------------------------------------------------- */

static int show_node_memory(const struct pseudo_ref *ref, struct text *text)
{
    struct frame_stats stats;
    frame_get_stats(&stats);
    unsigned long long kib = PAGE_SIZE / 1024;
    text_printf(text,
                "Node 0 MemTotal:       %8llu kB\nNode 0 MemFree:        %8llu kB\n"
                "Node 0 MemUsed:        %8llu kB\nNode 0 FilePages:      %8llu kB\n"
                "Node 0 AnonPages:      %8llu kB\nNode 0 HugePages_Total:     0\n",
                stats.total_pages * kib, stats.free_pages * kib,
                (stats.total_pages - stats.free_pages) * kib, stats.cache_pages * kib,
                stats.app_pages * kib);
    return 0;
}

static const struct pseudo_entry node_entries[] = {
    SHOW("cpulist", show_online),
    SHOW("cpumap", show_all_mask),
    FIXED("distance", "10\n"),
    SHOW("meminfo", show_node_memory),
    { 0 },
};

static const struct pseudo_entry nodes_entries[] = {
    FIXED("has_cpu", "0\n"),
    FIXED("has_memory", "0\n"),
    FIXED("has_normal_memory", "0\n"),
    DIRECTORY("node0", node_entries),
    FIXED("online", "0\n"),
    FIXED("possible", "0\n"),
    { 0 },
};

/* Nothing makes large pages of small ones later. */
static const struct pseudo_entry collapse_entries[] = {
    FIXED("max_ptes_none", "0\n"),
    { 0 },
};

static const struct pseudo_entry hugepage_entries[] = {
    FIXED("defrag", "always defer defer+madvise [madvise] never\n"),
    FIXED("enabled", "[always] madvise never\n"),
    FIXED("hpage_pmd_size", "2097152\n"),
    DIRECTORY("khugepaged", collapse_entries),
    FIXED("shmem_enabled", "always within_size advise [never] deny force\n"),
    FIXED("use_zero_page", "0\n"),
    { 0 },
};

/* ---- Interfaces ---------------------------------------------------------------------------------- */

#define NET_MAX 33 /* loopback and as many devices as net knows */

/* Filled at boot; the arrays end with an empty entry. */
static struct interface {
    char name[16];
    char target[48];
} interfaces[NET_MAX];
static unsigned ninterfaces;
static struct pseudo_entry class_net_entries[NET_MAX + 1];
static struct pseudo_entry device_net_entries[NET_MAX + 1];
static struct pseudo_entry virtual_net_entries[NET_MAX + 1];

static struct pseudo_entry *end_of(struct pseudo_entry *entry)
{
    while (entry->name)
        entry++;
    return entry;
}

int sysfs_net_register(const char *name, int index, bool is_device,
                       const struct pseudo_entry *files)
{
    if (ninterfaces == NET_MAX)
        return -ENOSPC;
    struct interface *interface = &interfaces[ninterfaces++];
    (void)format_string(interface->name, sizeof(interface->name), "%s", name);
    (void)format_string(interface->target, sizeof(interface->target), "../../devices/%s/net/%s",
                        is_device ? "platform" : "virtual", name);
    *end_of(is_device ? device_net_entries : virtual_net_entries) =
        (struct pseudo_entry){ .name = interface->name,
                               .mode = SYSFS_DIRECTORY,
                               .entries = files,
                               .value = index,
                               .is_numbered = true };
    *end_of(class_net_entries) = (struct pseudo_entry){ .name = interface->name,
                                                        .mode = SYSFS_LINK,
                                                        .show = sysfs_show_fixed,
                                                        .data = interface->target };
    return 0;
}

/* ---- The tree ------------------------------------------------------------------------------------ */

static const struct pseudo_entry no_entries[] = { { 0 } };

static int show_clock(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%s\n", arch_clock_name());
    return 0;
}

static const struct pseudo_entry clock_entries[] = {
    SHOW("available_clocksource", show_clock),
    SHOW("current_clocksource", show_clock),
    { 0 },
};

static const struct pseudo_entry clocks_entries[] = {
    DIRECTORY("clocksource0", clock_entries),
    { 0 },
};

static const struct pseudo_entry device_number_entries[] = {
    DIRECTORY("block", no_entries),
    { 0 },
};

static const struct pseudo_entry system_entries[] = {
    DIRECTORY("clocksource", clocks_entries),
    { .name = "cpu",
      .mode = SYSFS_DIRECTORY,
      .entries = cpu_entries,
      .find = cpu_find,
      .next = cpu_next },
    DIRECTORY("node", nodes_entries),
    { 0 },
};

static const struct pseudo_entry platform_entries[] = {
    DIRECTORY("net", device_net_entries),
    { 0 },
};

static const struct pseudo_entry virtual_entries[] = {
    DIRECTORY("net", virtual_net_entries),
    { 0 },
};

static const struct pseudo_entry devices_entries[] = {
    DIRECTORY("platform", platform_entries),
    DIRECTORY("system", system_entries),
    DIRECTORY("virtual", virtual_entries),
    { 0 },
};

static const struct pseudo_entry mm_entries[] = {
    DIRECTORY("transparent_hugepage", hugepage_entries),
    { 0 },
};

static const struct pseudo_entry kernel_entries[] = {
    DIRECTORY("mm", mm_entries),
    { 0 },
};

static const struct pseudo_entry fs_entries[] = {
    DIRECTORY("cgroup", no_entries),
    { 0 },
};

static const struct pseudo_entry class_entries[] = {
    DIRECTORY("block", no_entries),
    DIRECTORY("net", class_net_entries),
    { 0 },
};

static const struct pseudo_entry root_entries[] = {
    DIRECTORY("block", no_entries),        DIRECTORY("bus", no_entries),
    DIRECTORY("class", class_entries),     DIRECTORY("dev", device_number_entries),
    DIRECTORY("devices", devices_entries), DIRECTORY("firmware", no_entries),
    DIRECTORY("fs", fs_entries),           DIRECTORY("kernel", kernel_entries),
    DIRECTORY("module", no_entries),       { 0 },
};

static const struct pseudo_entry root = { .mode = SYSFS_DIRECTORY,
                                          .entries = root_entries,
                                          .is_sealed = true };

static int sysfs_mount(const struct file_system *type, const char *source, unsigned long flags,
                       const char *data, struct superblock **out)
{
    return pseudo_mount(type, &root, flags, SYSFS_MAGIC, out);
}

const struct file_system sysfs = { .name = "sysfs", .mount = sysfs_mount };
