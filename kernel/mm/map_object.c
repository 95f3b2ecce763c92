// SPDX-License-Identifier: MIT
#include "kernel/mm/map_object.h"

#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"

int vmspace_map_object(struct vmspace *vm, const struct vmspace_map_args *wanted, uintptr_t *out)
{
    struct vmspace_map_args args = *wanted;
    int err = vmspace_lock_future(vm, &args);

    if (!err)
        err = vmspace_map(vm, &args, out);
    if (!err && args.flags & ABI_MAP_LOCKED && !(vm->lock_future & ABI_MCL_ONFAULT))
        (void)!vmspace_populate(vm, *out, *out + ALIGN_UP(args.length, PAGE_SIZE), 0);
    return err;
}

/* Whether it is a piece, at its old place, of a mapping that began at address. */
static bool is_fragment(const struct mapping *mapping, uintptr_t address,
                        const struct map_object_ops *ops)
{
    return mapping->object && mapping->object->ops == ops &&
           mapping->start - address == mapping->offset;
}

static int unmap_locked(struct vmspace *vm, uintptr_t address, const struct map_object_ops *ops,
                        struct list *dead)
{
    struct mapping *mapping = mapping_find(vm, address);
    while (mapping && !is_fragment(mapping, address, ops))
        mapping = mapping_next(mapping);
    if (!mapping)
        return -EINVAL;

    struct map_object *object = mapping->object;
    uintptr_t end = address + ALIGN_UP(mapping->cache->size_bytes, PAGE_SIZE);
    int err = 0;
    /* The first one goes however far it reaches (mremap may have made it longer). */
    for (bool is_first = true; mapping && !err && (is_first || mapping->end <= end);) {
        struct mapping *next = mapping_next(mapping);
        if (is_fragment(mapping, address, ops) && mapping->object == object)
            err = vmspace_unmap_locked(vm, mapping->start, mapping->end, dead);
        is_first = false;
        mapping = next;
    }
    return err;
}

int vmspace_unmap_object(struct vmspace *vm, uintptr_t address, const struct map_object_ops *ops)
{
    struct list dead = LIST_INIT(dead);

    write_lock(&vm->lock);
    int err = unmap_locked(vm, address, ops, &dead);
    write_unlock(&vm->lock);
    mappings_destroy(&dead);
    return err;
}
