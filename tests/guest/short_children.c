// SPDX-License-Identifier: MIT
/*
 * Short children, made in every way by several threads at once among signals and timers: each must end as it was told
 * to, and find memory and registers as its parent left them.
 * test: variants=dynamic,musl cpus=2 timeout=60 args=40
 */
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>

#define NTHREADS 3
#define PAGES    24
#define NKINDS   6

extern char **environ;
static unsigned rounds, ndone;
static bool is_done;
static volatile unsigned nsignals;
static pthread_t threads[NTHREADS];

/* ---- What the children do ------------------------------------------------------ */

static unsigned long pattern(unsigned seed, unsigned page)
{
    return (seed * 64ul + page + 1) * 0x9e3779b97f4a7c15ul;
}

static void fill(unsigned long *pages, unsigned seed)
{
    for (unsigned i = 0; i < PAGES; i++)
        pages[i * 512 + 1] = pattern(seed, i);
}

static bool is_filled(const unsigned long *pages, unsigned seed)
{
    for (unsigned i = 0; i < PAGES; i++)
        if (pages[i * 512 + 1] != pattern(seed, i))
            return false;
    return true;
}

static void *add_one(void *arg)
{
    return (void *)((long)arg + 1);
}

static int end_with_threads(int code)
{
    pthread_t one, two;
    void *result = NULL;

    if (pthread_create(&one, NULL, add_one, (void *)(long)code) ||
        pthread_create(&two, NULL, add_one, (void *)(long)code))
        return 101;
    if (pthread_join(one, &result) || result != (void *)((long)code + 1))
        return 102;
    pthread_detach(two); /* it may still run when the process ends */
    return code;
}

/* ---- Making them ---------------------------------------------------------------- */

static void check_end_of(pid_t pid, int wanted, const char *kind, unsigned round)
{
    int status = 0;
    pid_t got;

    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    if (got == pid && status == wanted)
        return;
    printf("%s in round %u: %d of %d, status %x and not %x\n", kind, round, (int)got, (int)pid,
           (unsigned)status, (unsigned)wanted);
    CHECK(false);
}

/* fork() with values in vector registers on both sides of it. */
static pid_t fork_with_vectors(void)
{
    double before = (double)getpid() / 3, a = before, b = before * 2, c = before * 5;

    __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c));
    pid_t pid = fork();
    __asm__ volatile("" : "+x"(a), "+x"(b), "+x"(c));
    if (a != before || b != before * 2 || c != before * 5)
        abort();
    return pid;
}

static void make_writer(unsigned round, unsigned long *pages)
{
    int code = (int)(round % 100);
    pid_t pid = fork_with_vectors();

    if (pid == 0) {
        bool is_good = is_filled(pages, round);
        fill(pages, ~round);
        _exit(is_good && is_filled(pages, ~round) ? code : 103);
    }
    fill(pages, round + 1);
    check_end_of(pid, code << 8, "fork and write", round);
    CHECK(is_filled(pages, round + 1));
}

static void make_threads(unsigned round)
{
    int code = (int)(round % 100);
    pid_t pid = fork_with_vectors();

    if (pid == 0)
        _exit(end_with_threads(code));
    check_end_of(pid, code << 8, "fork and threads", round);
}

static void make_program(unsigned round, bool is_vfork)
{
    char text[16];
    char *argv[] = { "child", "end", text, NULL };

    snprintf(text, sizeof text, "%u", round % 100);
    pid_t pid = is_vfork ? vfork() : fork();
    if (pid == 0) {
        execve("/proc/self/exe", argv, environ);
        _exit(104);
    }
    check_end_of(pid, (int)(round % 100) << 8, is_vfork ? "vfork and execve" : "fork and execve",
                 round);
}

static void make_spawned(unsigned round)
{
    char text[16];
    char *argv[] = { "child", round % 2 ? "end" : "threads", text, NULL };
    pid_t pid = 0;

    snprintf(text, sizeof text, "%u", round % 100);
    CHECK(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
    check_end_of(pid, (int)(round % 100) << 8, "posix_spawn", round);
}

static void make_victim(unsigned round)
{
    int signal_number = round % 2 ? SIGKILL : SIGTERM;
    pid_t pid = fork_with_vectors();

    if (pid == 0)
        for (;;)
            nsignals = round;
    if (round % 3)
        sched_yield();
    CHECK(!kill(pid, signal_number));
    check_end_of(pid, signal_number, "fork and kill", round);
}

static void make_child(unsigned kind, unsigned round, unsigned long *pages)
{
    switch (kind) {
    case 0:
        fill(pages, round);
        make_writer(round, pages);
        return;
    case 1:
        make_threads(round);
        return;
    case 2:
    case 3:
        make_program(round, kind == 3);
        return;
    case 4:
        make_spawned(round);
        return;
    default:
        make_victim(round);
    }
}

static void *make_children(void *arg)
{
    void *pages =
        mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    NEED(pages != MAP_FAILED);
    for (unsigned i = 0; i < rounds; i++)
        make_child((i + (unsigned)(uintptr_t)arg) % NKINDS, i, pages);
    __atomic_fetch_add(&ndone, 1, __ATOMIC_SEQ_CST);
    return NULL;
}

/* ---- Signals ------------------------------------------------------------------- */

static void on_signal(int signal_number)
{
    nsignals += (unsigned)signal_number;
}

static void *send_signals(void *arg)
{
    (void)arg;
    while (!__atomic_load_n(&is_done, __ATOMIC_SEQ_CST)) {
        for (unsigned i = 0; i < NTHREADS; i++)
            (void)pthread_kill(threads[i], SIGUSR1); /* not joined yet: it may have ended */
        usleep(1500);
    }
    return NULL;
}

static void start_signals(pthread_t *sender)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    struct itimerval timer = { { 0, 1900 }, { 0, 1900 } };

    NEED(!setitimer(ITIMER_REAL, &timer, NULL));
    NEED(!sigaction(SIGCHLD, &action, NULL));
    NEED(!pthread_create(sender, NULL, send_signals, NULL));
}

int main(int argc, char **argv)
{
    pthread_t sender;
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

    if (argc == 3)
        return argv[1][0] == 'e' ? atoi(argv[2]) : end_with_threads(atoi(argv[2]));
    rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 40;
    NEED(!sigaction(SIGUSR1, &action, NULL) && !sigaction(SIGALRM, &action, NULL));
    for (uintptr_t i = 0; i < NTHREADS; i++)
        NEED(!pthread_create(&threads[i], NULL, make_children, (void *)i));
    start_signals(&sender);
    while (__atomic_load_n(&ndone, __ATOMIC_SEQ_CST) < NTHREADS)
        sleep_ms(5);
    __atomic_store_n(&is_done, true, __ATOMIC_SEQ_CST);
    CHECK(!pthread_join(sender, NULL));
    for (unsigned i = 0; i < NTHREADS; i++)
        CHECK(!pthread_join(threads[i], NULL));
    return check_end();
}
