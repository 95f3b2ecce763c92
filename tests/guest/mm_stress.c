// SPDX-License-Identifier: MIT
/*
 * Threads that map, write, protect, move, give back and fork at the same time; each checks what it wrote.
 * test: flags=-pthread cpus=4 memory=256M timeout=60
 */
#define _GNU_SOURCE
#include "check.h"

#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define THREADS 6
#define ROUNDS  150
#define PAGE    4096UL

static char file_page[64 * PAGE];
static int shared_fd;

static unsigned next_random(unsigned *state)
{
    *state = *state * 1103515245 + 12345;
    return *state >> 8;
}

static char *map(size_t length, int flags)
{
    char *p = mmap(NULL, length, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    NEED(p != MAP_FAILED);
    return p;
}

/* Anonymous memory, small or of several large pages. */
static void do_anonymous(unsigned *state)
{
    size_t n =
        next_random(state) % 4 ? 1 + next_random(state) % 64 : 1024 + next_random(state) % 1024;
    char *p = map(n * PAGE, MAP_PRIVATE);
    unsigned step = n > 100 ? 7 : 1;
    for (size_t i = 0; i < n; i += step)
        p[i * PAGE + 5] = (char)i;
    size_t hole = next_random(state) % n;
    CHECK(!madvise(p + hole * PAGE, PAGE, MADV_DONTNEED));
    size_t none = next_random(state) % n;
    CHECK(!mprotect(p + none * PAGE, PAGE, PROT_NONE));
    CHECK(!mprotect(p + none * PAGE, PAGE, PROT_READ));
    CHECK(!mprotect(p + none * PAGE, PAGE, PROT_READ | PROT_WRITE));
    char *q = mremap(p, n * PAGE, (n + 3) * PAGE, MREMAP_MAYMOVE);
    NEED(q != MAP_FAILED);
    for (size_t i = 0; i < n; i += step)
        if (i != hole && q[i * PAGE + 5] != (char)i) {
            CHECK(!"contents lost");
            break;
        }
    CHECK(q[hole * PAGE + 5] == 0);
    CHECK(q[(n + 2) * PAGE] == 0);
    CHECK(!munmap(q, (n + 3) * PAGE));
}

/* A private and a shared view of one file. */
static void do_file(unsigned *state, int id)
{
    size_t i = (size_t)id * 8 + next_random(state) % 8;
    char *private = mmap(NULL, sizeof file_page, PROT_READ | PROT_WRITE, MAP_PRIVATE, shared_fd, 0);
    char *shared = mmap(NULL, sizeof file_page, PROT_READ | PROT_WRITE, MAP_SHARED, shared_fd, 0);
    NEED(private != MAP_FAILED && shared != MAP_FAILED);
    char value = (char)next_random(state), other;
    shared[i * PAGE] = value;
    CHECK(private[i * PAGE] == value);
    private[i * PAGE] = (char)(value + 1);
    CHECK(shared[i * PAGE] == value);
    CHECK(pread(shared_fd, &other, 1, (off_t)(i * PAGE)) == 1 && other == value);
    CHECK(!munmap(private, sizeof file_page) && !munmap(shared, sizeof file_page));
}

static void do_fork(unsigned *state)
{
    size_t n = 600;
    char *p = map(n * PAGE, MAP_PRIVATE), *shared = map(PAGE, MAP_SHARED);
    for (size_t i = 0; i < n; i++)
        p[i * PAGE] = (char)(i + 1);
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid == 0) {
        for (size_t i = 0; i < n; i++) {
            if (p[i * PAGE] != (char)(i + 1))
                _exit(1);
            p[i * PAGE] = 0;
        }
        *shared = 42;
        _exit(0);
    }
    for (size_t i = 0; i < n; i += 3)
        p[i * PAGE] = (char)(i + 2);
    int status = -1;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(*shared == 42);
    for (size_t i = 0; i < n; i++)
        if (p[i * PAGE] != (char)(i + (i % 3 ? 1 : 2))) {
            CHECK(!"the child changed the parent's memory");
            break;
        }
    CHECK(!munmap(p, n * PAGE) && !munmap(shared, PAGE));
    (void)state;
}

static void *worker(void *arg)
{
    int id = (int)(long)arg;
    unsigned state = (unsigned)id * 7919 + 1;
    for (int round = 0; round < ROUNDS; round++) {
        do_anonymous(&state);
        do_file(&state, id);
        if (round % 16 == id)
            do_fork(&state);
    }
    return NULL;
}

int main(void)
{
    pthread_t threads[THREADS];
    char name[] = "/tmp/mm_stress.XXXXXX";
    shared_fd = mkstemp(name);
    NEED(shared_fd >= 0 && !unlink(name));
    CHECK(write(shared_fd, file_page, sizeof file_page) == sizeof file_page);
    for (long i = 0; i < THREADS; i++)
        NEED(!pthread_create(&threads[i], NULL, worker, (void *)i));
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return check_end();
}
