// SPDX-License-Identifier: MIT
/*
 * CPUs of the host: all of them in one host thread, which runs one for a while and then another.
 *
 * A change of CPU is possible wherever the kernel turns interrupts on or off, where it spins, and where a CPU is
 * idle; a seeded generator decides.  So the real scheduler, locks and futexes meet the interleavings that
 * several CPUs would bring, and every failure can be repeated.  (What happens between two such places looks
 * atomic: races of single instructions are not found here.)
 *
 * Each kernel thread is a fiber; a CPU remembers the fiber it is in.  Time stands still but for a few
 * nanoseconds for each look at the clock; when all CPUs are idle it jumps to the next timer.  No timer
 * then means that nothing will ever happen again, which ends the test.
 */
#include "arch/host/machine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/host/fiber.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/thread.h"

#define CLOCK_STEP     20
#define RUN_LENGTH_MAX 24 /* chances to change the CPU until it is changed */
#define REALTIME_BASE  (1700000000 * NSEC_PER_SEC)
#define FIBER_STACK    (256 * 1024)

struct host_call {
    void (*function)(void *arg);
    void *arg;
};

struct host_cpu {
    struct fiber *fiber; /* which it is in */
    bool is_started;
    bool irq_enabled;
    bool is_halted;
    bool has_resched;
    nsec_t timer; /* DEADLINE_NONE: not set */
    struct host_call call;
};

char boot_stack_bottom[16], boot_stack_top[16];
static struct host_cpu cpus[CPUS_MAX] = { [0] = { .is_started = true, .timer = DEADLINE_NONE } };
static unsigned ncpus = 1, current_cpu;
static nsec_t now_ns = NSEC_PER_SEC;
static uint64_t random_state = 1;
static unsigned run_left = RUN_LENGTH_MAX;
static bool is_calm;
static void (*test_function)(void);

extern struct thread thread_boot;

static struct host_cpu *self(void)
{
    return &cpus[current_cpu];
}

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

/* ---- Interrupts -------------------------------------------------------------------- */

static bool is_pending(const struct host_cpu *cpu)
{
    return cpu->has_resched || cpu->call.function || cpu->timer <= now_ns;
}

static void deliver(void)
{
    struct host_cpu *cpu = self();

    while (cpu->irq_enabled && is_pending(cpu)) {
        struct percpu *percpu = arch_percpu();
        struct host_call call = cpu->call;
        cpu->irq_enabled = false;
        percpu->in_interrupt = true;
        cpu->has_resched = false;
        if (cpu->timer <= now_ns) {
            cpu->timer = DEADLINE_NONE;
            timer_interrupt();
        }
        if (call.function) {
            call.function(call.arg);
            cpu->call.function = NULL;
        }
        percpu->in_interrupt = false;
        cpu->irq_enabled = true;
    }
}

/* Continues another CPU that has something to do; false: there is none. */
static bool change_cpu(void)
{
    unsigned from = current_cpu, start = (unsigned)next_random() % ncpus;

    for (unsigned i = 0; i < ncpus; i++) {
        unsigned to = (start + i) % ncpus;
        if (to == from || !cpus[to].is_started || (cpus[to].is_halted && !is_pending(&cpus[to])))
            continue;
        current_cpu = to;
        run_left = 1 + (unsigned)next_random() % RUN_LENGTH_MAX;
        fiber_switch(cpus[from].fiber, cpus[to].fiber, false);
        return true;
    }
    return false;
}

static void chance(void)
{
    if (ncpus == 1 || is_calm || !self()->fiber || --run_left > 0)
        return;
    run_left = 1 + (unsigned)next_random() % RUN_LENGTH_MAX;
    change_cpu();
}

unsigned long arch_irq_save(void)
{
    chance();
    deliver();
    bool before = self()->irq_enabled;
    self()->irq_enabled = false;
    return before;
}

void arch_irq_restore(unsigned long flags)
{
    if (flags)
        arch_irq_enable();
}

void arch_irq_enable(void)
{
    self()->irq_enabled = true;
    deliver();
    chance();
}

void arch_irq_disable(void)
{
    self()->irq_enabled = false;
}

bool arch_irq_enabled(void)
{
    return self()->irq_enabled;
}

void arch_pause(void)
{
    now_ns += CLOCK_STEP;
    if (self()->fiber)
        change_cpu();
    deliver();
}

static void jump_to_next_timer(void)
{
    nsec_t next = DEADLINE_NONE;

    for (unsigned i = 0; i < ncpus; i++)
        next = MIN(next, cpus[i].timer);
    if (next == DEADLINE_NONE)
        panic("all CPUs are idle and no timer is set");
    now_ns = MAX(now_ns, next);
}

void arch_idle(void)
{
    struct host_cpu *cpu = self();

    cpu->irq_enabled = true;
    while (!is_pending(cpu)) {
        cpu->is_halted = true;
        if (!change_cpu())
            jump_to_next_timer();
        cpu->is_halted = false;
    }
    deliver();
    cpu->irq_enabled = false;
}

static void (*reschedule_watch)(void);

void machine_watch_reschedule(void (*watch)(void))
{
    reschedule_watch = watch;
}

void arch_send_reschedule(unsigned cpu)
{
    if (reschedule_watch)
        reschedule_watch();
    cpus[cpu].has_resched = true;
}

void arch_call_on_cpus(uint64_t mask, void (*function)(void *), void *arg)
{
    assert(self()->irq_enabled);
    for (unsigned i = 0; i < ncpus; i++) {
        if (!(mask >> i & 1) || i == current_cpu)
            continue;
        while (cpus[i].call.function)
            arch_pause();
        cpus[i].call = (struct host_call){ function, arg };
    }
    if (mask >> current_cpu & 1) {
        unsigned long flags = arch_irq_save();
        function(arg);
        arch_irq_restore(flags);
    }
    for (unsigned i = 0; i < ncpus; i++)
        while (i != current_cpu && mask >> i & 1 && cpus[i].call.function)
            arch_pause();
}

void arch_stop_other_cpus(void)
{
}

/* ---- Time -------------------------------------------------------------------------- */

const char *arch_clock_name(void)
{
    return "tsc";
}

nsec_t arch_clock_ns(void)
{
    return now_ns += CLOCK_STEP;
}

nsec_t arch_realtime_at_boot(void)
{
    return REALTIME_BASE;
}

void arch_timer_set(nsec_t deadline)
{
    self()->timer = deadline;
}

void machine_set_calm(bool calm)
{
    is_calm = calm;
}

void machine_compute(nsec_t duration)
{
    nsec_t left = duration;

    while (left > 0) {
        nsec_t step = MIN(left, 10 * NSEC_PER_USEC);
        now_ns += step / ncpus; /* the others compute meanwhile */
        left -= step;
        deliver();
        if (self()->fiber)
            change_cpu();
        sched_check(); /* where an application would be preempted */
    }
}

/* ---- CPUs and threads ---------------------------------------------------------------- */

struct percpu *arch_percpu(void)
{
    return &percpu_area[current_cpu];
}

struct thread *arch_current(void)
{
    return percpu_area[current_cpu].current;
}

unsigned arch_cpu_count(void)
{
    return (unsigned)__builtin_popcountll(cpus_online());
}

void arch_thread_init(struct thread *thread, void (*function)(void *), void *arg)
{
    char *top = (char *)thread->kernel_stack_top;

    if (thread->arch.fiber)
        fiber_destroy(thread->arch.fiber);
    thread->arch.fiber = fiber_create(top - FIBER_STACK, FIBER_STACK, function, arg);
}

int arch_thread_init_app(struct thread *thread, const struct thread *parent)
{
    thread->arch.tls = parent ? parent->arch.tls : 0;
    return 0;
}

void arch_thread_fini(struct thread *thread)
{
    if (thread->arch.fiber)
        fiber_destroy(thread->arch.fiber);
}

struct thread *arch_switch(struct thread *previous, struct thread *next)
{
    self()->fiber = next->arch.fiber;
    fiber_switch(previous->arch.fiber, next->arch.fiber, true);
    return arch_percpu()->boot_previous;
}

void *arch_kernel_stack_alloc(size_t size)
{
    char *block = size <= FIBER_STACK ? aligned_alloc(4096, FIBER_STACK) : NULL;

    return block ? block + FIBER_STACK - size : NULL;
}

void arch_kernel_stack_free(void *bottom, size_t size)
{
    free((char *)bottom + size - FIBER_STACK);
}

static void secondary_main(void *arg)
{
    cpu_start_secondary((unsigned)(uintptr_t)arg);
}

void arch_smp_start(void)
{
    for (unsigned cpu = 1; cpu < ncpus; cpu++) {
        if (sched_init_cpu(cpu))
            panic("no memory for CPU %u", cpu);
        struct thread *idle = percpu_area[cpu].current;
        arch_thread_init(idle, secondary_main, (void *)(uintptr_t)cpu);
        cpus[cpu] = (struct host_cpu){ .fiber = idle->arch.fiber,
                                       .is_started = true,
                                       .timer = DEADLINE_NONE };
    }
    while (arch_cpu_count() < ncpus)
        arch_pause();
}

static void test_main(void *arg)
{
    (void)arg;
    arch_smp_start();
    test_function();
    fflush(NULL);
    _Exit(0); /* fibers that still sleep are no leak */
}

void machine_run(unsigned count, uint64_t seed, void (*test)(void))
{
    ncpus = count;
    random_state = seed * 2654435769u + 1;
    test_function = test;
    percpu_init_boot();
    thread_boot.arch.fiber = fiber_create(NULL, 0, NULL, NULL);
    cpus[0].fiber = thread_boot.arch.fiber;
    sched_init();
    struct thread *thread = thread_create_kernel("test", test_main, NULL);
    if (!thread)
        panic("no memory for the test");
    thread_start(thread);
    sched_idle_loop();
}

void arch_power_off(int status)
{
    fflush(NULL);
    _Exit(status);
}

void arch_reset(void)
{
    _Exit(125);
}

void arch_halt(void)
{
    abort();
}
