// SPDX-License-Identifier: MIT
/*
 * Jumps to the instruction behind a hlt, interrupted again and again: no hlt was executed.
 * test: variants=dynamic,static
 */
#include "check.h"

#include <signal.h>
#include <sys/time.h>

/* To there from before (as glibc's _exit() does) and from behind. */
long from_before(long rounds);
long from_behind(long rounds);
__asm__(".pushsection .text\n"
        ".globl from_before\n"
        ".type from_before, @function\n"
        "from_before: .cfi_startproc\n"
        "xor %eax, %eax\n"
        "1: inc %rax\n"
        "jmp 2f\n"
        "hlt\n"
        "2: dec %rdi\n"
        "jnz 1b\n"
        "ret\n"
        ".cfi_endproc\n"
        ".globl from_behind\n"
        ".type from_behind, @function\n"
        "from_behind: .cfi_startproc\n"
        "xor %eax, %eax\n"
        "jmp 3f\n"
        "hlt\n"
        "2: dec %rdi\n"
        "jz 4f\n"
        "3: inc %rax\n"
        "jmp 2b\n"
        "4: ret\n"
        ".cfi_endproc\n"
        ".popsection\n");

static volatile int count;

static void on_alarm(int number)
{
    (void)number;
    count++;
}

int main(void)
{
    struct itimerval often = { { 0, 1000 }, { 0, 1000 } };

    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &often, NULL);
    CHECK(from_before(30000000) == 30000000);
    CHECK(from_behind(30000000) == 30000000);
    CHECK(count > 3);
    return check_end();
}
