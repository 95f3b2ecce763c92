// SPDX-License-Identifier: MIT
#pragma once
/*
 * A machine for the tests of kernel/mm: one CPU, RAM that is a piece of the test's own address space, and
 * locks that check their rank and are otherwise always free.  Application addresses go through the page
 * table and its TLB (arch/host/pagetable.c), page faults to vmspace_fault().
 */
#include "kernel/boot_info.h"
#include "kernel/mm/vmspace.h"

/* Fake RAM of so many bytes, all usable as far as the machine leaves it, and frame_init(). */
void machine_init(uint64_t ram_bytes);
/* The same for any memory map; the RAM must end below ram_bytes. */
void machine_init_map(uint64_t ram_bytes, const struct boot_info *boot);
/* Bytes of the fake RAM that have been touched. */
uint64_t machine_touched(void);
/* The address space that copies to and from the application use. */
void machine_use(struct vmspace *vm);
/* One byte, as the application would access it: 0, or the signal. */
int machine_read(uintptr_t address, unsigned char *value);
int machine_write(uintptr_t address, unsigned char value);
extern unsigned machine_kills;     /* processes killed for lack of memory */
extern uint64_t machine_limit[16]; /* rlimit_current() */
