// SPDX-License-Identifier: MIT
/*
 * The two regions of the kernel half that grow: windows on device registers, and kernel stacks.
 *
 * Stacks lie in slots of twice their size, so the page below each is never mapped: an overflow faults
 * there and is reported by the double-fault handler.  Freed stacks stay mapped on a free list, because
 * unmapping costs a TLB flush on every CPU.  What is more than STACKS_KEPT is given back, many at a time, and all of
 * it when memory is short; the slot without a stack is used again.
 *
 * Locking: one irq spinlock, RANK_KERNEL_MAP, for both.
 */
#include "arch/x86_64/kernel_map.h"
#include "abi/errno.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/layout.h"
#include "arch/x86_64/paging.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "kernel/spinlock.h"
#include "kernel/thread.h"

#define STACK_SLOT  (2 * KERNEL_STACK_SIZE)
#define STACK_PAGES (KERNEL_STACK_SIZE / PAGE_SIZE)

#define STACKS_KEPT 64
#define STACK_BATCH 32

/* In the lowest words of a free stack. */
struct free_stack {
    struct free_stack *next;
};

/* Where a stack was and nothing is mapped. */
struct free_slot {
    struct free_slot *next;
    uintptr_t bottom;
};

/* Stacks that are given back together. */
struct stack_batch {
    unsigned n;
    struct free_slot *slot[STACK_BATCH];
    struct frame *frame[STACK_BATCH][STACK_PAGES];
};

static struct spinlock lock = SPINLOCK_INIT(RANK_KERNEL_MAP);
static uintptr_t device_next = DEVICE_MAP_BASE;
static uintptr_t stack_next = STACK_MAP_BASE;
static struct free_stack *free_stacks;
static unsigned nfree_stacks;
static struct free_slot *free_slots;

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

static bool map_pages(uintptr_t bottom, struct frame *const *frames)
{
    for (size_t i = 0; i < STACK_PAGES; i++) {
        uintptr_t at = bottom + i * PAGE_SIZE;
        uint64_t bits = PTE_PRESENT | PTE_WRITE | PTE_NX | PTE_GLOBAL;
        if (paging_map_kernel(at, frame_paddr(frames[i]), bits) < 0) {
            /* Never used, so no TLB holds it. */
            while (i-- > 0)
                (void)paging_unmap_kernel(bottom + i * PAGE_SIZE);
            return false;
        }
    }
    return true;
}

/* lock held.  *unused is for the caller to free. */
static uintptr_t map_stack(struct frame *const *frames, struct free_slot **unused)
{
    struct free_slot *slot = free_slots;
    uintptr_t bottom = slot ? slot->bottom : stack_next + STACK_SLOT - KERNEL_STACK_SIZE;
    if ((!slot && stack_next >= STACK_MAP_BASE + REGION_SIZE) || !map_pages(bottom, frames))
        return 0;
    if (slot)
        free_slots = slot->next;
    else
        stack_next += STACK_SLOT;
    *unused = slot;
    return bottom;
}

/* NULL: no memory, though it was reclaimed. */
static void *stack_create(void)
{
    struct frame *frames[STACK_PAGES];
    struct free_slot *unused = NULL;
    uintptr_t bottom = 0;
    size_t n = 0;

    while (n < STACK_PAGES && (frames[n] = frame_alloc(0, ALLOC_WAIT)) != NULL)
        n++;
    if (n == STACK_PAGES) {
        unsigned long flags = spin_lock_irq(&lock);
        bottom = map_stack(frames, &unused);
        spin_unlock_irq(&lock, flags);
    }
    while (!bottom && n > 0)
        frame_put(frames[--n]);
    kfree(unused);
    return (void *)bottom;
}

void *arch_kernel_stack_alloc(size_t size)
{
    assert(size == KERNEL_STACK_SIZE);
    unsigned long flags = spin_lock_irq(&lock);
    struct free_stack *stack = free_stacks;
    if (stack) {
        free_stacks = stack->next;
        nfree_stacks--;
    }
    spin_unlock_irq(&lock, flags);
    return stack ? stack : stack_create();
}

/* ---- Giving back --------------------------------------------------------------------- */

/* Unmaps up to most stacks; no other CPU has them in its TLB after flush_batch() only. */
static void batch_take(struct stack_batch *batch, unsigned most)
{
    while (batch->n < most) {
        struct free_slot *slot = kmalloc(sizeof(*slot), ALLOC_ATOMIC);
        if (!slot)
            return;
        unsigned long flags = spin_lock_irq(&lock);
        struct free_stack *stack = free_stacks;
        if (stack) {
            free_stacks = stack->next;
            nfree_stacks--;
            slot->bottom = (uintptr_t)stack;
            for (size_t i = 0; i < STACK_PAGES; i++)
                batch->frame[batch->n][i] =
                    frame_of(paging_unmap_kernel(slot->bottom + i * PAGE_SIZE));
        }
        spin_unlock_irq(&lock, flags);
        if (!stack) {
            kfree(slot);
            return;
        }
        batch->slot[batch->n++] = slot;
    }
}

static void flush_batch(void *arg)
{
    const struct stack_batch *batch = arg;
    for (unsigned n = 0; n < batch->n; n++) {
        for (size_t at = 0; at < KERNEL_STACK_SIZE; at += PAGE_SIZE)
            invlpg(batch->slot[n]->bottom + at);
    }
}

static void batch_free(const struct stack_batch *batch)
{
    for (unsigned n = 0; n < batch->n; n++) {
        for (size_t i = 0; i < STACK_PAGES; i++)
            frame_put(batch->frame[n][i]);
        unsigned long flags = spin_lock_irq(&lock);
        batch->slot[n]->next = free_slots;
        free_slots = batch->slot[n];
        spin_unlock_irq(&lock, flags);
    }
}

/* One batch at a time: it is too large for a stack.  Interrupts on, no spinlock held. */
static unsigned give_back(unsigned most)
{
    static struct stack_batch batch;
    static bool is_busy;
    if (__atomic_exchange_n(&is_busy, true, __ATOMIC_ACQUIRE))
        return 0; /* another thread does it: neither waits */
    batch.n = 0;
    batch_take(&batch, MIN(most, (unsigned)STACK_BATCH));
    if (batch.n)
        arch_call_on_cpus(~0ULL >> (64 - arch_cpu_count()), flush_batch, &batch);
    batch_free(&batch);
    unsigned n = batch.n;
    __atomic_store_n(&is_busy, false, __ATOMIC_RELEASE);
    return n;
}

static size_t stacks_shrink(size_t npages)
{
    size_t freed = 0;
    unsigned n;
    do {
        n = give_back(STACK_BATCH);
        freed += n * STACK_PAGES;
    } while (n && freed < npages);
    return freed;
}

void kernel_map_init(void)
{
    static struct shrinker shrinker = { .name = "kernel stacks", .shrink = stacks_shrink };
    shrinker_register(&shrinker);
}

void arch_kernel_stack_free(void *bottom, size_t size)
{
    assert(size == KERNEL_STACK_SIZE);
    struct free_stack *stack = bottom;
    unsigned long flags = spin_lock_irq(&lock);
    stack->next = free_stacks;
    free_stacks = stack;
    bool has_many = ++nfree_stacks >= STACKS_KEPT + STACK_BATCH;
    spin_unlock_irq(&lock, flags);
    if (has_many && arch_irq_enabled())
        (void)give_back(STACK_BATCH);
}
