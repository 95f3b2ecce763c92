// SPDX-License-Identifier: MIT
/*
 * System calls at sites that are used often enough to be patched (arch/x86_64/call_patch.c): nobody must be able to
 * tell, by registers, signals, single steps, threads, fork, or by changing the text.
 * test: variants=dynamic,static cpus=2 timeout=90 counts=no not_on=syscall
 */
#include "asleep.h"
#include "check.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#define HOT   2000 /* calls of a site on one or two CPUs */
#define NSITE 64   /* in one page */

/* Each takes its arguments as a system call does and keeps all but rax, rcx and r11. */
extern char getpid_site[], getpid_call[], getpid_next[];
extern char read_site[], read_call[], read_next[];
extern char moved_site[], moved_load[], moved_call[];
extern char prefix_site[], displaced_site[];
extern char many_sites[], many_sites_end[];
extern char cp_call[];
__asm__(
    ".pushsection .text\n"
    ".balign 64\n"
    "getpid_site: mov $39, %eax\n"
    "getpid_call: syscall\n"
    "getpid_next: ret\n"
    ".balign 64\n"
    "read_site: mov $0, %eax\n"
    "read_call: syscall\n"
    "read_next: ret\n"
    /* close(*rsi) */
    ".balign 64\n"
    "moved_site: mov $3, %eax\n"
    "moved_load: mov (%rsi), %edi\n"
    "moved_call: syscall\n"
    "ret\n"
    /* The same five bytes within mov $39, %r8d, and as the displacement and immediate of a store. */
    ".balign 64\n"
    "prefix_site: mov $39, %r8d\n"
    "syscall\n"
    "ret\n"
    ".balign 64\n"
    "displaced_site: movl $39, -0x48(%rsi)\n"
    "syscall\n"
    "ret\n"
    /* the end of musl's __syscall_cp_asm */
    ".balign 64\n"
    "mov 16(%rsp), %r9\n"
    "mov %r11, 8(%rsp)\n"
    "cp_call: syscall\n"
    "ret\n"
    ".balign 4096\n"
    "many_sites:\n"
    ".rept 64\n"
    "mov $39, %eax\n"
    "syscall\n"
    "ret\n"
    ".balign 16\n"
    ".endr\n"
    "many_sites_end:\n"
    ".popsection\n");

struct registers {
    long rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r12, r13, r14, r15;
};

/* Calls site with these registers, 16 words of red zone below its stack pointer, and takes back what it left. */
void with_registers(void *site, struct registers *registers, long red_zone[16]);
__asm__(
    ".pushsection .text\n"
    "with_registers:\n"
    "push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15; push %rsi; push %rdx; push "
    "%rdi\n"
    /* what the called site's return leaves below rsp, down to -136(%rsp) */
    "mov $15, %ecx\n"
    "1: mov (%rdx, %rcx, 8), %rax\n"
    "mov %rax, -136(%rsp, %rcx, 8)\n"
    "dec %ecx; jns 1b\n"
    "mov 0(%rsi), %rax; mov 8(%rsi), %rbx; mov 24(%rsi), %rdx; mov 40(%rsi), %rdi; mov 48(%rsi), "
    "%rbp\n"
    "mov 56(%rsi), %r8; mov 64(%rsi), %r9; mov 72(%rsi), %r10; mov 80(%rsi), %r12; mov 88(%rsi), "
    "%r13\n"
    "mov 96(%rsi), %r14; mov 104(%rsi), %r15; mov 32(%rsi), %rsi\n"
    "call *(%rsp)\n"
    "push %rsi; mov 24(%rsp), %rsi\n"
    "mov %rax, 0(%rsi); mov %rbx, 8(%rsi); mov %rcx, 16(%rsi); mov %rdx, 24(%rsi); pop 32(%rsi)\n"
    "mov %rdi, 40(%rsi); mov %rbp, 48(%rsi); mov %r8, 56(%rsi); mov %r9, 64(%rsi); mov %r10, "
    "72(%rsi)\n"
    "mov %r12, 80(%rsi); mov %r13, 88(%rsi); mov %r14, 96(%rsi); mov %r15, 104(%rsi)\n"
    "mov 8(%rsp), %rdx\n"
    /* the word at -8 is the return address, and -16 was pushed above */
    "mov $13, %ecx\n"
    "1: mov -136(%rsp, %rcx, 8), %rax\n"
    "mov %rax, (%rdx, %rcx, 8)\n"
    "dec %ecx; jns 1b\n"
    "pop %rdi; pop %rdx; pop %rsi; pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "ret\n"
    ".popsection\n");

static long call3(const void *site, long number, long a, long b, long c)
{
    struct registers registers = { .rax = number, .rdi = a, .rsi = b, .rdx = c };
    long red_zone[16] = { 0 };

    with_registers((void *)(uintptr_t)site, &registers, red_zone);
    return registers.rax;
}

static bool is_stout(void)
{
    struct utsname name;

    return uname(&name) == 0 && strstr(name.release, "stout");
}

static void check_patched(const char *site, bool should_be)
{
    if (is_stout())
        CHECK((*(const unsigned char *)site == 0xe9) == should_be);
}

static void test_registers(void)
{
    for (int i = 0; i < HOT; i++) {
        struct registers r = { .rbx = 1,
                               .rdx = 2,
                               .rsi = 3,
                               .rdi = 4,
                               .rbp = 5,
                               .r8 = 6,
                               .r9 = 7,
                               .r10 = 8,
                               .r12 = 9,
                               .r13 = 10,
                               .r14 = 11,
                               .r15 = 12 };
        long red_zone[16];
        for (int j = 0; j < 16; j++)
            red_zone[j] = 100 + j;
        with_registers(getpid_site, &r, red_zone);
        CHECK(r.rax == getpid() && r.rbx == 1 && r.rdx == 2 && r.rsi == 3 && r.rdi == 4 &&
              r.rbp == 5 && r.r8 == 6 && r.r9 == 7 && r.r10 == 8 && r.r12 == 9 && r.r13 == 10 &&
              r.r14 == 11 && r.r15 == 12 && r.rcx == (long)getpid_next);
        for (int j = 0; j < 14; j++)
            CHECK(red_zone[j] == 100 + j);
    }
    check_patched(getpid_site, true);
    /* The syscall instruction is still there for whoever jumps to it. */
    CHECK(call3(getpid_call, SYS_getuid, 0, 0, 0) == (long)getuid());
    CHECK(call3(getpid_call, 99999, 0, 0, 0) == -ENOSYS);
}

/* Wrappers that get the number in a register: one site, all numbers. */
static void test_wrappers(void)
{
    int zero = open("/dev/zero", O_RDONLY);
    long value;

    for (int i = 0; i < HOT; i++) {
        CHECK(syscall(SYS_getuid) == (long)getuid());
        CHECK(call3(cp_call - 10, SYS_getuid, 0, 0, 0) == (long)getuid());
    }
    check_patched(cp_call - 5, true);
    const char *call = memmem((const void *)(uintptr_t)syscall, 40, "\x0f\x05", 2);
    NEED(call);
    check_patched(call - 5, true);
    CHECK(syscall(SYS_getpid) == getpid() && syscall(SYS_gettid) == gettid());
    CHECK_ERRNO(syscall(99999), ENOSYS);
    CHECK_ERRNO(syscall(-1), ENOSYS);
    CHECK(call3(cp_call - 10, 99999, 0, 0, 0) == -ENOSYS);
    value = -1;
    CHECK(syscall(SYS_pread64, zero, &value, 8L, 0L) == 8 && value == 0);
    char *page = (char *)syscall(SYS_mmap, 0L, 4096L, 3L, MAP_PRIVATE, zero, 4096L);
    CHECK(page != MAP_FAILED && *page == 0 && munmap(page, 4096) == 0);
    pid_t child = (pid_t)syscall(SYS_fork);
    int status;
    if (child == 0)
        _exit(syscall(SYS_getppid) > 0 ? 9 : 1);
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 9);
    close(zero);
}

static void test_no_sites(void)
{
    char room[128];

    for (int i = 0; i < HOT; i++) {
        struct registers r = { .rax = SYS_getpid, .r8 = 77 };
        long red_zone[16] = { 0 };
        with_registers(prefix_site, &r, red_zone);
        CHECK(r.rax == getpid() && r.r8 == 39);
        memset(room, 0, sizeof(room));
        CHECK(call3(displaced_site, SYS_getpid, 0, (long)room + 0x48, 0) == getpid());
        CHECK(*(int *)room == 39);
    }
    check_patched(prefix_site + 1, false);
}

/* ---- Signals --------------------------------------------------------------------------- */

static volatile uintptr_t handler_pc, handler_rax;
static volatile int nhandled;
static volatile bool has_seen_stub, has_seen_loop;
static struct {
    uintptr_t start, end;
} stubs[8];
static int nstubs;
static sigjmp_buf jump;

/* Interrupts may come in every instruction of a loop of calls, the stub's among them. */
void call_often(long n);
extern char call_often_end[];
__asm__(".pushsection .text\n"
        "call_often: mov $39, %eax\n"
        "syscall\n"
        "dec %rdi\n"
        "jnz call_often\n"
        "ret\n"
        "call_often_end:\n"
        ".popsection\n");

static void on_signal(int number, siginfo_t *info, void *context)
{
    const greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    (void)info;
    handler_pc = (uintptr_t)registers[REG_RIP];
    handler_rax = (uintptr_t)registers[REG_RAX];
    nhandled++;
    for (int i = 0; i < nstubs; i++)
        has_seen_stub |= handler_pc >= stubs[i].start && handler_pc < stubs[i].end;
    has_seen_loop |= handler_pc >= (uintptr_t)call_often && handler_pc < (uintptr_t)call_often_end;
    if (number == SIGSEGV)
        siglongjmp(jump, 1);
}

static void handle(int number, int flags)
{
    struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags };

    NEED(sigaction(number, &action, NULL) == 0);
}

static void find_stubs(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];

    NEED(maps);
    nstubs = 0;
    while (nstubs < 8 && fgets(line, sizeof(line), maps)) {
        if (strstr(line, "[stubs]")) {
            NEED(sscanf(line, "%lx-%lx", &stubs[nstubs].start, &stubs[nstubs].end) == 2);
            nstubs++;
        }
    }
    fclose(maps);
    CHECK((nstubs > 0) == is_stout());
}

/* What is unmapped stays so: the first page below the C library, whose first patched call is this one. */
static void test_unmapped_page(void)
{
    unsigned char vector;
    void *page = (void *)UINTPTR_MAX;

    for (int i = 0; i < 64 && (uintptr_t)page > (uintptr_t)mincore; i++)
        page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(page != MAP_FAILED && munmap(page, 4096) == 0);
    for (int i = 0; i < HOT; i++)
        CHECK_ERRNO(mincore(page, 4096, &vector), ENOMEM);
    const char *call = memmem((const void *)(uintptr_t)mincore, 40, "\x0f\x05", 2);
    NEED(call);
    check_patched(call - 5, true);
}

/* Profilers take the first mapping for the program. */
static void test_first_mapping(void)
{
    char line[512] = "", own[256] = "";
    FILE *maps = fopen("/proc/self/maps", "r");

    NEED(maps && readlink("/proc/self/exe", own, sizeof(own) - 1) > 0);
    CHECK(fgets(line, sizeof(line), maps) && strstr(line, own));
    fclose(maps);
}

static void test_storm(void)
{
    struct itimerval fast = { { 0, 300 }, { 0, 300 } }, off = { { 0, 0 }, { 0, 0 } };

    nhandled = 0;
    handle(SIGVTALRM, SA_RESTART);
    call_often(HOT);
    check_patched((const char *)call_often, true);
    find_stubs();
    setitimer(ITIMER_VIRTUAL, &fast, NULL);
    while (nhandled < 200)
        call_often(20000);
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    CHECK(has_seen_loop && !has_seen_stub);
}

static void *write_later(void *arg)
{
    wait_asleep(getpid());
    pthread_kill(((pthread_t *)arg)[0], SIGUSR1);
    wait_asleep(getpid());
    CHECK(write((int)((pthread_t *)arg)[1], "x", 1) == 1);
    return NULL;
}

static void test_restart(void)
{
    int pipe_fds[2];
    char byte;
    pthread_t arg[2], thread;

    NEED(pipe(pipe_fds) == 0);
    for (int i = 0; i < HOT; i++) {
        NEED(write(pipe_fds[1], "y", 1) == 1);
        CHECK(call3(read_site, 0, pipe_fds[0], (long)&byte, 1) == 1);
    }
    check_patched(read_site, true);
    arg[0] = pthread_self();
    arg[1] = (pthread_t)pipe_fds[1];
    handle(SIGUSR1, SA_RESTART);
    NEED(pthread_create(&thread, NULL, write_later, arg) == 0);
    CHECK(call3(read_site, 0, pipe_fds[0], (long)&byte, 1) == 1 && byte == 'x');
    CHECK(handler_pc == (uintptr_t)read_call && handler_rax == 0);
    pthread_join(thread, NULL);

    handle(SIGUSR1, 0);
    NEED(pthread_create(&thread, NULL, write_later, arg) == 0);
    CHECK(call3(read_site, 0, pipe_fds[0], (long)&byte, 1) == -EINTR);
    CHECK(handler_pc == (uintptr_t)read_next && handler_rax == (uintptr_t)-EINTR);
    pthread_join(thread, NULL);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* Instructions between the number and the call move with it, and fault where they stand. */
static void test_moved(void)
{
    int fd;

    for (int i = 0; i < HOT; i++) {
        fd = dup(1);
        NEED(fd >= 0);
        CHECK(call3(moved_site, 0, 0, (long)&fd, 0) == 0);
    }
    check_patched(moved_site, true);
    fd = 9999;
    CHECK(call3(moved_site, 0, 0, (long)&fd, 0) == -EBADF);
    handle(SIGSEGV, 0);
    if (!sigsetjmp(jump, 1)) {
        call3(moved_site, 0, 0, 8, 0);
        CHECK(!"reached");
    }
    CHECK(handler_pc == (uintptr_t)moved_load && handler_rax == SYS_close);
}

/* The C library's read(), which loads its number in two bytes, before there are threads and after. */
static void read_often(void)
{
    struct itimerval fast = { { 0, 300 }, { 0, 300 } }, off = { { 0, 0 }, { 0, 0 } };
    int fd = open("/dev/zero", O_RDONLY);

    NEED(fd >= 0);
    handle(SIGVTALRM, SA_RESTART);
    nhandled = 0;
    for (int i = 0; i < HOT || nhandled < 10; i++) {
        long value = -1;
        if (i == HOT - 1) { /* from here on the stub is interrupted */
            find_stubs();
            setitimer(ITIMER_VIRTUAL, &fast, NULL);
        }
        long n = read(fd, &value, 1 + (size_t)i % 8);
        CHECK(n == 1 + i % 8 && (unsigned long)value == (n == 8 ? 0 : ~0UL << 8 * n));
        CHECK_ERRNO(read(-1, &value, 1), EBADF);
    }
    setitimer(ITIMER_VIRTUAL, &off, NULL);
    CHECK(!has_seen_stub);
    close(fd);
}

static uintptr_t steps[8];
static volatile int nsteps;

static void on_step(int number, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    (void)number, (void)info;
    if (nsteps < 8)
        steps[nsteps] = (uintptr_t)registers[REG_RIP];
    if (++nsteps == 8)
        registers[REG_EFL] &= ~0x100L;
}

static void test_steps(void)
{
    struct sigaction action = { .sa_sigaction = on_step, .sa_flags = SA_SIGINFO };
    bool has_seen_call = false;

    NEED(sigaction(SIGTRAP, &action, NULL) == 0);
    check_patched(getpid_site, true);
    __asm__ volatile("sub $128, %%rsp\n\t"
                     "pushf\n\t"
                     "orl $0x100, (%%rsp)\n\t"
                     "popf\n\t"
                     "call getpid_site\n\t"
                     "nop; nop; nop; nop; nop; nop; nop; nop; nop\n\t"
                     "add $128, %%rsp\n\t" ::
                         : "rax", "rcx", "r11", "memory", "cc");
    CHECK(nsteps == 8);
    for (int i = 0; i < 8; i++)
        has_seen_call |= steps[i] == (uintptr_t)getpid_call;
    CHECK(has_seen_call);
}

/* NT in the flags is what no iretq takes: that of whoever runs next, which was preempted, neither. */
static volatile bool is_over;

static void *spin(void *arg)
{
    while (!is_over)
        ;
    return arg;
}

static void stay_on_one_cpu(bool stay)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    for (int i = 0; i < (stay ? 1 : 2); i++)
        CPU_SET(i, &cpus);
    CHECK(sched_setaffinity(0, sizeof(cpus), &cpus) == 0);
}

static void test_nested_task_flag(void)
{
    pthread_t thread;

    stay_on_one_cpu(true);
    NEED(pthread_create(&thread, NULL, spin, NULL) == 0);
    for (int i = 0; i < HOT + 100; i++) {
        long flags = i < HOT ? 0 : 0x4000;
        __asm__ volatile("sub $128, %%rsp\n\t"
                         "pushf\n\t"
                         "or %[flags], (%%rsp)\n\t"
                         "popf\n\t"
                         "mov $24, %%eax\n\t" /* sched_yield */
                         "syscall\n\t"
                         "pushf\n\t"
                         "andl $~0x4000, (%%rsp)\n\t"
                         "popf\n\t"
                         "add $128, %%rsp\n\t" ::[flags] "r"(flags)
                         : "rax", "rcx", "r11", "memory", "cc");
        if (i == HOT)
            sleep_ms(1); /* the other thread is preempted, not waiting */
    }
    is_over = true;
    pthread_join(thread, NULL);
    stay_on_one_cpu(false);
}

/* ---- Threads, fork, changed text ------------------------------------------------------------ */

static void *call_many(void *arg)
{
    for (int i = 0; i < HOT; i++) {
        const char *site = many_sites + (i * 7 + (long)arg) % NSITE * 16;
        if (call3(site, 0, 0, 0, 0) != getpid())
            return (void *)1L;
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[4];
    void *result;

    for (int round = 0; round < 8; round++) {
        for (long i = 0; i < 4; i++)
            NEED(pthread_create(&threads[i], NULL, call_many, (void *)(i + round)) == 0);
        for (int i = 0; i < 4; i++) {
            pthread_join(threads[i], &result);
            CHECK(result == NULL);
        }
    }
}

extern char parents_site[], childs_site[], late_site[];
__asm__(".pushsection .text\n"
        ".balign 64\n"
        "parents_site: mov $102, %eax\n"
        "syscall\n"
        "ret\n"
        ".balign 64\n"
        "childs_site: mov $39, %eax\n"
        "syscall\n"
        "ret\n"
        ".balign 64\n"
        "late_site: mov $102, %eax\n"
        "syscall\n"
        "ret\n"
        ".popsection\n");

static void test_fork(void)
{
    int status;
    pid_t child = fork();

    NEED(child >= 0);
    if (child == 0)
        check_failures = 0;
    for (int i = 0; i < HOT; i++) {
        if (child == 0)
            CHECK(call3(childs_site, 0, 0, 0, 0) == getpid());
        else
            CHECK(call3(parents_site, 0, 0, 0, 0) == (long)getuid());
    }
    check_patched(childs_site, child == 0);
    check_patched(parents_site, child != 0);
    for (int i = 0; i < HOT; i++) {
        CHECK(call3(childs_site, 0, 0, 0, 0) == getpid());
        CHECK(call3(parents_site, 0, 0, 0, 0) == (long)getuid());
        CHECK(call3(getpid_site, 0, 0, 0, 0) == getpid());
    }
    check_patched(childs_site, true);
    check_patched(parents_site, true);
    if (child == 0)
        _exit(check_failures != 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* A program that unmaps what it does not know gets no further calls patched there. */
static void test_unmapped_stubs(void)
{
    int status;
    bool works = true;

    find_stubs();
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) {
        for (int i = 0; i < nstubs; i++)
            if (labs((long)((uintptr_t)late_site - stubs[i].start)) < 1L << 30)
                works &= munmap((void *)stubs[i].start, stubs[i].end - stubs[i].start) == 0;
        for (int i = 0; i < HOT; i++)
            works &= call3(late_site, 0, 0, 0, 0) == 0; /* root's uid */
        _exit(works ? 0 : 1);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void test_changed_text(void)
{
    char *page = (char *)((uintptr_t)getpid_site & ~4095UL);

    NEED(mprotect(page, 8192, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
    memcpy(getpid_site, "\xb8\x66\0\0\0", 5); /* getuid */
    for (int i = 0; i < HOT; i++)
        CHECK(call3(getpid_site, 0, 0, 0, 0) == (long)getuid());
    check_patched(getpid_site, false); /* it may change again at any moment */
    NEED(mprotect(page, 8192, PROT_READ | PROT_EXEC) == 0);
    for (int i = 0; i < 100 * HOT; i++)
        CHECK(call3(getpid_site, 0, 0, 0, 0) == (long)getuid());
}

int main(void)
{
    test_unmapped_page();
    test_registers();
    read_often();
    test_wrappers();
    test_no_sites();
    test_storm();
    test_first_mapping();
    test_restart();
    test_moved();
    test_steps();
    test_nested_task_flag();
    test_threads();
    read_often();
    test_fork();
    test_unmapped_stubs();
    test_changed_text();
    return check_end();
}
