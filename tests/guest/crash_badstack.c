// SPDX-License-Identifier: MIT
/*
 * A signal whose stack is gone cannot be delivered: SIGSEGV.
 * test: status=139 variants=dynamic
 */
#include "check.h"

#include <signal.h>

static void handler(int number)
{
    (void)number;
}

int main(void)
{
    signal(SIGUSR1, handler);
    puts("no stack");
    fflush(stdout);
    __asm__ volatile("mov %0, %%edi\n\t"
                     "mov %1, %%esi\n\t"
                     "mov $62, %%eax\n\t"
                     "xor %%esp, %%esp\n\t"
                     "syscall\n\t"
                     "ud2"
                     :
                     : "r"(getpid()), "r"(SIGUSR1)
                     : "edi", "esi", "eax", "rcx", "r11", "memory");
    return 0;
}
