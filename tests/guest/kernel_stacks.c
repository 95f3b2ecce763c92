// SPDX-License-Identifier: MIT
/*
 * The kernel gives back what a thousand threads needed when they have ended, and it can be used again; the stacks that
 * it keeps for later ones are there for everybody who asks (drop_caches), also while threads come and go.
 * test: flags=-pthread cpus=2 memory=256M timeout=60 only=guest
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#define THREADS    1000
#define STACK_SIZE 16384
#define KEPT_KIB                                                                                   \
    3072 /* of some 16 MiB of kernel stacks: what is kept for later threads, and other caches */

#define STACKS_KIB 1024 /* what it keeps of them at least */

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

static void drop_caches(const char *what)
{
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);

    CHECK(write(fd, what, strlen(what)) == (ssize_t)strlen(what));
    close(fd);
}

static void test_shrink(void)
{
    drop_caches("1\n");
    long before = free_kib();
    drop_caches("2\n");
    long now = free_kib();
    if (now - before < STACKS_KIB)
        printf("free KiB %ld, was %ld\n", now, before);
    CHECK(now - before >= STACKS_KIB);
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
    CHECK_ERRNO(write(fd, "5", 1), EINVAL);
    CHECK_ERRNO(write(fd, "0", 1), EINVAL);
    close(fd);
    CHECK_ERRNO(open("/proc/sys/vm/drop_caches", O_RDONLY), EACCES);
}

static volatile bool is_over;

static void *drop_again_and_again(void *arg)
{
    while (!is_over)
        drop_caches("3");
    return arg;
}

static void test_shrink_beside(void)
{
    pthread_t thread;

    NEED(pthread_create(&thread, NULL, drop_again_and_again, NULL) == 0);
    for (int round = 0; round < 8; round++)
        run(150);
    is_over = true;
    pthread_join(thread, NULL);
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
    test_shrink();
    test_shrink_beside();
    return check_end();
}
