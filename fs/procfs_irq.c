// SPDX-License-Identifier: MIT
/*
 * /proc/interrupts and /proc/softirqs.
 */
#include "fs/procfs_internal.h"

static void show_cpu_names(struct text *text, unsigned column)
{
    size_t line_start = text->len;

    text_pad(text, line_start, column);
    for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++)
        text_printf(text, "CPU%-8u", cpu);
    text_append(text, "\n", 1);
}

int proc_interrupts(const struct pseudo_ref *ref, struct text *text)
{
    struct arch_irq_row line;

    show_cpu_names(text, 11);
    for (unsigned row = 0; arch_irq_row(row, &line); row++) {
        if (!line.label[0])
            continue;
        text_printf(text, "%3s:", line.label);
        for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++)
            text_printf(text, " %10llu", (unsigned long long)arch_irq_count(row, cpu));
        text_printf(text, "   %s\n", line.description);
    }
    return 0;
}

/* There is no such level here: interrupts wake threads. */
int proc_softirqs(const struct pseudo_ref *ref, struct text *text)
{
    static const char *const names[] = { "HI",       "TIMER",   "NET_TX", "NET_RX",  "BLOCK",
                                         "IRQ_POLL", "TASKLET", "SCHED",  "HRTIMER", "RCU" };

    show_cpu_names(text, 20);
    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        text_printf(text, "%12s:", names[i]);
        for (unsigned cpu = 0; cpu < arch_cpu_count(); cpu++)
            text_printf(text, " %10u", 0u);
        text_append(text, "\n", 1);
    }
    return 0;
}
