// SPDX-License-Identifier: MIT
/*
 * Mappings: the tree of an address space, and cutting and joining its members.
 *
 * A mapping of a page cache is also on cache->mappings.  That list is walked with only cache->lock held
 * (vmspace_cache.c), so start, end and offset of such a mapping change under both locks.
 */
#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/map_object.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/panic.h"
#include "kernel/process_files.h"

struct mapping *mapping_find(struct vmspace *vm, uintptr_t address)
{
    struct rb_node *node = vm->mappings.root;
    struct mapping *found = NULL;

    while (node) {
        struct mapping *mapping = rb_entry(node, struct mapping, node);
        if (mapping->end > address) {
            found = mapping;
            node = node->child[0];
        } else {
            node = node->child[1];
        }
    }
    return found;
}

struct mapping *mapping_at(struct vmspace *vm, uintptr_t address)
{
    struct mapping *mapping = mapping_find(vm, address);

    return mapping && mapping->start <= address ? mapping : NULL;
}

struct mapping *mapping_next(struct mapping *mapping)
{
    struct rb_node *node = rb_next(&mapping->node);

    return node ? rb_entry(node, struct mapping, node) : NULL;
}

struct mapping *mapping_prev(struct mapping *mapping)
{
    struct rb_node *node = rb_prev(&mapping->node);

    return node ? rb_entry(node, struct mapping, node) : NULL;
}

/* ---- Attributes --------------------------------------------------------------------- */

unsigned mapping_pt_prot(const struct mapping *mapping)
{
    unsigned prot = 0;

    if (mapping->prot & (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC))
        prot |= PT_READ; /* x86 pages cannot be write-only, as on Linux */
    if (mapping->prot & ABI_PROT_WRITE)
        prot |= PT_WRITE;
    if (mapping->prot & ABI_PROT_EXEC)
        prot |= PT_EXEC;
    return prot;
}

bool mapping_is_data(unsigned prot, unsigned flags)
{
    return prot & ABI_PROT_WRITE && !(flags & (ABI_MAP_SHARED | ABI_MAP_GROWSDOWN));
}

/* The counts that /proc/PID/statm and the limits want, by the rules of Linux's vm_stat_account(). */
static void mapping_count(const struct mapping *mapping, int64_t bytes)
{
    struct vmspace *vm = mapping->vmspace;

    vm->mapped_bytes += bytes;
    if (vm->mapped_bytes > vm->peak_mapped_bytes)
        vm->peak_mapped_bytes = vm->mapped_bytes;
    if (mapping->flags & ABI_MAP_LOCKED)
        vm->locked_bytes += bytes;
    if (mapping->flags & ABI_MAP_SHARED)
        vm->shared_bytes += bytes;
    if (mapping->flags & ABI_MAP_GROWSDOWN)
        vm->stack_bytes += bytes;
    else if ((mapping->prot & (ABI_PROT_EXEC | ABI_PROT_WRITE)) == ABI_PROT_EXEC)
        vm->exec_bytes += bytes;
    else if (mapping_is_data(mapping->prot, mapping->flags))
        vm->data_bytes += bytes;
}

static int64_t mapping_length(const struct mapping *mapping)
{
    return (int64_t)(mapping->end - mapping->start);
}

void mapping_set_prot(struct mapping *mapping, unsigned prot)
{
    mapping_count(mapping, -mapping_length(mapping));
    mapping->prot = prot;
    mapping_count(mapping, mapping_length(mapping));
}

void mapping_set_flags(struct mapping *mapping, unsigned flags)
{
    mapping_count(mapping, -mapping_length(mapping));
    mapping->flags = flags;
    mapping_count(mapping, mapping_length(mapping));
}

/* A shared mapping that is or could be made writable: memfd's seals ask for the number. */
static bool mapping_counts_writable(const struct mapping *mapping)
{
    return mapping->flags & ABI_MAP_SHARED && mapping->max_prot & ABI_PROT_WRITE;
}

/* ---- Life --------------------------------------------------------------------------- */

struct mapping *mapping_clone(const struct mapping *from, uintptr_t start, uintptr_t end)
{
    struct mapping *mapping = kmalloc(sizeof(*mapping), ALLOC_WAIT);

    if (!mapping)
        return NULL;
    *mapping = *from;
    mapping->start = start;
    mapping->end = end;
    if (mapping->cache) {
        mapping->offset += start - from->start;
        pagecache_get(mapping->cache);
    }
    if (mapping->file)
        file_get(mapping->file);
    if (mapping->object)
        mapping->object->ops->attach(mapping->object);
    return mapping;
}

static void mapping_link(struct vmspace *vm, struct mapping *mapping)
{
    struct rb_node **link = &vm->mappings.root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = &parent->child[mapping->start >= rb_entry(parent, struct mapping, node)->start];
    }
    rb_link(&mapping->node, parent, link);
    rb_insert_fixup(&vm->mappings, &mapping->node);
    vm->nmappings++;
}

/* cache->lock held. */
static void mapping_list_locked(struct mapping *mapping)
{
    list_push_back(&mapping->cache->mappings, &mapping->cache_node);
    mapping->cache->nwritable_shared += mapping_counts_writable(mapping);
}

void mapping_insert(struct vmspace *vm, struct mapping *mapping)
{
    mapping->vmspace = vm;
    mapping_link(vm, mapping);
    mapping_count(mapping, mapping_length(mapping));
    if (mapping->cache) {
        mutex_lock(&mapping->cache->lock);
        mapping_list_locked(mapping);
        mutex_unlock(&mapping->cache->lock);
    }
}

void mapping_remove(struct mapping *mapping, struct list *dead)
{
    struct vmspace *vm = mapping->vmspace;

    if (mapping->cache) {
        mutex_lock(&mapping->cache->lock);
        list_remove(&mapping->cache_node);
        mapping->cache->nwritable_shared -= mapping_counts_writable(mapping);
        mutex_unlock(&mapping->cache->lock);
    }
    mapping_count(mapping, -mapping_length(mapping));
    rb_remove(&vm->mappings, &mapping->node);
    vm->nmappings--;
    list_push_back(dead, &mapping->cache_node);
}

void mappings_destroy(struct list *dead)
{
    while (!list_is_empty(dead)) {
        struct mapping *mapping = list_first(dead, struct mapping, cache_node);
        list_remove(&mapping->cache_node);
        if (mapping->cache)
            pagecache_put(mapping->cache);
        if (mapping->file)
            file_put(mapping->file);
        if (mapping->object)
            mapping->object->ops->detach(mapping->object);
        kfree(mapping);
    }
}

/* ---- Cutting and joining ---------------------------------------------------------------- */

static void mapping_set_range(struct mapping *mapping, uintptr_t start, uintptr_t end)
{
    if (mapping->cache)
        mapping->offset += start - mapping->start;
    mapping->start = start;
    mapping->end = end;
}

void mapping_resize(struct mapping *mapping, uintptr_t start, uintptr_t end)
{
    mapping_count(mapping, -mapping_length(mapping));
    if (mapping->cache)
        mutex_lock(&mapping->cache->lock);
    mapping_set_range(mapping, start, end);
    if (mapping->cache)
        mutex_unlock(&mapping->cache->lock);
    mapping_count(mapping, mapping_length(mapping));
}

static int mapping_split(struct mapping *mapping, uintptr_t address)
{
    struct mapping *upper = mapping_clone(mapping, address, mapping->end);

    if (!upper)
        return -ENOMEM;
    /* The range as a whole must stay visible to whoever walks cache->mappings, so both changes are
     * made in one go; the counts do not change. */
    if (mapping->cache)
        mutex_lock(&mapping->cache->lock);
    mapping->end = address;
    if (mapping->cache) {
        mapping_list_locked(upper);
        mutex_unlock(&mapping->cache->lock);
    }
    mapping_link(mapping->vmspace, upper);
    return 0;
}

static int cut(struct vmspace *vm, uintptr_t address, bool is_limited)
{
    struct mapping *mapping = mapping_at(vm, address);

    if (!mapping || mapping->start == address)
        return 0;
    if (is_limited && vm->nmappings >= READ_ONCE(vmspace_mappings_max))
        return -ENOMEM;
    int err = vmspace_split_large(vm, address);
    return err ? err : mapping_split(mapping, address);
}

int vmspace_cut(struct vmspace *vm, uintptr_t address)
{
    return cut(vm, address, true);
}

/* An end that is cut off goes at once, so who is at the limit can free memory.  Only a hole inside one mapping leaves
 * one more than there were (as Linux's vms_gather_munmap_vmas() has it). */
int vmspace_cut_out(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    struct mapping *mapping = mapping_at(vm, start);
    bool is_hole = mapping && mapping->start < start && end < mapping->end;
    int err = cut(vm, start, is_hole);

    return err ? err : cut(vm, end, false);
}

static bool mapping_continues(const struct mapping *lower, const struct mapping *upper)
{
    return lower->end == upper->start && lower->prot == upper->prot &&
           lower->max_prot == upper->max_prot && lower->flags == upper->flags &&
           lower->cache == upper->cache && lower->file == upper->file &&
           lower->name == upper->name && !lower->object && !upper->object &&
           (!lower->cache || lower->offset + (lower->end - lower->start) == upper->offset);
}

struct mapping *mapping_merge_before(struct mapping *mapping)
{
    struct mapping *lower = mapping_prev(mapping);
    struct vmspace *vm = mapping->vmspace;

    if (!lower || !mapping_continues(lower, mapping))
        return mapping;
    if (mapping->cache) {
        mutex_lock(&mapping->cache->lock);
        list_remove(&mapping->cache_node);
        mapping->cache->nwritable_shared -= mapping_counts_writable(mapping);
    }
    lower->end = mapping->end;
    if (mapping->cache)
        mutex_unlock(&mapping->cache->lock);
    rb_remove(&vm->mappings, &mapping->node);
    vm->nmappings--;
    /* Not the last references: lower holds the same. */
    if (mapping->cache)
        pagecache_put(mapping->cache);
    if (mapping->file)
        file_put(mapping->file);
    kfree(mapping);
    return lower;
}
