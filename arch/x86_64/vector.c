// SPDX-License-Identifier: MIT
#include "arch/x86_64/vector.h"

#include <string.h>

#include "abi/errno.h"
#include "arch/x86_64/cpu.h"
#include "kernel/mm/heap.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"

#define MXCSR_DEFAULT 0x1f80

static struct slab_cache *areas;
/* [by CPU] whose state the registers hold, as long as that thread was not on another CPU since. */
static struct thread *vector_owner[CPUS_MAX];
static uint8_t initial[4096] __aligned(64);

static void area_save(void *area, bool whole)
{
    if (!cpu_features.has_xsave)
        __asm__ volatile("fxsave64 (%0)" ::"r"(area) : "memory");
    else if (cpu_features.has_xsaveopt && !whole)
        __asm__ volatile("xsaveopt64 (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
    else
        __asm__ volatile("xsave64 (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
}

static void area_load(const void *area)
{
    if (!cpu_features.has_xsave)
        __asm__ volatile("fxrstor64 (%0)" ::"r"(area) : "memory");
    else
        __asm__ volatile("xrstor64 (%0)" ::"r"(area), "a"(-1), "d"(-1) : "memory");
}

void vector_init_cpu(void)
{
    uint16_t fcw = 0x37f;
    uint32_t mxcsr = MXCSR_DEFAULT;
    memcpy(initial, &fcw, 2);
    memcpy(initial + 24, &mxcsr, 4);
    area_load(initial);
}

int vector_alloc(struct thread *thread)
{
    if (!areas)
        areas = slab_cache_create("vector state", cpu_features.xsave_size, 64);
    void *area = areas ? slab_alloc(areas, ALLOC_WAIT) : NULL;
    if (!area)
        return -ENOMEM;
    memcpy(area, initial, cpu_features.xsave_size);
    thread->arch.xsave = area;
    thread->arch.vector_cpu = -1;
    thread->work |= THREAD_WORK_VECTOR;
    return 0;
}

void vector_free(struct thread *thread)
{
    if (!thread->arch.xsave)
        return;
    for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++) {
        struct thread *expected = thread;
        __atomic_compare_exchange_n(&vector_owner[cpu], &expected, NULL, false, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED);
    }
    slab_free(areas, thread->arch.xsave);
    thread->arch.xsave = NULL;
}

void vector_save(struct thread *thread)
{
    if (thread->work & THREAD_WORK_VECTOR || !thread->arch.xsave)
        return;
    area_save(thread->arch.xsave, false);
    thread->arch.vector_cpu = (int)cpu_current();
    __atomic_fetch_or(&thread->work, THREAD_WORK_VECTOR, __ATOMIC_RELAXED);
}

void vector_restore(struct thread *thread)
{
    int cpu = (int)cpu_current();
    if (vector_owner[cpu] != thread || thread->arch.vector_cpu != cpu)
        area_load(thread->arch.xsave);
    vector_owner[cpu] = thread;
    thread->arch.vector_cpu = cpu;
    __atomic_fetch_and(&thread->work, ~THREAD_WORK_VECTOR, __ATOMIC_RELAXED);
}

void vector_reset(struct thread *thread)
{
    memcpy(thread->arch.xsave, initial, cpu_features.xsave_size);
    vector_invalidate(thread);
}

void vector_invalidate(struct thread *thread)
{
    thread->arch.vector_cpu = -1;
    __atomic_fetch_or(&thread->work, THREAD_WORK_VECTOR, __ATOMIC_RELAXED);
}
