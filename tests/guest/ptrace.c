// SPDX-License-Identifier: MIT
/*
 * ptrace(2): a child traced through its system calls, breakpoints and single steps, registers, memory, events, threads,
 * attaching and detaching, SEIZE, and tracers that die.
 * test: flags=-pthread cpus=2 timeout=60 roads=patched
 */
#include "tracee.h"

#include <elf.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

/* ---- System calls ------------------------------------------------------------------ */

static void calls_body(void)
{
    syscall(SYS_getppid);
    syscall(SYS_close, 999);
    syscall(SYS_getuid);
}

static void test_calls(void)
{
    pid_t pid = traced_child(calls_body);
    struct user_regs_struct regs;
    int status;

    CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
    for (;;) {
        CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
        status = wait_show("call", pid);
        if (!WIFSTOPPED(status))
            break;
        CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
        struct __ptrace_syscall_info info;
        long size = ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info);
        long result = (long)regs.rax;
        if (regs.orig_rax == SYS_getppid && result > 0)
            result = 1;
        printf("nr %lld rax %ld op %d size %ld arch %x\n", (long long)regs.orig_rax, result,
               info.op, size, info.arch);
        CHECK(info.instruction_pointer == regs.rip && info.stack_pointer == regs.rsp);
        if (info.op == 1)
            CHECK(info.entry.nr == regs.orig_rax && info.entry.args[0] == regs.rdi);
        if (info.op == 2)
            CHECK(info.exit.rval == (long)regs.rax);
    }
}

static long changed_result;

static void change_body(void)
{
    changed_result = syscall(SYS_getuid);
    if (changed_result != 4711)
        _exit(1);
    if (syscall(SYS_close, 999) != -1 || errno != ENOENT)
        _exit(2);
    if (syscall(SYS_getpid) != 1234)
        _exit(3);
}

/* The tracer changes a result, a call's number, and skips one. */
static void test_changes(void)
{
    pid_t pid = traced_child(change_body);
    int entries = 0;

    for (int stop = 0;; stop++) {
        CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
        int status;
        CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFSTOPPED(status)) {
            show("changed", status);
            break;
        }
        long nr = ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user_regs_struct, orig_rax), 0);
        bool is_entry = stop % 2 == 0;
        entries += is_entry;
        if (nr == SYS_getuid && !is_entry)
            CHECK(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), 4711L) == 0);
        if (nr == SYS_close && is_entry) {
            CHECK(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, orig_rax), -1L) ==
                  0);
            CHECK(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax),
                         (long)-ENOENT) == 0);
        }
        if (nr == SYS_getpid && !is_entry)
            CHECK(ptrace(PTRACE_POKEUSER, pid, offsetof(struct user_regs_struct, rax), 1234L) == 0);
    }
    printf("%d entries\n", entries);
}

/* A call site that has been used so often that it is not a syscall instruction any more. */
static void often_body(void)
{
    for (int i = 0; i < 3; i++)
        getppid();
}

static void test_often(void)
{
    for (int i = 0; i < 2000; i++)
        getppid();
    pid_t pid = traced_child(often_body);
    int counted = 0, status;
    for (;;) {
        CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFSTOPPED(status))
            break;
        struct user_regs_struct regs;
        CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
        counted += regs.orig_rax == SYS_getppid;
        long text = ptrace(PTRACE_PEEKTEXT, pid, regs.rip - 2, 0);
        CHECK((text & 0xffff) == 0x050f);
    }
    printf("often: %d stops\n", counted);
}

/* ---- Memory and registers -------------------------------------------------------------- */

static volatile long variable = 5;
static const long constant = 6;

__attribute__((noinline)) static void broken_function(void)
{
    __asm__ volatile("nop" ::: "memory");
    variable++;
}

static void break_body(void)
{
    broken_function();
    if (variable != 43 || *(volatile const long *)&constant != 77)
        _exit(1);
}

static void test_break(void)
{
    pid_t pid = traced_child(break_body);
    uintptr_t at = (uintptr_t)broken_function;
    struct user_regs_struct regs;
    siginfo_t info;

    errno = 0;
    CHECK(ptrace(PTRACE_PEEKDATA, pid, &variable, 0) == 5 && errno == 0);
    CHECK(ptrace(PTRACE_POKEDATA, pid, &variable, 42L) == 0);
    CHECK(ptrace(PTRACE_POKEDATA, pid, &constant, 77L) == 0);
    CHECK(variable == 5 && *(volatile const long *)&constant == 6);
    CHECK_ERRNO(ptrace(PTRACE_PEEKDATA, pid, 8, 0), EIO);
    CHECK_ERRNO(ptrace(PTRACE_POKEDATA, pid, 8, 0), EIO);
    long text = ptrace(PTRACE_PEEKTEXT, pid, at, 0);
    CHECK(ptrace(PTRACE_POKETEXT, pid, at, (text & ~0xffL) | 0xcc) == 0);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    wait_show("breakpoint", pid);
    CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
    CHECK(regs.rip == at + 1);
    CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0);
    printf("siginfo %d %d\n", info.si_signo, info.si_code);
    regs.rip = at;
    CHECK(ptrace(PTRACE_SETREGS, pid, 0, &regs) == 0);
    CHECK(ptrace(PTRACE_POKETEXT, pid, at, text) == 0);
    printf("cs %llx ss %llx orig %lld\n", regs.cs, regs.ss, (long long)regs.orig_rax);
    for (int i = 0; i < 4; i++) {
        CHECK(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
        wait_show("step", pid);
        CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0);
        CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
        printf("at +%llx code %d TF %d\n", regs.rip - at, info.si_code,
               (int)(regs.eflags >> 8 & 1));
    }
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    wait_show("end", pid);
}

static void float_body(void)
{
    raise(SIGUSR1);
}

static void test_regsets(void)
{
    pid_t pid = traced_child(float_body);
    struct user_regs_struct regs, set;
    struct user_fpregs_struct fp;
    static unsigned char state[8192];
    struct iovec piece = { &set, sizeof set };

    CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
    CHECK(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, &piece) == 0);
    CHECK(piece.iov_len == sizeof set && memcmp(&regs, &set, sizeof set) == 0);
    CHECK(ptrace(PTRACE_GETFPREGS, pid, 0, &fp) == 0);
    printf("cwd %x mxcsr %x\n", fp.cwd, fp.mxcsr);
    fp.xmm_space[4] = 0x1234;
    CHECK(ptrace(PTRACE_SETFPREGS, pid, 0, &fp) == 0);
    memset(&fp, 0, sizeof fp);
    CHECK(ptrace(PTRACE_GETFPREGS, pid, 0, &fp) == 0);
    CHECK(fp.xmm_space[4] == 0x1234);
    piece = (struct iovec){ state, sizeof state };
    if (ptrace(PTRACE_GETREGSET, pid, NT_X86_XSTATE, &piece) == 0)
        CHECK(piece.iov_len >= 576 && (state[464] & 3) == 3 && state[160 + 16] == 0x34);
    CHECK_ERRNO(ptrace(PTRACE_GETREGSET, pid, 0x7777, &piece), EINVAL);
    CHECK_ERRNO(ptrace(PTRACE_GETREGSET, pid, NT_PRSTATUS, 8), EFAULT);
    CHECK_ERRNO(ptrace(PTRACE_PEEKUSER, pid, 3, 0), EIO);
    CHECK_ERRNO(ptrace(PTRACE_PEEKUSER, pid, 100000, 0), EIO);
    CHECK_ERRNO(ptrace(0x5555, pid, 0, 0), EIO);
    CHECK_ERRNO(ptrace(PTRACE_CONT, pid, 0, 1000), EIO);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    wait_show("SIGUSR1", pid);
    siginfo_t info;
    CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0);
    printf("siginfo %d %d, own %d\n", info.si_signo, info.si_code, info.si_pid == pid);
    uint64_t mask = 0;
    CHECK(ptrace(PTRACE_GETSIGMASK, pid, 8, &mask) == 0);
    CHECK_ERRNO(ptrace(PTRACE_GETSIGMASK, pid, 4, &mask), EINVAL);
    mask = 1ULL << (SIGTERM - 1);
    CHECK(ptrace(PTRACE_SETSIGMASK, pid, 8, &mask) == 0);
    kill(pid, SIGTERM);
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGUSR2) == 0); /* instead of SIGUSR1 */
    wait_show("by SIGUSR2", pid);
}

/* ---- Signals -------------------------------------------------------------------------------- */

static volatile sig_atomic_t handled;

static void on_signal(int signo)
{
    handled = signo;
}

static void signals_body(void)
{
    signal(SIGUSR1, on_signal);
    signal(SIGCHLD, SIG_IGN);
    raise(SIGUSR1);
    if (handled != SIGUSR1)
        _exit(1);
    raise(SIGCHLD); /* ignored, and the tracer hears of it all the same */
    raise(SIGUSR1);
    raise(SIGTERM);
}

static void test_signals(void)
{
    pid_t pid = traced_child(signals_body);
    int give[] = { 0, SIGUSR1, SIGCHLD, 0, 0 };

    for (int i = 0; i < 5; i++) {
        CHECK(ptrace(PTRACE_CONT, pid, 0, give[i]) == 0);
        int status = wait_show("signal", pid);
        if (!WIFSTOPPED(status))
            break;
    }
    pid = traced_child(signals_body);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    wait_show("signal", pid);
    CHECK(ptrace(PTRACE_SINGLESTEP, pid, 0, SIGUSR1) == 0);
    wait_show("step into the handler", pid);
    struct user_regs_struct regs;
    CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
    CHECK(regs.rip == (uintptr_t)on_signal && regs.rdi == SIGUSR1);
    CHECK(ptrace(PTRACE_KILL, pid, 0, 0) == 0);
    wait_show("PTRACE_KILL", pid);
}

/* ---- Events ------------------------------------------------------------------------------------ */

static void *nothing(void *arg)
{
    return arg;
}

static void events_body(void)
{
    pthread_t thread;
    int status;
    pid_t pid = fork();
    if (pid == 0)
        _exit(3);
    waitpid(pid, &status, 0);
    pid = vfork();
    if (pid == 0)
        _exit(4);
    waitpid(pid, &status, 0);
    pthread_create(&thread, NULL, nothing, NULL);
    pthread_join(thread, NULL);
    char *args[] = { "true", NULL };
    execv("/proc/self/exe", args);
    _exit(5);
}

static void test_events(void)
{
    pid_t pid = traced_child(events_body), other;
    int status, counts[8] = { 0 }, ends = 0;
    unsigned long message;

    CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0,
                 PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE |
                     PTRACE_O_TRACEEXEC | PTRACE_O_TRACEVFORKDONE | PTRACE_O_TRACEEXIT) == 0);
    CHECK_ERRNO(ptrace(PTRACE_SETOPTIONS, pid, 0, 0x40000000), EINVAL);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    while ((other = waitpid(-1, &status, __WALL)) > 0) {
        if (!WIFSTOPPED(status)) {
            ends++;
            if (other == pid)
                show("main", status);
            continue;
        }
        int event = status >> 16, signo = WSTOPSIG(status);
        if (event > 0 && event < 8) {
            counts[event]++;
            CHECK(ptrace(PTRACE_GETEVENTMSG, other, 0, &message) == 0);
            if (event <= PTRACE_EVENT_CLONE)
                CHECK(message > (unsigned long)pid);
            if (event == PTRACE_EVENT_EXEC)
                CHECK(message == (unsigned long)pid);
        }
        ptrace(PTRACE_CONT, other, 0, event || signo == SIGSTOP || signo == SIGTRAP ? 0 : signo);
    }
    CHECK(other == -1 && errno == ECHILD);
    for (int i = 1; i < 8; i++)
        printf("event %d: %d\n", i, counts[i]);
    printf("%d ended\n", ends);
}

/* ---- Attaching -------------------------------------------------------------------------------------- */

static int *shared_word;

static pid_t looping_child(void)
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        for (;;)
            __atomic_add_fetch(shared_word, 1, __ATOMIC_RELAXED);
    return pid;
}

static int tracer_of(pid_t pid)
{
    char path[40], line[200];
    int tracer = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "TracerPid: %d", &tracer);
    if (file)
        fclose(file);
    return tracer;
}

static bool is_running(void)
{
    int before = __atomic_load_n(shared_word, __ATOMIC_RELAXED);
    for (int i = 0; i < 2000; i++) {
        if (__atomic_load_n(shared_word, __ATOMIC_RELAXED) != before)
            return true;
        sleep_ms(1);
    }
    return false;
}

static void test_attach(void)
{
    pid_t pid = looping_child();
    int status;

    CHECK(tracer_of(pid) == 0);
    CHECK_ERRNO(ptrace(PTRACE_CONT, pid, 0, 0), ESRCH);
    CHECK_ERRNO(ptrace(PTRACE_ATTACH, getpid(), 0, 0), EPERM);
    CHECK_ERRNO(ptrace(PTRACE_ATTACH, 0x7ffffff, 0, 0), ESRCH);
    CHECK(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
    wait_show("attached", pid);
    CHECK_ERRNO(ptrace(PTRACE_ATTACH, pid, 0, 0), EPERM);
    CHECK(tracer_of(pid) == getpid());
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    CHECK(is_running());
    CHECK_ERRNO(ptrace(PTRACE_PEEKDATA, pid, shared_word, 0), ESRCH);
    kill(pid, SIGSTOP);
    wait_show("SIGSTOP", pid);
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGSTOP) == 0);
    wait_show("group stop", pid);
    siginfo_t info;
    CHECK_ERRNO(ptrace(PTRACE_GETSIGINFO, pid, 0, &info), EINVAL);
    CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
    CHECK(tracer_of(pid) == 0);
    CHECK(waitpid(pid, &status, WUNTRACED | WNOHANG) >= 0);
    kill(pid, SIGCONT);
    CHECK(is_running());
    kill(pid, SIGKILL);
    while (!WIFSIGNALED(status))
        CHECK(waitpid(pid, &status, 0) == pid);
    show("end", status);
}

static void test_seize(void)
{
    pid_t pid = looping_child();
    siginfo_t info;

    CHECK_ERRNO(ptrace(PTRACE_SEIZE, pid, 1, 0), EIO);
    CHECK(ptrace(PTRACE_SEIZE, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
    CHECK(is_running());
    CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
    wait_show("interrupted", pid);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    kill(pid, SIGSTOP);
    wait_show("SIGSTOP", pid);
    CHECK(ptrace(PTRACE_CONT, pid, 0, SIGSTOP) == 0);
    wait_show("group stop", pid);
    CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0);
    printf("siginfo %d %#x\n", info.si_signo, info.si_code);
    CHECK(ptrace(PTRACE_LISTEN, pid, 0, 0) == 0);
    CHECK_ERRNO(ptrace(PTRACE_GETSIGINFO, pid, 0, &info), ESRCH);
    kill(pid, SIGCONT);
    wait_show("continued", pid);
    CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
    wait_show("SIGCONT", pid);
    CHECK(ptrace(PTRACE_DETACH, pid, 0, SIGTERM) == 0);
    wait_show("detached", pid);
}

/* ---- Tracers that die --------------------------------------------------------------------------------- */

static void tracer_dies(long options)
{
    pid_t pid = looping_child();
    fflush(stdout);
    pid_t tracer = fork();
    if (tracer == 0) {
        if (ptrace(PTRACE_SEIZE, pid, 0, options) || ptrace(PTRACE_INTERRUPT, pid, 0, 0) ||
            waitpid(pid, NULL, 0) != pid)
            _exit(1);
        _exit(0);
    }
    wait_show("tracer", tracer);
    if (!options) {
        CHECK(is_running());
        CHECK(tracer_of(pid) == 0);
        kill(pid, SIGTERM);
    }
    wait_show("its tracee", pid);
}

/* A tracee's end is its parent's to see after its tracer has seen it. */
static void test_not_the_parent(void)
{
    pid_t pid = looping_child();
    fflush(stdout);
    pid_t tracer = fork();
    if (tracer == 0) {
        int status;
        if (ptrace(PTRACE_SEIZE, pid, 0, 0))
            _exit(1);
        kill(pid, SIGTERM);
        while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
            ptrace(PTRACE_CONT, pid, 0, WSTOPSIG(status));
        _exit(WIFSIGNALED(status) ? WTERMSIG(status) : 1);
    }
    wait_show("child", pid);
    wait_show("tracer", tracer);
}

/* ---- Threads -------------------------------------------------------------------------------------------- */

static void *thread_body(void *arg)
{
    *(volatile int *)arg = (int)syscall(SYS_gettid);
    for (;;)
        pause();
    return NULL;
}

static void test_threads(void)
{
    fflush(stdout);
    __atomic_store_n(shared_word, 0, __ATOMIC_SEQ_CST);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, thread_body, shared_word);
        for (;;)
            pause();
    }
    while (__atomic_load_n(shared_word, __ATOMIC_SEQ_CST) == 0)
        sleep_ms(1);
    int tid = *shared_word, status;
    CHECK(ptrace(PTRACE_ATTACH, tid, 0, 0) == 0);
    wait_show("thread", tid);
    struct user_regs_struct regs;
    CHECK(ptrace(PTRACE_GETREGS, tid, 0, &regs) == 0);
    CHECK(ptrace(PTRACE_CONT, tid, 0, 0) == 0);
    kill(pid, SIGKILL);
    CHECK(waitpid(tid, &status, __WALL) == tid);
    show("thread", status);
    CHECK(waitpid(pid, &status, 0) == pid);
    show("process", status);
}

/* ---- A signal that is the stop's own ------------------------------------------------------------------------- */

static volatile sig_atomic_t ntraps;

static void count_trap(int number)
{
    (void)number;
    ntraps++;
}

static void trap_body(void)
{
    signal(SIGTRAP, count_trap);
    syscall(SYS_getppid);
    syscall(SYS_getuid);
    _exit(ntraps);
}

/* Without TRACESYSGOOD a call's stop says SIGTRAP; to go on with that is to send it. */
static void test_own_signal(void)
{
    pid_t pid = traced_child(trap_body);
    siginfo_t info;
    int status, nstops = 0;

    CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
    while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status) && nstops++ < 50) {
        struct user_regs_struct regs;
        CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &info) == 0);
        CHECK(ptrace(PTRACE_GETREGS, pid, 0, &regs) == 0);
        bool is_signal = info.si_code != SIGTRAP;
        bool must_send = !is_signal && regs.orig_rax == SYS_getppid && (long)regs.rax >= 0;
        printf("stopped %#x code %d call %lld\n", status >> 8, info.si_code,
               is_signal ? -1 : (long long)regs.orig_rax);
        CHECK(ptrace(PTRACE_SYSCALL, pid, 0, is_signal || must_send ? SIGTRAP : 0) == 0);
    }
    show("trapped", status);
}

/* ---- Calls that sleep ------------------------------------------------------------------------------------------- */

static void sleep_body(void)
{
    struct timespec moment = { .tv_nsec = 20000000 };
    pid_t pid = fork();
    if (pid == 0) {
        nanosleep(&moment, NULL);
        _exit(3);
    }
    waitpid(pid, NULL, 0);
    nanosleep(&moment, NULL);
}

/* The stop at its entry does not interrupt a call: it returns once, with its result. */
static void test_sleeping_calls(void)
{
    pid_t pid = traced_child(sleep_body);
    struct __ptrace_syscall_info info;
    int status;

    CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
    for (int nstops = 0; nstops < 100; nstops++) {
        CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
        CHECK(waitpid(pid, &status, 0) == pid);
        if (!WIFSTOPPED(status))
            break;
        if (WSTOPSIG(status) != (SIGTRAP | 0x80)) {
            printf("signal %d\n", WSTOPSIG(status));
            continue;
        }
        NEED(ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof info, &info) > 0);
        if (info.op == 1)
            printf("call %llu\n", (unsigned long long)info.entry.nr);
        else
            printf("result %lld\n", info.exit.rval > 0 ? 1 : (long long)info.exit.rval);
    }
    show("sleeper", status);
}

int main(int argc, char **argv)
{
    if (argc > 0 && strcmp(argv[0], "true") == 0)
        return 0;
    shared_word = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    test_calls();
    test_changes();
    test_often();
    test_break();
    test_regsets();
    test_signals();
    test_events();
    test_attach();
    test_seize();
    tracer_dies(0);
    tracer_dies(PTRACE_O_EXITKILL);
    test_not_the_parent();
    test_threads();
    test_own_signal();
    test_sleeping_calls();
    return check_end();
}
