// SPDX-License-Identifier: MIT
/*
 * SIGBUS beyond the end of a shared file: the address, after truncation by another process, in system calls, and
 * back again when the file grows.
 *
 * test: cpus=2 variants=dynamic,folder
 */
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define PAGE 4096

static sigjmp_buf back;
static void *volatile fault_address;
static volatile int fault_code;

static void on_bus(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    fault_address = info->si_addr;
    fault_code = info->si_code;
    siglongjmp(back, 1);
}

/* Whether an access gives SIGBUS at its address. */
static bool faults(volatile char *at, bool is_write)
{
    fault_address = NULL;
    if (sigsetjmp(back, 1) == 0) {
        if (is_write)
            *at = 1;
        else
            (void)*at;
        return false;
    }
    CHECK(fault_address == at && fault_code == BUS_ADRERR);
    return true;
}

static void in_child(void (*function)(int fd), int fd)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        function(fd);
        _exit(check_failures);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void truncate_to_one(int fd)
{
    CHECK(!ftruncate(fd, PAGE));
}

static void grow(int fd)
{
    CHECK(!ftruncate(fd, 3 * PAGE + 100));
}

static void test_file(int fd, int flags)
{
    NEED(fd >= 0 && !ftruncate(fd, 2 * PAGE + 10));
    char *map = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    NEED(map != MAP_FAILED);

    CHECK(!faults(map, true) && !faults(map + 2 * PAGE, true) && !faults(map + 3 * PAGE - 1, true));
    CHECK(faults(map + 3 * PAGE, false) && faults(map + 5 * PAGE + 7, true));
    in_child(truncate_to_one, fd);
    CHECK(!faults(map, true));
    CHECK(faults(map + PAGE, false) && faults(map + PAGE, true) &&
          faults(map + 2 * PAGE + 5, true));
    int out = open("/dev/null", O_WRONLY);
    int pipe_fd[2];
    NEED(!pipe(pipe_fd));
    CHECK_ERRNO(write(pipe_fd[1], map + PAGE, 10), EFAULT);
    CHECK(write(pipe_fd[1], "0123456789", 10) == 10);
    CHECK_ERRNO(read(pipe_fd[0], map + PAGE, 10), EFAULT);
    close(out);
    close(pipe_fd[0]);
    close(pipe_fd[1]);
    in_child(grow, fd);
    CHECK(!faults(map + PAGE, false) && map[PAGE] == 0 && map[2 * PAGE] == 0);
    CHECK(!faults(map + 3 * PAGE, true) && faults(map + 4 * PAGE, true));
    CHECK(!munmap(map, 8 * PAGE));
    close(fd);
}

/* Nobody handles it: the process ends by SIGBUS. */
static void test_death(void)
{
    int fd = memfd_create("faults", 0), status;
    char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pid_t pid = fork();

    if (pid == 0) {
        signal(SIGBUS, SIG_DFL);
        *(volatile char *)map = 1;
        _exit(0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
    munmap(map, PAGE);
    close(fd);
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };

    NEED(!sigaction(SIGBUS, &action, NULL));
    char in_tmp[64], in_shm[64]; /* tests run side by side on Linux */
    snprintf(in_tmp, sizeof in_tmp, "/tmp/shared_faults.%d", getpid());
    snprintf(in_shm, sizeof in_shm, "/dev/shm/shared_faults.%d", getpid());
    for (int i = 0; i < 2; i++) {
        int flags = i ? MAP_PRIVATE : MAP_SHARED;
        test_file(memfd_create("faults", 0), flags);
        test_file(open(in_tmp, O_CREAT | O_RDWR | O_TRUNC, 0600), flags);
        test_file(open(in_shm, O_CREAT | O_RDWR | O_TRUNC, 0600), flags);
    }
    unlink(in_tmp);
    unlink(in_shm);
    test_death();
    return check_end();
}
