// SPDX-License-Identifier: MIT
#pragma once
#include "arch/arch.h"

/* Whether regs are the application's: told by rsp (and rip), see trap_entry.S. */
bool regs_are_app(const struct regs *regs);
/* All work before the return to the application; comes back with interrupts off. */
void exit_to_app(struct regs *regs);
/* trap_entry.S */
__noreturn void enter_app(struct regs *at);
