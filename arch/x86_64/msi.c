// SPDX-License-Identifier: MIT
/*
 * Message-signalled interrupts: a device writes a vector to the address of a CPU's local APIC
 * (SDM 3A, 11.11).  Physical destinations of eight bits; no interrupt remapping.
 */
#include "abi/errno.h"
#include "arch/x86_64/irq.h"
#include "arch/x86_64/smp.h"

#define MSI_ADDRESS 0xfee00000u

uint64_t arch_msi_address(unsigned cpu)
{
    uint32_t to = smp_apic_id(cpu);
    if (to > 0xfe)
        to = smp_apic_id(0); /* beyond what the message can name */
    return MSI_ADDRESS | to << 12;
}

int arch_msi_alloc(unsigned cpu, irq_handler handler, void *arg, uint64_t *address, uint32_t *data)
{
    int vector = irq_vector_alloc(handler, arg);
    if (vector < 0)
        return vector;
    *address = arch_msi_address(cpu);
    *data = (uint32_t)vector;
    return vector;
}

void arch_msi_free(int vector)
{
    irq_vector_free(vector);
}
