// SPDX-License-Identifier: MIT
#pragma once
/*
 * The local interrupt controller of each CPU (SDM 3A, chapter 11): xAPIC by memory or x2APIC by MSR.
 */
#include "arch/x86_64/cpu.h"
#include "lib/compiler.h"

/* Vectors.  Devices get those between; the timer's priority is above theirs. */
#define VECTOR_DEVICE_FIRST 0x30
#define VECTOR_DEVICE_LAST  0xee
#define VECTOR_TIMER        0xef
#define VECTOR_PIC_FIRST    0xf0 /* the masked 8259s: only spurious ones, 0xf7 and 0xff */
#define VECTOR_PIC_SPURIOUS 0xf7
#define VECTOR_CALL         0xfc
#define VECTOR_RESCHEDULE   0xfd
#define VECTOR_SPURIOUS     0xff

/* The boot CPU's, with the 8259s silenced; then each secondary's own.  False: there is none. */
bool apic_init(void);
void apic_init_cpu(void);
uint32_t apic_id(void); /* of this CPU */
void apic_eoi(void);
/* Any context. */
void apic_send(uint32_t to, unsigned vector);
void apic_send_init(uint32_t to);
void apic_send_startup(uint32_t to, unsigned page); /* begins at physical page << 12 */
void apic_send_nmi_to_others(void);

/* The one-shot timer, apic_timer.c. */
void apic_timer_init(void); /* boot CPU; the clock works */
void apic_timer_init_cpu(void);
/* The TSC's rate by a timer whose own rate is known; 0: it is not.  Takes some 300 us. */
uint64_t apic_timer_measure_tsc(void);
void apic_timer_interrupt(void);
/* Registers of the timer; the count runs at the bus frequency divided by 16. */
void apic_timer_setup(unsigned vector, bool tsc_deadline);
void apic_timer_count(uint32_t initial);
uint32_t apic_timer_current(void);
