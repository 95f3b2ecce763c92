// SPDX-License-Identifier: MIT
/*
 * Vector and x87 state across thread switches, signals and system calls.
 * test: flags=-pthread,-O2,-lm,-frounding-math cpus=2 timeout=60
 */
#include "check.h"

#include <cpuid.h>
#include <fenv.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/ucontext.h>

static volatile int stop;
static bool has_avx;

static void clobber(int number)
{
    (void)number;
    __asm__ volatile("pcmpeqd %%xmm0, %%xmm0\n\t"
                     "pcmpeqd %%xmm9, %%xmm9\n\t"
                     "fninit\n\t" ::
                         : "xmm0", "xmm9");
    if (has_avx)
        __asm__ volatile("vxorps %%ymm3, %%ymm3, %%ymm3\n\t"
                         "vxorps %%ymm15, %%ymm15, %%ymm15\n\t" ::
                             : "xmm3", "xmm15");
}

__attribute__((target("avx"))) static long differs_avx(const uint64_t *in, uint64_t *out)
{
    __asm__ volatile("vmovdqu (%0), %%ymm3\n\t"
                     "vmovdqu 32(%0), %%ymm15\n\t"
                     "mov $3000, %%ecx\n\t"
                     "1: dec %%ecx\n\t"
                     "jnz 1b\n\t"
                     "mov $24, %%eax\n\t" /* sched_yield */
                     "syscall\n\t"
                     "vmovdqu %%ymm3, (%1)\n\t"
                     "vmovdqu %%ymm15, 32(%1)\n\t"
                     "vzeroupper\n\t"
                     :
                     : "r"(in), "r"(out)
                     : "rax", "rcx", "r11", "memory", "xmm3", "xmm15");
    return memcmp(in, out, 64);
}

static long differs_sse(const uint64_t *in, uint64_t *out)
{
    __asm__ volatile("movdqu (%0), %%xmm0\n\t"
                     "movdqu 16(%0), %%xmm9\n\t"
                     "mov $3000, %%ecx\n\t"
                     "1: dec %%ecx\n\t"
                     "jnz 1b\n\t"
                     "mov $24, %%eax\n\t"
                     "syscall\n\t"
                     "movdqu %%xmm0, (%1)\n\t"
                     "movdqu %%xmm9, 16(%1)\n\t"
                     :
                     : "r"(in), "r"(out)
                     : "rax", "rcx", "r11", "memory", "xmm0", "xmm9");
    return memcmp(in, out, 32);
}

static void *run(void *arg)
{
    uint64_t in[8], out[8] = { 0 };
    long wrong = 0, seed = (long)arg;
    int mode = seed % 2 ? FE_UPWARD : FE_DOWNWARD;
    volatile double three = 3.0;

    fesetround(mode);
    while (!stop) {
        for (int i = 0; i < 8; i++)
            in[i] = (uint64_t)(++seed) * 0x9e3779b97f4a7c15;
        wrong += differs_sse(in, out) != 0;
        if (has_avx)
            wrong += differs_avx(in, out) != 0;
        wrong += fegetround() != mode;
        double third = 1.0 / three;
        wrong += (third * 3.0 > 1.0) == (mode == FE_DOWNWARD);
    }
    return (void *)wrong;
}

/* ---- State that is initial again --------------------------------------------------------- */

#define INITIAL_CONTROL 0x37f
#define ALL(op)                                                                                    \
    op(0) op(1) op(2) op(3) op(4) op(5) op(6) op(7) op(8) op(9) op(10) op(11) op(12) op(13) op(14) \
        op(15)
#define ONES(n)    "pcmpeqd %%xmm" #n ", %%xmm" #n "\n\t"
#define ZERO(n)    "pxor %%xmm" #n ", %%xmm" #n "\n\t"
#define GATHER(n)  "por %%xmm" #n ", %%xmm0\n\t"
#define CLOBBER(n) "xmm" #n,

static volatile bool frame_is_initial;

static void look_at_frame(int number, siginfo_t *info, void *context)
{
    const struct _libc_fpstate *state = ((ucontext_t *)context)->uc_mcontext.fpregs;
    bool is_initial = state->cwd == INITIAL_CONTROL;

    (void)number, (void)info;
    for (int i = 0; i < 16; i++)
        for (int j = 0; j < 4; j++)
            is_initial &= state->_xmm[i].element[j] == 0;
    frame_is_initial = is_initial;
}

/* It sleeps with other values, so that these have been saved, and takes a signal with the initial ones: a processor
 * that knows leaves them out when it saves. */
static void test_initial(void)
{
    struct sigaction action = { .sa_sigaction = look_at_frame, .sa_flags = SA_SIGINFO };
    struct timespec moment = { 0, 1000000 };
    uint64_t after[2] = { 1, 1 };
    uint16_t odd_control = 0xf7f, control = 0;

    sigaction(SIGUSR1, &action, NULL);
    __asm__ volatile(
        "fldcw %[odd]\n\t" ALL(
            ONES) "mov $35, %%eax\n\t" /* nanosleep */
                  "mov %[moment], %%rdi\n\t"
                  "xor %%esi, %%esi\n\t"
                  "syscall\n\t"
                  "fninit\n\t" ALL(ZERO) "mov $62, %%eax\n\t" /* kill */
                                         "mov %[pid], %%edi\n\t"
                                         "mov %[signo], %%esi\n\t"
                                         "syscall\n\t" ALL(GATHER) "movups %%xmm0, %[after]\n\t"
                                                                   "fnstcw %[control]\n\t"
        : [after] "=m"(after), [control] "=m"(control)
        : [odd] "m"(odd_control), [moment] "r"(&moment), [pid] "r"(getpid()), [signo] "i"(SIGUSR1)
        : ALL(CLOBBER) "rax", "rcx", "rdi", "rsi", "r11", "memory");
    CHECK(after[0] == 0 && after[1] == 0 && control == INITIAL_CONTROL);
    CHECK(frame_is_initial);
}

int main(void)
{
    struct sigaction action = { .sa_handler = clobber, .sa_flags = SA_RESTART };
    struct itimerval often = { { 0, 3000 }, { 0, 3000 } }, never = { { 0, 0 }, { 0, 0 } };
    unsigned a, b, c = 0, d;
    pthread_t threads[5];

    __get_cpuid(1, &a, &b, &c, &d);
    has_avx = (c & (1u << 28)) && (c & (1u << 27));
    test_initial();
    sigaction(SIGALRM, &action, NULL);
    for (long i = 0; i < 5; i++)
        pthread_create(&threads[i], NULL, run, (void *)(i * 1000 + i));
    setitimer(ITIMER_REAL, &often, NULL);
    sleep_ms(500);
    setitimer(ITIMER_REAL, &never, NULL);
    stop = 1;
    for (int i = 0; i < 5; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        CHECK(wrong == NULL);
    }
    return check_end();
}
