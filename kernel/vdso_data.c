// SPDX-License-Identifier: MIT
/*
 * The writer's side of the vDSO's clock data: a sequence lock.  Readers are applications, which
 * retry while the sequence is odd or has changed; x86 keeps stores in order, and the release
 * stores say so to the compiler and to other machines.
 */
#include "kernel/vdso_data.h"

#include "kernel/spinlock.h"

static struct spinlock vdso_lock = SPINLOCK_INIT(RANK_VDSO);
static struct vdso_data early; /* before the page exists */
static struct vdso_data *published = &early;

static void change_begin(void)
{
    __atomic_store_n(&published->sequence, published->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
}

static void change_end(void)
{
    __atomic_store_n(&published->sequence, published->sequence + 1, __ATOMIC_RELEASE);
}

unsigned long vdso_clock_begin(void)
{
    unsigned long flags = spin_lock_irq(&vdso_lock);
    change_begin();
    return flags;
}

void vdso_clock_end(unsigned long flags, uint32_t kind, uint64_t counter_base, int64_t ns_base,
                    uint32_t mult, uint32_t shift)
{
    published->kind = kind;
    published->counter_base = counter_base;
    published->ns_base = ns_base;
    published->mult = mult;
    published->shift = shift;
    change_end();
    spin_unlock_irq(&vdso_lock, flags);
}

void vdso_set_realtime(int64_t offset)
{
    unsigned long flags = spin_lock_irq(&vdso_lock);
    change_begin();
    published->realtime_offset = offset;
    change_end();
    spin_unlock_irq(&vdso_lock, flags);
}

void vdso_attach(struct vdso_data *page)
{
    unsigned long flags = spin_lock_irq(&vdso_lock);
    *page = *published;
    published = page;
    spin_unlock_irq(&vdso_lock, flags);
}
