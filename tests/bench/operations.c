// SPDX-License-Identifier: MIT
/*
 * What single operations cost: system calls, threads, memory.  Prints nanoseconds for one turn of each.
 *
 *     operations [ROUNDS [NAME]]    each figure, or the one of that name, is the least of ROUNDS (default 5)
 *
 * The figures of two threads pin them to CPUs 0 and 1 where there are two.
 */
#define _GNU_SOURCE
#include "measure.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE       4096L
#define PAGES      256
#define FILE_NAME  "/tmp/operations"
#define CALLS      20000
#define FILE_CALLS 3000
#define SWITCHES   2000
#define THREADS    200
#define LOCKS      100000
#define SLEEPS     20
#define SLEEP_NS   200000
#define MAPS       100

/* ---- System calls ------------------------------------------------------------------------- */

static int zero_fd, null_fd;
static char byte;

/* A call site of its own, which may be patched; and the one that all callers of syscall(3) share. */
static void getpid_once(void)
{
    getpid();
}

static void instruction_once(void)
{
    syscall(SYS_getpid);
}

static void read_once(void)
{
    check(read(zero_fd, &byte, 1) == 1, "read");
}

static void write_once(void)
{
    check(write(null_fd, &byte, 1) == 1, "write");
}

static void open_once(void)
{
    int fd = open(FILE_NAME, O_RDONLY);
    check(fd >= 0 && close(fd) == 0, "open");
}

static void stat_once(void)
{
    struct stat status;
    check(stat(FILE_NAME, &status) == 0, "stat");
}

static void clock_once(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
}

/* ---- Threads -------------------------------------------------------------------------------- */

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)sched_setaffinity(0, sizeof(set), &set); /* with one CPU both stay where they are */
}

static void start(pthread_t *thread, void *(*function)(void *), void *arg)
{
    check(pthread_create(thread, NULL, function, arg) == 0, "pthread_create");
}

enum { FREE_TURN, MINE, YOURS, OVER };
static atomic_int turn;

static void hand_over(int to)
{
    atomic_store(&turn, to);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static int wait_until_not(int value)
{
    int seen;
    while ((seen = atomic_load(&turn)) == value)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    return seen;
}

static void *partner(void *arg)
{
    (void)arg;
    pin(1);
    while (wait_until_not(MINE) != OVER)
        hand_over(MINE);
    return NULL;
}

static void futex_once(void)
{
    hand_over(YOURS);
    wait_until_not(YOURS);
}

static void threads_futex(int rounds)
{
    pthread_t thread;
    pin(0);
    atomic_store(&turn, MINE);
    start(&thread, partner, NULL);
    measure("futex", futex_once, SWITCHES, rounds);
    hand_over(OVER);
    pthread_join(thread, NULL);
}

static void *nothing(void *arg)
{
    return arg;
}

static void create_once(void)
{
    pthread_t thread;
    start(&thread, nothing, NULL);
    pthread_join(thread, NULL);
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static volatile unsigned long counter;
static pthread_barrier_t barrier;

static void take_turns(int cpu, int turns)
{
    pin(cpu);
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < turns; i++) {
        pthread_mutex_lock(&lock);
        counter++;
        pthread_mutex_unlock(&lock);
    }
    pthread_barrier_wait(&barrier);
}

static void *contender(void *arg)
{
    take_turns(1, *(int *)arg);
    return NULL;
}

/* Both threads' turns count, and all rounds: where one starves the other, neither looks fast for it. */
static void threads_mutex(int rounds)
{
    int turns = LOCKS * rounds;
    pthread_t thread;
    check(pthread_barrier_init(&barrier, NULL, 2) == 0, "pthread_barrier_init");
    start(&thread, contender, &turns);
    double begin = now_ns();
    take_turns(0, turns);
    printf("mutex %.0f\n", (now_ns() - begin) / (2.0 * turns));
    fflush(stdout);
    pthread_join(thread, NULL);
}

/*
 * Two threads follow each other around a ring of mutexes, each taking the next one before it releases its own.  The
 * next one is the other's until that has moved on: so nearly every lock waits, and every unlock wakes.
 */
enum { RING = 3 };
static pthread_mutex_t ring[RING];
static atomic_bool is_over;

static void move_on(int *place)
{
    int next = (*place + 1) % RING;
    pthread_mutex_lock(&ring[next]);
    pthread_mutex_unlock(&ring[*place]);
    *place = next;
}

static int my_place;

static void move_once(void)
{
    move_on(&my_place);
}

static void *follower(void *arg)
{
    int place = 1;
    pin(1);
    pthread_mutex_lock(&ring[place]);
    pthread_barrier_wait(&barrier);
    while (!atomic_load(&is_over))
        move_on(&place);
    pthread_mutex_unlock(&ring[place]);
    return arg;
}

static void threads_handover(int rounds)
{
    pthread_t thread;
    pin(0);
    for (int i = 0; i < RING; i++)
        pthread_mutex_init(&ring[i], NULL);
    check(pthread_barrier_init(&barrier, NULL, 2) == 0, "pthread_barrier_init");
    pthread_mutex_lock(&ring[my_place]);
    start(&thread, follower, NULL);
    pthread_barrier_wait(&barrier);
    measure("handover", move_once, SWITCHES, rounds);
    atomic_store(&is_over, true);
    pthread_mutex_unlock(&ring[my_place]);
    pthread_join(thread, NULL);
}

/* How late a sleep ends, not how long it is. */
static void threads_timer(int rounds)
{
    double least = 1e18;
    for (int round = 0; round <= rounds; round++) {
        double late = 0;
        for (int i = 0; i < SLEEPS; i++) {
            double due = now_ns() + SLEEP_NS;
            struct timespec at = { .tv_sec = (time_t)(due / 1e9) };
            at.tv_nsec = (long)(due - (double)at.tv_sec * 1e9);
            check(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == 0,
                  "clock_nanosleep");
            late += now_ns() - due;
        }
        if (round > 0 && late / SLEEPS < least)
            least = late / SLEEPS;
    }
    printf("timer %.0f\n", least);
    fflush(stdout);
}

/* ---- Memory ----------------------------------------------------------------------------------- */

static char *map(int flags, int fd)
{
    char *memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    check(memory != MAP_FAILED, "mmap");
    return memory;
}

static void touch(volatile char *memory, int write)
{
    for (long i = 0; i < PAGES; i++) {
        if (write)
            memory[i * PAGE] = 1;
        else
            (void)memory[i * PAGE];
    }
}

static void map_once(void)
{
    char *memory = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(memory != MAP_FAILED, "mmap");
    *(volatile char *)memory = 1;
    check(munmap(memory, PAGE) == 0, "munmap");
}

/* The faults of PAGES pages, without the time of mapping and unmapping; per page. */
static void measure_faults(const char *name, int flags, int fd, int read_first, int write,
                           int rounds)
{
    double least = 1e18;
    for (int round = 0; round <= rounds; round++) {
        double ns = 0;
        for (int i = 0; i < MAPS; i++) {
            char *memory = map(flags, fd);
            madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
            if (read_first)
                touch(memory, 0);
            double begin = now_ns();
            touch(memory, write);
            ns += now_ns() - begin;
            munmap(memory, PAGES * PAGE);
        }
        ns /= MAPS * PAGES;
        if (round > 0 && ns < least)
            least = ns;
    }
    printf("%s %.0f\n", name, least);
    fflush(stdout);
}

static int open_file(void)
{
    static char page[PAGE];
    int fd = open(FILE_NAME, O_RDWR | O_CREAT, 0600);
    check(fd >= 0, FILE_NAME);
    for (int i = 0; i < PAGES; i++)
        check(pwrite(fd, page, PAGE, i * PAGE) == PAGE, "pwrite");
    return fd;
}

static void memory_anonymous(int rounds)
{
    measure_faults("anonymous", MAP_PRIVATE | MAP_ANONYMOUS, -1, 0, 1, rounds);
}

static void memory_file(int rounds)
{
    int fd = open_file();
    measure_faults("file", MAP_SHARED, fd, 0, 0, rounds);
    close(fd);
}

static void memory_copy(int rounds)
{
    int fd = open_file();
    measure_faults("copy", MAP_PRIVATE, fd, 1, 1, rounds);
    close(fd);
}

static char *protected;

static void protect_once(void)
{
    check(mprotect(protected, PAGE, PROT_READ) == 0, "mprotect");
    check(mprotect(protected, PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
    *(volatile char *)protected = 1;
}

static void memory_protect(int rounds)
{
    protected = map(MAP_PRIVATE | MAP_ANONYMOUS, -1);
    touch(protected, 1);
    measure("protect", protect_once, FILE_CALLS, rounds);
    munmap(protected, PAGES * PAGE);
}

int main(int argc, char **argv)
{
    static const struct figure figures[] = {
        { "getpid", .once = getpid_once, .turns = CALLS },
        { "instruction", .once = instruction_once, .turns = CALLS },
        { "read", .once = read_once, .turns = CALLS },
        { "write", .once = write_once, .turns = CALLS },
        { "open", .once = open_once, .turns = FILE_CALLS },
        { "stat", .once = stat_once, .turns = FILE_CALLS },
        { "clock", .once = clock_once, .turns = CALLS },
        { "futex", .run = threads_futex },
        { "create", .once = create_once, .turns = THREADS },
        { "mutex", .run = threads_mutex },
        { "handover", .run = threads_handover },
        { "timer", .run = threads_timer },
        { "map", .once = map_once, .turns = FILE_CALLS },
        { "anonymous", .run = memory_anonymous },
        { "file", .run = memory_file },
        { "copy", .run = memory_copy },
        { "protect", .run = memory_protect },
    };

    zero_fd = open("/dev/zero", O_RDONLY);
    null_fd = open("/dev/null", O_WRONLY);
    check(zero_fd >= 0 && null_fd >= 0, "/dev");
    mkdir("/tmp", 01777); /* where there is no file system but the root */
    close(open_file());
    int status = run_figures(figures, sizeof(figures) / sizeof(figures[0]), argc, argv);
    unlink(FILE_NAME);
    return status;
}
