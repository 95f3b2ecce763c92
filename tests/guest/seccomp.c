// SPDX-License-Identifier: MIT
/*
 * seccomp(2) and prctl(PR_SET_SECCOMP): strict mode, each action of a filter, what is inherited, TSYNC, tracers, and
 * the filters' programs: what is accepted and what random ones return.
 * test: flags=-pthread cpus=2 timeout=60 roads=patched
 */
#include "check.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <ucontext.h>

#define NOWHERE       1000 /* no system call has this number */
#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))
#define NR            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define ARG(i)        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[i]))
#define ALLOW         BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, value)

static long set_filter(unsigned flags, const struct sock_filter *program, unsigned n)
{
    struct sock_fprog prog = { (unsigned short)n, (struct sock_filter *)program };

    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &prog);
}

/* What becomes of the calls of one number. */
static long set_answer(unsigned flags, int nr, unsigned answer)
{
    const struct sock_filter program[] = { NR,
                                           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
                                           RETURN(answer), ALLOW };

    return set_filter(flags, program, LENGTH(program));
}

static void show(const char *what, int status)
{
    if (WIFEXITED(status))
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        printf("%s: killed by %d\n", what, WTERMSIG(status));
    else
        printf("%s: %#x\n", what, status);
}

static void run(const char *what, int (*body)(void))
{
    int status = -1;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int code = body();
        fflush(stdout);
        _exit(check_failures ? 99 : code);
    }
    CHECK(waitpid(pid, &status, 0) == pid);
    show(what, status);
}

/* ---- Arguments ------------------------------------------------------------------------------ */

static int wrong_arguments(void)
{
    struct sock_fprog empty = { 0, NULL };
    struct sock_filter allow = ALLOW, nothing = RETURN(0);
    static const unsigned actions[] = { SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD,
                                        SECCOMP_RET_TRAP,         SECCOMP_RET_ERRNO,
                                        SECCOMP_RET_TRACE,        SECCOMP_RET_LOG,
                                        SECCOMP_RET_ALLOW };

    CHECK_ERRNO(syscall(SYS_seccomp, 99, 0, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, &empty), EINVAL);
    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0x80, NULL), EINVAL);
    for (unsigned flag = 1; flag < 8; flag <<= 1)
        CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flag, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &empty), EINVAL);
    CHECK_ERRNO(set_filter(0, &allow, 4097), EINVAL);
    CHECK_ERRNO(set_filter(0, (void *)8, 1), EFAULT);
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, 7, NULL), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL), EFAULT);
    for (size_t i = 0; i < LENGTH(actions); i++)
        CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &actions[i]) == 0);
    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &nothing.code), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, &actions[0]), EINVAL);
    CHECK_ERRNO(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, NULL), EFAULT);
    CHECK(prctl(PR_GET_SECCOMP) == 0);
    NEED(setresuid(65534, 65534, 65534) == 0);
    CHECK_ERRNO(set_filter(0, &allow, 1), EACCES);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(set_filter(0, &allow, 1) == 0);
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &(struct sock_fprog){ 1, &allow }) == 0);
    CHECK(prctl(PR_GET_SECCOMP) == 2);
    CHECK_ERRNO(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT), EINVAL);
    return 0;
}

#define BAD(...)                                                                                   \
    do {                                                                                           \
        const struct sock_filter bad[] = { __VA_ARGS__ };                                          \
        CHECK_ERRNO(set_filter(0, bad, LENGTH(bad)), EINVAL);                                      \
    } while (0)

static int wrong_programs(void)
{
    BAD(NR);                                                    /* does not return */
    BAD(BPF_STMT(BPF_RET | BPF_X, 0));                          /* no such instruction */
    BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), ALLOW);         /* behind the data */
    BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), ALLOW);          /* not aligned */
    BAD(BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0xfffffffc), ALLOW); /* about a packet */
    BAD(BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), ALLOW);          /* not a word */
    BAD(BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), ALLOW);          /* for packets */
    BAD(BPF_STMT(BPF_LDX | BPF_B | BPF_MSH, 0), ALLOW);         /* for packets */
    BAD(BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 3), ALLOW);         /* not in seccomp */
    BAD(BPF_STMT(BPF_ALU | BPF_DIV | BPF_K, 0), ALLOW);         /* by zero */
    BAD(BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 32), ALLOW);        /* too far */
    BAD(BPF_STMT(BPF_JMP | BPF_JA, 1), ALLOW);                  /* leads out */
    BAD(BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), ALLOW);         /* back */
    BAD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), ALLOW);   /* leads out */
    BAD(BPF_STMT(BPF_ST, 16), ALLOW);                           /* no such word */
    BAD(BPF_STMT(BPF_LD | BPF_MEM, 3), ALLOW);                  /* not written */
    BAD(BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), BPF_STMT(BPF_ST, 3),
        BPF_STMT(BPF_LD | BPF_MEM, 3), ALLOW); /* on one of two ways */
    BAD(BPF_STMT(0x100, 0), ALLOW);
    return 0;
}

/* ---- Actions ---------------------------------------------------------------------------------- */

static int strict_kills(void)
{
    int fds[2];
    char byte = 'x';

    CHECK(pipe(fds) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) == 0);
    if (write(fds[1], &byte, 1) == 1 && read(fds[0], &byte, 1) == 1)
        syscall(SYS_getpid);
    syscall(SYS_exit, 1);
    return 2;
}

static int strict_exits(void)
{
    CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, NULL) == 0);
    syscall(SYS_exit, 9);
    return 2;
}

static int answers_errno(void)
{
    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_ERRNO | 77) == 0);
    CHECK_ERRNO(syscall(SYS_getppid), 77);
    CHECK(set_answer(0, SYS_getuid, SECCOMP_RET_ERRNO) == 0);
    CHECK(set_answer(SECCOMP_FILTER_FLAG_LOG, NOWHERE, SECCOMP_RET_ERRNO | 0xffff) == 0);
    CHECK(syscall(SYS_getuid) == 0);
    CHECK_ERRNO(syscall(NOWHERE), 4095);
    CHECK_ERRNO(syscall(NOWHERE + 1), ENOSYS);
    /* The newest of equal answers, the strictest of others. */
    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_ERRNO | 78) == 0);
    CHECK_ERRNO(syscall(SYS_getppid), 78);
    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_LOG) == 0);
    CHECK_ERRNO(syscall(SYS_getppid), 78);
    CHECK(set_answer(0, SYS_getgid, SECCOMP_RET_LOG) == 0);
    CHECK(syscall(SYS_getgid) == 0);
    CHECK(set_answer(0, SYS_getegid, SECCOMP_RET_TRACE | 5) == 0);
    CHECK_ERRNO(syscall(SYS_getegid), ENOSYS);
    return 0;
}

static long call0(long nr)
{
    __asm__ volatile("syscall" : "+a"(nr) : : "rcx", "r11", "memory");
    return nr;
}

/* Calls that glibc does not look at the result of, often enough for their sites to be patched before. */
static int answers_late(void)
{
    int nright = 0;

    for (int i = 0; i < 3000; i++)
        nright += getppid() > 0 && getpid() > 0 && call0(SYS_gettid) > 0;
    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_ERRNO | 11) == 0);
    CHECK(set_answer(0, SYS_getpid, SECCOMP_RET_ERRNO | 12) == 0);
    for (int i = 0; i < 1000; i++)
        nright += getppid() == -11 && getpid() == -12 && call0(SYS_gettid) > 0;
    CHECK(nright == 4000);
    return 0;
}

static int sees_arguments(void)
{
    const struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        RETURN(SECCOMP_RET_KILL_PROCESS),
        NR,
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close, 0, 3),
        ARG(0),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 500, 0, 1),
        RETURN(SECCOMP_RET_ERRNO | EPERM),
        ALLOW,
    };

    CHECK(set_filter(SECCOMP_FILTER_FLAG_SPEC_ALLOW, program, LENGTH(program)) == 0);
    CHECK_ERRNO(close(501), EPERM);
    CHECK_ERRNO(close(499), EBADF);
    return 0;
}

static volatile uintptr_t trap_address, trap_pc;

static void on_trap(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    printf("signal %d code %d errno %d call %d arch %x rax %lld\n", number, info->si_code,
           info->si_errno, info->si_syscall, info->si_arch, registers[REG_RAX]);
    trap_address = (uintptr_t)info->si_call_addr;
    trap_pc = (uintptr_t)registers[REG_RIP];
    registers[REG_RAX] = 1234;
}

static int traps(void)
{
    struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

    sigaction(SIGSYS, &action, NULL);
    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_TRAP | 42) == 0);
    CHECK(set_answer(0, NOWHERE, SECCOMP_RET_TRAP | 43) == 0);
    CHECK(syscall(SYS_getppid) == 1234);
    CHECK(trap_address == trap_pc && trap_pc);
    CHECK(syscall(NOWHERE) == 1234);
    return 0;
}

static int traps_blocked(void)
{
    struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };
    sigset_t set;

    sigaction(SIGSYS, &action, NULL);
    sigemptyset(&set);
    sigaddset(&set, SIGSYS);
    sigprocmask(SIG_BLOCK, &set, NULL);
    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_TRAP | 42) == 0);
    fflush(stdout);
    syscall(SYS_getppid);
    return 1;
}

static int kills_handled(void)
{
    struct sigaction action = { .sa_sigaction = on_trap, .sa_flags = SA_SIGINFO };

    sigaction(SIGSYS, &action, NULL);
    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS) == 0);
    fflush(stdout);
    syscall(SYS_getppid);
    return 1;
}

static int kills_unknown(void)
{
    CHECK(set_answer(0, SYS_getppid, 0x00010000) == 0);
    fflush(stdout);
    syscall(SYS_getppid);
    return 1;
}

static void *call_getppid(void *arg)
{
    (void)arg;
    syscall(SYS_getppid);
    return NULL;
}

static void *exit_later(void *arg)
{
    usleep(100000);
    syscall(SYS_exit, (long)arg);
    return NULL;
}

static int kills_thread(void)
{
    pthread_t thread;

    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_KILL_THREAD) == 0);
    NEED(pthread_create(&thread, NULL, call_getppid, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return 5;
}

static int kills_leader(void)
{
    pthread_t thread;

    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_KILL_THREAD) == 0);
    NEED(pthread_create(&thread, NULL, exit_later, (void *)3) == 0);
    fflush(stdout);
    syscall(SYS_getppid);
    return 1;
}

static int kills_process(void)
{
    pthread_t thread;

    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_KILL_PROCESS) == 0);
    fflush(stdout);
    NEED(pthread_create(&thread, NULL, call_getppid, NULL) == 0);
    pause();
    return 1;
}

static int too_many(void)
{
    static struct sock_filter program[4096];

    for (size_t i = 0; i < LENGTH(program); i++)
        program[i] = (struct sock_filter)ALLOW;
    /* How many there may be depends on what Linux translates them to. */
    for (int i = 0; i < 3; i++)
        CHECK(set_filter(0, program, LENGTH(program)) == 0);
    for (int i = 0; i < 4; i++)
        (void)!set_filter(0, program, LENGTH(program));
    CHECK_ERRNO(set_filter(0, program, LENGTH(program)), ENOMEM);
    CHECK(set_filter(0, program, 1) == 0);
    return 0;
}

/* ---- What is inherited --------------------------------------------------------------------------- */

static void show_status(void)
{
    FILE *status = fopen("/proc/thread-self/status", "r");
    char line[256];

    NEED(status);
    while (fgets(line, sizeof(line), status))
        if (!strncmp(line, "NoNewPrivs", 10) || !strncmp(line, "Seccomp", 7))
            fputs(line, stdout);
    fclose(status);
}

static void *call_inherited(void *arg)
{
    (void)arg;
    CHECK_ERRNO(syscall(SYS_getppid), 77);
    return NULL;
}

static int inherits(void)
{
    char *argv[] = { "seccomp", "executed", NULL };
    pthread_t thread;

    show_status();
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_ERRNO | 77) == 0);
    CHECK(set_answer(0, SYS_getuid, SECCOMP_RET_ALLOW) == 0);
    NEED(pthread_create(&thread, NULL, call_inherited, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    fflush(stdout);
    execv("/proc/self/exe", argv);
    return 1;
}

static int executed(void)
{
    CHECK_ERRNO(syscall(SYS_getppid), 77);
    CHECK(prctl(PR_GET_SECCOMP) == 2);
    show_status();
    return check_failures ? 1 : 6;
}

/* ---- TSYNC ------------------------------------------------------------------------------------------ */

static pthread_barrier_t barrier;
static bool must_differ;
static volatile pid_t other_tid;

static void *other_thread(void *arg)
{
    (void)arg;
    other_tid = gettid();
    if (must_differ)
        CHECK(set_answer(0, SYS_getgid, SECCOMP_RET_ALLOW) == 0);
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier);
    if (must_differ) {
        CHECK(syscall(SYS_getppid) > 0);
    } else {
        CHECK_ERRNO(syscall(SYS_getppid), 77);
        show_status();
    }
    return NULL;
}

static int syncs(void)
{
    const unsigned both = SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
    pthread_t thread;

    CHECK(set_answer(0, SYS_getuid, SECCOMP_RET_ALLOW) == 0);
    pthread_barrier_init(&barrier, NULL, 2);
    NEED(pthread_create(&thread, NULL, other_thread, NULL) == 0);
    pthread_barrier_wait(&barrier);
    long result = set_answer(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | 77);
    CHECK(result == (must_differ ? other_tid : 0));
    if (must_differ)
        CHECK_ERRNO(set_answer(both, SYS_getppid, SECCOMP_RET_ERRNO | 77), ESRCH);
    pthread_barrier_wait(&barrier);
    CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}

static int syncs_not(void)
{
    must_differ = true;
    return syncs();
}

static void *create_and_call(void *arg)
{
    pthread_t thread;

    if ((long)arg > 0 && pthread_create(&thread, NULL, create_and_call, (char *)arg - 1) == 0)
        pthread_join(thread, NULL);
    syscall(SYS_getppid);
    return NULL;
}

/* Threads are made and end while all are moved. */
static int syncs_often(void)
{
    pthread_t threads[4];

    for (size_t i = 0; i < LENGTH(threads); i++)
        NEED(pthread_create(&threads[i], NULL, create_and_call, (void *)20) == 0);
    for (int i = 0; i < 40; i++)
        CHECK(set_answer(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | 77) == 0);
    for (size_t i = 0; i < LENGTH(threads); i++)
        pthread_join(threads[i], NULL);
    CHECK_ERRNO(syscall(SYS_getppid), 77);
    return 0;
}

/* ---- A tracer ----------------------------------------------------------------------------------------- */

static void traced_body(void)
{
    CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    raise(SIGSTOP);
    CHECK(set_answer(0, SYS_getegid, SECCOMP_RET_ERRNO | 33) == 0);
    CHECK(set_answer(0, SYS_getppid, SECCOMP_RET_TRACE | 21) == 0);
    CHECK(set_answer(0, SYS_getpgrp, SECCOMP_RET_TRACE | 22) == 0);
    CHECK(set_answer(0, SYS_getgid, SECCOMP_RET_TRACE | 23) == 0);
    CHECK(syscall(SYS_getppid) == getuid()); /* made another call */
    CHECK(syscall(SYS_getpgrp) == 555);      /* left out */
    CHECK_ERRNO(syscall(SYS_getgid), 33);    /* made one that is refused */
    _exit(check_failures ? 1 : 4);
}

static void test_tracer(void)
{
    static const long replaced[] = { SYS_getuid, -1, SYS_getegid };
    struct user_regs_struct regs;
    unsigned long message;
    int status;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        traced_body();
    CHECK(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
    CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESECCOMP) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0 && waitpid(pid, &status, 0) == pid);
        CHECK(ptrace(PTRACE_GETEVENTMSG, pid, 0, &message) == 0);
        CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
        printf("event %#x message %lu call %llu rax %lld\n", status >> 8, message, regs.orig_rax,
               regs.rax);
        regs.orig_rax = (unsigned long)replaced[i];
        if (replaced[i] < 0)
            regs.rax = 555;
        CHECK(ptrace(PTRACE_SETREGS, pid, 0, &regs) == 0);
    }
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0 && waitpid(pid, &status, 0) == pid);
    show("traced", status);
}

/* ---- Random programs --------------------------------------------------------------------------------- */

static uint32_t state = 12345;

static uint32_t below(uint32_t limit)
{
    state = state * 1664525 + 1013904223;
    return (state >> 8) % limit;
}

#define NBODY 24

static struct sock_filter random_instruction(void)
{
    static const uint16_t operations[] = { BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_OR,
                                           BPF_AND, BPF_XOR, BPF_LSH, BPF_RSH, BPF_NEG };
    static const uint16_t jumps[] = { BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET };
    uint16_t source = below(2) ? BPF_X : BPF_K;

    switch (below(8)) {
    case 0:
        return (struct sock_filter)ARG(below(6));
    case 1:
        return (struct sock_filter)BPF_STMT(BPF_MISC | (below(2) ? BPF_TAX : BPF_TXA), 0);
    case 2:
        return (struct sock_filter)BPF_STMT(below(2) ? BPF_ST : BPF_STX, below(4));
    case 3:
        return (struct sock_filter)BPF_STMT((below(2) ? BPF_LD : BPF_LDX) | BPF_MEM, below(4));
    case 4:
        return (struct sock_filter)BPF_JUMP(BPF_JMP | jumps[below(4)] | source, below(9),
                                            (uint8_t)below(4), (uint8_t)below(4));
    case 5:
        return (struct sock_filter)BPF_STMT((below(2) ? BPF_LD : BPF_LDX) | BPF_IMM, below(9999));
    case 6:
        return (struct sock_filter)BPF_STMT((below(2) ? BPF_LD : BPF_LDX) | BPF_W | BPF_LEN, 0);
    default:
        return (struct sock_filter)BPF_STMT(BPF_ALU | operations[below(10)] | source, below(33));
    }
}

/* What the program makes of the arguments, 12 bits of it; -1: it is not accepted. */
static int random_result(void)
{
    struct sock_filter program[NBODY + 6] = { NR,
                                              BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NOWHERE, 1, 0),
                                              ALLOW };

    for (uint32_t i = 0; i < 4; i++)
        program[3 + i] = (struct sock_filter)BPF_STMT(BPF_ST, i);
    for (int i = 4; i < NBODY; i++)
        program[3 + i] = random_instruction();
    program[NBODY + 3] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xfff);
    program[NBODY + 4] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO);
    program[NBODY + 5] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    if (set_filter(0, program, LENGTH(program)) < 0)
        return -1;
    errno = 0;
    syscall(NOWHERE, below(100), below(100000), ~0L, (long)below(9) << 32, 7, below(1000));
    return errno;
}

static void test_random(void)
{
    int *result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint32_t sum = 0;
    int naccepted = 0;

    NEED(result != MAP_FAILED);
    for (uint32_t i = 0; i < 400; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            struct sigaction action = { .sa_handler = SIG_DFL };
            sigaction(SIGSYS, &action, NULL);
            state = i * 7919 + 1;
            *result = -2; /* a division by zero answers 0: the thread is killed */
            *result = random_result();
            _exit(0);
        }
        NEED(waitpid(pid, NULL, 0) == pid);
        naccepted += *result != -1;
        sum = sum * 31 + (uint32_t)*result;
        if (i < 40)
            printf("%d ", *result);
    }
    printf("\n%d accepted, sum %u\n", naccepted, sum);
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return executed();
    run("arguments", wrong_arguments);
    run("programs", wrong_programs);
    run("strict", strict_kills);
    run("strict exit", strict_exits);
    run("errno", answers_errno);
    run("late", answers_late);
    run("arguments seen", sees_arguments);
    run("trap", traps);
    run("trap blocked", traps_blocked);
    run("kill handled", kills_handled);
    run("kill unknown", kills_unknown);
    run("kill thread", kills_thread);
    run("kill leader", kills_leader);
    run("kill process", kills_process);
    run("too many", too_many);
    run("inherited", inherits);
    run("tsync", syncs);
    run("tsync not", syncs_not);
    run("tsync often", syncs_often);
    test_tracer();
    test_random();
    return check_end();
}
