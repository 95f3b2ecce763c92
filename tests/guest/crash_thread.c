// SPDX-License-Identifier: MIT
/*
 * A crash in a thread ends the whole program.
 * test: status=139 flags=-pthread cpus=2
 */
#include "check.h"

#include <signal.h>

#include <pthread.h>

static void *run(void *arg)
{
    *(volatile int *)arg = 1;
    return arg;
}

int main(void)
{
    pthread_t thread;

    puts("starting");
    fflush(stdout);
    pthread_create(&thread, NULL, run, NULL);
    pause();
    return 0;
}
