// SPDX-License-Identifier: MIT
/*
 * A server whose threads stay where they are: who asks at port PORT + n is served on processor n alone, and gets back
 * what he sends.  PORT - 1 tells /proc/interrupts.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT 7000

static int checked(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        exit(1);
    }
    return result;
}

/* Ends when somebody has no more. */
static void copy(int from, int to)
{
    char data[16384];
    ssize_t n;

    while ((n = read(from, data, sizeof(data))) > 0) {
        for (ssize_t done = 0, part; done < n; done += part)
            if ((part = write(to, data + done, (size_t)(n - done))) < 0)
                return;
    }
}

static void *answer(void *arg)
{
    int fd = (int)(long)arg;

    copy(fd, fd);
    close(fd);
    return NULL;
}

static void *serve(void *arg)
{
    long cpu = (long)arg;
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)(PORT + cpu)) };
    int listener = checked(socket(AF_INET, SOCK_STREAM, 0), "socket");

    if (cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        checked(sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
    }
    checked(bind(listener, (void *)&any, sizeof(any)), "bind");
    checked(listen(listener, 64), "listen");
    for (;;) {
        int fd = checked(accept(listener, NULL, NULL), "accept");
        if (cpu >= 0) {
            pthread_t thread; /* inherits the processor */
            if (pthread_create(&thread, NULL, answer, (void *)(long)fd) || pthread_detach(thread))
                exit(1);
            continue;
        }
        int counts = checked(open("/proc/interrupts", O_RDONLY), "open");
        copy(counts, fd);
        close(counts);
        close(fd);
    }
    return NULL;
}

int main(void)
{
    long ncpus = sysconf(_SC_NPROCESSORS_ONLN);
    pthread_t thread;

    for (long cpu = 0; cpu < ncpus; cpu++)
        if (pthread_create(&thread, NULL, serve, (void *)cpu))
            return 1;
    serve((void *)-1L);
    return 0;
}
