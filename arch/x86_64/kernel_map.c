// SPDX-License-Identifier: MIT
/*
 * The two regions of the kernel half that grow: windows on device registers, and kernel stacks.
 *
 * Stacks lie in slots of twice their size, so the page below each is never mapped: an overflow faults
 * there and is reported by the double-fault handler.  Freed stacks stay mapped on a free list, because
 * unmapping costs a TLB flush on every CPU.
 *
 * Locking: one irq spinlock, RANK_KERNEL_MAP, for both.
 */
#include "abi/errno.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "kernel/mm/frame.h"
#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"

#define STACK_SLOT (2 * KERNEL_STACK_SIZE)

/* In the lowest words of a free stack. */
struct free_stack {
    struct free_stack *next;
};

static struct spinlock lock = SPINLOCK_INIT(RANK_KERNEL_MAP);
static uintptr_t device_next = DEVICE_MAP_BASE;
static uintptr_t stack_next = STACK_MAP_BASE;
static struct free_stack *free_stacks;

void *arch_map_device(paddr_t paddr, size_t size)
{
    paddr_t first = ALIGN_DOWN(paddr, PAGE_SIZE);
    size_t length = ALIGN_UP(paddr + size, PAGE_SIZE) - first;
    unsigned long flags = spin_lock_irq(&lock);
    uintptr_t base = device_next;
    int err = length > DEVICE_MAP_BASE + REGION_SIZE - base ? -ENOMEM : 0;
    for (size_t at = 0; !err && at < length; at += PAGE_SIZE)
        err = paging_map_kernel(base + at, first + at,
                                PTE_PRESENT | PTE_WRITE | PTE_PCD | PTE_PWT | PTE_NX | PTE_GLOBAL);
    if (!err)
        device_next = base + length;
    spin_unlock_irq(&lock, flags);
    return err ? NULL : (void *)(base + (paddr - first));
}

static void unmap_stack(uintptr_t bottom, size_t mapped)
{
    for (size_t at = 0; at < mapped; at += PAGE_SIZE)
        frame_put(frame_of(paging_unmap_kernel(bottom + at)));
}

static uintptr_t map_stack(void)
{
    uintptr_t bottom = stack_next + STACK_SLOT - KERNEL_STACK_SIZE;
    if (stack_next >= STACK_MAP_BASE + REGION_SIZE)
        return 0;
    for (size_t at = 0; at < KERNEL_STACK_SIZE; at += PAGE_SIZE) {
        struct frame *frame = frame_alloc(0, ALLOC_ATOMIC);
        uint64_t bits = PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL;
        if (!frame || paging_map_kernel(bottom + at, frame_paddr(frame), bits) < 0) {
            if (frame)
                frame_put(frame);
            /* Never used, so no TLB holds it. */
            unmap_stack(bottom, at);
            return 0;
        }
    }
    stack_next += STACK_SLOT;
    return bottom;
}

void *arch_kernel_stack_alloc(size_t size)
{
    assert(size == KERNEL_STACK_SIZE);
    unsigned long flags = spin_lock_irq(&lock);
    void *stack = free_stacks;
    if (stack)
        free_stacks = free_stacks->next;
    else
        stack = (void *)map_stack();
    spin_unlock_irq(&lock, flags);
    return stack;
}

void arch_kernel_stack_free(void *bottom, size_t size)
{
    assert(size == KERNEL_STACK_SIZE);
    struct free_stack *stack = bottom;
    unsigned long flags = spin_lock_irq(&lock);
    stack->next = free_stacks;
    free_stacks = stack;
    spin_unlock_irq(&lock, flags);
}
