// SPDX-License-Identifier: MIT
/*
 * Resource limits, each at its edge, and signals through /proc/PID.
 * test: flags=-pthread cpus=2 timeout=60
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NOBODY 54321

static void limit(int resource, rlim_t soft, rlim_t hard)
{
    struct rlimit value = { soft, hard };

    NEED(!setrlimit(resource, &value));
}

/* The wait status of a child that runs function. */
static int in_child(void (*function)(void))
{
    int status;

    fflush(stdout);
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid == 0) {
        function();
        fflush(stdout);
        _exit(check_failures != 0);
    }
    NEED(waitpid(pid, &status, 0) == pid);
    return status;
}

static void print_status(const char *name, int status)
{
    if (WIFSIGNALED(status))
        printf("%s: signal %d%s\n", name, WTERMSIG(status), WCOREDUMP(status) ? ", core" : "");
    else
        printf("%s: exit %d\n", name, WEXITSTATUS(status));
}

static void burn(void)
{
    for (;;)
        __asm__ volatile("");
}

static volatile int nsignals;

static void count(int signo)
{
    (void)signo;
    nsignals++;
}

static void cpu_default(void)
{
    limit(RLIMIT_CPU, 1, 3);
    burn();
}

static void cpu_handled(void)
{
    struct rlimit now;

    signal(SIGXCPU, count);
    limit(RLIMIT_CPU, 1, 3);
    while (!nsignals)
        ;
    CHECK(!getrlimit(RLIMIT_CPU, &now) && now.rlim_cur == 2);
    burn(); /* until SIGKILL */
}

static void cpu_zero(void)
{
    limit(RLIMIT_CPU, 0, RLIM_INFINITY);
    burn();
}

static void rttime(void)
{
    struct sched_param param = { .sched_priority = 1 };

    limit(RLIMIT_RTTIME, 200000, 1000000);
    if (sched_setscheduler(0, SCHED_FIFO, &param)) /* a container may not */
        raise(SIGXCPU);
    burn();
}

static void file_size(void)
{
    char buf[100] = "";
    int fd = open("/tmp/limits.file", O_RDWR | O_CREAT | O_TRUNC, 0600);

    signal(SIGXFSZ, count);
    limit(RLIMIT_FSIZE, 150, 150);
    CHECK(write(fd, buf, 100) == 100);
    CHECK(write(fd, buf, 100) == 50 && nsignals == 0);
    CHECK_ERRNO(write(fd, buf, 100), EFBIG);
    CHECK(nsignals == 1);
    CHECK_ERRNO(pwrite(fd, buf, 1, 1000), EFBIG);
    CHECK(nsignals == 2);
    CHECK_ERRNO(ftruncate(fd, 151), EFBIG);
    CHECK(nsignals == 3);
    CHECK(!ftruncate(fd, 150) && !ftruncate(fd, 0));
    CHECK_ERRNO(fallocate(fd, 0, 100, 100), EFBIG);
    CHECK(nsignals == 4);
    close(fd);
    unlink("/tmp/limits.file");
}

static void file_size_default(void)
{
    int fd = open("/tmp/limits.file", O_RDWR | O_CREAT | O_TRUNC, 0600);

    unlink("/tmp/limits.file");
    limit(RLIMIT_FSIZE, 0, 0);
    (void)!write(fd, "x", 1);
}

static void *nothing(void *arg)
{
    return arg;
}

static void processes(void)
{
    pthread_t thread;
    int status;

    NEED(!setresgid(NOBODY, NOBODY, NOBODY) && !setresuid(NOBODY, NOBODY, NOBODY));
    limit(RLIMIT_NPROC, 2, 10);
    pid_t pid = fork();
    NEED(pid >= 0);
    if (pid == 0) {
        pause();
        _exit(0);
    }
    CHECK_ERRNO(fork(), EAGAIN);
    CHECK(pthread_create(&thread, NULL, nothing, NULL) == EAGAIN);
    CHECK_ERRNO(vfork(), EAGAIN);
    kill(pid, SIGKILL);
    siginfo_t info;
    CHECK(!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
    CHECK_ERRNO(fork(), EAGAIN); /* a zombie counts */
    CHECK(waitpid(pid, &status, 0) == pid);
    CHECK(!pthread_create(&thread, NULL, nothing, NULL) && !pthread_join(thread, NULL));
    limit(RLIMIT_NPROC, 5, 10);
    CHECK_ERRNO(syscall(SYS_prlimit64, 1, RLIMIT_NPROC, NULL, &(struct rlimit){ 0, 0 }), EPERM);
}

static void processes_root(void)
{
    limit(RLIMIT_NPROC, 0, 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        _exit(0);
    waitpid(pid, NULL, 0);
}

static void address_space(void)
{
    limit(RLIMIT_AS, 64 << 20, RLIM_INFINITY);
    CHECK(mmap(NULL, 128 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    CHECK(errno == ENOMEM);
    CHECK(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}

static void data(void)
{
    limit(RLIMIT_DATA, 16 << 20, RLIM_INFINITY);
    CHECK(mmap(NULL, 32 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
          MAP_FAILED);
    CHECK(mmap(NULL, 32 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    CHECK(sbrk(32 << 20) == (void *)-1 && errno == ENOMEM);
}

static int recurse(int depth)
{
    volatile char page[4096];

    page[0] = (char)depth;
    return depth == 0 ? page[0] : recurse(depth - 1) + page[0];
}

static void stack_over(void)
{
    limit(RLIMIT_STACK, 256 << 10, RLIM_INFINITY);
    recurse(100000);
}

static void locked(void)
{
    char *memory = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    NEED(!setresuid(NOBODY, NOBODY, NOBODY));
    limit(RLIMIT_MEMLOCK, 64 << 10, 64 << 10);
    CHECK(!mlock(memory, 64 << 10));
    CHECK_ERRNO(mlock(memory + (64 << 10), 4096), ENOMEM);
    CHECK(!munlock(memory, 4096) && !mlock(memory + (64 << 10), 4096));
    CHECK(mmap(NULL, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0) ==
          MAP_FAILED);
    CHECK(errno == EAGAIN);
    limit(RLIMIT_MEMLOCK, 0, 0);
    CHECK_ERRNO(mlock(memory, 4096), EPERM);
}

static void signals(void)
{
    sigset_t set;
    union sigval value = { 0 };
    struct timespec none = { 0, 0 };
    int sent = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    NEED(!setresuid(NOBODY, NOBODY, NOBODY));
    limit(RLIMIT_SIGPENDING, 10, 10);
    while (sent < 100 && !sigqueue(getpid(), SIGRTMIN, value))
        sent++;
    CHECK(sent == 10 && errno == EAGAIN);
    CHECK(!kill(getpid(), SIGUSR1)); /* goes all the same */
    while (sigtimedwait(&set, NULL, &none) > 0)
        sent--;
    CHECK(sent == -1);
}

static void priorities(void)
{
    struct sched_param param = { .sched_priority = 3 };

    NEED(!setpriority(PRIO_PROCESS, 0, 5));
    struct rlimit nice = { 17, 17 }; /* down to nice 3; a container may not raise it */
    bool may_raise = !setrlimit(RLIMIT_NICE, &nice);
    limit(RLIMIT_RTPRIO, 0, 0);
    NEED(!setresuid(NOBODY, NOBODY, NOBODY));
    CHECK(!may_raise || !setpriority(PRIO_PROCESS, 0, 3));
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, 2), EACCES);
    CHECK_ERRNO(sched_setscheduler(0, SCHED_FIFO, &param), EPERM);
}

static void others(void)
{
    struct rlimit value = { 100, 200 }, old;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    CHECK(!prlimit(pid, RLIMIT_NOFILE, &value, &old));
    CHECK(!prlimit(pid, RLIMIT_NOFILE, NULL, &old) && old.rlim_cur == 100 && old.rlim_max == 200);
    CHECK(!getrlimit(RLIMIT_NOFILE, &old) && old.rlim_cur != 100);
    value = (struct rlimit){ 2, 1 };
    CHECK_ERRNO(prlimit(pid, RLIMIT_NOFILE, &value, NULL), EINVAL);
    CHECK_ERRNO(prlimit(pid, (enum __rlimit_resource)16, NULL, &old), EINVAL);
    CHECK_ERRNO(prlimit(999999, RLIMIT_NOFILE, NULL, &old), ESRCH);
    CHECK_ERRNO(syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, (void *)8, NULL), EFAULT);
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
}

/* killall(1) signals through an open /proc/PID. */
static void proc_directory(void)
{
    char name[40];
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        pause();
        _exit(0);
    }
    snprintf(name, sizeof name, "/proc/%d", pid);
    int fd = open(name, O_RDONLY | O_DIRECTORY);
    CHECK(fd >= 0 && !syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    int other = open("/proc", O_RDONLY | O_DIRECTORY);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, other, 0, NULL, 0), EBADF);
    CHECK(!syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
    CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
    close(fd);
    close(other);
}

static void core(void)
{
    limit(RLIMIT_CORE, 0, RLIM_INFINITY);
    signal(SIGQUIT, SIG_DFL);
    raise(SIGQUIT);
}

int main(void)
{
    print_status("cpu", in_child(cpu_default));
    print_status("cpu handled", in_child(cpu_handled));
    print_status("cpu 0", in_child(cpu_zero));
    print_status("real-time", in_child(rttime));
    print_status("file size", in_child(file_size));
    print_status("file size default", in_child(file_size_default));
    print_status("processes", in_child(processes));
    print_status("processes of root", in_child(processes_root));
    print_status("address space", in_child(address_space));
    print_status("data", in_child(data));
    print_status("stack", in_child(stack_over));
    print_status("locked", in_child(locked));
    print_status("signals", in_child(signals));
    print_status("priorities", in_child(priorities));
    print_status("others", in_child(others));
    print_status("signals through /proc", in_child(proc_directory));
    print_status("core", in_child(core));
    return check_end();
}
