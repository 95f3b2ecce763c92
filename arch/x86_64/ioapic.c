// SPDX-License-Identifier: MIT
/*
 * Wired interrupts: the I/O APICs (Intel 82093AA data sheet).  All go to the boot CPU.
 *
 * Lines are connected while devices are probed, by one thread.  Locking: ioapic_lock (RANK_IRQ, irq
 * spinlock) because a register is reached by two accesses, and for the lines' vectors.
 */
#include "arch/x86_64/ioapic.h"

#include "abi/errno.h"
#include "arch/x86_64/firmware.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/smp.h"
#include "kernel/log.h"
#include "kernel/spinlock.h"

#define REG_SELECT    (0x00 / 4)
#define REG_WINDOW    (0x10 / 4)
#define INDEX_VERSION 0x01
#define INDEX_LINES   0x10 /* two words a line */
#define LINES_MAX     120
#define WINDOW_SIZE   0x20

#define LINE_ACTIVE_LOW (1u << 13)
#define LINE_LEVEL      (1u << 15)
#define LINE_MASKED     (1u << 16)

struct ioapic {
    volatile uint32_t *window;
    uint32_t gsi_base;
    unsigned nlines;
    uint8_t vector[LINES_MAX]; /* 0: not connected */
};

static struct spinlock ioapic_lock = SPINLOCK_INIT(RANK_IRQ);
static struct ioapic ioapics[FIRMWARE_IOAPICS_MAX];
static unsigned nioapics;

static uint32_t ioapic_read(struct ioapic *ioapic, uint32_t index)
{
    ioapic->window[REG_SELECT] = index;
    return ioapic->window[REG_WINDOW];
}

static void ioapic_write(struct ioapic *ioapic, uint32_t index, uint32_t value)
{
    ioapic->window[REG_SELECT] = index;
    ioapic->window[REG_WINDOW] = value;
}

void ioapic_init(void)
{
    const struct firmware_info *firmware = arch_firmware();
    for (unsigned i = 0; i < firmware->nioapics; i++) {
        struct ioapic *ioapic = &ioapics[nioapics];
        ioapic->window = arch_map_device(firmware->ioapic[i].paddr, WINDOW_SIZE);
        if (!ioapic->window)
            continue;
        ioapic->gsi_base = firmware->ioapic[i].gsi_base;
        uint32_t version = ioapic_read(ioapic, INDEX_VERSION);
        ioapic->nlines = MIN((version >> 16 & 0xff) + 1, (uint32_t)LINES_MAX);
        for (unsigned line = 0; line < ioapic->nlines; line++)
            ioapic_write(ioapic, INDEX_LINES + 2 * line, LINE_MASKED);
        nioapics++;
    }
}

static struct ioapic *ioapic_of(unsigned gsi)
{
    for (unsigned i = 0; i < nioapics; i++)
        if (gsi >= ioapics[i].gsi_base && gsi - ioapics[i].gsi_base < ioapics[i].nlines)
            return &ioapics[i];
    return NULL;
}

int arch_irq_connect(unsigned gsi, bool level, bool active_low, irq_handler handler, void *arg)
{
    struct ioapic *ioapic = ioapic_of(gsi);
    if (!ioapic)
        return -ENODEV;
    unsigned line = gsi - ioapic->gsi_base;
    if (ioapic->vector[line] != 0)
        return irq_vector_share(ioapic->vector[line], handler, arg);
    int vector = irq_vector_alloc(handler, arg);
    if (vector < 0)
        return vector;

    unsigned long flags = spin_lock_irq(&ioapic_lock);
    ioapic->vector[line] = (uint8_t)vector;
    ioapic_write(ioapic, INDEX_LINES + 2 * line + 1, smp_apic_id(0) << 24);
    ioapic_write(ioapic, INDEX_LINES + 2 * line,
                 (uint32_t)vector | (active_low ? LINE_ACTIVE_LOW : 0) | (level ? LINE_LEVEL : 0));
    spin_unlock_irq(&ioapic_lock, flags);
    return 0;
}

unsigned arch_isa_irq(unsigned irq, bool *level, bool *active_low)
{
    const struct firmware_info *firmware = arch_firmware();
    *level = false;
    *active_low = false;
    for (unsigned i = 0; i < firmware->noverrides; i++) {
        if (firmware->override[i].irq != irq)
            continue;
        *level = firmware->override[i].level;
        *active_low = firmware->override[i].active_low;
        return firmware->override[i].gsi;
    }
    return irq;
}
