// SPDX-License-Identifier: MIT
/*
 * What processes cost: fork, exec and a pipe between two of them.  Prints nanoseconds for one turn of each.
 *
 *     processes [ROUNDS [NAME]]    each figure, or the one of that name, is the least of ROUNDS (default 5)
 */
#include "measure.h"

#include <sys/wait.h>
#include <unistd.h>

#define SIZE  (64 << 20)
#define TRUE  "/bin/true"
#define FORKS 40
#define EXECS 20
#define TURNS 3000

static void wait_for(pid_t child)
{
    int status;
    check(waitpid(child, &status, 0) == child && status == 0, "child");
}

static void fork_once(void)
{
    pid_t child = fork();
    if (child == 0)
        _exit(0);
    check(child > 0, "fork");
    wait_for(child);
}

static void exec_once(void)
{
    pid_t child = vfork();
    if (child == 0) {
        execl(TRUE, TRUE, (char *)NULL);
        _exit(1);
    }
    check(child > 0, "vfork");
    wait_for(child);
}

static int to_child[2], from_child[2];

static void answer_forever(void)
{
    char byte;
    close(to_child[1]);
    while (read(to_child[0], &byte, 1) == 1)
        if (write(from_child[1], &byte, 1) != 1)
            _exit(1);
    _exit(0);
}

static void turn_once(void)
{
    char byte = 'x';
    check(write(to_child[1], &byte, 1) == 1 && read(from_child[0], &byte, 1) == 1, "pipe");
}

static void pipe_figure(int rounds)
{
    check(pipe(to_child) == 0 && pipe(from_child) == 0, "pipe");
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0)
        answer_forever();
    measure("pipe", turn_once, TURNS, rounds);
    close(to_child[1]);
    wait_for(child);
}

static void exec_figure(int rounds)
{
    measure("exec", exec_once, EXECS, rounds);
}

static void fork_figure(int rounds)
{
    volatile char *memory = malloc(SIZE); /* volatile: the stores must not be optimised away */
    check(memory != NULL, "malloc");
    for (size_t i = 0; i < SIZE; i += 64)
        memory[i] = 1;
    measure("fork", fork_once, FORKS, rounds);
    free((void *)memory);
}

int main(int argc, char **argv)
{
    static const struct figure figures[] = { { "pipe", .run = pipe_figure },
                                             { "exec", .run = exec_figure },
                                             { "fork", .run = fork_figure } };
    return run_figures(figures, sizeof(figures) / sizeof(figures[0]), argc, argv);
}
