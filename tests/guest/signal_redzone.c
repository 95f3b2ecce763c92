// SPDX-License-Identifier: MIT
/*
 * Signals and preemption must not touch the 128 bytes below the stack pointer, nor any register.
 * test: flags=-pthread,-O2 cpus=2 timeout=60
 */
#include "check.h"

#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

static volatile int ticks, stop;

static void tick(int number)
{
    volatile char scratch[512];

    (void)number;
    memset((void *)scratch, 0x5a, sizeof scratch);
    ticks++;
}

/* Fills red zone and registers, spins, and compares: the number of differences. */
static long spin_and_compare(unsigned long seed)
{
    long differences = 0;

    __asm__ volatile("mov %[seed], %%r8\n\t"
                     "lea 1(%%r8), %%r9\n\t"
                     "lea 2(%%r8), %%r10\n\t"
                     "movq %%r8, %%xmm7\n\t"
                     "mov %%r8, -8(%%rsp)\n\t"
                     "mov %%r9, -64(%%rsp)\n\t"
                     "mov %%r10, -128(%%rsp)\n\t"
                     "std\n\t"
                     "mov $20000, %%ecx\n\t"
                     "1: dec %%ecx\n\t"
                     "jnz 1b\n\t"
                     "pushf\n\t"
                     "pop %%rcx\n\t" /* overwrites -8(%rsp) itself */
                     "cld\n\t"
                     "not %%rcx\n\t"
                     "and $0x400, %%ecx\n\t"
                     "add %%rcx, %[count]\n\t"
                     "mov -64(%%rsp), %%rcx\n\t"
                     "sub %%r9, %%rcx\n\t"
                     "neg %%rcx\n\t"
                     "adc $0, %[count]\n\t"
                     "mov -128(%%rsp), %%rcx\n\t"
                     "sub %%r10, %%rcx\n\t"
                     "neg %%rcx\n\t"
                     "adc $0, %[count]\n\t"
                     "movq %%xmm7, %%rcx\n\t"
                     "sub %%r8, %%rcx\n\t"
                     "neg %%rcx\n\t"
                     "adc $0, %[count]\n\t"
                     : [count] "+r"(differences)
                     : [seed] "r"(seed)
                     : "r8", "r9", "r10", "rcx", "xmm7", "memory", "cc");
    return differences;
}

static void *run(void *arg)
{
    long differences = 0;
    unsigned long seed = (unsigned long)arg;

    while (!stop)
        differences += spin_and_compare(seed++);
    return (void *)differences;
}

int main(void)
{
    struct sigaction action = { .sa_handler = tick, .sa_flags = SA_RESTART };
    struct itimerval often = { { 0, 2000 }, { 0, 2000 } }, never = { { 0, 0 }, { 0, 0 } };
    pthread_t threads[4];

    sigaction(SIGALRM, &action, NULL);
    for (long i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run, (void *)(i * 0x123456789));
    setitimer(ITIMER_REAL, &often, NULL);
    sleep_ms(500);
    setitimer(ITIMER_REAL, &never, NULL);
    stop = 1;
    for (int i = 0; i < 4; i++) {
        void *differences;
        pthread_join(threads[i], &differences);
        CHECK(differences == NULL);
    }
    CHECK(ticks > 20);
    return check_end();
}
