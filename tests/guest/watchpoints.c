// SPDX-License-Identifier: MIT
/*
 * The debug registers of a traced child (struct user's u_debugreg): watched writes and reads, breakpoints of
 * instructions, single steps beside them, what is refused, and whose they are: a thread's own, until it ends or
 * executes.
 * test: flags=-pthread cpus=2 timeout=60 roads=patched
 */
#include "tracee.h"

#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/user.h>

#define WRITE               1UL
#define READWRITE           3UL
#define EXECUTE             0UL
/* DR7: slot n is on, with a kind and a size as it has them. */
#define SLOT(n, kind, size) (1UL << (2 * (n)) | ((kind) | SIZE_##size << 2) << (16 + 4 * (n)))
#define SIZE_1              0UL
#define SIZE_2              1UL
#define SIZE_4              3UL
#define SIZE_8              2UL
#define DEBUG_AT(n)         (offsetof(struct user, u_debugreg) + 8UL * (n))

static volatile union {
    unsigned char byte[32];
    uint16_t half[16];
    uint32_t word[8];
    uint64_t wide[4];
} area __attribute__((aligned(32)));
static int ends[2];

static unsigned long debug_get(pid_t pid, int n)
{
    errno = 0;
    unsigned long value = (unsigned long)ptrace(PTRACE_PEEKUSER, pid, DEBUG_AT(n), 0);
    CHECK(errno == 0);
    return value;
}

static long debug_set(pid_t pid, int n, unsigned long value)
{
    return ptrace(PTRACE_POKEUSER, pid, DEBUG_AT(n), value);
}

static void watch(pid_t pid, int n, volatile const void *address, unsigned long control)
{
    CHECK(debug_set(pid, n, (unsigned long)address) == 0);
    CHECK(debug_set(pid, 7, debug_get(pid, 7) | control) == 0);
}

/* Goes on until it ends; says of each stop what it is about. */
static void follow(pid_t pid)
{
    for (int i = 0; i < 40; i++) {
        siginfo_t info;
        struct user_regs_struct regs;
        CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
        if (!WIFSTOPPED(wait_show("watched", pid)))
            return;
        CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0);
        CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
        printf("code %d here %d RF %d DR6 %lx area %x\n", info.si_code,
               info.si_addr == (void *)regs.rip, (int)(regs.eflags >> 16 & 1), debug_get(pid, 6),
               (unsigned)ptrace(PTRACE_PEEKDATA, pid, (long)&area, 0));
    }
}

/* ---- Values ----------------------------------------------------------------------------- */

static void nothing_body(void)
{
}

static void test_values(void)
{
    pid_t pid = traced_child(nothing_body);
    for (int n = 0; n < 8; n++)
        printf("DR%d %lx\n", n, debug_get(pid, n));
    CHECK_ERRNO(debug_set(pid, 4, 1), EIO);
    CHECK_ERRNO(debug_set(pid, 5, 0), EIO);
    CHECK_ERRNO(ptrace(PTRACE_POKEUSER, pid, DEBUG_AT(1) + 1, 0), EIO);
    CHECK_ERRNO(debug_set(pid, 0, 0x7ffffffff000), EINVAL);
    CHECK_ERRNO(debug_set(pid, 0, 0xffffffff81000000), EINVAL);
    CHECK_ERRNO(debug_set(pid, 0, 0x8000000000000000), EINVAL);
    CHECK(debug_set(pid, 0, 0x7fffffffeffe) == 0);
    CHECK_ERRNO(debug_set(pid, 7, SLOT(0, WRITE, 4)), EINVAL); /* not aligned */
    CHECK_ERRNO(debug_set(pid, 7, SLOT(0, 2, 1)), EINVAL);     /* I/O ports */
    CHECK_ERRNO(debug_set(pid, 7, SLOT(0, EXECUTE, 4)), EINVAL);
    CHECK_ERRNO(debug_set(pid, 7, SLOT(0, WRITE, 4) & ~1UL),
                EINVAL); /* off, and checked all the same */
    CHECK(debug_set(pid, 7, SLOT(0, WRITE, 2)) == 0);
    CHECK_ERRNO(debug_set(pid, 0, 0x1001), EINVAL);
    CHECK(debug_set(pid, 7, (SLOT(1, WRITE, 8) & ~4UL) | 0x3300) ==
          0); /* nothing is on; a bit that is no breakpoint's */
    CHECK(debug_set(pid, 1, 0x1001) == 0);
    CHECK(debug_set(pid, 6, 0x1234) == 0);
    for (int n = 0; n < 8; n++)
        printf("DR%d %lx\n", n, debug_get(pid, n));
    CHECK(debug_set(pid, 7, 0) == 0);
    follow(pid);
}

/* ---- Data --------------------------------------------------------------------------------- */

static void data_body(void)
{
    unsigned sum = 0;
    area.word[0] = 1;
    area.word[0] = 1; /* a write is one, whatever it changes */
    sum += area.word[0];
    area.byte[3] = 2;
    area.byte[4] = 3; /* the next word */
    area.wide[0] = 5;
    area.half[15] = 6;
    sum += area.half[14];
    /* The kernel's own accesses do not count. */
    for (int i = 0; i < 50; i++) {
        CHECK(write(ends[1], (const void *)&area, 8) == 8);
        CHECK(read(ends[0], (void *)&area, 8) == 8);
    }
    area.word[0] = sum;
}

/* Each access is one slot's at most. */
static void pieces_body(void)
{
    unsigned sum = area.byte[3];
    area.byte[3] = 2;
    area.byte[4] = 3;
    area.half[15] = 6;
    sum += area.half[15];
    area.half[14] = 7;
    area.wide[1] = sum;
    sum += area.byte[9] + area.word[1];
    area.word[0] = sum;
}

static void test_data(void)
{
    pid_t pid = traced_child(data_body);
    watch(pid, 0, &area.word[0], SLOT(0, WRITE, 4));
    follow(pid);
    pid = traced_child(data_body);
    watch(pid, 0, &area.wide[0], SLOT(0, WRITE, 8));
    follow(pid);
    pid = traced_child(pieces_body);
    watch(pid, 0, &area.byte[3], SLOT(0, WRITE, 1));
    watch(pid, 1, &area.half[15], SLOT(1, READWRITE, 2));
    watch(pid, 2, &area.word[1], SLOT(2, WRITE, 4));
    watch(pid, 3, &area.wide[1], SLOT(3, READWRITE, 8));
    follow(pid);
}

/* ---- Instructions ---------------------------------------------------------------------------- */

static int __attribute__((noinline, noclone)) callee(int n)
{
    __asm__ volatile("" : "+r"(n));
    return n + 1;
}

static void call_body(void)
{
    int n = 0;
    for (int i = 0; i < 3; i++)
        n = callee(n);
    if (n != 3)
        _exit(1);
}

static void test_instructions(void)
{
    pid_t pid = traced_child(call_body);
    struct user_regs_struct regs;
    watch(pid, 2, (const void *)callee, SLOT(2, EXECUTE, 1));
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    wait_show("at", pid);
    CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
    CHECK(regs.rip == (uintptr_t)callee && regs.rdi == 0);
    CHECK(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
    wait_show("step from it", pid);
    printf("DR6 %lx\n", debug_get(pid, 6));
    follow(pid);
}

/* Some hypervisors do not give their guests these registers. */
static bool have_breakpoints(void)
{
    pid_t pid = traced_child(call_body);
    int status;
    watch(pid, 2, (const void *)callee, SLOT(2, EXECUTE, 1));
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    CHECK(waitpid(pid, &status, 0) == pid);
    bool is_stopped = WIFSTOPPED(status);
    if (is_stopped) {
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, &status, 0) == pid);
    }
    return is_stopped;
}

/* ---- Steps ------------------------------------------------------------------------------------- */

static void test_steps(void)
{
    pid_t pid = traced_child(data_body);
    int nwatched = 0, nsteps = 0;
    watch(pid, 0, &area.half[15], SLOT(0, WRITE, 2));
    for (; nwatched == 0 && nsteps < 10000; nsteps++) {
        CHECK(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
        if (debug_get(pid, 6) & 1) {
            siginfo_t info;
            CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0);
            printf("step and watch: DR6 %lx code %d\n", debug_get(pid, 6), info.si_code);
            nwatched++;
        }
    }
    CHECK(nsteps > 5);
    follow(pid);
}

/* ---- Whose they are ------------------------------------------------------------------------------ */

static void *write_often(void *arg)
{
    for (int i = 0; i < 1000; i++) {
        area.word[0] = (unsigned)i;
        if (i % 100 == 0)
            sched_yield();
    }
    return arg;
}

static void others_body(void)
{
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        CHECK(pthread_create(&threads[i], NULL, write_often, NULL) == 0);
    for (int i = 0; i < 2; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        write_often(NULL);
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    area.word[0] = 7;
    char *args[] = { "writer", NULL };
    execv("/proc/self/exe", args);
}

static void test_others(void)
{
    pid_t pid = traced_child(others_body);
    watch(pid, 0, &area.word[0], SLOT(0, WRITE, 4));
    follow(pid);
}

/* Two children take turns on the processors, each with a watch of its own at the same address. */
static void turns_body(void)
{
    for (int i = 0; i < 5; i++) {
        for (int j = 0; j < 20; j++)
            sched_yield();
        area.word[1] = (unsigned)i;
    }
}

static void test_turns(void)
{
    enum { N = 4 };
    pid_t pids[N];
    int nhits[N] = { 0 }, nleft = N;
    for (int i = 0; i < N; i++) {
        pids[i] = traced_child(turns_body);
        if (i % 2 == 0)
            watch(pids[i], 0, &area.word[1], SLOT(0, WRITE, 4));
    }
    for (int i = 0; i < N; i++)
        CHECK(ptrace(PTRACE_CONT, pids[i], 0, 0) == 0);
    while (nleft > 0) {
        int status, i = 0;
        pid_t pid = waitpid(-1, &status, 0);
        NEED(pid > 0);
        while (pids[i] != pid)
            i++;
        if (!WIFSTOPPED(status)) {
            nleft--;
            continue;
        }
        nhits[i]++;
        CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    }
    for (int i = 0; i < N; i++)
        printf("child %d: %d hits\n", i, nhits[i]);
}

/* Who lets go of the child and not of its watch leaves it to its signal. */
static void test_left(void)
{
    pid_t pid = traced_child(data_body);
    watch(pid, 0, &area.word[0], SLOT(0, WRITE, 4));
    CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
    wait_show("left", pid);
}

int main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "writer") == 0) {
        write_often(NULL);
        return 4;
    }
    NEED(pipe(ends) == 0);
    if (!have_breakpoints())
        unable("no hardware breakpoints");
    test_values();
    test_data();
    test_instructions();
    test_steps();
    test_others();
    test_turns();
    test_left();
    return check_end();
}
