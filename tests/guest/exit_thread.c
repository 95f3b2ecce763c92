// SPDX-License-Identifier: MIT
/*
 * The main thread may end before the others; the last one's end is the program's, with status 0.
 * test: flags=-pthread cpus=2
 */
#include "check.h"

#include <pthread.h>

static void *later(void *arg)
{
    sleep_ms(50);
    puts("thread after main");
    fflush(stdout);
    return arg;
}

int main(void)
{
    pthread_t thread;

    NEED(!pthread_create(&thread, NULL, later, NULL));
    puts("main ends");
    fflush(stdout);
    pthread_exit(NULL);
}
