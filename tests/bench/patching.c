// SPDX-License-Identifier: MIT
/*
 * One thread calls functions while another patches their entries as OpenJDK does (docs/decisions/0004): a jump to
 * itself, then the fifth byte, then the jump that is meant.  On a processor a caller meets the old function or the new
 * one.  "torn": it ran something else; "stale": it did not meet the new one for a tick of a timer.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>

#define FUNCTIONS 100
#define SIZE      64

/* Probes the stack, opens a frame, returns 0. */
static const unsigned char old_body[] = { 0x89, 0x84, 0x24, 0x00, 0xc0, 0xfe, 0xff,
                                          0x55, 0x48, 0x83, 0xec, 0x30, 0x48, 0x83,
                                          0xc4, 0x30, 0x5d, 0x31, 0xc0, 0xc3 };
static const unsigned char return_1[] = { 0xb8, 1, 0, 0, 0, 0xc3 };

static unsigned char *code; /* the last one is return_1 */
static int nth;             /* the function that is called now */
static sigjmp_buf given_up;
static int torn, stale;

static void on_fault(int signo)
{
    torn++;
    siglongjmp(given_up, signo);
}

/* A caller may also be caught in the jump to itself. */
static void on_tick(int signo)
{
    static int seen = -1;

    if (seen == nth) {
        stale++;
        siglongjmp(given_up, signo);
    }
    seen = nth;
}

static void call_until_new(int (*function)(void))
{
    int result;

    do
        result = function();
    while (result == 0);
    torn += result != 1;
}

static void *call_all(void *arg)
{
    static char stack[65536];
    stack_t alternate = { .ss_sp = stack, .ss_size = sizeof stack };
    struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER | SA_ONSTACK };

    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGILL, &action, NULL);
    action.sa_handler = on_tick;
    sigaction(SIGALRM, &action, NULL);
    pthread_sigmask(SIG_SETMASK, &action.sa_mask, NULL); /* empty */
    for (volatile int i = 0; i < FUNCTIONS; i++) {
        if (sigsetjmp(given_up, 1))
            continue;
        __atomic_store_n(&nth, i, __ATOMIC_RELEASE);
        call_until_new((int (*)(void))(uintptr_t)(code + SIZE * (size_t)i));
    }
    __atomic_store_n(&nth, FUNCTIONS, __ATOMIC_RELEASE);
    return arg;
}

static void patch(unsigned char *entry)
{
    unsigned char jump[5] = { 0xe9 };
    int32_t distance = (int32_t)(code + SIZE * (size_t)FUNCTIONS - (entry + sizeof jump));
    uint32_t head;

    memcpy(jump + 1, &distance, sizeof distance);
    memcpy(&head, jump, sizeof head);
    __atomic_store_n((uint32_t *)(void *)entry, 0xfeebfeeb, __ATOMIC_SEQ_CST);
    __atomic_store_n(entry + 4, jump[4], __ATOMIC_SEQ_CST);
    __atomic_store_n((uint32_t *)(void *)entry, head, __ATOMIC_SEQ_CST);
}

int main(void)
{
    const struct itimerval tick = { { 0, 100000 }, { 0, 100000 } };
    sigset_t alarm;
    pthread_t thread;

    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm, NULL);
    setitimer(ITIMER_REAL, &tick, NULL);
    code = mmap(NULL, (size_t)SIZE * (FUNCTIONS + 1), PROT_READ | PROT_WRITE | PROT_EXEC,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED)
        return 1;
    for (int i = 0; i < FUNCTIONS; i++)
        memcpy(code + SIZE * (size_t)i, old_body, sizeof old_body);
    memcpy(code + SIZE * (size_t)FUNCTIONS, return_1, sizeof return_1);
    __atomic_store_n(&nth, -1, __ATOMIC_RELEASE);
    if (pthread_create(&thread, NULL, call_all, NULL))
        return 1;
    for (int i = 0; i < FUNCTIONS; i++) {
        /* The caller is there, and for a while that differs. */
        while (__atomic_load_n(&nth, __ATOMIC_ACQUIRE) < i)
            ;
        for (volatile int wait = i * 7 % 400; wait > 0; wait--)
            ;
        patch(code + SIZE * (size_t)i);
    }
    pthread_join(thread, NULL);
    printf("torn %d, stale %d of %d\n", torn, stale, FUNCTIONS);
    return torn || stale;
}
