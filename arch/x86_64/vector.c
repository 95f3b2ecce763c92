// SPDX-License-Identifier: MIT
#include "arch/x86_64/vector.h"

#include <string.h>

#include "abi/errno.h"
#include "arch/x86_64/cpu.h"
#include "kernel/mm/heap.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"

#define MXCSR_DEFAULT 0x1f80
#define MXCSR_OFFSET  24
#define LEGACY_SIZE   512 /* x87 and SSE; then the header of XSAVE */
#define HEADER_SIZE   64
#define XMM_OFFSET    160
#define AVX_OFFSET    (LEGACY_SIZE + HEADER_SIZE)
#define AVX_SIZE      256

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

/* ---- Copies for others ---------------------------------------------------------- */

int vector_check(const uint8_t *area, bool is_extended)
{
    uint64_t header[HEADER_SIZE / 8];
    uint32_t mxcsr;
    memcpy(&mxcsr, area + MXCSR_OFFSET, 4);
    if (mxcsr & ~0xffffU)
        return -EINVAL;
    if (!is_extended)
        return 0;
    memcpy(header, area + LEGACY_SIZE, HEADER_SIZE);
    if (header[0] & ~(uint64_t)cpu_features.xcr0)
        return -EINVAL;
    for (size_t i = 1; i < HEADER_SIZE / 8; i++) {
        if (header[i])
            return -EINVAL; /* the compacted form and what is reserved */
    }
    return 0;
}

/* Which components an area holds; the others are in their initial state. */
static uint64_t components(const uint8_t *area)
{
    uint64_t present = 3;
    if (cpu_features.has_xsave)
        memcpy(&present, area + LEGACY_SIZE, sizeof(present));
    return present;
}

/* buf has the first size bytes of an area with these components: XSAVEOPT leaves old bytes in place of the others. */
static void fill_absent(uint8_t *buf, size_t size, uint64_t present)
{
    if (!(present & 1)) {
        memcpy(buf, initial, MXCSR_OFFSET);
        memcpy(buf + 32, initial + 32, XMM_OFFSET - 32);
    }
    if (!(present & 2))
        memset(buf + XMM_OFFSET, 0, LEGACY_SIZE - 96 - XMM_OFFSET);
    if (!(present & 4) && size >= AVX_OFFSET + AVX_SIZE)
        memset(buf + AVX_OFFSET, 0, AVX_SIZE);
}

void vector_complete(struct thread *thread)
{
    uint8_t *area = thread->arch.xsave;
    fill_absent(area, cpu_features.xsave_size, components(area));
}

void vector_copy_out(const struct thread *thread, uint8_t *buf, size_t size)
{
    memcpy(buf, thread->arch.xsave, size);
    fill_absent(buf, size, components(thread->arch.xsave));
}

int vector_copy_in(struct thread *thread, uint8_t *buf, size_t size, bool is_extended)
{
    uint8_t *area = thread->arch.xsave;
    int err = vector_check(buf, is_extended);
    if (err)
        return err;
    uint64_t present = components(area) | 3;
    memcpy(area, buf, size);
    if (!is_extended && cpu_features.has_xsave)
        memcpy(area + LEGACY_SIZE, &present, sizeof(present));
    vector_invalidate(thread);
    return 0;
}
