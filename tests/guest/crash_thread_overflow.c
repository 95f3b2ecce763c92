// SPDX-License-Identifier: MIT
/*
 * The same in a thread: its guard page.
 * test: status=139 flags=-pthread timeout=30
 */
#include "check.h"

#include <signal.h>

#include <pthread.h>

#pragma GCC diagnostic ignored "-Winfinite-recursion"
static int depth(int n)
{
    volatile char frame[4096];

    frame[0] = (char)n;
    return depth(n + 1) + frame[0];
}

static void *run(void *arg)
{
    depth(0);
    return arg;
}

int main(void)
{
    pthread_t thread;

    puts("recursing");
    fflush(stdout);
    pthread_create(&thread, NULL, run, NULL);
    pthread_join(thread, NULL);
    return 0;
}
