// SPDX-License-Identifier: MIT
#pragma once
#include "lib/compiler.h"

/* KVM's paravirtual clock.  All of these are harmless elsewhere: false, 0. */
void clock_kvm_detect(void);
/* The boot CPU's page.  False: not under KVM, or it does not offer the clock. */
bool clock_kvm_init(void) __must_check;
void clock_kvm_init_cpu(unsigned cpu);
nsec_t clock_kvm_read(void); /* since the machine was made */
uint64_t clock_kvm_tsc_hz(void);
/* CLOCK_REALTIME at the moment where clock_kvm_read() is 0. */
bool clock_kvm_realtime(nsec_t *realtime) __must_check;
