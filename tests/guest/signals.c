// SPDX-License-Identifier: MIT
/*
 * Signals: masks, siginfo, queues, sigaltstack, nesting, EINTR and restart, sigsuspend, sigtimedwait.
 * test: flags=-pthread variants=dynamic,musl roads=patched
 */
#include "check.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>

static volatile int count, last_code, last_value, last_signal;
static volatile pid_t last_pid;
static void *volatile last_address;
static char alternate[65536];
static volatile int on_alternate;
static sigjmp_buf escape;

static void note(int number, siginfo_t *info, void *context)
{
    char here;

    (void)context;
    count++;
    last_signal = number;
    last_code = info->si_code;
    last_value = info->si_value.sival_int;
    last_pid = info->si_pid;
    last_address = info->si_addr;
    on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
}

static void install(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

    NEED(!sigaction(number, &action, NULL));
}

static void test_siginfo(void)
{
    install(SIGUSR1, note, 0);
    raise(SIGUSR1);
    CHECK(count == 1 && last_code == SI_TKILL && last_pid == getpid());
    kill(getpid(), SIGUSR1);
    CHECK(count == 2 && last_code == SI_USER);
    sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 77 });
    CHECK(count == 3 && last_code == SI_QUEUE && last_value == 77);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_ERRNO(kill(0x3fffffff, 0), ESRCH);
    CHECK(kill(getpid(), 0) == 0);
}

static void test_mask(void)
{
    sigset_t set, old, pending;

    count = 0;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGRTMIN);
    CHECK(!sigprocmask(SIG_BLOCK, &set, &old));
    install(SIGRTMIN, note, 0);
    raise(SIGUSR1);
    raise(SIGUSR1);
    for (int i = 0; i < 5; i++)
        sigqueue(getpid(), SIGRTMIN, (union sigval){ .sival_int = i });
    sigpending(&pending);
    CHECK(count == 0 && sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGRTMIN));
    CHECK(!sigismember(&pending, SIGUSR2));
    sigprocmask(SIG_SETMASK, &old, NULL);
    /* A standard signal is merged, real-time ones are queued in order. */
    CHECK(count == 6);
    CHECK(last_value == 4 || last_signal == SIGUSR1);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &old);
    sigprocmask(SIG_SETMASK, NULL, &pending);
    CHECK(!sigismember(&pending, SIGKILL) && !sigismember(&pending, SIGSTOP));
    sigprocmask(SIG_SETMASK, &old, NULL);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 9, &set, NULL, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4), EINVAL);
    struct sigaction action = { .sa_handler = SIG_IGN };
    CHECK_ERRNO(sigaction(SIGKILL, &action, NULL), EINVAL);
}

static void test_alternate_stack(void)
{
    stack_t stack = { .ss_sp = alternate, .ss_size = sizeof alternate }, old;

    CHECK(!sigaltstack(&stack, NULL));
    install(SIGUSR2, note, SA_ONSTACK);
    raise(SIGUSR2);
    CHECK(on_alternate);
    install(SIGUSR2, note, 0);
    raise(SIGUSR2);
    CHECK(!on_alternate);
    CHECK(!sigaltstack(NULL, &old) && old.ss_sp == alternate && old.ss_flags == 0);
    stack.ss_size = 100;
    CHECK_ERRNO(sigaltstack(&stack, NULL), ENOMEM);
    stack.ss_flags = SS_DISABLE;
    CHECK(!sigaltstack(&stack, NULL) && !sigaltstack(NULL, &old) && old.ss_flags == SS_DISABLE);
}

static void nested(int number, siginfo_t *info, void *context)
{
    sigset_t now;

    (void)info, (void)context;
    sigprocmask(SIG_SETMASK, NULL, &now);
    CHECK(sigismember(&now, number)); /* blocked while its handler runs */
    CHECK(sigismember(&now, SIGHUP)); /* and what sa_mask says */
    if (number == SIGUSR1)
        raise(SIGUSR2);
    count++;
}

static void test_nesting(void)
{
    struct sigaction action = { .sa_sigaction = nested, .sa_flags = SA_SIGINFO };
    sigset_t now;

    sigaddset(&action.sa_mask, SIGHUP);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGUSR2, &action, NULL);
    count = 0;
    raise(SIGUSR1);
    CHECK(count == 2);
    sigprocmask(SIG_SETMASK, NULL, &now);
    CHECK(!sigismember(&now, SIGUSR1) && !sigismember(&now, SIGHUP));
    install(SIGUSR1, note, SA_RESETHAND);
    raise(SIGUSR1);
    sigaction(SIGUSR1, NULL, &action);
    CHECK(action.sa_handler == SIG_DFL);
}

static void alarm_in(int milliseconds)
{
    struct itimerval timer = { .it_value = { 0, milliseconds * 1000 } };

    setitimer(ITIMER_REAL, &timer, NULL);
}

static void write_later(int ends[2])
{
    (void)!write(ends[1], "x", 1);
}

static int restart_ends[2];

static void note_and_write(int number, siginfo_t *info, void *context)
{
    note(number, info, context);
    write_later(restart_ends);
}

static void test_restart(void)
{
    char c = 0;

    NEED(!pipe(restart_ends));
    install(SIGALRM, note, 0);
    alarm_in(30);
    CHECK_ERRNO(read(restart_ends[0], &c, 1), EINTR);
    install(SIGALRM, note_and_write, SA_RESTART);
    alarm_in(30);
    CHECK(read(restart_ends[0], &c, 1) == 1 && c == 'x');
    alarm_in(30);
    CHECK_ERRNO(pause(), EINTR);
    (void)!read(restart_ends[0], &c, 1);
    /* nanosleep is interrupted in spite of SA_RESTART and says what is left. */
    struct timespec time = { 1, 0 }, rest = { 0, 0 };
    alarm_in(30);
    CHECK_ERRNO(nanosleep(&time, &rest), EINTR);
    CHECK(rest.tv_sec == 0 && rest.tv_nsec > 500000000);
    close(restart_ends[0]);
    close(restart_ends[1]);
}

static void test_waiting(void)
{
    sigset_t set, none;
    siginfo_t info;
    struct timespec soon = { 0, 20000000 };

    install(SIGALRM, note, 0);
    sigemptyset(&none);
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    count = 0;
    alarm_in(20);
    CHECK_ERRNO(sigsuspend(&none), EINTR);
    CHECK(count == 1);
    CHECK_ERRNO(sigtimedwait(&set, &info, &soon), EAGAIN);
    alarm_in(10);
    CHECK(sigwaitinfo(&set, &info) == SIGALRM && info.si_code == SI_KERNEL);
    CHECK(count == 1);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static void jump(int number, siginfo_t *info, void *context)
{
    note(number, info, context);
    siglongjmp(escape, 1);
}

static void test_fault(void)
{
    install(SIGSEGV, jump, 0);
    count = 0;
    if (!sigsetjmp(escape, 1))
        *(volatile int *)0x1238 = 1;
    CHECK(count == 1 && last_address == (void *)0x1238 && last_code == SEGV_MAPERR);
    if (!sigsetjmp(escape, 1))
        *(volatile char *)"constant" = 'x';
    CHECK(count == 2 && last_code == SEGV_ACCERR);
    if (!sigsetjmp(escape, 1))
        *(volatile int *)0x8000000000000000 = 1;
    CHECK(count == 3 && last_address == NULL && last_code == SI_KERNEL);
    install(SIGFPE, jump, 0);
    volatile int zero = 0;
    if (!sigsetjmp(escape, 1))
        zero = 100 / zero;
    CHECK(count == 4 && last_signal == SIGFPE && last_code == FPE_INTDIV);
    install(SIGILL, jump, 0);
    if (!sigsetjmp(escape, 1))
        __asm__ volatile("ud2");
    CHECK(count == 5 && last_signal == SIGILL && last_code == ILL_ILLOPN);
}

static void skip_instruction(int number, siginfo_t *info, void *context)
{
    ucontext_t *at = context;

    (void)number, (void)info;
    CHECK(at->uc_mcontext.gregs[REG_RAX] == 0x1111);
    CHECK((at->uc_mcontext.gregs[REG_CSGSFS] & 0xffff) == 0x33);
    CHECK(at->uc_mcontext.gregs[REG_TRAPNO] == 6);
    CHECK(at->uc_mcontext.fpregs != NULL);
    at->uc_mcontext.gregs[REG_RIP] += 2;
    at->uc_mcontext.gregs[REG_RBX] = 0x2222;
}

static void test_context(void)
{
    unsigned long rax = 0x1111, rbx = 0;

    install(SIGILL, skip_instruction, 0);
    __asm__ volatile("ud2" : "+a"(rax), "+b"(rbx));
    CHECK(rax == 0x1111 && rbx == 0x2222);
    install(SIGTRAP, note, 0);
    count = 0;
    __asm__ volatile("int3");
    CHECK(count == 1 && last_code == SI_KERNEL);
}

int main(void)
{
    test_siginfo();
    test_mask();
    test_alternate_stack();
    test_nesting();
    test_restart();
    test_waiting();
    test_fault();
    test_context();
    return check_end();
}
