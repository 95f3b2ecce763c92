// SPDX-License-Identifier: MIT
#pragma once
#include "arch/arch.h"

/* Whether the byte before the interrupted instruction is f4.  Interrupt level. */
bool halt_is_suspected(const struct regs *regs);
/* Raises SIGSEGV if it was a hlt.  Interrupts on. */
void halt_check(const struct regs *regs);
