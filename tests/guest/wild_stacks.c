// SPDX-License-Identifier: MIT
/*
 * A stack pointer that is no address: faults and interrupts meanwhile are served, a use of it is a signal.
 * (SIGBUS by a processor where the address is not canonical; QEMU's emulator makes SIGSEGV of it.)
 * test: variants=dynamic timeout=40
 */
#include "check.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static const unsigned long values[] = { 0x8000000000000000,
                                        0x7fffffffffffffff,
                                        0x800000000000,
                                        0xfffffffffffffff0,
                                        0xfffffffffffff000,
                                        8,
                                        0 };

/* Touches a page that is not there yet, is interrupted for a while, then pushes. */
static void wander(unsigned long stack, char *page)
{
    __asm__ volatile("mov %0, %%rsp\n\t"
                     "movb $1, (%1)\n\t"
                     "mov $30000000, %%ecx\n"
                     "1: dec %%ecx\n\t"
                     "jnz 1b\n\t"
                     "push %%rax\n\t"
                     "ud2"
                     :
                     : "r"(stack), "r"(page)
                     : "rcx", "memory");
}

/* The same as a clone's stack, with a system call and a return. */
static long clone_on(unsigned long stack)
{
    long result;

    __asm__ volatile("syscall\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "mov $39, %%eax\n\t"
                     "syscall\n\t"
                     "pop %%rax\n\t"
                     "ud2\n"
                     "1:"
                     : "=a"(result)
                     : "a"(SYS_clone), "D"((long)SIGCHLD), "S"(stack), "d"(0L)
                     : "rcx", "r11", "r10", "r8", "memory");
    return result;
}

static void print_end(const char *what, unsigned long stack, pid_t child)
{
    int status = 0;

    CHECK(waitpid(child, &status, 0) == child);
    printf("%s %lx: %s\n", what, stack,
           WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS)
               ? "killed"
               : "not killed");
}

int main(void)
{
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            wander(values[i], page);
        print_end("push at", values[i], child);
        if (values[i])
            print_end("clone on", values[i], (pid_t)clone_on(values[i]));
    }
    return check_end();
}
