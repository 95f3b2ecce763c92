// SPDX-License-Identifier: MIT
/*
 * rt_sigreturn with a frame that somebody has changed: registers, flags, vector state and addresses that cannot be.
 * Each in a process of its own; Linux says which goes on and which dies.
 * test: variants=dynamic timeout=40 roads=patched
 */
#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>

static int which;

/* The XSAVE header behind the 512 bytes of FXSAVE. */
static uint64_t *header_of(ucontext_t *context)
{
    return (uint64_t *)((char *)context->uc_mcontext.fpregs + 512);
}

static const char *const names[] = {
    "nothing",
    "rip not canonical",
    "rip of the kernel",
    "rip of the direct map",
    "rip nowhere",
    "flags IOPL, NT, no IF",
    "flags VM, RF, AC off",
    "vector state at a wild address",
    "vector state in the kernel",
    "no vector state",
    "reserved MXCSR bits",
    "unknown features",
    "compacted header",
    "SIGKILL blocked",
    "odd alternate stack",
    "all registers -1",
    "vector state's magic gone",
    "vector state longer than it is",
};

static void change(int number, siginfo_t *info, void *data)
{
    ucontext_t *context = data;
    greg_t *regs = context->uc_mcontext.gregs;
    uint32_t *software = (uint32_t *)((char *)context->uc_mcontext.fpregs + 464);

    (void)number, (void)info;
    switch (which) {
    case 1:
        regs[REG_RIP] = (greg_t)0x8000000000000000;
        break;
    case 2:
        regs[REG_RIP] = (greg_t)0xffffffff80200000;
        break;
    case 3:
        regs[REG_RIP] = (greg_t)0xffff800000100000;
        break;
    case 4:
        regs[REG_RIP] = 16;
        break;
    case 5:
        regs[REG_EFL] = (regs[REG_EFL] | 0x7000) & ~0x200L;
        break;
    case 6:
        regs[REG_EFL] = (regs[REG_EFL] | 0x30000) & ~0x40000L;
        break;
    case 7:
        context->uc_mcontext.fpregs = (void *)8;
        break;
    case 8:
        context->uc_mcontext.fpregs = (void *)0xffff800000001000;
        break;
    case 9:
        context->uc_mcontext.fpregs = NULL;
        break;
    case 10:
        context->uc_mcontext.fpregs->mxcsr = 0xffffffff;
        break;
    case 11:
        header_of(context)[0] = ~0ULL;
        break;
    case 12:
        header_of(context)[1] = 1ULL << 63;
        break;
    case 13:
        memset(&context->uc_sigmask, 0xff, 8);
        break;
    case 14:
        context->uc_stack = (stack_t){ .ss_sp = (void *)-1, .ss_flags = 99, .ss_size = 1 };
        break;
    case 15:
        for (int i = 0; i < REG_RIP; i++)
            if (i != REG_RSP && i != REG_RBP && i != REG_RBX)
                regs[i] = -1;
        break;
    case 16:
        software[0] = 0;
        break;
    case 17:
        software[1] = 1 << 20;
        software[4] = 1 << 20;
        break;
    }
}

static void child_run(void)
{
    struct sigaction action = { .sa_sigaction = change, .sa_flags = SA_SIGINFO };
    unsigned long flags;
    long pid = getpid();

    sigaction(SIGUSR1, &action, NULL);
    /* Everything but the stack may be something else afterwards. */
    __asm__ volatile("syscall\n\t"
                     "pushfq\n\t"
                     "popq %0"
                     : "=&b"(flags)
                     : "a"(SYS_kill), "D"(pid), "S"((long)SIGUSR1)
                     : "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "memory",
                       "cc");
    _exit((flags & 0x7200) == 0x200 ? 0 : 1);
}

int main(void)
{
    for (which = 0; which < (int)(sizeof names / sizeof names[0]); which++) {
        int status = 0;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            child_run();
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFSIGNALED(status))
            printf("%s: %s\n", names[which], strsignal(WTERMSIG(status)));
        else
            printf("%s: goes on, %d\n", names[which], WEXITSTATUS(status));
    }
    fflush(stdout);
    pid_t child = fork();
    int status = 0;
    if (child == 0)
        __asm__ volatile("mov $64, %%rsp\n\tmov $15, %%eax\n\tsyscall\n\tud2" ::: "memory");
    CHECK(waitpid(child, &status, 0) == child);
    printf("no frame at all: %s\n", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "goes on");
    fflush(stdout);
    child = fork();
    if (child == 0) {
        struct sigaction action = { .sa_handler = (void (*)(int))0xdead000000000000 };
        sigaction(SIGUSR1, &action, NULL);
        raise(SIGUSR1);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    printf("no such handler: %s\n", WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "goes on");
    return check_end();
}
