// SPDX-License-Identifier: MIT
/* Work of known shares for test_profile.py: arithmetic, three quarters of it in one function, and reads. */
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static volatile unsigned long sum;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

__attribute__((noinline)) static void count_to(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        sum += i * 7;
}

__attribute__((noinline)) static void three_parts(void)
{
    count_to(600000);
    sum++;
}

__attribute__((noinline)) static void one_part(void)
{
    count_to(200000);
    sum++;
}

__attribute__((noinline)) static void read_zeros(int fd)
{
    static char buffer[1 << 16];
    for (int i = 0; i < 30; i++)
        sum += (unsigned long)read(fd, buffer, sizeof(buffer));
    sum++;
}

int main(int argc, char **argv)
{
    double end = now() + atof(argc > 1 ? argv[1] : "3");
    int fd = open("/dev/zero", O_RDONLY);
    while (now() < end) {
        three_parts();
        one_part();
        read_zeros(fd);
    }
    return fd < 0;
}
