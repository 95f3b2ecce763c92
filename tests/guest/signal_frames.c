// SPDX-License-Identifier: MIT
/*
 * Signals in the middle of things: of vector code and string copies under a storm of timers, between the mask and the
 * sleep of ppoll, pselect, epoll_pwait and sigsuspend; alternate stacks with SS_AUTODISARM, too small, overflowing,
 * across fork and exec; backtrace() from a handler.
 * test: variants=dynamic flags=-pthread,-rdynamic,-fno-omit-frame-pointer cpus=2 timeout=60
 */
#include "check.h"

#include <execinfo.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/ucontext.h>
#include <sys/wait.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1U << 31)
#endif

static volatile int count;

static void spoil_vectors(int number)
{
    (void)number;
    count++;
    if (__builtin_cpu_supports("avx"))
        __asm__ volatile("vxorps %%ymm0, %%ymm0, %%ymm0\n\tvcmpps $0, %%ymm0, %%ymm0, %%ymm1\n\t"
                         "vmovaps %%ymm1, %%ymm15\n\tvmovaps %%ymm1, %%ymm7" ::
                             : "xmm0", "xmm1", "xmm7", "xmm15");
    else
        __asm__ volatile("pxor %%xmm0, %%xmm0\n\tpxor %%xmm7, %%xmm7\n\tpxor %%xmm15, %%xmm15" ::
                             : "xmm0", "xmm7", "xmm15");
}

static void storm(int microseconds)
{
    struct itimerval value = { { 0, microseconds }, { 0, microseconds } };

    NEED(!setitimer(ITIMER_REAL, &value, NULL));
}

/* Numbers kept in registers for long; true if they are what they were. */
static bool keep_vectors(unsigned seed)
{
    float in[8] __attribute__((aligned(32))), out[8] __attribute__((aligned(32)));
    bool has_avx = __builtin_cpu_supports("avx");

    for (int i = 0; i < 8; i++)
        in[i] = (float)(seed + (unsigned)i);
    if (has_avx)
        __asm__ volatile("vmovaps (%0), %%ymm7\n\tvmovaps %%ymm7, %%ymm15\n\t"
                         "mov $200000, %%ecx\n1:\tdec %%ecx\n\tjnz 1b\n\t"
                         "vmulps %%ymm7, %%ymm15, %%ymm7\n\tvmovaps %%ymm7, (%1)"
                         :
                         : "r"(in), "r"(out)
                         : "xmm7", "xmm15", "ecx", "memory");
    else
        __asm__ volatile("movaps (%0), %%xmm7\n\tmovaps %%xmm7, %%xmm15\n\t"
                         "mov $200000, %%ecx\n1:\tdec %%ecx\n\tjnz 1b\n\t"
                         "mulps %%xmm15, %%xmm7\n\tmovaps %%xmm7, (%1)"
                         :
                         : "r"(in), "r"(out)
                         : "xmm7", "xmm15", "ecx", "memory");
    for (int i = 0; i < (has_avx ? 8 : 4); i++)
        if (out[i] != in[i] * in[i])
            return false;
    return true;
}

static void *compute(void *seed)
{
    int64_t until = now_ns() + 400000000;
    bool is_right = true;

    for (unsigned i = (unsigned)(long)seed; now_ns() < until; i++)
        is_right = is_right && keep_vectors(i & 1023);
    CHECK(is_right);
    return NULL;
}

static void test_vectors(void)
{
    pthread_t threads[3];

    signal(SIGALRM, spoil_vectors);
    count = 0;
    storm(500);
    for (long i = 0; i < 3; i++)
        NEED(!pthread_create(&threads[i], NULL, compute, (void *)(i * 100)));
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    storm(0);
    CHECK(count > 3);
}

static void test_string_copies(void)
{
    size_t size = 4 << 20;
    char *from = malloc(size), *to = malloc(size);
    int64_t until = now_ns() + 300000000;

    for (size_t i = 0; i < size; i++)
        from[i] = (char)(i * 7 >> 3);
    count = 0;
    storm(300);
    for (int round = 0; round < 3 || now_ns() < until; round++) {
        void *destination = to, *source = from;
        size_t left = size;
        memset(to, round, size);
        __asm__ volatile("rep movsb" : "+D"(destination), "+S"(source), "+c"(left)::"memory");
        CHECK(left == 0 && !memcmp(from, to, size));
    }
    storm(0);
    CHECK(count > 3);
    free(from), free(to);
}

/* ---- A signal between unblocking and sleeping is not lost ----------------------------- */

static volatile int arrived;

static void note(int number)
{
    (void)number;
    arrived++;
}

static int wait_in(int how, const sigset_t *mask, int epoll)
{
    struct timespec long_time = { 20, 0 };
    struct epoll_event event;

    switch (how) {
    case 0:
        return ppoll(NULL, 0, &long_time, mask);
    case 1:
        return pselect(0, NULL, NULL, NULL, &long_time, mask);
    case 2:
        return epoll_pwait(epoll, &event, 1, 20000, mask);
    default:
        return sigsuspend(mask);
    }
}

static void *send_many(void *to)
{
    pthread_t thread = *(pthread_t *)to;

    for (int i = 0; i < 400; i++) {
        int before = arrived;
        pthread_kill(thread, SIGUSR1);
        for (int64_t until = now_ns() + 15000000000LL; arrived == before && now_ns() < until;)
            if (i % 3 == 0)
                sched_yield();
    }
    return NULL;
}

static void test_atomic(void)
{
    sigset_t blocked, open;
    pthread_t self = pthread_self(), sender;
    int epoll = epoll_create1(0);

    signal(SIGUSR1, note);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    NEED(!pthread_sigmask(SIG_BLOCK, &blocked, &open));
    sigdelset(&open, SIGUSR1);
    for (int how = 0; how < 4; how++) {
        int64_t start = now_ns();
        arrived = 0;
        NEED(!pthread_create(&sender, NULL, send_many, &self));
        while (arrived < 400) {
            int before = arrived;
            CHECK(wait_in(how, &open, epoll) == -1 && errno == EINTR && arrived == before + 1);
            if (now_ns() - start > 15000000000LL)
                break;
        }
        CHECK(arrived == 400);
        pthread_join(sender, NULL);
    }
    pthread_sigmask(SIG_UNBLOCK, &blocked, NULL);
    close(epoll);
}

/* ---- Alternate stacks -------------------------------------------------------------------- */

static char alternate[65536] __attribute__((aligned(16)));
static volatile bool was_on, nested_on;
static volatile int flags_inside;
static sigjmp_buf escape;

static bool is_on_alternate(void)
{
    char here;

    return &here >= alternate && &here < alternate + sizeof alternate;
}

static void on_nested(int number)
{
    (void)number;
    nested_on = is_on_alternate();
}

static void on_stack(int number)
{
    stack_t now, other = { .ss_sp = alternate, .ss_size = sizeof alternate };

    (void)number;
    was_on = is_on_alternate();
    sigaltstack(NULL, &now);
    flags_inside = now.ss_flags;
    if (!(now.ss_flags & SS_DISABLE) && now.ss_flags & SS_ONSTACK)
        CHECK_ERRNO(sigaltstack(&other, NULL), EPERM);
    raise(SIGUSR2);
}

static void set_stack(void *base, size_t size, unsigned flags)
{
    stack_t stack = { .ss_sp = base, .ss_size = size, .ss_flags = (int)flags };

    CHECK(!sigaltstack(&stack, NULL));
}

static void install(int number, void (*handler)(int), int flags)
{
    struct sigaction action = { .sa_handler = handler, .sa_flags = flags };

    NEED(!sigaction(number, &action, NULL));
}

static void test_alternate(void)
{
    stack_t stack = { 0 };
    int status;

    install(SIGUSR1, on_stack, SA_ONSTACK);
    install(SIGUSR2, on_nested, SA_ONSTACK);
    set_stack(alternate, sizeof alternate, 0);
    raise(SIGUSR1);
    CHECK(was_on && nested_on && flags_inside == SS_ONSTACK);
    /* Disarmed while in the handler, and back afterwards. */
    set_stack(alternate, sizeof alternate, SS_AUTODISARM);
    raise(SIGUSR1);
    CHECK(was_on && flags_inside == SS_DISABLE);
    CHECK(!sigaltstack(NULL, &stack) && stack.ss_sp == alternate);
    CHECK(stack.ss_flags == (int)SS_AUTODISARM);
    stack.ss_size = 100;
    CHECK_ERRNO(sigaltstack(&stack, NULL), ENOMEM);
    stack.ss_flags = 77;
    CHECK_ERRNO(sigaltstack(&stack, NULL), EINVAL);
    /* A child of fork has it, a thread and an executed program do not. */
    if (fork() == 0)
        _exit(sigaltstack(NULL, &stack) || stack.ss_sp != alternate);
    CHECK(wait(&status) > 0 && status == 0);
    set_stack(NULL, 0, SS_DISABLE);
    was_on = true;
    raise(SIGUSR1);
    CHECK(!was_on);
}

static void *thread_stack(void *unused)
{
    stack_t stack = { 0 };

    CHECK(!sigaltstack(NULL, &stack) && stack.ss_flags == SS_DISABLE);
    return unused;
}

static void on_overflow(int number)
{
    (void)number;
    was_on = is_on_alternate();
    siglongjmp(escape, 1);
}

static int recurse(int depth)
{
    volatile char frame[4096];

    frame[0] = (char)depth;
    return depth > 1 << 20 ? 0 : recurse(depth + 1) + frame[0];
}

/* A stack that overflows; and a handler's frame for which the alternate stack has no room. */
static void test_overflow(void)
{
    pthread_t thread;
    int status;

    NEED(!pthread_create(&thread, NULL, thread_stack, NULL) && !pthread_join(thread, NULL));
    set_stack(alternate, sizeof alternate, 0);
    install(SIGSEGV, on_overflow, SA_ONSTACK);
    for (int i = 0; i < 3; i++) {
        was_on = false;
        if (!sigsetjmp(escape, 1))
            recurse(0);
        CHECK(was_on);
    }
    fflush(stdout);
    if (fork() == 0) {
        char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        munmap(page, 4096);
        signal(SIGSEGV, SIG_DFL);
        set_stack(page + 4096 - 200, 4096 + 200, 0); /* whose lower part is missing */
        set_stack(page, 4096, 0);
        raise(SIGUSR1);
        _exit(0);
    }
    CHECK(wait(&status) > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    set_stack(NULL, 0, SS_DISABLE);
}

/* ---- Unwinding ------------------------------------------------------------------------------- */

static volatile bool found_raiser;

__attribute__((noinline)) void raiser_function(void)
{
    raise(SIGUSR1);
    __asm__ volatile("");
}

static void on_backtrace(int number)
{
    void *frames[30];
    int n = backtrace(frames, 30);
    char **names = backtrace_symbols(frames, n);

    (void)number;
    for (int i = 0; i < n; i++)
        if (strstr(names[i], "raiser_function"))
            found_raiser = true;
    free(names);
}

static void test_backtrace(void)
{
    install(SIGUSR1, on_backtrace, 0);
    raiser_function();
    CHECK(found_raiser);
}

int main(void)
{
    test_backtrace();
    test_vectors();
    test_string_copies();
    test_atomic();
    test_alternate();
    test_overflow();
    return check_end();
}
