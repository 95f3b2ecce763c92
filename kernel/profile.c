// SPDX-License-Identifier: MIT
/*
 * Taking samples.
 *
 * A timer of its own on each CPU, of a period that is not a multiple of the scheduler's, finds the registers of what
 * it interrupted.  The kernel's frames are followed here by their frame pointers; the application's are not: most
 * programs have none, so as much of the stack as may be needed is copied, and the tool unwinds it with the
 * tables in the programs' files.  The copy takes what is in memory: nothing is faulted in at interrupt level.
 *
 * Code that keeps interrupts off is not seen while it does.  What ran then is found the moment they go on again, so it
 * is the function that kept them off that the sample shows; a device's handler is charged by profile_interrupt_done().
 */
#include "kernel/profile.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/usercopy.h"
#include "lib/record_ring.h"

#define RING_ORDER 7
#define RING_BYTES (PAGE_SIZE << RING_ORDER)
#define SAMPLE_MAX                                                                                 \
    (sizeof(struct profile_sample) + PROFILE_FRAMES_MAX * sizeof(uintptr_t) + PROFILE_STACK_MAX)

struct profile_cpu {
    struct timer timer;
    struct record_ring ring;
    struct frame *memory;             /* of the ring */
    struct profile_cpu_counts counts; /* written by the CPU itself */
} __aligned(64);

bool profile_is_on;
static nsec_t period;
static struct profile_cpu *cpus[CPUS_MAX]; /* [a] NULL: not profiled yet */

static void stack_copy(struct profile_sample *sample, const struct regs *regs)
{
    uintptr_t pc = arch_regs_pc(regs), sp = arch_regs_sp(regs);
    if (pc >= APP_MAX || sp >= APP_MAX)
        return;
    sample->pc = pc;
    sample->sp = sp;
    sample->fp = arch_regs_fp(regs);
    char *to = (char *)(sample->data + sample->nframes);
    sp = ALIGN_DOWN(sp, sizeof(uintptr_t));
    for (size_t done = 0; done < PROFILE_STACK_MAX;) {
        size_t n = MIN(PROFILE_STACK_MAX - done, PAGE_SIZE - (sp + done) % PAGE_SIZE);
        size_t left = copy_from_app_partial(to + done, (const void __app *)(sp + done), n);
        done += n - left;
        sample->stack_bytes = (uint32_t)ALIGN_DOWN(done, sizeof(uintptr_t));
        if (left > 0)
            return;
    }
}

/* What the interrupted function left on the stack: if it has made no frame yet, its return address is here. */
static void words_copy(struct profile_sample *sample, const struct regs *regs,
                       const struct thread *thread)
{
    const uintptr_t *at = (const uintptr_t *)arch_regs_sp(regs);
    uintptr_t end = thread->kernel_stack_top;
    while (sample->nwords < PROFILE_WORDS_MAX && (uintptr_t)at >= thread->kernel_stack_bottom &&
           (uintptr_t)(at + 1) <= end)
        sample->words[sample->nwords++] = *at++;
}

static void fill(struct profile_sample *sample, const struct regs *regs, uintptr_t handler,
                 const struct thread *thread)
{
    *sample = (struct profile_sample){ .time = arch_clock_ns(), .tid = thread->tid };
    sample->pid = thread->process ? thread->process->pid : 0;
    memcpy(sample->name, thread->name, sizeof(sample->name));
    if (handler) {
        sample->flags = PROFILE_IN_INTERRUPT;
        sample->data[sample->nframes++] = handler;
    }
    if (!regs)
        return;
    if (arch_percpu()->interrupted_app) {
        stack_copy(sample, regs);
        return;
    }
    sample->nframes += (uint16_t)arch_backtrace_of(regs, sample->data + sample->nframes,
                                                   PROFILE_FRAMES_MAX - sample->nframes);
    words_copy(sample, regs, thread);
    if (thread->vmspace)
        stack_copy(sample, arch_thread_regs((struct thread *)thread));
}

static void sample_take(struct profile_cpu *cpu, uintptr_t handler)
{
    const struct percpu *percpu = arch_percpu();
    if (percpu->current == percpu->idle && !handler) {
        cpu->counts.nidle++;
        return;
    }
    struct profile_sample *sample = record_ring_reserve(&cpu->ring, SAMPLE_MAX);
    if (!sample) {
        cpu->counts.nlost++;
        return;
    }
    fill(sample, percpu->interrupted, handler, percpu->current);
    record_ring_commit(&cpu->ring, sample,
                       sizeof(*sample) + sample->nframes * sizeof(uintptr_t) + sample->stack_bytes);
    if (record_ring_used(&cpu->ring) > RING_BYTES / 2)
        profile_wake_reporter();
}

/* Sets the timer for the next period that is not over yet. */
static void arm(struct profile_cpu *cpu)
{
    nsec_t now = arch_clock_ns(), next = cpu->timer.deadline + period;
    if (next <= now) {
        nsec_t missed = (now - next) / period + 1;
        cpu->counts.nlate += (uint64_t)missed;
        next += missed * period;
    }
    timer_set(&cpu->timer, next);
}

static void due(struct timer *timer)
{
    struct profile_cpu *cpu = container_of(timer, struct profile_cpu, timer);
    if (!READ_ONCE(profile_is_on))
        return;
    sample_take(cpu, 0);
    arm(cpu);
}

void profile_interrupt_done(uintptr_t handler)
{
    struct profile_cpu *cpu = cpus[cpu_current()];
    if (!cpu || !timer_is_armed(&cpu->timer) || arch_clock_ns() < cpu->timer.deadline)
        return;
    sample_take(cpu, handler);
    arm(cpu);
}

static void arm_here(void *arg)
{
    struct profile_cpu *cpu = cpus[cpu_current()];
    cpu->timer.deadline = arch_clock_ns();
    arm(cpu);
}

void profile_start_on(uint64_t mask, unsigned hz)
{
    period = NSEC_PER_SEC / hz;
    WRITE_ONCE(profile_is_on, true);
    arch_call_on_cpus(mask, arm_here, NULL);
}

static void nothing(void *arg)
{
}

void profile_stop_all(void)
{
    WRITE_ONCE(profile_is_on, false);
    for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
        if (cpus[cpu])
            (void)timer_cancel(&cpus[cpu]->timer);
    }
    arch_call_on_cpus(cpus_online(), nothing,
                      NULL); /* none is in profile_interrupt_done() any more */
}

int profile_alloc(unsigned number)
{
    if (cpus[number])
        return 0;
    struct profile_cpu *cpu = kzalloc(sizeof(*cpu), ALLOC_WAIT);
    struct frame *memory = frame_alloc(RING_ORDER, ALLOC_WAIT);
    if (!cpu || !memory) {
        kfree(cpu);
        if (memory)
            frame_put(memory);
        return -ENOMEM;
    }
    cpu->memory = memory;
    record_ring_init(&cpu->ring, frame_address(memory), RING_BYTES);
    timer_init(&cpu->timer, due);
    __atomic_store_n(&cpus[number], cpu, __ATOMIC_RELEASE);
    return 0;
}

void profile_free(unsigned number)
{
    struct profile_cpu *cpu = cpus[number];
    if (!cpu)
        return;
    cpus[number] = NULL;
    frame_put(cpu->memory);
    kfree(cpu);
}

struct profile_sample *profile_first(unsigned cpu)
{
    size_t len;
    return cpus[cpu] ? record_ring_first(&cpus[cpu]->ring, &len) : NULL;
}

void profile_release(unsigned cpu)
{
    record_ring_release(&cpus[cpu]->ring);
}

void profile_get_counts(unsigned cpu, struct profile_cpu_counts *counts)
{
    *counts = cpus[cpu] ? cpus[cpu]->counts : (struct profile_cpu_counts){ 0 };
}
