// SPDX-License-Identifier: MIT
/*
 * Where a new mapping goes: the highest room below mmap_top that is large enough, as on Linux.
 *
 * The search walks down from neighbour to neighbour.  So that a program with thousands of mappings does not
 * walk past all of them each time, it resumes where the last one ended (search_from), as long as no room
 * that was passed over can be large enough (search_skipped); unmapping moves search_from back up.
 */
#include "kernel/mm/vmspace_internal.h"

#define LOW_32BIT  0x40000000UL /* MAP_32BIT, as on Linux */
#define HIGH_32BIT 0x80000000UL

uintptr_t mapping_guard_start(const struct mapping *mapping)
{
    if (!(mapping->flags & ABI_MAP_GROWSDOWN))
        return mapping->start;
    return mapping->start > STACK_GUARD_SIZE ? mapping->start - STACK_GUARD_SIZE : 0;
}

bool vmspace_is_free(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    struct mapping *mapping = mapping_find(vm, start);

    return !mapping || mapping_guard_start(mapping) >= end;
}

/* The last mapping that begins below address, or NULL. */
static struct mapping *mapping_below(struct vmspace *vm, uintptr_t address)
{
    struct mapping *mapping = mapping_find(vm, address - 1);

    if (mapping && mapping->start < address)
        return mapping;
    if (mapping)
        return mapping_prev(mapping);
    struct rb_node *last = rb_last(&vm->mappings);
    return last ? rb_entry(last, struct mapping, node) : NULL;
}

/* The highest room in [low, high); *skipped: the largest that was too small on the way. */
static uintptr_t search_down(struct vmspace *vm, uintptr_t low, uintptr_t high, size_t length,
                             size_t align, size_t *skipped)
{
    uintptr_t top = high;
    struct mapping *mapping = mapping_below(vm, high);
    /* The neighbour above may want a guard that reaches into the room. */
    struct mapping *above = mapping ? mapping_next(mapping) : mapping_find(vm, 0);

    if (above && mapping_guard_start(above) < top)
        top = mapping_guard_start(above);
    for (;;) {
        uintptr_t bottom = mapping && mapping->end > low ? mapping->end : low;
        if (top >= bottom && top - bottom >= length) {
            uintptr_t address = ALIGN_DOWN(top - length, align);
            if (address >= bottom) {
                *skipped = MAX(*skipped, top - (address + length));
                return address;
            }
        }
        if (top > bottom)
            *skipped = MAX(*skipped, top - bottom);
        if (!mapping || mapping->start <= low)
            return 0;
        top = mapping_guard_start(mapping);
        mapping = mapping_prev(mapping);
    }
}

uintptr_t vmspace_find_room(struct vmspace *vm, size_t length, unsigned flags)
{
    size_t skipped = 0, align = PAGE_SIZE;

    /* So that large pages fit (Linux 6.7 does the same, and for the same lengths). */
    if (flags & ABI_MAP_ANONYMOUS && !(flags & (ABI_MAP_STACK | ABI_MAP_32BIT)) &&
        length % LARGE_PAGE_SIZE == 0)
        align = LARGE_PAGE_SIZE;
    if (flags & ABI_MAP_32BIT)
        return search_down(vm, LOW_32BIT, HIGH_32BIT, length, align, &skipped);

    if (length + align - PAGE_SIZE > vm->search_skipped && vm->search_from > MMAP_LOW) {
        skipped = vm->search_skipped;
    } else {
        vm->search_from = vm->mmap_top;
    }
    uintptr_t address = search_down(vm, MMAP_LOW, vm->search_from, length, align, &skipped);
    if (!address && vm->search_from != vm->mmap_top) {
        skipped = 0;
        address = search_down(vm, MMAP_LOW, vm->mmap_top, length, align, &skipped);
    }
    if (address) {
        vm->search_from = address;
        vm->search_skipped = skipped;
        return address;
    }
    vm->search_from = vm->mmap_top;
    vm->search_skipped = 0;
    /* Above mmap_top only the stack lives. */
    return search_down(vm, MMAP_LOW, APP_MAX, length, align, &skipped);
}

uintptr_t vmspace_find_room_in(struct vmspace *vm, size_t length, uintptr_t low, uintptr_t high)
{
    size_t skipped = 0;

    return search_down(vm, MAX(low, MMAP_LOW), high, length, PAGE_SIZE, &skipped);
}

void vmspace_room_freed(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    if (end <= vm->search_from)
        return;
    struct mapping *above = mapping_find(vm, end);
    uintptr_t top = above ? mapping_guard_start(above) : vm->mmap_top;

    if (top > vm->search_from)
        vm->search_from = MIN(top, vm->mmap_top);
}
