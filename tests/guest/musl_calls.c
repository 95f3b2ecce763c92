// SPDX-License-Identifier: MIT
/*
 * System calls of a C library, which in the shipped musl jump (libc/musl): threads, cancellation where they block, fork
 * and its relatives, jumps out of signal handlers, timers, single steps and tracers; nobody must be able to tell.
 * test: flags=-pthread variants=dynamic,musl,musl-static cpus=2 timeout=60 counts=no
 */
#include "asleep.h"
#include "check.h"

#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#define AT_SYSINFO_ 32
#define APP_END     (1UL << 47)

extern char **environ;

/* The linked musl of a run in Stout is the shipped one: its getppid() ends in jmp *%r11. */
static void test_is_shipped(void)
{
#ifndef __GLIBC__
    struct utsname name;
    const char jump[] = { 0x41, (char)0xff, (char)0xe3 };
    bool is_stout = uname(&name) == 0 && strstr(name.release, "stout");
    pid_t (*function)(void) = getppid;

    if (is_stout && getauxval(AT_BASE) && getauxval(AT_SYSINFO_))
        CHECK(memmem((const void *)function, 48, jump, sizeof(jump)));
#endif
}

/* ---- Cancellation ------------------------------------------------------------------------ */

static int pipe_fds[2], socket_fds[2];
static volatile pid_t waiter;
static volatile int ncleaned;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;

static void block_in_read(void)
{
    char byte;
    (void)!read(pipe_fds[0], &byte, 1);
}

static void block_in_sleep(void)
{
    sleep(1000);
}

static void block_in_poll(void)
{
    struct pollfd one = { .fd = pipe_fds[0], .events = POLLIN };
    poll(&one, 1, -1);
}

static void block_in_recv(void)
{
    char byte;
    recv(socket_fds[0], &byte, 1, 0);
}

static void block_in_semaphore(void)
{
    sem_wait(&semaphore);
}

static void block_in_pause(void)
{
    pause();
}

static void block_in_condition(void)
{
    pthread_mutex_lock(&mutex);
    pthread_cond_wait(&condition, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void unlock(void *arg)
{
    if (arg)
        pthread_mutex_unlock(arg);
    ncleaned++;
}

struct blocking {
    void (*call)(void);
    pthread_mutex_t *held;
};

static void *wait_for_ever(void *arg)
{
    const struct blocking *blocking = arg;

    pthread_cleanup_push(unlock, blocking->held);
    waiter = gettid();
    blocking->call();
    CHECK(!"cancelled");
    pthread_cleanup_pop(0);
    return NULL;
}

static void test_cancel(void)
{
    static struct blocking points[] = {
        { block_in_read, NULL },        { block_in_sleep, NULL },     { block_in_poll, NULL },
        { block_in_recv, NULL },        { block_in_semaphore, NULL }, { block_in_pause, NULL },
        { block_in_condition, &mutex },
    };

    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        pthread_t thread;
        void *result = NULL;

        waiter = 0;
        ncleaned = 0;
        NEED(pthread_create(&thread, NULL, wait_for_ever, &points[i]) == 0);
        while (!waiter)
            sched_yield();
        wait_asleep(waiter);
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED && ncleaned == 1);
    }
    CHECK(pthread_mutex_trylock(&mutex) == 0);
    pthread_mutex_unlock(&mutex);
}

/* A request that waits is met before the call does anything. */
static void *read_with_request(void *arg)
{
    char byte;

    (void)arg;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL);
    pthread_cancel(pthread_self());
    CHECK(read(pipe_fds[0], &byte, 1) == 1);
    pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, NULL);
    (void)!read(pipe_fds[0], &byte, 1);
    CHECK(!"cancelled");
    return NULL;
}

/* A cancelled read has taken nothing, or else it returns; glibc before 2.41 does not promise that. */
#ifdef __GLIBC__
#define CANCEL_ROUNDS 0
#else
#define CANCEL_ROUNDS 150
#endif

static volatile int nread;

static void *read_bytes(void *arg)
{
    char byte;

    (void)arg;
    while (read(pipe_fds[0], &byte, 1) == 1)
        nread++;
    return NULL;
}

static int bytes_left(void)
{
    struct pollfd one = { .fd = pipe_fds[0], .events = POLLIN };
    char byte;
    int n = 0;

    while (poll(&one, 1, 0) == 1 && read(pipe_fds[0], &byte, 1) == 1)
        n++;
    return n;
}

static void test_cancel_loses_nothing(void)
{
    pthread_t thread;
    void *result;

    NEED(write(pipe_fds[1], "ab", 2) == 2);
    NEED(pthread_create(&thread, NULL, read_with_request, NULL) == 0);
    CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    CHECK(bytes_left() == 1);
    for (int round = 0; round < CANCEL_ROUNDS; round++) {
        char bytes[64] = { 0 };
        int nwritten = 0;

        nread = 0;
        NEED(pthread_create(&thread, NULL, read_bytes, NULL) == 0);
        for (int i = 0; i < round % 10 + 1; i++, nwritten += 8)
            NEED(write(pipe_fds[1], bytes, 8) == 8);
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
        CHECK(nread + bytes_left() == nwritten);
    }
}

/* ---- Signals, jumps, timers ---------------------------------------------------------------- */

static volatile int nhandled;
static sigjmp_buf jump;

static void on_alarm(int number, siginfo_t *info, void *context)
{
    uintptr_t pc = (uintptr_t)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];

    (void)number, (void)info;
    CHECK(pc < APP_END);
    nhandled++;
}

static void on_alarm_jump(int number, siginfo_t *info, void *context)
{
    on_alarm(number, info, context);
    siglongjmp(jump, 1);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

    NEED(sigaction(number, &action, NULL) == 0);
}

static void test_jumps(void)
{
    struct itimerval fast = { { 0, 0 }, { 0, 300 } }, off = { { 0, 0 }, { 0, 0 } };
    pid_t parent = getppid();
    volatile int round = 0;
    long value;
    int zero = open("/dev/zero", O_RDONLY);

    handle(SIGALRM, on_alarm_jump, 0);
    nhandled = 0;
    while (round < 100) {
        if (sigsetjmp(jump, 1)) {
            round++;
            continue;
        }
        setitimer(ITIMER_REAL, &fast, NULL);
        if (round % 2)
            for (;;)
                pause(); /* out of a call that sleeps */
        for (;;) {
            CHECK(getppid() == parent);
            value = -1;
            CHECK(pread(zero, &value, 8, 0) == 8 && value == 0);
        }
    }
    setitimer(ITIMER_REAL, &off, NULL);
    CHECK(nhandled == 100);
    close(zero);
}

static void *write_later(void *arg)
{
    wait_asleep(waiter);
    pthread_kill(*(pthread_t *)arg, SIGUSR1);
    wait_asleep(waiter);
    CHECK(write(pipe_fds[1], "x", 1) == 1);
    return NULL;
}

static void test_restart(void)
{
    pthread_t self = pthread_self(), thread;
    char byte = 0;

    waiter = gettid();
    for (int flags = 0; flags <= SA_RESTART; flags += SA_RESTART) {
        nhandled = 0;
        handle(SIGUSR1, on_alarm, flags);
        NEED(pthread_create(&thread, NULL, write_later, &self) == 0);
        if (flags)
            CHECK(read(pipe_fds[0], &byte, 1) == 1 && byte == 'x');
        else
            CHECK_ERRNO(read(pipe_fds[0], &byte, 1), EINTR);
        pthread_join(thread, NULL);
        CHECK(nhandled == 1);
    }
    CHECK(bytes_left() == 1);
}

static void test_timers(void)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
    struct itimerspec soon = { { 0, 1000000 }, { 0, 1000000 } };
    struct timespec far = { 100, 0 }, left = { 0, 0 };
    timer_t timer;

    nhandled = 0;
    handle(SIGUSR2, on_alarm, 0);
    NEED(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0);
    CHECK(timer_settime(timer, 0, &soon, NULL) == 0);
    while (nhandled < 20)
        CHECK(nanosleep(&far, &left) == -1 && errno == EINTR && left.tv_sec >= 90);
    CHECK(timer_delete(timer) == 0);
}

/* ---- Threads and processes ------------------------------------------------------------------ */

static void *call_many(void *arg)
{
    pid_t tid = gettid();
    char text[64], name[32];
    int fds[2];

    NEED(pipe(fds) == 0);
    for (int i = 0; i < 500; i++) {
        int n = snprintf(name, sizeof(name), "%d %d", tid, i);
        if (gettid() != tid || write(fds[1], name, (size_t)n) != n ||
            read(fds[0], text, sizeof(text)) != n || memcmp(text, name, (size_t)n) != 0)
            return arg;
        char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (page == MAP_FAILED || *page || munmap(page, 4096) != 0)
            return arg;
    }
    close(fds[0]);
    close(fds[1]);
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[4];
    void *result;

    for (int i = 0; i < 4; i++)
        NEED(pthread_create(&threads[i], NULL, call_many, pipe_fds) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(pthread_join(threads[i], &result) == 0 && result == NULL);
}

static void test_processes(void)
{
    char *argv[] = { "musl_calls", "child", NULL };
    pid_t parent = getpid(), child;
    int status;

    child = fork();
    NEED(child >= 0);
    if (child == 0)
        _exit(getppid() == parent && getpid() != parent && !call_many(argv) ? 3 : 1);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 3);
    child = vfork();
    NEED(child >= 0);
    if (child == 0) {
        execve("/proc/self/exe", argv, environ);
        _exit(1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 4);
    NEED(posix_spawn(&child, "/proc/self/exe", NULL, NULL, argv, environ) == 0);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 4);
    CHECK(posix_spawn(&child, "/nowhere", NULL, NULL, argv, environ) == ENOENT);
    CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
}

/* ---- Steps ---------------------------------------------------------------------------------- */

#define STEPS_MAX 200
#define TRAP_FLAG 0x100L

static volatile int nsteps, ncalls_seen;

static bool is_call(uintptr_t pc)
{
    return memcmp((const void *)pc, "\x0f\x05", 2) == 0;
}

static void on_step(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    uintptr_t pc = (uintptr_t)registers[REG_RIP];

    (void)number, (void)info;
    CHECK(pc < APP_END);
    ncalls_seen += is_call(pc);
    if (++nsteps == STEPS_MAX)
        registers[REG_EFL] &= ~TRAP_FLAG;
}

static void set_trap_flag(long mask, long flag)
{
    __asm__ volatile("sub $128, %%rsp\n\t"
                     "pushf\n\t"
                     "and %[mask], (%%rsp)\n\t"
                     "or %[flag], (%%rsp)\n\t"
                     "popf\n\t"
                     "add $128, %%rsp\n\t" ::[mask] "r"(mask),
                     [flag] "r"(flag)
                     : "memory", "cc");
}

static void test_steps(void)
{
    pid_t parent = getppid(), found;

    handle(SIGTRAP, on_step, 0);
    set_trap_flag(~0L, TRAP_FLAG);
    found = getppid();
    set_trap_flag(~TRAP_FLAG, 0);
    CHECK(found == parent && nsteps > 3 && nsteps < STEPS_MAX && ncalls_seen == 1);
}

static int expect_stop(pid_t child, int request)
{
    int status = 0;

    CHECK(ptrace(request, child, 0, 0) == 0);
    CHECK(waitpid(child, &status, 0) == child);
    return status;
}

static pid_t traced_child(void)
{
    int status;
    pid_t child = fork();

    NEED(child >= 0);
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        raise(SIGSTOP);
        _exit(getppid() > 0 && getuid() == 0 && getppid() > 0 ? 5 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && WIFSTOPPED(status));
    return child;
}

static void test_tracer(void)
{
    static const long expected[] = { SYS_getppid, SYS_getuid, SYS_getppid, SYS_exit_group };
    struct user_regs_struct regs;
    size_t nseen = 0;
    pid_t child = traced_child();
    int status, nstops = 0;

    while (WIFSTOPPED(status = expect_stop(child, PTRACE_SYSCALL))) {
        CHECK(WSTOPSIG(status) == SIGTRAP && ptrace(PTRACE_GETREGS, child, 0, &regs) == 0 &&
              regs.rip < APP_END);
        if (nseen < 4 && (long)regs.orig_rax == expected[nseen])
            nseen += nstops++ % 2 || regs.orig_rax == SYS_exit_group;
    }
    CHECK(nseen == 4 && WIFEXITED(status) && WEXITSTATUS(status) == 5);

    child = traced_child();
    nseen = 0;
    while (WIFSTOPPED(status = expect_stop(child, PTRACE_SINGLESTEP))) {
        CHECK(WSTOPSIG(status) == SIGTRAP && ptrace(PTRACE_GETREGS, child, 0, &regs) == 0 &&
              regs.rip < APP_END);
        long word = ptrace(PTRACE_PEEKTEXT, child, regs.rip, 0);
        if (nseen < 4 && (word & 0xffff) == 0x050f && (long)regs.rax == expected[nseen])
            nseen++;
    }
    CHECK(nseen == 4 && WIFEXITED(status) && WEXITSTATUS(status) == 5);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "child") == 0 && getpid() > 1 && !call_many(argv) ? 4 : 1;
    NEED(pipe(pipe_fds) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, socket_fds) == 0 &&
         sem_init(&semaphore, 0, 0) == 0);
    test_is_shipped();
    test_cancel();
    test_cancel_loses_nothing();
    test_jumps();
    test_restart();
    test_timers();
    test_threads();
    test_processes();
    test_steps();
    test_tracer();
    return check_end();
}
