// SPDX-License-Identifier: MIT
/*
 * /proc/PID/oom_score and oom_score_adj: the scale, who inherits it and who may lower it.
 */
#include "check.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

static bool may_lower; /* the first process: CAP_SYS_RESOURCE, which root in a container may lack */

static int put(const char *text)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY);
    ssize_t n = write(fd, text, strlen(text));
    int err = errno;

    close(fd);
    errno = err;
    return n < 0 ? -1 : 0;
}

static int get(const char *path)
{
    int value = -12345;
    FILE *file = fopen(path, "r");

    NEED(file && fscanf(file, "%d", &value) == 1);
    fclose(file);
    return value;
}

static int adjusted(void)
{
    return get("/proc/self/oom_score_adj");
}

/* A small process has two thirds of what adjust + 1000 is. */
static void scale(const char *adjust)
{
    CHECK(!put(adjust));
    int score = get("/proc/self/oom_score"), expected = (atoi(adjust) + 1000) * 2 / 3;

    CHECK(score >= expected - 3 && score <= expected + 30);
}

static int in_child(int (*function)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0)
        exit(function());
    NEED(pid > 0 && waitpid(pid, &status, 0) == pid);
    return WEXITSTATUS(status);
}

static int inherited(void)
{
    CHECK(adjusted() == 300);
    CHECK(!put("500"));
    return check_failures != 0;
}

static int unprivileged(void)
{
    CHECK(!setgid(65534) && !setuid(65534) && !prctl(PR_SET_DUMPABLE, 1));
    CHECK_ERRNO(put("-1"), EACCES);
    CHECK(!put("400"));
    if (may_lower) { /* down to what somebody privileged has set */
        CHECK_ERRNO(put("299"), EACCES);
        CHECK(adjusted() == 400);
    }
    CHECK(!put("300"));
    return check_failures != 0;
}

int main(void)
{
    scale("0");
    scale("500");
    scale("1000");
    may_lower = !put("-300");
    if (may_lower) {
        scale("-500");
        CHECK(!put("-1000") && get("/proc/self/oom_score") == 0);
    }
    CHECK_ERRNO(put("1001"), EINVAL);
    CHECK_ERRNO(put("-1001"), EINVAL);
    CHECK_ERRNO(put("x"), EINVAL);
    CHECK(!put("300\n"));
    CHECK(in_child(inherited) == 0);
    CHECK(adjusted() == 300);
    CHECK(in_child(unprivileged) == 0);
    return check_end();
}
