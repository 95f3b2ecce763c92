// SPDX-License-Identifier: MIT
/*
 * The system call instruction itself: registers kept, flags, odd call sites, unknown numbers, tracing
 * flag, and the forms that are patched.
 * test: variants=dynamic,static roads=patched
 */
#include "check.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static void test_registers(void)
{
    unsigned long rbx = 0x1111, rdi = 0x2222, r8 = 0x8888, r12 = 0x12, rax = SYS_getpid, r11 = 5,
                  rcx = 6;

    __asm__ volatile("mov %[r8], %%r8\n\t"
                     "mov %[r12], %%r12\n\t"
                     "std\n\t"
                     "syscall\n\t"
                     "pushf\n\t"
                     "pop %%r9\n\t"
                     "cld\n\t"
                     "mov %%r8, %[r8]\n\t"
                     "mov %%r12, %[r12]\n\t"
                     "mov %%r11, %[r11]\n\t"
                     "mov %%rcx, %[rcx]\n\t"
                     "mov %%r9, %%rdx\n\t"
                     : "+a"(rax), "+b"(rbx),
                       "+D"(rdi), [r8] "+m"(r8), [r12] "+m"(r12), [r11] "=m"(r11), [rcx] "=m"(rcx)
                     :
                     : "rcx", "r11", "r8", "r9", "r12", "rdx", "memory", "cc");
    CHECK(rax == (unsigned long)getpid() && rbx == 0x1111 && rdi == 0x2222 && r8 == 0x8888 &&
          r12 == 0x12);
}

static void test_unknown(void)
{
    CHECK_ERRNO(syscall(100000), ENOSYS);
    CHECK_ERRNO(syscall(-1), ENOSYS);
    CHECK(syscall((1L << 40) | SYS_getpid) == getpid());   /* eax counts */
    CHECK_ERRNO(syscall(0x40000000 | SYS_getpid), ENOSYS); /* x32 */
}

/* mov $39,%eax; syscall: first by its immediate, then jumped into behind it with another number. */
extern char site_start[], site_middle[];
__asm__(".pushsection .text\n"
        "site_start: mov $39, %eax\n"
        "site_middle: syscall\n"
        "ret\n"
        ".popsection\n");

static long call_site(void *where, long number)
{
    long result;

    __asm__ volatile("sub $128, %%rsp\n\t"
                     "call *%[where]\n\t"
                     "add $128, %%rsp\n\t"
                     : "=a"(result)
                     : [where] "r"(where), "a"(number)
                     : "rcx", "r11", "memory");
    return result;
}

static void test_sites(void)
{
    for (int i = 0; i < 20; i++) {
        CHECK(call_site(site_start, 999) == getpid());
        CHECK(call_site(site_middle, SYS_getuid) == (long)getuid());
        CHECK(call_site(site_middle, 99999) == -ENOSYS);
    }
    /* Code made at run time, which is changed after it ran. */
    unsigned char *code =
        mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(code != MAP_FAILED);
    memcpy(code, "\xb8\x27\0\0\0\x0f\x05\xc3", 8);
    for (int i = 0; i < 5; i++)
        CHECK(call_site(code, 0) == getpid());
    code[1] = SYS_getuid;
    CHECK(call_site(code, 0) == (long)getuid());
    code[5] = 0x90, code[6] = 0x90;
    CHECK(call_site(code, 0) == SYS_getuid);
}

static void on_trap(int number, siginfo_t *info, void *context)
{
    static int steps;

    (void)number, (void)info;
    steps++;
    if (steps > 6)
        ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~0x100L;
}

static void test_single_step(void)
{
    struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

    sigaction(SIGTRAP, &action, NULL);
    __asm__ volatile("pushf\n\t"
                     "orl $0x100, (%%rsp)\n\t"
                     "popf\n\t"
                     "nop\n\t"
                     "mov $39, %%eax\n\t"
                     "syscall\n\t"
                     "nop\n\t"
                     "nop\n\t"
                     "nop\n\t"
                     "nop\n\t"
                     "nop\n\t" ::
                         : "rax", "rcx", "r11", "memory", "cc");
    CHECK(1);
}

int main(void)
{
    test_registers();
    test_unknown();
    test_sites();
    test_single_step();
    return check_end();
}
