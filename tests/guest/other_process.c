// SPDX-License-Identifier: MIT
/*
 * Calls that look into another process, and I/O priorities.
 */
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

static void test_process_vm(void)
{
    static char there[64] = "in the parent";
    char here[64] = "";
    int end[2], back[2];

    NEED(!pipe(end) && !pipe(back));
    pid_t child = fork();
    if (child == 0) {
        strcpy(there, "in the child");
        CHECK(write(end[1], "x", 1) == 1);
        CHECK(read(back[0], here, 1) == 1);
        _exit(strcmp(there, "IN the child") != 0);
    }
    CHECK(read(end[0], here, 1) == 1);
    char *none = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(none + 4096, 4096);
    struct iovec local[2] = { { here, 6 }, { here + 6, 20 } }, remote = { there, 13 };
    CHECK(process_vm_readv(child, local, 2, &remote, 1, 0) == 13);
    CHECK(!strcmp(here, "in the child"));
    remote.iov_len = 2;
    memcpy(here, "IN", 2);
    CHECK(process_vm_writev(child, local, 1, &remote, 1, 0) == 2);
    CHECK_ERRNO(process_vm_writev(child, (void *)-4096L, 1, &remote, 1, 0), EFAULT);
    struct iovec nowhere = { none + 4096, 2 };
    CHECK_ERRNO(process_vm_writev(child, local, 1, &nowhere, 1, 0), EFAULT);
    CHECK_ERRNO(process_vm_writev(child, local, 1, &remote, 1, 1), EINVAL);
    CHECK_ERRNO(process_vm_readv(child, local, 2, &remote, 1, 1), EINVAL);
    CHECK_ERRNO(process_vm_readv(child, local, 2000, &remote, 1, 0), EINVAL);
    CHECK_ERRNO(process_vm_readv(child, local, 2, &remote, 2000, 0), EINVAL);
    CHECK_ERRNO(process_vm_readv(999999, local, 2, &remote, 1, 0), ESRCH);
    CHECK(process_vm_readv(999999, local, 0, &remote, 1, 0) == 0);
    struct iovec bad = { (void *)8, 8 };
    CHECK_ERRNO(process_vm_readv(child, local, 2, &bad, 1, 0), EFAULT);
    CHECK_ERRNO(process_vm_readv(child, local, 2, (void *)8, 1, 0), EFAULT);
    CHECK_ERRNO(process_vm_readv(child, (void *)8, 2, &remote, 1, 0), EFAULT);
    struct iovec border = { none + 4090, 20 };
    local[1].iov_len = 30;
    CHECK(process_vm_readv(getpid(), local, 2, &border, 1, 0) == 6);
    CHECK(write(back[1], "x", 1) == 1);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static long kcmp(pid_t a, pid_t b, int type, unsigned long x, unsigned long y)
{
    return syscall(SYS_kcmp, a, b, type, x, y);
}

static void test_kcmp(void)
{
    pid_t self = getpid();
    int fd = open("/dev/null", O_RDONLY), other = open("/dev/null", O_RDONLY), copy = dup(fd);

    if (kcmp(self, self, 1, 0, 0) == -1 && errno == ENOSYS)
        return; /* Linux may be built without it */
    CHECK(kcmp(self, self, 0, (unsigned long)fd, (unsigned long)copy) == 0);
    CHECK(kcmp(self, self, 0, (unsigned long)fd, (unsigned long)other) > 0);
    CHECK_ERRNO(kcmp(self, self, 0, (unsigned long)fd, 999), EBADF);
    CHECK_ERRNO(kcmp(self, self, 99, 0, 0), EINVAL);
    CHECK_ERRNO(kcmp(self, 999999, 1, 0, 0), ESRCH);
    pid_t child = fork();
    if (child == 0) {
        pause();
        _exit(0);
    }
    for (int type = 1; type <= 4; type++)
        CHECK(kcmp(self, self, type, 0, 0) == 0 && kcmp(self, child, type, 0, 0) > 0);
    CHECK(kcmp(self, child, 0, (unsigned long)fd, (unsigned long)fd) == 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

static void ioprio(int which, int who, int value)
{
    errno = 0;
    long set = syscall(SYS_ioprio_set, which, who, value);
    int error = errno;
    printf("ioprio %d %d %x: %ld %d, %lx\n", which, who == getpid() ? 1 : who, (unsigned)value, set,
           error, syscall(SYS_ioprio_get, which, who));
}

static void test_ioprio(void)
{
    ioprio(1, 0, 0x4003);
    ioprio(1, getpid(), 0x6000);
    ioprio(1, 0, 0x2001);
    ioprio(1, 0, 0x8000);
    ioprio(1, 0, 3);
    ioprio(4, 0, 0);
    ioprio(1, 999999, 0);
    ioprio(2, 0, 0x4002);
    pid_t child = fork();
    if (child == 0)
        _exit(syscall(SYS_ioprio_get, 1, 0) != 0x4002);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    ioprio(1, 0, 0);
}

static void test_process_madvise(void)
{
    char *area = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
    struct iovec part = { area, 8192 };

    NEED(pidfd >= 0);
    memset(area, 1, 8192);
    CHECK(syscall(SYS_process_madvise, pidfd, &part, 1, MADV_COLD, 0) == 8192);
    CHECK(area[0] == 1 && area[8191] == 1);
    CHECK_ERRNO(syscall(SYS_process_madvise, pidfd, (void *)-4096L, 1, MADV_COLD, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_process_madvise, pidfd, &part, 1, MADV_COLD, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_process_madvise, -1, &part, 1, MADV_COLD, 0), EBADF);
    close(pidfd);
    munmap(area, 8192);
}

int main(void)
{
    test_process_vm();
    test_process_madvise();
    test_kcmp();
    test_ioprio();
    return check_end();
}
