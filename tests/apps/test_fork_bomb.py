# SPDX-License-Identifier: MIT
"""A fork bomb with no limit of its own: there are so many processes as the kernel allows, and who ends it gets its turn.

Not a guest test, for Linux beside it would have its memory filled too.
"""
import subprocess

from conftest import ACCEL, STOUT, need

BOMB = r"""
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static long bomb(void)
{
    long nreaped = 0;
    pid_t pid = fork();
    if (pid == 0) {
        setpgid(0, 0);
        setpriority(PRIO_PROCESS, 0, 0);
        for (;;)
            if (fork() < 0)
                sched_yield();
    }
    setpgid(pid, pid);
    pid_t probe; /* until there is no room for one more */
    while ((probe = fork()) >= 0) {
        if (probe == 0)
            _exit(0);
        waitpid(probe, NULL, 0);
        usleep(10000);
    }
    if (errno != EAGAIN)
        return -1;
    while (kill(-pid, SIGKILL) == 0)
        while (waitpid(-1, NULL, WNOHANG) > 0)
            nreaped++;
    return nreaped;
}

int main(void)
{
    long most = 0;
    FILE *file = fopen("/proc/sys/kernel/threads-max", "r");
    if (!file || fscanf(file, "%ld", &most) != 1)
        return 1;
    struct rlimit users;
    if (getrlimit(RLIMIT_NPROC, &users) || users.rlim_cur != most / 2 || users.rlim_max != most / 2)
        return printf("a user has %ld of %ld\n", (long)users.rlim_max, most), 1;
    setpriority(PRIO_PROCESS, 0, -20);
    for (int round = 0; round < 2; round++) {
        long nreaped = bomb();
        if (nreaped > most || nreaped < most - 100) /* the rest are the kernel's threads */
            return printf("%ld of %ld\n", nreaped, most), 1;
    }
    return 0;
}
"""


def test_fork_bomb(tmp_path):
    need("gcc")
    (tmp_path / "bomb.c").write_text(BOMB)
    subprocess.run(["gcc", "-O1", "-static", "-o", tmp_path / "bomb", tmp_path / "bomb.c"], check=True)
    result = subprocess.run([STOUT, "run", "--accel", ACCEL, "--net", "none", "-m", "192M", tmp_path / "bomb"], stdout=subprocess.PIPE,
                            timeout=100, check=False)
    assert (result.returncode, result.stdout) == (0, b"")
