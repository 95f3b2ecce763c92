// SPDX-License-Identifier: MIT
#pragma once
/*
 * For the tests of ptrace(2): a child that is traced from its first line on, and what waiting for it says.
 */
#include "check.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

/* What a wait status says, whatever the numbers of processes. */
static inline void show(const char *what, int status)
{
    if (WIFSTOPPED(status))
        printf("%s: stopped %#x\n", what, status >> 8);
    else if (WIFEXITED(status))
        printf("%s: exit %d\n", what, WEXITSTATUS(status));
    else if (WIFSIGNALED(status))
        printf("%s: killed by %d\n", what, WTERMSIG(status));
    else
        printf("%s: %#x\n", what, status);
}

static inline int wait_show(const char *what, pid_t pid)
{
    int status = -1;
    CHECK(waitpid(pid, &status, __WALL) == pid);
    show(what, status);
    return status;
}

static inline pid_t traced_child(void (*body)(void))
{
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
        raise(SIGSTOP);
        body();
        _exit(7);
    }
    NEED(pid > 0);
    wait_show("first stop", pid);
    return pid;
}
