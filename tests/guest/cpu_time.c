// SPDX-License-Identifier: MIT
/*
 * CPU time, split between the application and the kernel, in all the places that tell it; timers on it.
 * test: flags=-pthread cpus=2 timeout=60
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>

static double seconds(struct timeval tv)
{
    return (double)tv.tv_sec + (double)tv.tv_usec / 1e6;
}

static double clock_seconds(clockid_t clock)
{
    struct timespec ts;

    CHECK(!clock_gettime(clock, &ts));
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void spin(double time)
{
    double end = clock_seconds(CLOCK_THREAD_CPUTIME_ID) + time;
    volatile unsigned long x = 0;

    while (clock_seconds(CLOCK_THREAD_CPUTIME_ID) < end)
        for (int i = 0; i < 200000; i++)
            x += (unsigned long)i;
}

/* Nearly all of it is spent in the kernel. */
static void work_in_kernel(double time)
{
    double end = clock_seconds(CLOCK_THREAD_CPUTIME_ID) + time;
    static char buf[1 << 20];
    int zero = open("/dev/zero", O_RDONLY);

    while (clock_seconds(CLOCK_THREAD_CPUTIME_ID) < end)
        for (int i = 0; i < 8; i++)
            CHECK(read(zero, buf, sizeof buf) == sizeof buf);
    close(zero);
}

static void test_split(void)
{
    struct rusage before, after;
    struct tms tms;

    getrusage(RUSAGE_THREAD, &before);
    spin(0.4);
    getrusage(RUSAGE_THREAD, &after);
    double user = seconds(after.ru_utime) - seconds(before.ru_utime);
    double system = seconds(after.ru_stime) - seconds(before.ru_stime);
    if (user < 0.3 || system > 0.1)
        printf("spinning: user %f system %f\n", user, system);

    getrusage(RUSAGE_SELF, &before);
    work_in_kernel(0.4);
    getrusage(RUSAGE_SELF, &after);
    user = seconds(after.ru_utime) - seconds(before.ru_utime);
    system = seconds(after.ru_stime) - seconds(before.ru_stime);
    if (system < 0.3 || user > 0.1)
        printf("calling: user %f system %f\n", user, system);

    CHECK(times(&tms) != (clock_t)-1);
    CHECK(tms.tms_utime >= 30 && tms.tms_stime >= 30 && tms.tms_cutime == 0);
    double sum = seconds(after.ru_utime) + seconds(after.ru_stime);
    CHECK(clock_seconds(CLOCK_PROCESS_CPUTIME_ID) - sum < 0.05);
}

static long field_of_stat(const char *path, int field)
{
    char text[1024];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);

    close(fd);
    NEED(n > 0);
    text[n] = 0;
    char *at = strrchr(text, ')') + 1;
    for (int i = 3; i < field; i++)
        at = strchr(at + 1, ' ');
    return atol(at);
}

static void test_proc(void)
{
    char text[4096], name[64];
    unsigned long user, nice, system, idle;
    int fd = open("/proc/stat", O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);

    close(fd);
    NEED(n > 0);
    text[n] = 0;
    CHECK(sscanf(text, "cpu %lu %lu %lu %lu", &user, &nice, &system, &idle) == 4);
    CHECK(user >= 30 && system >= 30);
    CHECK(field_of_stat("/proc/self/stat", 14) >= 30 && field_of_stat("/proc/self/stat", 15) >= 30);
    snprintf(name, sizeof name, "/proc/self/task/%d/stat", getpid());
    CHECK(field_of_stat(name, 14) >= 30 && field_of_stat(name, 15) >= 30);
    CHECK(field_of_stat("/proc/self/stat", 10) > 10);
}

static void test_children(void)
{
    struct rusage usage, children;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        pid_t grandchild = fork();
        if (grandchild == 0) {
            work_in_kernel(0.3);
            _exit(0);
        }
        char *memory =
            mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        madvise(memory, 32 << 20, MADV_NOHUGEPAGE);
        memset(memory, 1, 32 << 20);
        for (int i = 0; i < 20; i++)
            sleep_ms(5);
        spin(0.3);
        waitpid(grandchild, NULL, 0);
        _exit(0);
    }
    CHECK(wait4(pid, &status, 0, &usage) == pid && status == 0);
    CHECK(seconds(usage.ru_utime) > 0.2 && seconds(usage.ru_stime) > 0.2);
    CHECK(usage.ru_maxrss > 32 << 10 && usage.ru_maxrss < 64 << 10);
    if (usage.ru_minflt < 8192 || usage.ru_nvcsw < 10)
        printf("faults %ld, switches %ld\n", usage.ru_minflt, usage.ru_nvcsw);
    getrusage(RUSAGE_CHILDREN, &children);
    CHECK(seconds(children.ru_utime) >= seconds(usage.ru_utime) - 1e-5);
    CHECK(seconds(children.ru_stime) >= seconds(usage.ru_stime) - 1e-5);
    CHECK(children.ru_minflt >= usage.ru_minflt && children.ru_maxrss == usage.ru_maxrss);
    CHECK(children.ru_nvcsw >= 10);
    CHECK(field_of_stat("/proc/self/stat", 16) >= 20 && field_of_stat("/proc/self/stat", 17) >= 20);
    CHECK(field_of_stat("/proc/self/stat", 11) >= 8192);
}

static double total(const struct rusage *usage)
{
    return seconds(usage->ru_utime) + seconds(usage->ru_stime);
}

static void *spin_thread(void *arg)
{
    struct rusage usage;

    spin(0.2);
    getrusage(RUSAGE_THREAD, &usage);
    CHECK(seconds(usage.ru_utime) > 0.1 && seconds(usage.ru_utime) < 0.3);
    return arg;
}

static void test_threads(void)
{
    pthread_t thread;
    struct rusage before, after, mine, mine_after;

    getrusage(RUSAGE_SELF, &before);
    getrusage(RUSAGE_THREAD, &mine);
    pthread_create(&thread, NULL, spin_thread, NULL);
    pthread_join(thread, NULL);
    getrusage(RUSAGE_SELF, &after);
    getrusage(RUSAGE_THREAD, &mine_after);
    /* Linux splits a process's time by all ticks that it ever had, so this may be system time; the sum is exact. */
    CHECK(total(&after) - total(&before) > 0.1);
    CHECK(total(&mine_after) - total(&mine) < 0.1);
}

static volatile int nprof, nvirtual, ntimer;

static void count(int signo)
{
    if (signo == SIGPROF)
        nprof++;
    else if (signo == SIGVTALRM)
        nvirtual++;
    else
        ntimer++;
}

static void set_itimer(int which, long usec)
{
    struct itimerval value = { { 0, usec }, { 0, usec } };

    CHECK(!setitimer(which, &value, NULL));
}

static void test_itimers(void)
{
    signal(SIGPROF, count);
    signal(SIGVTALRM, count);
    set_itimer(ITIMER_PROF, 20000);
    set_itimer(ITIMER_VIRTUAL, 20000);
    work_in_kernel(0.4);
    int prof = nprof, in_kernel = nvirtual;
    spin(0.4);
    int both = nprof, in_app = nvirtual - in_kernel;
    set_itimer(ITIMER_PROF, 0);
    set_itimer(ITIMER_VIRTUAL, 0);
    /* 20 of each are due, but a busy host gives its ticks late, on Linux too, and signals merge. */
    if (prof < 3 || prof > 40 || in_kernel > 10 || both < prof + 3 || both > 80 || in_app < 3 ||
        in_app > 40)
        printf("prof %d virtual %d, then prof %d virtual %d\n", prof, in_kernel, both, in_app);
    sleep_ms(50);
    CHECK(nprof == both);
}

static void test_cpu_timer(clockid_t clock)
{
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    struct itimerspec value = { { 0, 20000000 }, { 0, 20000000 } };
    timer_t timer;

    ntimer = 0;
    signal(SIGUSR1, count);
    NEED(!timer_create(clock, &event, &timer));
    CHECK(!timer_settime(timer, 0, &value, NULL));
    sleep_ms(100);
    CHECK(ntimer <= 1);
    spin(0.3);
    if (ntimer < 6 || ntimer > 17)
        printf("clock %d: %d\n", clock, ntimer);
    CHECK(!timer_delete(timer));
}

/* "name: value" of a file. */
static unsigned long value_of(const char *path, const char *name)
{
    char text[4096];
    int fd = open(path, O_RDONLY);
    ssize_t n = read(fd, text, sizeof text - 1);

    close(fd);
    NEED(n > 0);
    text[n] = 0;
    char *at = strstr(text, name);
    return at ? strtoul(at + strlen(name) + 1, NULL, 10) : ~0UL;
}

static void test_io(void)
{
    char buf[1000] = "";
    int fd = open("/tmp/cpu_time.io", O_RDWR | O_CREAT, 0600);

    unsigned long read_before = value_of("/proc/self/io", "rchar");
    unsigned long written_before = value_of("/proc/self/io", "wchar");
    unsigned long nwrites = value_of("/proc/self/io", "syscw");
    for (int i = 0; i < 10; i++)
        CHECK(write(fd, buf, sizeof buf) == sizeof buf);
    CHECK(pread(fd, buf, sizeof buf, 0) == sizeof buf);
    CHECK(value_of("/proc/self/io", "wchar") == written_before + 10000);
    CHECK(value_of("/proc/self/io", "syscw") == nwrites + 10);
    CHECK(value_of("/proc/self/io", "rchar") >= read_before + 1000);
    close(fd);
    unlink("/tmp/cpu_time.io");
}

int main(void)
{
    test_split();
    test_proc();
    test_children();
    test_threads();
    test_itimers();
    test_cpu_timer(CLOCK_PROCESS_CPUTIME_ID);
    test_cpu_timer(CLOCK_THREAD_CPUTIME_ID);
    test_io();
    return check_end();
}
