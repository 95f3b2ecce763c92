// SPDX-License-Identifier: MIT
/*
 * /proc/PID/maps, smaps, smaps_rollup, numa_maps and mem.
 *
 * The mappings are copied first, with references on their files: a path cannot be made while the
 * address space is locked.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "abi/mman.h"
#include "fs/devfs.h"
#include "fs/procfs_internal.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/map_object.h"
#include "kernel/mm/map_source.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/ptrace.h"

#define PATH_BYTES           4096
#define NAME_COLUMN          73
#define OBJECT_NAME_BYTES    32
#define SHARED_MEMORY_DEVICE 1 /* 00:01, Linux's internal tmpfs */

struct map_info {
    uintptr_t start, end;
    unsigned prot, flags;
    uint64_t offset;
    struct file *file; /* with a reference, or NULL */
    bool has_cache;
    const char *name;
    char object_name[OBJECT_NAME_BYTES]; /* "": none */
    uint64_t object_inode;
};

struct map_set {
    struct map_info *map;
    size_t count, size;
    bool failed;
};

static bool map_collect(const struct mapping *mapping, void *arg)
{
    struct map_set *set = arg;
    if (set->count == set->size) {
        size_t size = set->size ? set->size * 2 : 64;
        struct map_info *map = krealloc(set->map, size * sizeof(*map), ALLOC_WAIT);
        if (!map) {
            set->failed = true;
            return false;
        }
        set->map = map;
        set->size = size;
    }
    struct map_info *info = &set->map[set->count++];
    *info = (struct map_info){
        .start = mapping->start,
        .end = mapping->end,
        .prot = mapping->prot,
        .flags = mapping->flags,
        .offset = mapping->offset,
        .file = mapping->file ? file_get(mapping->file) : NULL,
        .has_cache = mapping->cache != NULL,
        .name = mapping->name,
    };
    if (mapping->object)
        info->object_inode = mapping->object->ops->describe(mapping->object, info->object_name,
                                                            sizeof(info->object_name));
    return true;
}

static int set_load(struct map_set *set, struct vmspace *vm)
{
    *set = (struct map_set){ 0 };
    vmspace_for_each(vm, map_collect, set);
    return set->failed ? -ENOMEM : 0;
}

static void set_free(struct map_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (set->map[i].file)
            file_put(set->map[i].file);
    }
    kfree(set->map);
}

/* "55d000-55e000 r-xp 00001000 00:02 17          /bin/cat" */
static void map_line(struct text *text, const struct map_info *map, char *path)
{
    uint64_t device = 0, inode = 0;
    size_t line_start = text->len;
    const char *name = map->name ? map->name : "";
    if (map->file) {
        map_source_identity(map->file, &device, &inode);
        name = map_source_path(map->file, path, PATH_BYTES) >= 0 ? path : "";
    } else if (map->object_name[0]) {
        name = map->object_name;
        device = SHARED_MEMORY_DEVICE;
        inode = map->object_inode;
    } else if (!map->name && map->has_cache && (map->flags & ABI_MAP_SHARED)) {
        name = "/dev/zero (deleted)"; /* shared anonymous memory, as Linux names it */
    }
    text_printf(text, "%08lx-%08lx %c%c%c%c %08llx %02x:%02x %llu ", map->start, map->end,
                map->prot & ABI_PROT_READ ? 'r' : '-', map->prot & ABI_PROT_WRITE ? 'w' : '-',
                map->prot & ABI_PROT_EXEC ? 'x' : '-', map->flags & ABI_MAP_SHARED ? 's' : 'p',
                (unsigned long long)(map->has_cache ? map->offset : 0), DEVICE_MAJOR(device),
                DEVICE_MINOR(device), (unsigned long long)inode);
    if (*name) {
        text_pad(text, line_start, NAME_COLUMN);
        text_escape(text, name, "\n");
    }
    text_append(text, "\n", 1);
}

/* Bytes. */
struct memory_use {
    uint64_t size, resident, anonymous, referenced;
    uint64_t shared[2], own[2], share[2]; /* clean, dirty; share: divided by the number of users */
};

#define PAGES_AT_A_TIME 16

/* A page that several page tables have is shared, whatever the mapping says. */
static void use_add_page(struct memory_use *use, const struct vmspace_page *page)
{
    bool is_dirty = page->is_dirty || !page->has_cache;
    use->resident += page->size;
    use->anonymous += page->has_cache ? 0 : page->size;
    use->referenced += page->is_accessed ? page->size : 0;
    *(page->nsharers > 1 ? &use->shared[is_dirty] : &use->own[is_dirty]) += page->size;
    use->share[is_dirty] += page->size / page->nsharers;
}

static void use_add(struct memory_use *use, struct vmspace *vm, const struct map_info *map)
{
    struct vmspace_page page[PAGES_AT_A_TIME];
    uintptr_t at = map->start;
    use->size += map->end - map->start;
    while (at < map->end) {
        unsigned n = vmspace_look(vm, &at, map->end, page, PAGES_AT_A_TIME);
        for (unsigned i = 0; i < n; i++)
            use_add_page(use, &page[i]);
    }
}

static void use_print(struct text *text, const struct memory_use *use, bool is_single)
{
    const struct {
        const char *name;
        unsigned long long nbytes;
    } lines[] = {
        { "Rss:", use->resident },
        { "Pss:", use->share[0] + use->share[1] },
        { "Pss_Dirty:", use->share[1] },
        { "Shared_Clean:", use->shared[0] },
        { "Shared_Dirty:", use->shared[1] },
        { "Private_Clean:", use->own[0] },
        { "Private_Dirty:", use->own[1] },
        { "Referenced:", use->referenced },
        { "Anonymous:", use->anonymous },
        { "LazyFree:", 0 },
        { "AnonHugePages:", 0 },
        { "ShmemPmdMapped:", 0 },
        { "FilePmdMapped:", 0 },
        { "Shared_Hugetlb:", 0 },
        { "Private_Hugetlb:", 0 },
        { "Swap:", 0 },
        { "SwapPss:", 0 },
        { "Locked:", 0 },
    };
    if (is_single)
        text_printf(text, "%-16s%8llu kB\n%-16s%8u kB\n%-16s%8u kB\n",
                    "Size:", (unsigned long long)use->size / 1024, "KernelPageSize:", 4u,
                    "MMUPageSize:", 4u);
    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        text_printf(text, "%-16s%8llu kB\n", lines[i].name, lines[i].nbytes / 1024);
}

static void flags_print(struct text *text, const struct map_info *map)
{
    text_printf(text, "THPeligible:    %d\nVmFlags:%s%s%s%s mr mw me%s\n", 0,
                map->prot & ABI_PROT_READ ? " rd" : "", map->prot & ABI_PROT_WRITE ? " wr" : "",
                map->prot & ABI_PROT_EXEC ? " ex" : "", map->flags & ABI_MAP_SHARED ? " sh" : "",
                map->flags & ABI_MAP_GROWSDOWN ? " gd" : "");
}

/* "7f0000 default file=/bin/cat mapped=4 N0=4 kernelpagesize_kB=4"; a mapping's policy is not kept. */
static void numa_line(struct text *text, struct vmspace *vm, const struct map_info *map, char *path)
{
    struct memory_use use = { 0 };
    text_printf(text, "%08lx default", map->start);
    if (map->file && map_source_path(map->file, path, PATH_BYTES) >= 0) {
        text_printf(text, " file=");
        text_escape(text, path, "\n\t= ");
    } else if (map->name && strcmp(map->name, "[heap]") == 0) {
        text_printf(text, " heap");
    } else if (map->name && strcmp(map->name, "[stack]") == 0) {
        text_printf(text, " stack");
    }
    use_add(&use, vm, map);
    unsigned long long npages = use.resident / PAGE_SIZE, nanonymous = use.anonymous / PAGE_SIZE;
    if (nanonymous)
        text_printf(text, " anon=%llu dirty=%llu", nanonymous,
                    (unsigned long long)(use.shared[1] + use.own[1]) / PAGE_SIZE);
    if (npages != nanonymous)
        text_printf(text, " mapped=%llu", npages);
    if (npages)
        text_printf(text, " N0=%llu kernelpagesize_kB=4", npages);
    text_printf(text, "\n");
}

enum map_style { STYLE_MAPS, STYLE_SMAPS, STYLE_ROLLUP, STYLE_NUMA };

static void set_print(struct text *text, struct vmspace *vm, const struct map_set *set, char *path,
                      enum map_style style)
{
    struct memory_use total = { 0 };
    for (size_t i = 0; i < set->count; i++) {
        const struct map_info *map = &set->map[i];
        struct memory_use use = { 0 };
        if (style == STYLE_NUMA)
            numa_line(text, vm, map, path);
        else if (style != STYLE_ROLLUP)
            map_line(text, map, path);
        if (style == STYLE_SMAPS) {
            use_add(&use, vm, map);
            use_print(text, &use, true);
            flags_print(text, map);
        } else if (style == STYLE_ROLLUP) {
            use_add(&total, vm, map);
        }
    }
    if (style != STYLE_ROLLUP || set->count == 0)
        return;
    size_t line_start = text->len;
    text_printf(text, "%08lx-%08lx ---p 00000000 00:00 0 ", set->map[0].start,
                set->map[set->count - 1].end);
    text_pad(text, line_start, NAME_COLUMN);
    text_printf(text, "[rollup]\n");
    use_print(text, &total, false);
}

static int maps_print(const struct pseudo_ref *ref, struct text *text, enum map_style style)
{
    struct vmspace *vm = process_vmspace(ref->process);
    if (!vm)
        return style == STYLE_ROLLUP ? -ESRCH : 0; /* a zombie has no memory */
    struct map_set set;
    char *path = kmalloc(PATH_BYTES, ALLOC_WAIT);
    int err = set_load(&set, vm);
    if (!path)
        err = -ENOMEM;
    if (!err)
        set_print(text, vm, &set, path, style);
    set_free(&set);
    kfree(path);
    vmspace_put(vm);
    return err;
}

int proc_pid_maps(const struct pseudo_ref *ref, struct text *text)
{
    return maps_print(ref, text, STYLE_MAPS);
}

int proc_pid_smaps(const struct pseudo_ref *ref, struct text *text)
{
    return maps_print(ref, text, STYLE_SMAPS);
}

int proc_pid_smaps_rollup(const struct pseudo_ref *ref, struct text *text)
{
    return maps_print(ref, text, STYLE_ROLLUP);
}

int proc_pid_numa_maps(const struct pseudo_ref *ref, struct text *text)
{
    return maps_print(ref, text, STYLE_NUMA);
}

/* ---- mem ------------------------------------------------------------------------------- */

/* Moves through a page of kernel memory: both sides may be application memory. */
static long mem_move(struct file *file, struct io *io, int64_t *pos, bool is_write)
{
    struct vmspace *vm = file->private;
    if (!vm || !vmspace_try_get(vm))
        return 0;
    char *page = kmalloc(PAGE_SIZE, ALLOC_WAIT);
    long total = 0, moved = page ? 0 : -ENOMEM;
    while (page && io->remaining > 0) {
        size_t len = MIN(PAGE_SIZE - (size_t)*pos % PAGE_SIZE, io->remaining);
        if (is_write) {
            moved = io_read_from(io, page, len);
            if (moved > 0)
                moved = vmspace_force(vm, (uintptr_t)*pos, page, (size_t)moved, true);
        } else {
            moved = vmspace_force(vm, (uintptr_t)*pos, page, len, false);
            if (moved > 0)
                moved = io_write_to(io, page, (size_t)moved);
        }
        if (moved <= 0)
            break;
        *pos += moved;
        total += moved;
        if ((size_t)moved < len)
            break;
    }
    kfree(page);
    vmspace_put(vm);
    if (total == 0 && moved == -EFAULT)
        return -EIO; /* nothing is mapped there */
    return total ? total : moved;
}

static long mem_read(struct file *file, struct io *io, int64_t *pos)
{
    return mem_move(file, io, pos, false);
}

static long mem_write(struct file *file, struct io *io, int64_t *pos)
{
    return mem_move(file, io, pos, true);
}

int64_t proc_pid_mem_seek(struct file *file, int64_t offset, int whence)
{
    if (whence != ABI_SEEK_SET && whence != ABI_SEEK_CUR)
        return -EINVAL;
    int64_t position = whence == ABI_SEEK_SET ? offset : file->position + offset;
    file->position = position;
    return position;
}

/* The memory is what the process has now, not that of a program it executes later. */
int proc_pid_mem_open(struct inode *inode, struct file *file)
{
    struct vmspace *vm;
    int err = ptrace_hold_memory(pseudo_ref_of(inode)->process, &vm);
    if (err)
        return err;
    file->private = vm;
    file->position_lock.rank = RANK_PSEUDO_POSITION;
    return 0;
}

void proc_pid_mem_release(struct file *file)
{
    vmspace_drop(file->private);
}

const struct file_ops proc_pid_mem_ops = {
    .open = proc_pid_mem_open,
    .read = mem_read,
    .write = mem_write,
    .seek = proc_pid_mem_seek,
    .release = proc_pid_mem_release,
    .kind = "mem",
};
