// SPDX-License-Identifier: MIT
/*
 * Mapping, protecting and unmapping on one CPU must be seen on all (TLB shootdown).
 * test: flags=-pthread cpus=4 timeout=60
 */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#define ROUNDS 200

static char *volatile page;
static volatile int stage, readers_seen;
static __thread sigjmp_buf escape;
static pthread_barrier_t barrier;

static void on_fault(int number)
{
    (void)number;
    siglongjmp(escape, 1);
}

static int can_write(volatile char *address)
{
    if (sigsetjmp(escape, 1))
        return 0;
    *address = 1;
    return 1;
}

static void *worker(void *arg)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        CHECK(can_write(page + 1)); /* this CPU's TLB has it now */
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        CHECK(!can_write(page + 1)); /* read-only or gone */
        pthread_barrier_wait(&barrier);
    }
    return arg;
}

static void *churn(void *arg)
{
    for (int i = 0; i < 300; i++) {
        size_t size = (size_t)(1 + i % 64) * 4096;
        char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        NEED(p != MAP_FAILED);
        for (size_t at = 0; at < size; at += 4096) {
            CHECK(p[at] == 0);
            p[at] = 7;
        }
        munmap(p, size);
    }
    return arg;
}

int main(void)
{
    struct sigaction action = { .sa_handler = on_fault, .sa_flags = SA_NODEFER };
    pthread_t threads[3];

    sigaction(SIGSEGV, &action, NULL);
    pthread_barrier_init(&barrier, NULL, 4);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, worker, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        if (i % 2)
            mprotect(page, 4096, PROT_READ);
        else
            munmap(page, 4096);
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        if (i % 2)
            munmap(page, 4096);
    }
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, churn, NULL);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    return check_end();
}
