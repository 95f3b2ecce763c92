// SPDX-License-Identifier: MIT
/*
 * Memory runs out between processes: who is killed, who goes on, and that fork says ENOMEM.  The first process has
 * oom_score_adj -1000 and must see it all; afterwards the memory is back.
 * test: only=guest memory=128M cpus=2 timeout=120
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define MIB  (1024L * 1024)
#define LEFT 8 /* MiB, for the forks */

static bool adjust(int value)
{
    char text[16];
    int fd = open("/proc/self/oom_score_adj", O_WRONLY), n = sprintf(text, "%d", value);
    bool is_done = write(fd, text, (size_t)n) == n;

    close(fd);
    return is_done;
}

static long available(void)
{
    char line[100];
    long kib = -1;
    FILE *file = fopen("/proc/meminfo", "r");

    while (file && fgets(line, sizeof line, file))
        if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
            break;
    fclose(file);
    return kib / 1024;
}

static char *map(long mib)
{
    char *p = mmap(NULL, (size_t)(mib * MIB), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    NEED(p != MAP_FAILED);
    return p;
}

static void touch(char *p, long mib)
{
    for (long at = 0; at < mib * MIB; at += 4096)
        p[at] = 1;
}

/* A child that has that much, tells so and then waits or, with more, takes that much, too, and ends well. */
struct child {
    pid_t pid;
    int ready; /* a byte when the first part is there */
};

static struct child start(int adjusted, long mib, long more, void (*take)(char *p, long mib))
{
    struct child child;
    int pipes[2];

    NEED(!pipe(pipes));
    child.pid = fork();
    NEED(child.pid >= 0);
    if (child.pid == 0) {
        NEED(adjust(adjusted));
        touch(map(mib), mib);
        (void)!write(pipes[1], "", 1);
        if (more)
            take(map(more), more);
        while (!more)
            pause();
        _exit(0);
    }
    close(pipes[1]);
    child.ready = pipes[0];
    return child;
}

static void await(const struct child *child)
{
    char byte;

    NEED(read(child->ready, &byte, 1) == 1);
}

static int ended(const struct child *child)
{
    int status;

    NEED(waitpid(child->pid, &status, 0) == child->pid);
    close(child->ready);
    return status;
}

static bool is_alive(const struct child *child)
{
    return waitpid(child->pid, NULL, WNOHANG) == 0;
}

static void stop(const struct child *child)
{
    CHECK(is_alive(child));
    kill(child->pid, SIGKILL);
    CHECK(ended(child) == SIGKILL);
}

/* Whoever asks: the largest goes. */
static void largest(void)
{
    long all = available();
    struct child large = start(0, all * 6 / 10, 0, NULL);

    await(&large);
    struct child small = start(0, 4, all * 4 / 10 + 8, touch);
    await(&small);
    CHECK(ended(&large) == SIGKILL);
    CHECK(ended(&small) == 0);
}

/* oom_score_adj outweighs size. */
static void adjusted(void)
{
    long all = available();
    struct child chosen = start(1000, all / 8, 0, NULL);

    await(&chosen);
    struct child large = start(-900, all / 4, all * 5 / 8 + 4, touch);
    await(&large);
    CHECK(ended(&chosen) == SIGKILL);
    CHECK(ended(&large) == 0);
}

/* The kernel writes into the new pages for it. */
static void by_read(char *p, long mib)
{
    int fd = open("/dev/zero", O_RDONLY);

    for (long at = 0; at < mib * MIB; at += MIB)
        if (read(fd, p + at, MIB) != MIB)
            _exit(1);
}

static void in_system_calls(void)
{
    long all = available();
    struct child chosen = start(500, all / 3, 0, NULL);

    await(&chosen);
    struct child reader = start(-500, 1, all * 3 / 4, by_read);
    await(&reader);
    CHECK(ended(&reader) == 0);
    CHECK(ended(&chosen) == SIGKILL);
}

/* Nothing is left: fork fails with ENOMEM, or an earlier child dies for a new one; the parent goes on. */
static void forks(void)
{
    static pid_t pids[20000];
    int npids = 0, nrefused = 0, nended = 0, status;
    struct child hog = start(-1000, available() - LEFT, 0, NULL);

    await(&hog);
    while (npids < 20000 && nrefused < 20) {
        pid_t pid = fork();
        if (pid == 0) {
            if (!adjust(500))
                _exit(ENOMEM);
            for (;;)
                pause();
        }
        if (pid > 0)
            pids[npids++] = pid;
        else if (errno == ENOMEM)
            nrefused++;
        else
            NEED(!"fork fails with ENOMEM");
    }
    for (int i = 0; i < npids; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < npids; i++)
        nended +=
            waitpid(pids[i], &status, 0) == pids[i] && (status == SIGKILL || status == ENOMEM << 8);
    CHECK(nrefused == 20 && nended == npids);
    stop(&hog);
}

int main(void)
{
    /* The kernel keeps the stacks of many processes for the next ones: at most what forks() left them. */
    const struct {
        void (*run)(void);
        long kept_mib;
    } parts[] = { { largest, 2 }, { adjusted, 2 }, { in_system_calls, 2 }, { forks, LEFT } };

    NEED(adjust(-1000));
    for (unsigned i = 0; i < sizeof parts / sizeof *parts; i++) {
        long before = available();
        parts[i].run();
        CHECK(available() >= before - parts[i].kept_mib);
    }
    return check_end();
}
