// SPDX-License-Identifier: MIT
#pragma once
/*
 * For tests that have to know that another process sleeps in the call that it was to make.
 */
#include "check.h"

#include <fcntl.h>

static inline bool is_asleep(pid_t pid)
{
    char path[40], text[400], state = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    int fd = open(path, O_RDONLY);
    long n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = '\0';
    char *end = strrchr(text, ')');
    if (end)
        state = end[2];
    return state == 'S';
}

static inline void wait_asleep(pid_t pid)
{
    int times = 0;

    for (int i = 0; i < 2000 && times < 10; i++) {
        times = is_asleep(pid) ? times + 1 : 0;
        sleep_ms(2);
    }
}
