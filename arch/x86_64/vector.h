// SPDX-License-Identifier: MIT
#pragma once
/*
 * Vector state (x87, SSE, AVX, AVX-512).  It belongs to the application: the kernel is built without it,
 * saves it when it switches away from a thread and restores it on that thread's next return to the
 * application, unless the CPU still holds it.
 *
 * thread->work has THREAD_WORK_VECTOR while the state is in memory only.
 */
#include "arch/arch.h"

#define THREAD_WORK_VECTOR 0x80000000u

void vector_init_cpu(void);
int vector_alloc(struct thread *thread) __must_check;
void vector_free(struct thread *thread);
/* Current thread's registers into its area, if they are only in the CPU. */
void vector_save(struct thread *thread);
/* On the way to the application, interrupts off. */
void vector_restore(struct thread *thread);
/* The area becomes the initial state; the registers follow at the next return. */
void vector_reset(struct thread *thread);
/* The area shows x87, SSE and AVX also where they are in their initial state, which saving may leave out. */
void vector_complete(struct thread *thread);
/* The first size bytes of a thread's area, which is not running; what is in its initial state is shown so. */
void vector_copy_out(const struct thread *thread, uint8_t *buf, size_t size);
/* The same back, checked.  is_extended: with the header of XSAVE, else all state but x87 and SSE stays.  -EINVAL. */
int vector_copy_in(struct thread *thread, uint8_t *buf, size_t size, bool is_extended) __must_check;
/* Reserved bits in what xrstor loads would fault in the kernel: -EINVAL. */
int vector_check(const uint8_t *area, bool is_extended) __must_check;
/* The area was written: the CPU's copy is stale. */
void vector_invalidate(struct thread *thread);
