// SPDX-License-Identifier: MIT
/*
 * The kernel gives back what a thousand threads needed when they have ended, and it can be used again.
 * test: flags=-pthread cpus=2 memory=256M timeout=60 only=guest
 */
#include "check.h"

#include <pthread.h>
#include <sys/mman.h>

#define THREADS    1000
#define STACK_SIZE 16384
#define KEPT_KIB                                                                                   \
    3072 /* of some 16 MiB of kernel stacks: what is kept for later threads, and other caches */

static pthread_barrier_t all_there, all_go;

static void *wait_for_all(void *arg)
{
    (void)arg;
    pthread_barrier_wait(&all_there);
    pthread_barrier_wait(&all_go);
    return NULL;
}

static void run(unsigned n)
{
    static pthread_t thread[THREADS];
    pthread_attr_t attr;
    char *stacks = mmap(NULL, (size_t)n * STACK_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    NEED(stacks != MAP_FAILED && pthread_attr_init(&attr) == 0);
    NEED(pthread_barrier_init(&all_there, NULL, n + 1) == 0 &&
         pthread_barrier_init(&all_go, NULL, n + 1) == 0);
    for (unsigned i = 0; i < n; i++) {
        NEED(pthread_attr_setstack(&attr, stacks + (size_t)i * STACK_SIZE, STACK_SIZE) == 0);
        NEED(pthread_create(&thread[i], &attr, wait_for_all, NULL) == 0);
    }
    pthread_barrier_wait(&all_there);
    pthread_barrier_wait(&all_go);
    for (unsigned i = 0; i < n; i++)
        pthread_join(thread[i], NULL);
    munmap(stacks, (size_t)n * STACK_SIZE);
}

static long free_kib(void)
{
    char line[128];
    long kib = -1;
    FILE *file = fopen("/proc/meminfo", "r");

    NEED(file);
    while (kib < 0 && fgets(line, sizeof(line), file))
        (void)sscanf(line, "MemFree: %ld", &kib);
    fclose(file);
    return kib;
}

int main(void)
{
    run(20);
    long before = free_kib();
    for (int round = 0; round < 3; round++) {
        run(THREADS);
        long now = 0;
        /* Threads are given back a moment after they ended. */
        for (int tries = 0; tries < 200 && before - (now = free_kib()) > KEPT_KIB; tries++)
            sleep_ms(20);
        if (before - now > KEPT_KIB)
            printf("free KiB %ld, was %ld\n", now, before);
        CHECK(before - now <= KEPT_KIB);
    }
    return check_end();
}
