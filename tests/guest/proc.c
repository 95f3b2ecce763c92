// SPDX-License-Identifier: MIT
/*
 * /proc, /sys and /dev as runtimes read them.
 * test: flags=-pthread args=first,second not_on=syscall,patched,musl
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>
#include <sys/wait.h>

static char text[1 << 20];

static long read_file(const char *path)
{
    int fd = open(path, O_RDONLY);
    long size = 0, n;

    if (fd < 0)
        return -1;
    while ((n = read(fd, text + size, sizeof text - 1 - (size_t)size)) > 0)
        size += n;
    close(fd);
    text[size] = 0;
    return size;
}

static void test_self(char **argv)
{
    char path[200] = "", name[20];
    struct stat info;

    CHECK(readlink("/proc/self/exe", path, sizeof path - 1) > 0 && strstr(path, "/proc"));
    CHECK(readlink("/proc/self/cwd", path, sizeof path - 1) > 0);
    CHECK(read_file("/proc/self/cmdline") == (long)(strlen(argv[0]) + 1 + 6 + 7));
    CHECK(!strcmp(text + strlen(argv[0]) + 1, "first"));
    CHECK(read_file("/proc/self/environ") > 0);
    CHECK(read_file("/proc/self/comm") > 0 && !strcmp(text, "proc\n"));
    CHECK(!prctl(PR_SET_NAME, "renamed") && read_file("/proc/self/comm") > 0 &&
          !strcmp(text, "renamed\n"));
    CHECK(read_file("/proc/self/stat") > 0 && strstr(text, "(renamed) R"));
    CHECK(read_file("/proc/self/status") > 0 && strstr(text, "VmRSS:") &&
          strstr(text, "Threads:\t1\n"));
    CHECK(read_file("/proc/self/statm") > 0 && atol(text) > 0);
    CHECK(read_file("/proc/self/auxv") > 100 && read_file("/proc/self/limits") > 0);
    CHECK(!stat("/proc/self/fd", &info) && S_ISDIR(info.st_mode));
    int fd = open("/dev/null", O_RDWR);
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    memset(path, 0, sizeof path);
    CHECK(readlink(name, path, sizeof path - 1) > 0 && !strcmp(path, "/dev/null"));
    close(fd);
    snprintf(name, sizeof name, "/proc/%d/stat", getpid());
    CHECK(read_file(name) > 0 && atoi(text) == getpid());
    CHECK_ERRNO(open("/proc/99999999", O_RDONLY), ENOENT);
}

static void test_maps(void)
{
    char *mine = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), expect[60];

    CHECK(read_file("/proc/self/maps") > 0);
    CHECK(strstr(text, "[stack]") && strstr(text, "[heap]") && strstr(text, "[vdso]") &&
          strstr(text, "libc.so.6"));
    mprotect(mine, 4096, PROT_NONE);
    read_file("/proc/self/maps");
    snprintf(expect, sizeof expect, "%lx-%lx ---p 00000000 00:00 0", (long)mine, (long)mine + 4096);
    CHECK(strstr(text, expect));
    /* Each line: addresses rise and do not overlap. */
    unsigned long end = 0, from, to;
    for (char *line = text; line && sscanf(line, "%lx-%lx", &from, &to) == 2;
         line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        CHECK(from >= end && to > from);
        end = to;
    }
    CHECK(read_file("/proc/self/smaps") > 0 && strstr(text, "Rss:"));
}

static void test_system(void)
{
    struct utsname name;
    struct sysinfo info;
    cpu_set_t set;

    CHECK(read_file("/proc/meminfo") > 0 && strstr(text, "MemTotal:") &&
          strstr(text, "MemAvailable:"));
    CHECK(read_file("/proc/cpuinfo") > 0 && strstr(text, "processor\t: 0") &&
          strstr(text, "flags\t\t: "));
    CHECK(read_file("/proc/stat") > 0 && !strncmp(text, "cpu ", 4) && strstr(text, "btime "));
    CHECK(read_file("/proc/uptime") > 0 && read_file("/proc/loadavg") > 0 &&
          read_file("/proc/version") > 0);
    CHECK(!strncmp(text, "Linux version ", 14));
    CHECK(read_file("/proc/self/mountinfo") > 0 && read_file("/proc/mounts") > 0 &&
          read_file("/proc/filesystems") > 0);
    CHECK(read_file("/proc/sys/kernel/osrelease") > 0 &&
          read_file("/proc/sys/vm/overcommit_memory") > 0);
    CHECK(read_file("/proc/sys/net/core/somaxconn") > 0 && atoi(text) >= 128);
    CHECK(read_file("/proc/sys/kernel/random/uuid") == 37 &&
          read_file("/proc/sys/kernel/pid_max") > 0);
    CHECK(read_file("/sys/devices/system/cpu/online") > 0 && text[0] == '0');
    CHECK(read_file("/sys/devices/system/cpu/possible") > 0);
    CHECK(read_file("/proc/self/cgroup") >= 0);
    CHECK(!uname(&name) && !strcmp(name.sysname, "Linux") && !strcmp(name.machine, "x86_64"));
    CHECK(!sysinfo(&info) && info.totalram > info.freeram && info.mem_unit > 0);
    CHECK(!sched_getaffinity(0, sizeof set, &set) &&
          CPU_COUNT(&set) == sysconf(_SC_NPROCESSORS_ONLN));
    CHECK(sysconf(_SC_PAGESIZE) == 4096 && sysconf(_SC_PHYS_PAGES) > 0 &&
          sysconf(_SC_AVPHYS_PAGES) > 0);
    CHECK(sched_getcpu() >= 0);
}

static long number_in(const char *path)
{
    return read_file(path) > 0 ? atol(text) : -2;
}

static long write_file(const char *path, const char *what)
{
    int fd = open(path, O_WRONLY);
    long n = fd < 0 ? -1 : write(fd, what, strlen(what));
    int err = errno;

    if (fd >= 0)
        close(fd);
    errno = err;
    return n;
}

/* pam_loginuid sets it once; then only who may. */
static void child_of_login(void)
{
    long session = number_in("/proc/self/sessionid");

    CHECK(number_in("/proc/self/loginuid") == 4321 && session > 0 && session < UINT32_MAX);
    CHECK(write_file("/proc/self/loginuid", "0") == 1 && number_in("/proc/self/loginuid") == 0);
    CHECK(number_in("/proc/self/sessionid") != session);
    CHECK_ERRNO(write_file("/proc/self/loginuid", "x"), EINVAL);
    int fd = open("/proc/self/loginuid", O_WRONLY);
    CHECK(fd >= 0 && !setuid(1000));
    CHECK_ERRNO(write(fd, "5", 1), EPERM);
    _exit(check_failures);
}

static void test_login(void)
{
    int status, go[2];
    char byte;

    CHECK(!pipe(go));
    pid_t child = fork();
    if (child == 0) {
        CHECK(write_file("/proc/self/loginuid", "4321") == 4);
        if (fork() == 0)
            child_of_login();
        CHECK(wait(&status) > 0 && status == 0);
        CHECK(read(go[0], &byte, 1) == 1 && number_in("/proc/self/loginuid") == 4321);
        _exit(check_failures);
    }
    char path[60];
    snprintf(path, sizeof path, "/proc/%d/loginuid", child);
    CHECK_ERRNO(write_file(path, "1"), EPERM);
    CHECK(write(go[1], "x", 1) == 1);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(go[0]);
    close(go[1]);
}

static void test_slack(void)
{
    long slack = prctl(PR_GET_TIMERSLACK);

    CHECK(number_in("/proc/self/timerslack_ns") == slack);
    CHECK(!prctl(PR_SET_TIMERSLACK, 77777) && number_in("/proc/self/timerslack_ns") == 77777);
    CHECK(write_file("/proc/self/timerslack_ns", "66666\n") == 6);
    CHECK(prctl(PR_GET_TIMERSLACK) == 66666 && number_in("/proc/self/timerslack_ns") == 66666);
    CHECK(write_file("/proc/self/timerslack_ns", "0") == 1 && prctl(PR_GET_TIMERSLACK) == slack);
    CHECK_ERRNO(write_file("/proc/self/timerslack_ns", "-"), EINVAL);
}

static bool has_capability(int number)
{
    unsigned long long set = 0;

    CHECK(read_file("/proc/self/status") > 0 &&
          sscanf(strstr(text, "CapEff:"), "CapEff: %llx", &set) == 1);
    return set >> number & 1;
}

/* A title below the stack, where the arguments are: first the beginning, for the end may not be before it. */
static void set_title(char *title)
{
    long start = (long)title, end = start + 12;

    strcpy(title, "a new title");
    CHECK_ERRNO(prctl(PR_SET_MM, PR_SET_MM_ARG_END, end, 0, 0), EINVAL);
    CHECK(!prctl(PR_SET_MM, PR_SET_MM_ARG_START, start, 0, 0));
    CHECK(!prctl(PR_SET_MM, PR_SET_MM_ARG_END, end, 0, 0));
    CHECK(read_file("/proc/self/cmdline") == 12 && !strcmp(text, "a new title"));
    CHECK(!prctl(PR_SET_MM, PR_SET_MM_ARG_END, end - 1, 0, 0));
    CHECK(read_file("/proc/self/cmdline") == 11); /* not on into the environment */
    CHECK_ERRNO(prctl(PR_SET_MM, PR_SET_MM_ENV_START, 16, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_MM, PR_SET_MM_ENV_START, -4096L, 0, 0), EINVAL);
    CHECK_ERRNO(prctl(PR_SET_MM, 99, start, 0, 0), EINVAL);
}

static void test_title(void)
{
    char *title = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int status;
    pid_t child = fork();

    if (child == 0) {
        if (has_capability(24)) /* CAP_SYS_RESOURCE, which root of a container may lack */
            set_title(title);
        CHECK_ERRNO(prctl(PR_SET_MM, PR_SET_MM_ARG_END, title, 1, 0), EINVAL);
        CHECK(!setuid(1000));
        CHECK_ERRNO(prctl(PR_SET_MM, PR_SET_MM_ARG_END, title, 0, 0), EPERM);
        _exit(check_failures);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    munmap(title, 4096);
}

/* What numastat, lsblk, redis-server and mongod look for. */
static void test_tools(void)
{
    CHECK(read_file("/proc/self/numa_maps") > 0 && strstr(text, " heap anon=") &&
          strstr(text, " stack anon=") && strstr(text, "libc.so.6 ") && strstr(text, " N0="));
    CHECK(read_file("/proc/self/projid_map") > 0);
    CHECK(!access("/sys/dev/block", X_OK));
    char clock[60];
    CHECK(read_file("/sys/devices/system/clocksource/clocksource0/current_clocksource") > 1);
    CHECK(sscanf(text, "%59s", clock) == 1);
    CHECK(read_file("/sys/devices/system/clocksource/clocksource0/available_clocksource") > 1 &&
          strstr(text, clock));
    CHECK(number_in("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none") >= 0);
}

static void test_devices(void)
{
    char buffer[64];
    struct stat info;
    int fd = open("/dev/zero", O_RDWR);

    memset(buffer, 1, sizeof buffer);
    CHECK(read(fd, buffer, 64) == 64 && buffer[63] == 0 && write(fd, buffer, 10) == 10);
    char *zero = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    CHECK(zero != MAP_FAILED && zero[5] == 0 && (zero[5] = 1));
    close(fd);
    fd = open("/dev/full", O_WRONLY);
    CHECK_ERRNO(write(fd, "x", 1), ENOSPC);
    close(fd);
    fd = open("/dev/urandom", O_RDONLY);
    CHECK(read(fd, buffer, 64) == 64);
    close(fd);
    fd = open("/dev/null", O_RDWR);
    CHECK(read(fd, buffer, 1) == 0 && write(fd, buffer, 64) == 64 && !fstat(fd, &info) &&
          S_ISCHR(info.st_mode));
    CHECK_ERRNO(ioctl(fd, TIOCGWINSZ, buffer), ENOTTY);
    CHECK(!isatty(fd));
    close(fd);
    CHECK(!stat("/dev/shm", &info) && S_ISDIR(info.st_mode) && !access("/dev/stdout", F_OK));
    fd = shm_open("/stout-test", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && !ftruncate(fd, 4096) && !shm_unlink("/stout-test"));
    CHECK(!access("/dev/tty", F_OK) && !access("/dev/ptmx", F_OK));
    fd = posix_openpt(O_RDWR | O_NOCTTY);
    CHECK(fd >= 0 && !grantpt(fd) && !unlockpt(fd) && ptsname(fd));
    close(fd);
}

static void *look_at_tasks(void *arg)
{
    int tasks = 0;
    DIR *dir = opendir("/proc/self/task");

    for (struct dirent *entry; dir && (entry = readdir(dir));)
        tasks += entry->d_name[0] != '.';
    if (dir)
        closedir(dir);
    CHECK(tasks == 2);
    char name[16] = "";
    CHECK(!pthread_setname_np(pthread_self(), "worker") &&
          !pthread_getname_np(pthread_self(), name, 16));
    CHECK(!strcmp(name, "worker"));
    return arg;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    (void)argc;
    void *volatile kept = malloc(1000); /* so that there is a heap */

    NEED(kept);
    test_self(argv);
    test_maps();
    test_system();
    test_devices();
    test_login();
    test_slack();
    test_tools();
    test_title();
    pthread_create(&thread, NULL, look_at_tasks, NULL);
    pthread_join(thread, NULL);
    return check_end();
}
