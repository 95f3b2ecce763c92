// SPDX-License-Identifier: MIT
/*
 * What a tracer may put into the debug registers is what Linux takes (arch/x86/kernel/ptrace.c, hw_breakpoint.c): four
 * slots, each an address of the application half and a kind, four bits as DR7 has them: 0 the execution of an
 * instruction, 1 a write, 3 a read or write, and above that the size.
 *
 * QEMU's emulator raises the exception of watched data twice if a single step ends with the same instruction, the
 * second time before the handler's first instruction, where it overwrites the frame of the first.  There a step goes
 * without the slots of data, and behind it those are hit whose data have changed.
 */
#include "arch/x86_64/debug_regs.h"

#include "abi/errno.h"
#include "arch/x86_64/cpu.h"
#include "kernel/mm/heap.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define NSLOTS        4
#define KIND_EXECUTE  0u
#define KIND_WRITE    1u
#define KIND_PORT     2u
#define STATUS_NUMBER 6
#define STATUS_ONES                                                                                \
    0xffff0ff0u /* bits that DR6 always has, and one that is set when nothing happened */
#define CONTROL       7
#define CONTROL_USUAL 0x400u /* the bit that DR7 always has */

struct debug_regs {
    uint64_t address[NSLOTS];
    uint64_t control; /* as the tracer wrote it */
    uint64_t active;  /* DR7 */
    uint8_t kind[NSLOTS];
    bool is_known[NSLOTS];   /* its kind and address are checked with each change */
    uint64_t before[NSLOTS]; /* an emulated step: the data */
};

/* By the upper bits of a kind. */
static const uint8_t sizes[] = { 1, 2, 8, 4 };

static unsigned kind_of(uint64_t control, unsigned slot)
{
    return control >> (16 + 4 * slot) & 15;
}

static bool is_on(uint64_t control, unsigned slot)
{
    return control >> (2 * slot) & 3;
}

/* ---- Emulated steps ------------------------------------------------------------------- */

static bool is_emulated_step(const struct thread *thread)
{
    return cpu_features.is_emulated && thread->arch.is_stepping;
}

static bool is_data(const struct debug_regs *debug, unsigned slot)
{
    return is_on(debug->active, slot) && debug->kind[slot] % 4 != KIND_EXECUTE;
}

static uint64_t data_of(const struct debug_regs *debug, unsigned slot)
{
    uint64_t value = 0;
    if (copy_from_app(&value, (const void __app *)debug->address[slot],
                      sizes[debug->kind[slot] / 4]))
        return 0; /* nothing is mapped there, and so nothing changes */
    return value;
}

static unsigned slots_changed(const struct debug_regs *debug)
{
    unsigned hits = 0;
    for (unsigned slot = 0; slot < NSLOTS; slot++)
        if (is_data(debug, slot) && data_of(debug, slot) != debug->before[slot])
            hits |= 1u << slot;
    return hits;
}

/* ---- The CPU's ----------------------------------------------------------------------- */

void debug_regs_load(const struct thread *thread)
{
    const struct debug_regs *debug = thread->arch.debug;
    uint64_t active = debug ? debug->active : CONTROL_USUAL;
    write_dr7(CONTROL_USUAL);
    for (unsigned slot = 0; slot < NSLOTS && debug && is_emulated_step(thread); slot++)
        if (is_data(debug, slot))
            active &= ~(3ULL << (2 * slot));
    if (!debug || active == CONTROL_USUAL)
        return;
    write_dr0(debug->address[0]);
    write_dr1(debug->address[1]);
    write_dr2(debug->address[2]);
    write_dr3(debug->address[3]);
    write_dr7(active);
}

void debug_regs_resume(const struct thread *thread)
{
    struct debug_regs *debug = thread->arch.debug;
    if (!debug)
        return;
    for (unsigned slot = 0; slot < NSLOTS && is_emulated_step(thread); slot++)
        if (is_data(debug, slot))
            debug->before[slot] = data_of(debug, slot);
    debug_regs_load(thread);
}

void debug_regs_switch(const struct thread *previous, const struct thread *next)
{
    if (unlikely(previous->arch.debug || next->arch.debug))
        debug_regs_load(next);
}

unsigned debug_status_take(void)
{
    uint64_t status = read_dr6();
    write_dr6(STATUS_ONES);
    return status & (DEBUG_STATUS_SLOTS | DEBUG_STATUS_STEP);
}

unsigned debug_regs_hit(struct regs *regs, unsigned status)
{
    struct thread *thread = thread_current();
    const struct debug_regs *debug = thread->arch.debug;
    unsigned hits = status & DEBUG_STATUS_STEP;
    if (hits && debug && is_emulated_step(thread))
        hits |= slots_changed(debug);
    for (unsigned slot = 0; debug && slot < NSLOTS; slot++) {
        bool is_execution = debug->kind[slot] % 4 == KIND_EXECUTE;
        /* An instruction that is not executed yet comes up again by itself behind the step to it. */
        if (!(status >> slot & 1) || !is_on(debug->active, slot) ||
            (is_execution && status & DEBUG_STATUS_STEP))
            continue;
        hits |= 1u << slot;
        if (is_execution)
            regs->rflags |= RFLAGS_RF;
    }
    thread->arch.debug_status = hits;
    return hits;
}

/* ---- The tracer's ---------------------------------------------------------------------- */

static int slot_check(unsigned kind, uint64_t address)
{
    unsigned size = sizes[kind / 4];
    bool is_kind = kind % 4 != KIND_PORT && (kind % 4 != KIND_EXECUTE || size == 1);
    bool is_there = address % size == 0 && address <= APP_MAX - size;
    return is_kind && is_there ? 0 : -EINVAL;
}

static int address_set(struct debug_regs *debug, unsigned slot, uint64_t address)
{
    if (!debug->is_known[slot])
        debug->kind[slot] = KIND_WRITE;
    int err = slot_check(debug->kind[slot], address);
    if (err)
        return err;
    debug->is_known[slot] = true;
    debug->address[slot] = address;
    return 0;
}

static int control_set(struct debug_regs *debug, uint64_t control)
{
    uint64_t active = CONTROL_USUAL;
    for (unsigned slot = 0; slot < NSLOTS; slot++) {
        unsigned kind = kind_of(control, slot);
        if ((is_on(control, slot) || debug->is_known[slot]) &&
            slot_check(kind, debug->address[slot]))
            return -EINVAL;
        if (is_on(control, slot))
            active |= (uint64_t)kind << (16 + 4 * slot) | 2ULL << (2 * slot);
    }
    for (unsigned slot = 0; slot < NSLOTS; slot++) {
        debug->is_known[slot] |= is_on(control, slot);
        debug->kind[slot] = (uint8_t)kind_of(control, slot);
    }
    debug->control = control;
    debug->active = active;
    return 0;
}

uint64_t arch_trace_debug_get(const struct thread *thread, unsigned number)
{
    const struct debug_regs *debug = thread->arch.debug;
    if (number == STATUS_NUMBER)
        return thread->arch.debug_status ^ STATUS_ONES;
    if (!debug)
        return 0;
    return number < NSLOTS ? debug->address[number] : number == CONTROL ? debug->control : 0;
}

int arch_trace_debug_set(struct thread *thread, unsigned number, uint64_t value)
{
    struct debug_regs *debug = thread->arch.debug;
    if (number == STATUS_NUMBER) {
        thread->arch.debug_status = value ^ STATUS_ONES;
        return 0;
    }
    if (number >= NSLOTS && number != CONTROL)
        return -EIO;
    if (!debug) {
        debug = kzalloc(sizeof(*debug), ALLOC_WAIT);
        if (!debug)
            return -ENOMEM;
        debug->active = CONTROL_USUAL;
        thread->arch.debug = debug;
    }
    return number == CONTROL ? control_set(debug, value) : address_set(debug, number, value);
}

void debug_regs_free(struct thread *thread)
{
    struct debug_regs *debug = thread->arch.debug;
    thread->arch.debug = NULL;
    kfree(debug);
}
