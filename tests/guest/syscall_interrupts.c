// SPDX-License-Identifier: MIT
/*
 * System calls under a storm of timer interrupts and signals: each keeps every register and the status flags,
 * happens once, and a handler never sees a pc that is not the program's.
 * test: cpus=2
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#include "check.h"

#define THREADS 3
#define SECONDS 1

static atomic_int nsignals, nwild;
static atomic_bool is_over;

static void on_alarm(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info;
    const ucontext_t *uc = context;
    uint64_t pc = (uint64_t)uc->uc_mcontext.gregs[REG_RIP],
             sp = (uint64_t)uc->uc_mcontext.gregs[REG_RSP];

    if (pc >> 47 || sp >> 47)
        atomic_fetch_add(&nwild, 1);
    atomic_fetch_add(&nsignals, 1);
}

/* lseek(fd, 1, SEEK_CUR) with every register known: its result; *wrong counts registers that changed. */
static long call_once(int fd, unsigned flags, unsigned long *wrong)
{
    long result;
    unsigned long bad;
    register unsigned long wanted __asm__("r15") = flags | 0x202;

    __asm__ volatile("lea -128(%%rsp), %%rsp\n\t" /* the red zone */
                     "push %%rbp\n\t"
                     "mov $0x1111, %%rbx\n\t"
                     "mov $0x2222, %%rbp\n\t"
                     "mov $0x3333, %%r12\n\t"
                     "mov $0x4444, %%r13\n\t"
                     "mov $0x5555, %%r14\n\t"
                     "mov $0x6666, %%r8\n\t"
                     "mov $0x7777, %%r9\n\t"
                     "mov $0x8888, %%r10\n\t"
                     "push %%r15\n\t"
                     "popfq\n\t"
                     "syscall\n\t"
                     "pushfq\n\t"
                     "pop %%r11\n\t"
                     "xor %%r15, %%r11\n\t"
                     "and $0x8d5, %%r11\n\t"
                     "xor $0x1111, %%rbx\n\t"
                     "or %%rbx, %%r11\n\t"
                     "xor $0x2222, %%rbp\n\t"
                     "or %%rbp, %%r11\n\t"
                     "xor $0x3333, %%r12\n\t"
                     "or %%r12, %%r11\n\t"
                     "xor $0x4444, %%r13\n\t"
                     "or %%r13, %%r11\n\t"
                     "xor $0x5555, %%r14\n\t"
                     "or %%r14, %%r11\n\t"
                     "xor $0x6666, %%r8\n\t"
                     "or %%r8, %%r11\n\t"
                     "xor $0x7777, %%r9\n\t"
                     "or %%r9, %%r11\n\t"
                     "xor $0x8888, %%r10\n\t"
                     "or %%r10, %%r11\n\t"
                     "pop %%rbp\n\t"
                     "lea 128(%%rsp), %%rsp\n\t"
                     "mov %%r11, %[bad]\n\t"
                     : "=a"(result), [bad] "=m"(bad), "+r"(wanted)
                     : "a"(SYS_lseek), "D"((long)fd), "S"(1L), "d"((long)SEEK_CUR)
                     : "rbx", "rcx", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "memory", "cc");
    *wrong += bad != 0;
    return result;
}

/* Each call moves the position by one: a call that was done twice or not at all shows. */
static void *caller(void *arg)
{
    static const unsigned status[] = { 0, 0x8d5, 0x800, 0x041, 0x094, 0x880 };
    unsigned long wrong = 0, ncalls = 0, lost = 0;
    int fd = (int)(intptr_t)arg;

    while (!is_over) {
        ncalls++;
        lost += call_once(fd, status[ncalls % 6], &wrong) != (long)ncalls;
    }
    CHECK(ncalls > 100);
    CHECK(wrong == 0);
    CHECK(lost == 0);
    return NULL;
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO | SA_RESTART };
    struct itimerspec often = { { 0, 200000 }, { 0, 200000 } };
    pthread_t thread[THREADS];
    timer_t timer;

    CHECK(sigaction(SIGRTMIN, &action, NULL) == 0);
    for (int i = 0; i < THREADS; i++) {
        FILE *file = tmpfile();
        CHECK(file != NULL);
        CHECK(pthread_create(&thread[i], NULL, caller, (void *)(intptr_t)fileno(file)) == 0);
    }
    sigset_t alarm; /* for the callers, not for this thread */
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGRTMIN);
    CHECK(pthread_sigmask(SIG_BLOCK, &alarm, NULL) == 0);
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
    CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &often, NULL) == 0);
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += SECONDS;
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL) != 0)
        ;
    is_over = true;
    for (int i = 0; i < THREADS; i++)
        CHECK(pthread_join(thread[i], NULL) == 0);
    CHECK(timer_delete(timer) == 0);
    CHECK(nsignals > 20);
    CHECK(nwild == 0);
    return check_end();
}
