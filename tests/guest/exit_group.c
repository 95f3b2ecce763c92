// SPDX-License-Identifier: MIT
/*
 * exit from one thread ends all, also those that sleep, spin or wait in a futex.
 * test: status=33 flags=-pthread cpus=2
 */
#include "check.h"

#include <pthread.h>
#include <signal.h>

static pthread_mutex_t locked = PTHREAD_MUTEX_INITIALIZER;
static volatile int spins;

static void *spin(void *arg)
{
    for (;;)
        spins++;
    return arg;
}

static void *block(void *arg)
{
    pthread_mutex_lock(&locked);
    return arg;
}

static void *doze(void *arg)
{
    pause();
    return arg;
}

int main(void)
{
    pthread_t thread;

    pthread_mutex_lock(&locked);
    pthread_create(&thread, NULL, spin, NULL);
    pthread_create(&thread, NULL, block, NULL);
    pthread_create(&thread, NULL, doze, NULL);
    sleep_ms(30);
    puts("leaving");
    fflush(stdout);
    _exit(33);
}
