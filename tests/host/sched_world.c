// SPDX-License-Identifier: MIT
#include "tests/host/sched_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/vmspace.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/process.h"

struct process world_process = { .refcount = 1, .pid = 1 };
static struct vmspace world_vmspace;

static struct thread *started(struct thread *thread)
{
    assert(thread);
    thread_get(thread);
    thread_start(thread);
    return thread;
}

struct thread *world_spawn(void (*function)(void *), void *arg)
{
    return started(thread_create_kernel("worker", function, arg));
}

struct thread *world_spawn_app(void (*function)(void *), void *arg)
{
    struct thread *thread;

    assert(!thread_create_app(&world_process, "app", 0, &thread));
    thread->vmspace = &world_vmspace;
    thread_set_entry(thread, function, arg);
    return started(thread);
}

void world_join(struct thread *thread)
{
    while (__atomic_load_n(&thread->state, __ATOMIC_ACQUIRE) != THREAD_DEAD)
        world_sleep(NSEC_PER_USEC);
    thread_put(thread);
}

void world_sleep(nsec_t duration)
{
    sched_prepare_sleep();
    sched_sleep(deadline_after(duration));
}

void world_interrupt(struct thread *thread)
{
    __atomic_store_n(&thread->signals.pending.set, 1, __ATOMIC_SEQ_CST);
    thread_wake(thread);
}

/* ---- Other areas ------------------------------------------------------------------------ */

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

void log_write(enum log_level level, const char *format, ...)
{
    (void)level, (void)format;
}

bool signal_is_pending(void)
{
    return __atomic_load_n(&thread_current()->signals.pending.set, __ATOMIC_SEQ_CST) != 0;
}

bool signal_is_fatal_pending(void)
{
    return signal_is_pending();
}

void thread_signals_init(struct thread_signals *signals)
{
    *signals = (struct thread_signals){ 0 };
}

void thread_signals_fini(struct thread *thread)
{
    (void)thread;
}

struct process *process_get(struct process *process)
{
    __atomic_fetch_add(&process->refcount, 1, __ATOMIC_RELAXED);
    return process;
}

void process_put(struct process *process)
{
    __atomic_fetch_sub(&process->refcount, 1, __ATOMIC_RELAXED);
}

void process_check_cpu_limits(struct thread *thread)
{
    (void)thread;
}

void vmspace_rest(void)
{
}

void vmspace_activate(struct vmspace *vm)
{
    arch_percpu()->vmspace = vm;
}

/* For thread_limit(): 1024 threads.  A test may link the frame allocator itself. */
__attribute__((weak)) void frame_get_stats(struct frame_stats *stats)
{
    *stats = (struct frame_stats){ .total_pages = 32768 };
}
