// SPDX-License-Identifier: MIT
/*
 * Reference clocks: HPET, the ACPI power management timer, channel 0 of the PIT.
 *
 * Channel 0 and not 2, which needs a gate in port 0x61 that microvm does not have.  Its interrupt goes to a
 * masked line.  Locking: the caller's; a PIT reading is three accesses that belong together.
 */
#include "arch/x86_64/clock_reference.h"

#include "arch/arch.h"
#include "arch/x86_64/cpu.h"

#define FEMTOSECONDS_PER_SEC 1000000000000000ULL

/* IA-PC HPET Specification 1.0a, 2.3. */
#define HPET_CAPABILITIES 0x00
#define HPET_CONFIG       0x10
#define HPET_COUNTER      0xf0
#define HPET_ENABLE       1u
#define HPET_PERIOD_MAX   100000000u /* femtoseconds, 2.3.4 */

#define PM_TIMER_HZ 3579545
#define PIT_HZ      1193182
#define PIT_DATA    0x40
#define PIT_COMMAND 0x43
#define PIT_LATCH   0x00
#define PIT_MODE_2  0x34 /* channel 0, both bytes, rate generator */
#define PIT_MODE_0  0x30 /* and without a count: it stands still */

static volatile uint32_t *hpet;
static uint16_t pm_timer_port;

static uint64_t hpet_read(void)
{
    return hpet[HPET_COUNTER / 4];
}

/* The low half is enough and read in one access; it wraps every 43 s at 100 MHz. */
static struct clock_reference hpet_reference = {
    .name = "HPET", .read = hpet_read, .mask = UINT32_MAX, .first_window_us = 50
};

static bool hpet_start(paddr_t paddr)
{
    hpet = paddr ? arch_map_device(paddr, PAGE_SIZE) : NULL;
    if (!hpet)
        return false;
    uint32_t period = hpet[HPET_CAPABILITIES / 4 + 1];
    if (period == 0 || period > HPET_PERIOD_MAX)
        return false;
    hpet_reference.hz = FEMTOSECONDS_PER_SEC / period;
    hpet[HPET_CONFIG / 4] |= HPET_ENABLE;
    return true;
}

static uint64_t pm_timer_read(void)
{
    return inl(pm_timer_port);
}

static struct clock_reference pm_timer_reference = {
    .name = "PM timer", .read = pm_timer_read, .hz = PM_TIMER_HZ, .first_window_us = 100
};

static uint64_t pit_read(void)
{
    outb(PIT_COMMAND, PIT_LATCH);
    uint32_t low = inb(PIT_DATA);
    uint32_t high = inb(PIT_DATA);
    return (0u - (high << 8 | low)) & 0xffff; /* it counts down */
}

static void pit_stop(void)
{
    outb(PIT_COMMAND, PIT_MODE_0);
}

static const struct clock_reference pit_reference = { .name = "PIT",
                                                      .read = pit_read,
                                                      .stop = pit_stop,
                                                      .hz = PIT_HZ,
                                                      .mask = 0xffff,
                                                      .first_window_us = 200 };

/* A missing device reads as all ones. */
static bool pit_start(void)
{
    outb(PIT_COMMAND, PIT_MODE_2);
    outb(PIT_DATA, 0);
    outb(PIT_DATA, 0);
    for (unsigned i = 0; i < 4; i++)
        if (pit_read() != 1)
            return true;
    return false;
}

const struct clock_reference *clock_reference_find(const struct firmware_info *firmware)
{
    if (hpet_start(firmware->hpet))
        return &hpet_reference;
    if (firmware->pm_timer != 0) {
        pm_timer_port = firmware->pm_timer;
        pm_timer_reference.mask = firmware->pm_timer_is_32bit ? UINT32_MAX : 0xffffff;
        return &pm_timer_reference;
    }
    return pit_start() ? &pit_reference : NULL;
}
