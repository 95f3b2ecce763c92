// SPDX-License-Identifier: MIT
/*
 * What is deliberately not there answers as a Linux that was built without it, and the log names it once.
 * test: only=guest
 */
#include "check.h"

#include <sys/klog.h>
#include <sys/syscall.h>

static const struct {
    const char *name;
    int number;
} absent[] = {
#define ABSENT(name, why) { #name, SYS_##name },
#include "kernel/syscalls_absent.def"
#undef ABSENT
};

static char text[1 << 20];

static int times_named(const char *name, int number)
{
    char line[100];
    int times = 0;

    snprintf(line, sizeof line, "system call %s (%d) is not there", name, number);
    for (const char *at = text; (at = strstr(at, line)); at++)
        times++;
    return times;
}

int main(void)
{
    const int count = sizeof absent / sizeof absent[0];

    for (int i = 0; i < 2 * count; i++)
        CHECK_ERRNO(syscall(absent[i % count].number, 0, 0, 0, 0, 0, 0), ENOSYS);
    NEED(klogctl(3, text, sizeof text - 1) > 0);
    for (int i = 0; i < count; i++) {
        if (times_named(absent[i].name, absent[i].number) != 1)
            printf("%s: named %d times\n", absent[i].name,
                   times_named(absent[i].name, absent[i].number));
        CHECK(times_named(absent[i].name, absent[i].number) == 1);
    }
    return check_end();
}
