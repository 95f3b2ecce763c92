// SPDX-License-Identifier: MIT
#pragma once
/*
 * What the measuring programs share: they run in Stout and in the Linux guest and print "NAME NANOSECONDS", the
 * time of one turn.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check(int ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static double now_ns(void)
{
    struct timespec time;
    check(clock_gettime(CLOCK_MONOTONIC, &time) == 0, "clock_gettime");
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* The least of several rounds, each long enough for the clock: what a busy host adds is left out. */
static void measure(const char *name, void (*once)(void), int turns, int rounds)
{
    double least = 1e18;
    for (int round = 0; round <= rounds; round++) {
        double start = now_ns();
        for (int i = 0; i < turns; i++)
            once();
        double ns = (now_ns() - start) / turns;
        if (round > 0 && ns < least) /* the first translates the code */
            least = ns;
    }
    printf("%s %.0f\n", name, least);
    fflush(stdout);
}

struct figure {
    const char *name;
    void (*run)(int rounds); /* or NULL: */
    void (*once)(void);
    int turns; /* of a round */
};

/* PROGRAM [ROUNDS [NAME]]: each figure, or the one of that name. */
static int run_figures(const struct figure *figures, size_t n, int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 5;

    for (const struct figure *figure = figures; figure < figures + n; figure++) {
        if (argc >= 3 && strcmp(argv[2], figure->name) != 0)
            continue;
        if (figure->run)
            figure->run(rounds);
        else
            measure(figure->name, figure->once, figure->turns, rounds);
    }
    return 0;
}
