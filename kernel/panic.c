// SPDX-License-Identifier: MIT
/*
 * Panic: says what broke and where, stops the machine.
 *
 * The first CPU to come here does it all; a second one halts.  A panic inside of panic (a driver
 * that faults while it prints) goes straight to the power switch.
 */
#include "kernel/panic.h"

#include <stdarg.h>

#include "arch/arch.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/percpu.h"
#include "lib/format.h"

#define PANIC_FRAMES 24
#define PANIC_STATUS 255

static unsigned panicking_cpu; /* CPU + 1 */

static void backtrace_print(void)
{
    uintptr_t address[PANIC_FRAMES];
    size_t count = arch_backtrace(address, PANIC_FRAMES);
    for (size_t i = 0; i < count; i++)
        log_error("  %016lx", (unsigned long)address[i]);
}

/* Returns only on the first CPU, the first time. */
static void panic_enter(void)
{
    unsigned self = cpu_current() + 1;
    unsigned first = 0;
    if (__atomic_compare_exchange_n(&panicking_cpu, &first, self, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return;
    if (first == self)
        arch_power_off(PANIC_STATUS);
    arch_halt();
}

void panic(const char *format, ...)
{
    arch_irq_disable();
    panic_enter();
    log_set_panicking();
    log_set_level(LOG_ERROR);
    arch_stop_other_cpus();

    char text[256];
    va_list args;
    va_start(args, format);
    format_string_va(text, sizeof(text), format, args);
    va_end(args);
    log_error("panic on CPU %u: %s", cpu_current(), text);
    backtrace_print();
    console_control("panic %s", text);
    arch_power_off(PANIC_STATUS);
}
