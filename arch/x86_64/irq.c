// SPDX-License-Identifier: MIT
/*
 * Vectors: one table for all CPUs.  A device's vector has a chain of handlers (several only on a shared
 * wired line); it is written under irq_lock and read without it, so a handler is entered complete and
 * freed vectors are only reused after every CPU has left its handlers.
 *
 * Handlers run with interrupts off; the end of interrupt comes after them, so a level-triggered
 * line that was silenced does not interrupt twice.
 */
#include "arch/x86_64/irq.h"

#include "abi/errno.h"
#include "arch/x86_64/smp.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/percpu.h"
#include "kernel/profile.h"
#include "kernel/spinlock.h"
#include "lib/format.h"

struct irq_action {
    irq_handler handler;
    void *arg;
    struct irq_action *next; /* [a] */
};

struct irq_vector {
    struct irq_action *actions; /* [a] NULL: free */
    struct irq_action first;
    uint64_t count;
    unsigned cpu; /* that took the last one: a vector goes to one processor */
};

enum own_interrupt { OWN_TIMER, OWN_RESCHEDULE, OWN_CALL, OWN_COUNT };

static struct spinlock irq_lock = SPINLOCK_INIT(RANK_IRQ);
static struct irq_vector vectors[VECTOR_DEVICE_LAST + 1 - VECTOR_DEVICE_FIRST];

static uint64_t own_counts[CPUS_MAX][OWN_COUNT]; /* each row written by its processor alone */

static struct irq_vector *vector_slot(unsigned vector)
{
    if (vector < VECTOR_DEVICE_FIRST || vector > VECTOR_DEVICE_LAST)
        return NULL;
    return &vectors[vector - VECTOR_DEVICE_FIRST];
}

static void device_interrupt(unsigned vector)
{
    struct irq_vector *slot = vector_slot(vector);
    struct irq_action *action = slot ? __atomic_load_n(&slot->actions, __ATOMIC_ACQUIRE) : NULL;
    if (!action) {
        log_warning_once("interrupt on vector %x, which nobody handles", vector);
    } else {
        __atomic_fetch_add(&slot->count, 1, __ATOMIC_RELAXED);
        WRITE_ONCE(slot->cpu, cpu_current());
        for (; action; action = __atomic_load_n(&action->next, __ATOMIC_ACQUIRE))
            action->handler(action->arg);
        if (unlikely(READ_ONCE(profile_is_on)))
            profile_interrupt_done((uintptr_t)slot->first.handler);
    }
    apic_eoi();
}

static void dispatch(unsigned vector)
{
    uint64_t *own = own_counts[cpu_current()];

    switch (vector) {
    case VECTOR_TIMER:
        own[OWN_TIMER]++;
        apic_eoi();
        apic_timer_interrupt();
        break;
    case VECTOR_RESCHEDULE: /* the return to the application looks at need_resched */
        own[OWN_RESCHEDULE]++;
        apic_eoi();
        break;
    case VECTOR_CALL:
        own[OWN_CALL]++;
        apic_eoi();
        smp_call_interrupt();
        if (unlikely(READ_ONCE(profile_is_on)))
            profile_interrupt_done((uintptr_t)smp_call_interrupt);
        break;
    case VECTOR_SPURIOUS: /* no end of interrupt for these (SDM 3A, 11.9) */
    case VECTOR_PIC_SPURIOUS:
        break;
    default:
        device_interrupt(vector);
        break;
    }
}

void arch_irq_dispatch(unsigned vector)
{
    struct percpu *percpu = arch_percpu();
    bool was_in_interrupt = percpu->in_interrupt;
    percpu->in_interrupt = true;
    percpu->ninterrupts++;
    dispatch(vector);
    percpu->in_interrupt = was_in_interrupt;
}

int irq_vector_alloc(irq_handler handler, void *arg)
{
    int vector = -ENOSPC;
    unsigned long flags = spin_lock_irq(&irq_lock);
    for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
        if (vectors[i].actions || vectors[i].first.handler)
            continue;
        vectors[i].first = (struct irq_action){ .handler = handler, .arg = arg };
        __atomic_store_n(&vectors[i].actions, &vectors[i].first, __ATOMIC_RELEASE);
        vector = VECTOR_DEVICE_FIRST + (int)i;
        break;
    }
    spin_unlock_irq(&irq_lock, flags);
    return vector;
}

int irq_vector_share(int vector, irq_handler handler, void *arg)
{
    struct irq_action *action = kzalloc(sizeof(*action), ALLOC_WAIT);
    if (!action)
        return -ENOMEM;
    action->handler = handler;
    action->arg = arg;

    struct irq_vector *slot = vector_slot((unsigned)vector);
    unsigned long flags = spin_lock_irq(&irq_lock);
    action->next = slot->actions;
    __atomic_store_n(&slot->actions, action, __ATOMIC_RELEASE);
    spin_unlock_irq(&irq_lock, flags);
    return 0;
}

static void nothing(void *arg)
{
}

void irq_vector_free(int vector)
{
    struct irq_vector *slot = vector_slot((unsigned)vector);
    if (!slot)
        return;
    unsigned long flags = spin_lock_irq(&irq_lock);
    struct irq_action *action = slot->actions;
    __atomic_store_n(&slot->actions, NULL, __ATOMIC_RELEASE);
    spin_unlock_irq(&irq_lock, flags);

    /* Handlers run with interrupts off, so a CPU that answers this call is in none. */
    arch_call_on_cpus(smp_all_cpus(), nothing, NULL);
    while (action) {
        struct irq_action *next = action->next;
        if (action != &slot->first)
            kfree(action);
        action = next;
    }
    __atomic_store_n(&slot->first.handler, NULL, __ATOMIC_RELEASE);
}

uint64_t irq_vector_count(unsigned vector)
{
    struct irq_vector *slot = vector_slot(vector);
    return slot ? __atomic_load_n(&slot->count, __ATOMIC_RELAXED) : 0;
}

bool arch_irq_row(unsigned row, struct arch_irq_row *out)
{
    static const struct arch_irq_row own[OWN_COUNT] = {
        [OWN_TIMER] = { "LOC", "Local timer interrupts" },
        [OWN_RESCHEDULE] = { "RES", "Rescheduling interrupts" },
        [OWN_CALL] = { "CAL", "Function call interrupts" },
    };

    if (row >= ARRAY_SIZE(vectors) + OWN_COUNT)
        return false;
    if (row >= ARRAY_SIZE(vectors)) {
        *out = own[row - ARRAY_SIZE(vectors)];
        return true;
    }
    *out = (struct arch_irq_row){ .description = "APIC  device" };
    if (READ_ONCE(vectors[row].actions))
        (void)format_string(out->label, sizeof(out->label), "%u", VECTOR_DEVICE_FIRST + row);
    return true;
}

uint64_t arch_irq_count(unsigned row, unsigned cpu)
{
    if (row >= ARRAY_SIZE(vectors))
        return READ_ONCE(own_counts[cpu][row - ARRAY_SIZE(vectors)]);
    return READ_ONCE(vectors[row].cpu) == cpu ? READ_ONCE(vectors[row].count) : 0;
}
