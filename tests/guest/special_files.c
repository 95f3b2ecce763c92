// SPDX-License-Identifier: MIT
/*
 * Devices, pipe sizes and packets, memfd seals, timerfd rules, pidfd, /proc and /dev/fd.
 * test: flags=-pthread cpus=2
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

static void test_devices(void)
{
    char buffer[64];
    struct stat status;
    int null = open("/dev/null", O_RDWR), zero = open("/dev/zero", O_RDWR);
    int full = open("/dev/full", O_RDWR), urandom = open("/dev/urandom", O_RDWR);

    CHECK(read(null, buffer, 64) == 0 && write(null, buffer, 64) == 64);
    memset(buffer, 1, 64);
    CHECK(read(zero, buffer, 64) == 64 && buffer[0] == 0 && buffer[63] == 0);
    CHECK(write(zero, buffer, 64) == 64 && lseek(zero, 100, SEEK_SET) == 0);
    CHECK_ERRNO(write(full, buffer, 1), ENOSPC);
    CHECK(read(full, buffer, 8) == 8);
    CHECK(read(urandom, buffer, 64) == 64 && memcmp(buffer, buffer + 32, 32));
    CHECK(write(urandom, buffer, 64) == 64);
    CHECK(!fstat(null, &status) && S_ISCHR(status.st_mode) && status.st_rdev == 0x103);
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
    CHECK(map != MAP_FAILED && map[5000] == 0 && (map[5000] = 1));
    munmap(map, 8192);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, null, 0), ENODEV);
    CHECK_ERRNO(ioctl(null, FIONREAD, &status), ENOTTY);
    close(null);
    close(zero);
    close(full);
    close(urandom);
}

static void test_pipe_size(void)
{
    int ends[2];
    char block[8192], back[8192];

    NEED(!pipe2(ends, O_NONBLOCK));
    CHECK(fcntl(ends[0], F_SETPIPE_SZ, 5000) == 8192 && fcntl(ends[1], F_GETPIPE_SZ) == 8192);
    for (int i = 0; i < 8192; i++)
        block[i] = (char)(i * 7 >> 3);
    CHECK(write(ends[1], block, 5000) == 5000 && read(ends[0], back, 4500) == 4500);
    CHECK(fcntl(ends[1], F_SETPIPE_SZ, 65536) == 65536);
    CHECK(write(ends[1], block + 5000, 3192) == 3192);
    CHECK(read(ends[0], back + 4500, 3692) == 3692 && !memcmp(block, back, 8192));
    CHECK(write(ends[1], block, 8192) == 8192);
    CHECK_ERRNO(fcntl(ends[1], F_SETPIPE_SZ, 4096), EBUSY);
    CHECK_ERRNO(fcntl(0, F_GETPIPE_SZ), EBADF);
    close(ends[0]);
    close(ends[1]);
    NEED(!pipe2(ends, O_DIRECT | O_NONBLOCK));
    CHECK(write(ends[1], "first", 5) == 5 && write(ends[1], "second", 6) == 6);
    CHECK(read(ends[0], back, 3) == 3 && !memcmp(back, "fir", 3));
    CHECK(read(ends[0], back, 100) == 6 && !memcmp(back, "second", 6));
    close(ends[0]);
    close(ends[1]);
}

/* A full, wrapped ring that grows: every byte stays in its place. */
static void test_pipe_wrap(void)
{
    static char block[65536], back[65536];
    int ends[2];

    NEED(!pipe2(ends, O_NONBLOCK));
    for (unsigned i = 0; i < sizeof block; i++)
        block[i] = (char)(i ^ i >> 8);
    CHECK(write(ends[1], block, 1000) == 1000 && read(ends[0], back, 999) == 999);
    ssize_t len = write(ends[1], block, 60000);
    CHECK(len == 60000);
    CHECK(fcntl(ends[1], F_SETPIPE_SZ, 131072) == 131072);
    CHECK(write(ends[1], block, 65536) == 65536);
    CHECK(read(ends[0], back, 1) == 1 && back[0] == block[999]);
    CHECK(read(ends[0], back, 60000) == 60000 && !memcmp(back, block, 60000));
    CHECK(read(ends[0], back, 65536) == 65536 && !memcmp(back, block, 65536));
    close(ends[0]);
    close(ends[1]);
}

static void test_memfd(void)
{
    char text[100] = "";
    int fd = memfd_create("name", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    struct stat status;

    NEED(fd >= 0);
    snprintf(text, sizeof text, "/proc/self/fd/%d", fd);
    char link[100] = "";
    CHECK(readlink(text, link, 99) > 0);
    printf("%s\n", link);
    CHECK(!ftruncate(fd, 8192) && !fstat(fd, &status));
    printf("mode %o links %lu size %ld\n", status.st_mode, (unsigned long)status.st_nlink,
           (long)status.st_size);
    int again = open(text, O_RDONLY);
    CHECK(again >= 0 && write(fd, "data", 4) == 4 && read(again, link, 4) == 4 && link[0] == 'd');
    close(again);
    char *map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
    munmap(map, 4096);
    CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW));
    CHECK_ERRNO(ftruncate(fd, 4096), EPERM);
    CHECK_ERRNO(ftruncate(fd, 16384), EPERM);
    CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
    CHECK_ERRNO(write(fd, "x", 1), EPERM);
    CHECK_ERRNO(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), EPERM);
    CHECK(!fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL), EPERM);
    CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL));
    close(fd);
    fd = memfd_create("plain", 0);
    CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
    CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW), EPERM);
    close(fd);
    CHECK_ERRNO(memfd_create("x", 0x1000), EINVAL);
    CHECK_ERRNO(fcntl(0, F_GET_SEALS), EINVAL);
}

static void test_timerfd(void)
{
    struct itimerspec set = { { 0, 0 }, { 20, 0 } }, got;
    struct timespec now;
    uint64_t count;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);

    CHECK_ERRNO(read(fd, &count, 8), EAGAIN);
    CHECK_ERRNO(read(fd, &count, 4), EINVAL);
    CHECK(!timerfd_settime(fd, 0, &set, NULL));
    CHECK(!timerfd_gettime(fd, &got) && got.it_value.tv_sec >= 10 && got.it_value.tv_sec <= 20);
    set.it_value = (struct timespec){ 0, 20000000 };
    CHECK(!timerfd_settime(fd, 0, &set, NULL));
    struct pollfd item = { .fd = fd, .events = POLLIN };
    CHECK(poll(&item, 1, 1000) == 1 && read(fd, &count, 8) == 8 && count == 1);
    CHECK(!timerfd_gettime(fd, &got) && !got.it_value.tv_nsec && !got.it_value.tv_sec);
    set.it_interval.tv_nsec = 5000000;
    CHECK(!timerfd_settime(fd, 0, &set, &got));
    sleep_ms(60);
    CHECK(read(fd, &count, 8) == 8 && count >= 7 && count < 1000);
    clock_gettime(CLOCK_MONOTONIC, &now);
    set = (struct itimerspec){ { 0, 0 }, now };
    CHECK(!timerfd_settime(fd, TFD_TIMER_ABSTIME, &set, &got) &&
          got.it_interval.tv_nsec == 5000000);
    CHECK(poll(&item, 1, 1000) == 1);
    memset(&set, 0, sizeof set);
    CHECK(!timerfd_settime(fd, 0, &set, NULL) && poll(&item, 1, 10) == 0);
    set.it_value.tv_nsec = 1000000000;
    CHECK_ERRNO(timerfd_settime(fd, 0, &set, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(fd, 8, &set, NULL), EINVAL);
    CHECK_ERRNO(timerfd_gettime(1, &got), EINVAL);
    CHECK_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    close(fd);
    fd = timerfd_create(CLOCK_REALTIME, 0);
    clock_gettime(CLOCK_REALTIME, &now);
    set = (struct itimerspec){ { 0, 0 }, { now.tv_sec, now.tv_nsec } };
    CHECK(!timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &set, NULL));
    CHECK(read(fd, &count, 8) == 8 && count == 1);
    close(fd);
}

static void test_pidfd(void)
{
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(1);
    }
    int fd = (int)syscall(SYS_pidfd_open, child, 0);
    struct pollfd item = { .fd = fd, .events = POLLIN };
    siginfo_t info;

    CHECK(fd >= 0 && poll(&item, 1, 0) == 0);
    CHECK(!syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
    CHECK(!syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0));
    CHECK(poll(&item, 1, 5000) == 1 && item.revents & POLLIN);
    CHECK(!waitid(P_PIDFD, (id_t)fd, &info, WEXITED) && info.si_pid == child);
    CHECK(info.si_status == SIGKILL);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_pidfd_open, -1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_pidfd_open, 4000000, 0), ESRCH);
    close(fd);
}

static void test_links(void)
{
    char text[4096], link[100];
    int ends[2], fd;
    ssize_t len;

    NEED(!pipe(ends));
    snprintf(link, sizeof link, "/proc/self/fd/%d", ends[0]);
    len = readlink(link, text, sizeof text);
    CHECK(len > 7 && !memcmp(text, "pipe:[", 6));
    snprintf(link, sizeof link, "/dev/fd/%d", ends[1]);
    fd = open(link, O_WRONLY);
    CHECK(fd >= 0 && write(fd, "via link", 8) == 8 && read(ends[0], text, 20) == 8);
    close(fd);
    snprintf(link, sizeof link, "/proc/thread-self/fdinfo/%d", ends[1]);
    fd = open(link, O_RDONLY);
    len = read(fd, text, sizeof text - 1);
    text[len > 0 ? len : 0] = 0;
    CHECK(strstr(text, "pos:\t0\nflags:\t01\n"));
    close(fd);
    close(ends[0]);
    close(ends[1]);
    CHECK(open("/proc/self/fd/99", O_RDONLY) == -1 && errno == ENOENT);
    CHECK(readlink("/proc/self/exe", text, sizeof text) > 0);
    CHECK(access("/proc/self/task", F_OK) == 0 && access("/proc/999999", F_OK) == -1);
}

static void test_listing(void)
{
    DIR *dir = opendir("/proc/self/fd");
    struct dirent *entry;
    int count = 0;
    struct stat status;

    NEED(dir);
    while ((entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    CHECK(count >= 4);
    closedir(dir);
    CHECK(!stat("/proc/self/status", &status) && S_ISREG(status.st_mode) && status.st_size == 0);
    CHECK(!lstat("/proc/self", &status) && S_ISLNK(status.st_mode));
    CHECK(!stat("/proc/self", &status) && S_ISDIR(status.st_mode));
    CHECK(!stat("/sys/devices/system/cpu/cpu0/topology", &status) && S_ISDIR(status.st_mode));
}

static void test_fifo(void)
{
    char name[] = "/tmp/fifoXXXXXX", buffer[8];

    NEED(mkdtemp(name));
    NEED(!chdir(name) && !mkfifo("f", 0600));
    CHECK_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
    int in = open("f", O_RDONLY | O_NONBLOCK);
    struct pollfd item = { .fd = in, .events = POLLIN };
    CHECK(in >= 0 && read(in, buffer, 8) == 0 && poll(&item, 1, 0) == 0);
    int out = open("f", O_WRONLY);
    CHECK_ERRNO(read(in, buffer, 8), EAGAIN);
    CHECK(write(out, "abc", 3) == 3 && poll(&item, 1, 0) == 1 && item.revents == POLLIN);
    close(out);
    CHECK(poll(&item, 1, 0) == 1 && item.revents == (POLLIN | POLLHUP));
    CHECK(read(in, buffer, 8) == 3 && read(in, buffer, 8) == 0);
    CHECK(poll(&item, 1, 0) == 1 && item.revents == POLLHUP);
    close(in);
    int both = open("f", O_RDWR);
    CHECK(both >= 0 && write(both, "x", 1) == 1 && read(both, buffer, 8) == 1);
    close(both);
    CHECK(!unlink("f") && !chdir("/") && !rmdir(name));
}

int main(void)
{
    test_devices();
    test_pipe_size();
    test_pipe_wrap();
    test_memfd();
    test_timerfd();
    test_pidfd();
    test_links();
    test_listing();
    test_fifo();
    return check_end();
}
