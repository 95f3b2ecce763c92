// SPDX-License-Identifier: MIT
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "parts.h"

static void *thread(void *arg)
{
    return (void *)((long)arg + one(two(three(1))));
}

int main(void)
{
    pthread_t id;
    void *result;
    pthread_create(&id, NULL, thread, (void *)1L);
    pthread_join(id, &result);
    printf("hello from inside: %ld %.3f %s\n", (long)result, four(1), strerror(ENOENT));
    return 3;
}
