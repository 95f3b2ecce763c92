// SPDX-License-Identifier: MIT
/*
 * Record locks (fcntl(2)), those of open file descriptions, and flock(2): ranges, owners, conflicts, waiting, signals,
 * deadlocks, and what /proc shows of them.
 * test: cpus=2 timeout=30 variants=dynamic,folder
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const char *const name = "locked";
static char *program;

static int lock(int fd, int command, int type, long start, long len)
{
    struct flock flock = {
        .l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
    };
    int result = fcntl(fd, command, &flock);

    return result ? -errno : 0;
}

static const char *error_name(int result)
{
    return result ? strerrorname_np(-result) : "ok";
}

/* ---- Another process that does as it is told ---------------------------------------------- */

struct helper {
    pid_t pid;
    int commands[2], answers[2];
    int fd;
};

struct command {
    char what; /* l lock, f flock, c close, d close a second descriptor, q quit */
    int command, type;
    long start, len;
};

static void handler(int signo)
{
    (void)signo;
}

static int helper_do(struct helper *helper, const struct command *command)
{
    switch (command->what) {
    case 'l':
        return lock(helper->fd, command->command, command->type, command->start, command->len);
    case 'f':
        return flock(helper->fd, command->command) ? -errno : 0;
    case 'd':
        return close(open(name, O_RDONLY));
    default:
        return close(helper->fd);
    }
}

static void helper_main(struct helper *helper)
{
    struct command command;
    struct sigaction action = { .sa_handler = handler };

    sigaction(SIGUSR1, &action, NULL);
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR2, &action, NULL);
    /* Nothing of this process's files, which would hold locks and pipes. */
    helper->commands[0] = dup2(helper->commands[0], 200);
    helper->answers[1] = dup2(helper->answers[1], 201);
    close_range(3, 199, 0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    helper->fd = open(name, O_RDWR);
    while (read(helper->commands[0], &command, sizeof(command)) == sizeof(command)) {
        int result = helper_do(helper, &command);
        if (write(helper->answers[1], &result, sizeof(result)) != sizeof(result))
            break;
    }
    _exit(0);
}

static void helper_start(struct helper *helper)
{
    NEED(pipe2(helper->commands, O_CLOEXEC) == 0 && pipe2(helper->answers, O_CLOEXEC) == 0);
    fflush(stdout);
    helper->pid = fork();
    NEED(helper->pid >= 0);
    if (helper->pid == 0) {
        close(helper->commands[1]);
        helper_main(helper);
    }
    close(helper->commands[0]);
}

static void helper_end(struct helper *helper)
{
    close(helper->commands[1]);
    close(helper->answers[0]);
    close(helper->answers[1]);
    kill(helper->pid, SIGKILL); /* wherever it waits */
    CHECK(waitpid(helper->pid, NULL, 0) == helper->pid);
}

static void tell(struct helper *helper, char what, int command, int type, long start, long len)
{
    struct command order = { what, command, type, start, len };

    NEED(write(helper->commands[1], &order, sizeof(order)) == sizeof(order));
}

static int answer(struct helper *helper)
{
    int result;

    NEED(read(helper->answers[0], &result, sizeof(result)) == sizeof(result));
    return result;
}

static int ask(struct helper *helper, char what, int command, int type, long start, long len)
{
    tell(helper, what, command, type, start, len);
    return answer(helper);
}

/* Until the process sleeps in the call that it was told to make. */
static void await_sleep(pid_t pid)
{
    char path[64], text[512];
    int waits = 0;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    for (int tries = 0; tries < 2000 && waits < 3; tries++) {
        FILE *file = fopen(path, "r");
        NEED(file);
        size_t len = fread(text, 1, sizeof(text) - 1, file);
        fclose(file);
        text[len] = '\0';
        waits = strstr(text, ") S") ? waits + 1 : 0;
        sleep_ms(10);
    }
    CHECK(waits == 3);
}

/* ---- Ranges ---------------------------------------------------------------------------------- */

#define MAP_LEN 32

/* What the helper holds, byte by byte, as this process sees it. */
static void map_print(int fd, const char *title, pid_t owner)
{
    char map[MAP_LEN + 1] = { 0 };

    for (int i = 0; i < MAP_LEN; i++) {
        struct flock flock = { .l_type = F_WRLCK, .l_start = i, .l_len = 1 };
        CHECK(fcntl(fd, F_GETLK, &flock) == 0);
        map[i] = flock.l_type == F_UNLCK ? '.' : flock.l_type == F_RDLCK ? 'r' : 'w';
        CHECK(flock.l_type == F_UNLCK || flock.l_pid == owner);
    }
    printf("%-28s %s\n", title, map);
}

static void show_pieces(int fd)
{
    struct flock flock = { .l_type = F_WRLCK };

    printf("pieces:");
    while (fcntl(fd, F_GETLK, &flock) == 0 && flock.l_type != F_UNLCK) {
        printf(" %c[%ld,%ld]", flock.l_type == F_RDLCK ? 'r' : 'w', (long)flock.l_start,
               (long)flock.l_len);
        if (flock.l_len == 0)
            break;
        flock.l_start += flock.l_len;
        flock.l_len = 0;
        flock.l_type = F_WRLCK;
    }
    printf("\n");
}

static void ranges(int fd)
{
    static const struct {
        const char *title;
        int type;
        long start, len;
    } steps[] = {
        { "write 4-15", F_WRLCK, 4, 12 },
        { "unlock 8-9", F_UNLCK, 8, 2 },
        { "read 5-5", F_RDLCK, 5, 1 },
        { "write 8-9, joined", F_WRLCK, 8, 2 },
        { "read 14-20", F_RDLCK, 14, 7 },
        { "read 21-22, adjacent", F_RDLCK, 21, 2 },
        { "write 0-3, adjacent", F_WRLCK, 0, 4 },
        { "write all", F_WRLCK, 0, 0 },
        { "unlock 1-1", F_UNLCK, 1, 1 },
        { "unlock 30-", F_UNLCK, 30, 0 },
        { "read 0-31", F_RDLCK, 0, 32 },
        { "backwards 10..4", F_UNLCK, 10, -6 },
        { "write 3-5", F_WRLCK, 3, 3 },
        { "unlock all", F_UNLCK, 0, 0 },
    };
    struct helper helper;

    helper_start(&helper);
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        CHECK(ask(&helper, 'l', F_SETLK, steps[i].type, steps[i].start, steps[i].len) == 0);
        map_print(fd, steps[i].title, helper.pid);
        show_pieces(fd);
    }
    helper_end(&helper);
}

static void bad_calls(int fd)
{
    struct flock end = { .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -4, .l_len = 2 };
    struct flock ofd = { .l_type = F_WRLCK, .l_pid = 1 };
    int reader = open(name, O_RDONLY);
    int writer = open(name, O_WRONLY);
    int path = open(name, O_PATH);

    printf("negative start: %s\n", error_name(lock(fd, F_SETLK, F_WRLCK, -1, 1)));
    printf("backwards beyond 0: %s\n", error_name(lock(fd, F_SETLK, F_WRLCK, 3, -4)));
    printf("backwards to 0: %s\n", error_name(lock(fd, F_SETLK, F_WRLCK, 3, -3)));
    printf("past the end of numbers: %s\n",
           error_name(lock(fd, F_SETLK, F_WRLCK, INT64_MAX - 1, 3)));
    printf("up to the end of numbers: %s\n",
           error_name(lock(fd, F_SETLK, F_WRLCK, INT64_MAX - 1, 2)));
    printf("unknown type: %s\n", error_name(lock(fd, F_SETLK, 7, 0, 1)));
    printf("write lock of a reader: %s\n", error_name(lock(reader, F_SETLK, F_WRLCK, 0, 1)));
    printf("read lock of a writer: %s\n", error_name(lock(writer, F_SETLK, F_RDLCK, 0, 1)));
    printf("asking with F_UNLCK: %s\n", error_name(lock(fd, F_GETLK, F_UNLCK, 0, 1)));
    printf("O_PATH: %s %s\n", error_name(lock(path, F_SETLK, F_RDLCK, 0, 1)),
           flock(path, LOCK_SH) ? strerrorname_np(errno) : "ok");
    printf("before the end: %s\n", fcntl(fd, F_SETLK, &end) ? strerrorname_np(errno) : "ok");
    CHECK_ERRNO(fcntl(fd, F_OFD_SETLK, &ofd), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_OFD_GETLK, &ofd), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_SETLK, (void *)8), EFAULT);
    CHECK_ERRNO(flock(fd, 0), EINVAL);
    CHECK_ERRNO(flock(fd, LOCK_SH | LOCK_EX), EINVAL);
    CHECK_ERRNO(flock(fd, LOCK_UN | LOCK_SH), EINVAL);
    printf("unlock, not waiting: %d\n", flock(fd, LOCK_UN | LOCK_NB));
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
    close(reader);
    close(writer);
    close(path);
}

/* Locks of what is no file. */
static void other_objects(void)
{
    int pipes[2];
    int folder = open(".", O_RDONLY);

    NEED(pipe(pipes) == 0);
    printf("pipe: %s %s\n", error_name(lock(pipes[0], F_SETLK, F_RDLCK, 0, 0)),
           flock(pipes[0], LOCK_EX | LOCK_NB) ? strerrorname_np(errno) : "ok");
    printf("its other end: %s %s\n", error_name(lock(pipes[1], F_SETLK, F_WRLCK, 0, 0)),
           flock(pipes[1], LOCK_EX | LOCK_NB) ? strerrorname_np(errno) : "ok");
    printf("folder: %s %s\n", error_name(lock(folder, F_SETLK, F_RDLCK, 0, 0)),
           flock(folder, LOCK_EX | LOCK_NB) ? strerrorname_np(errno) : "ok");
    close(pipes[0]);
    close(pipes[1]);
    close(folder);
}

/* ---- Owners ------------------------------------------------------------------------------------ */

static void owners(int fd)
{
    struct helper helper;
    struct flock flock = { .l_type = F_RDLCK };

    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 10) == 0);
    helper_start(&helper);
    printf("not inherited: %s\n", error_name(ask(&helper, 'l', F_SETLK, F_RDLCK, 5, 1)));
    CHECK(lock(fd, F_SETLK, F_RDLCK, 0, 10) == 0);
    printf("shared: %s\n", error_name(ask(&helper, 'l', F_SETLK, F_RDLCK, 5, 1)));
    printf("upgrade: %s\n", error_name(lock(fd, F_SETLK, F_WRLCK, 0, 10)));
    printf("upgrade beside it: %s\n", error_name(lock(fd, F_SETLK, F_WRLCK, 6, 4)));
    CHECK(fcntl(fd, F_GETLK, &flock) == 0);
    CHECK(flock.l_type == F_UNLCK);
    CHECK(ask(&helper, 'd', 0, 0, 0, 0) == 0);
    printf("after the close of another descriptor: %s\n",
           error_name(lock(fd, F_SETLK, F_WRLCK, 0, 10)));
    close(dup(fd));
    printf("after the close of a duplicate: %s\n",
           error_name(ask(&helper, 'l', F_SETLK, F_WRLCK, 0, 10)));
    helper_end(&helper);
    printf("after the end of its owner: %s\n", error_name(lock(fd, F_SETLK, F_WRLCK, 0, 10)));
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
}

/* Locks stay over execve() with their owner, but not when it closes the file. */
static void over_exec(int fd)
{
    for (int closes = 0; closes < 2; closes++) {
        int ready[2];
        struct flock lock_of = { .l_type = F_WRLCK };
        char text[16];

        NEED(pipe(ready) == 0);
        fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            int own = open(name, O_RDWR | (closes ? O_CLOEXEC : 0));
            lock(own, F_SETLK, F_WRLCK, 3, 4);
            snprintf(text, sizeof(text), "%d", ready[1]);
            execl(program, program, "execed", text, NULL);
            _exit(1);
        }
        close(ready[1]);
        CHECK(read(ready[0], text, 1) == 1);
        CHECK(fcntl(fd, F_GETLK, &lock_of) == 0);
        printf("over execve: type %d start %ld len %ld, owner %s\n", lock_of.l_type,
               (long)lock_of.l_start, (long)lock_of.l_len,
               lock_of.l_pid == pid ? "the child" : "other");
        kill(pid, SIGKILL);
        CHECK(waitpid(pid, NULL, 0) == pid);
        close(ready[0]);
    }
}

static void *thread_unlocks(void *arg)
{
    close(dup(*(int *)arg));
    return NULL;
}

static void threads(int fd)
{
    struct helper helper;
    pthread_t thread;

    helper_start(&helper);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 1) == 0);
    printf("before: %s\n", error_name(ask(&helper, 'l', F_SETLK, F_WRLCK, 0, 1)));
    pthread_create(&thread, NULL, thread_unlocks, &fd);
    pthread_join(thread, NULL);
    printf("a thread closed a duplicate: %s\n",
           error_name(ask(&helper, 'l', F_SETLK, F_WRLCK, 0, 1)));
    helper_end(&helper);
}

static void open_file_locks(int fd)
{
    int other = open(name, O_RDWR);
    struct flock flock = { .l_type = F_WRLCK };
    struct helper helper;

    CHECK(lock(fd, F_OFD_SETLK, F_WRLCK, 0, 10) == 0);
    printf("other file of this process: %s\n", error_name(lock(other, F_OFD_SETLK, F_RDLCK, 9, 1)));
    printf("record lock of the same process: %s\n", error_name(lock(fd, F_SETLK, F_RDLCK, 9, 1)));
    CHECK(fcntl(other, F_OFD_GETLK, &flock) == 0);
    printf("holder: type %d start %ld len %ld pid %d\n", flock.l_type, (long)flock.l_start,
           (long)flock.l_len, flock.l_pid);
    flock = (struct flock){ .l_type = F_WRLCK };
    CHECK(fcntl(other, F_GETLK, &flock) == 0);
    printf("holder: type %d pid %d\n", flock.l_type, flock.l_pid);
    close(dup(fd));
    printf("after the close of a duplicate: %s\n",
           error_name(lock(other, F_OFD_SETLK, F_RDLCK, 9, 1)));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        printf("a child has it too: %s\n", error_name(lock(fd, F_OFD_SETLK, F_RDLCK, 4, 3)));
        fflush(stdout);
        _exit(0);
    }
    CHECK(waitpid(pid, NULL, 0) == pid);
    helper_start(&helper);
    printf("where the child changed it: %s\n",
           error_name(ask(&helper, 'l', F_SETLK, F_RDLCK, 4, 3)));
    flock = (struct flock){ .l_type = F_WRLCK };
    CHECK(fcntl(fd, F_OFD_GETLK, &flock) == 0);
    printf("a process holds: type %d start %ld len %ld, pid %s\n", flock.l_type,
           (long)flock.l_start, (long)flock.l_len, flock.l_pid == helper.pid ? "its own" : "other");
    helper_end(&helper);
    printf("wait for another file: ");
    helper_start(&helper);
    tell(&helper, 'l', F_OFD_SETLKW, F_WRLCK, 0, 10);
    await_sleep(helper.pid);
    close(fd);
    printf("%s\n", error_name(answer(&helper)));
    helper_end(&helper);
    close(other);
}

/* ---- Waiting -------------------------------------------------------------------------------------- */

static void deadlocks(int fd)
{
    struct helper a, b;

    helper_start(&a);
    helper_start(&b);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 1) == 0);
    CHECK(ask(&a, 'l', F_SETLK, F_WRLCK, 1, 1) == 0);
    tell(&a, 'l', F_SETLKW, F_WRLCK, 0, 1);
    await_sleep(a.pid);
    printf("two: %s\n", error_name(lock(fd, F_SETLKW, F_WRLCK, 1, 1)));
    CHECK(ask(&b, 'l', F_SETLK, F_WRLCK, 2, 1) == 0);
    tell(&b, 'l', F_SETLKW, F_RDLCK, 1, 1);
    await_sleep(b.pid);
    printf("three: %s\n", error_name(lock(fd, F_SETLKW, F_RDLCK, 2, 1)));
    printf("not waiting: %s\n", error_name(lock(fd, F_SETLK, F_RDLCK, 2, 1)));
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 1) == 0);
    printf("the first goes on: %s\n", error_name(answer(&a)));
    helper_end(&a);
    printf("the second goes on: %s\n", error_name(answer(&b)));
    helper_end(&b);
}

/* Who was waited for has unlocked, and waits in turn before the other has even woken up. */
static void in_turns(int fd)
{
    struct helper helper;

    helper_start(&helper);
    for (int round = 0; round < 10; round++) {
        CHECK(lock(fd, F_SETLK, F_WRLCK, 1, 1) == 0);
        CHECK(ask(&helper, 'l', F_SETLK, F_WRLCK, 2, 1) == 0);
        tell(&helper, 'l', F_SETLKW, F_WRLCK, 1, 1);
        await_sleep(helper.pid);
        tell(&helper, 'l', F_SETLK, F_UNLCK, 0, 0);
        CHECK(lock(fd, F_SETLK, F_UNLCK, 1, 1) == 0);
        CHECK(lock(fd, F_SETLKW, F_WRLCK, 2, 1) == 0);
        CHECK(answer(&helper) == 0);
        CHECK(answer(&helper) == 0);
        CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
    }
    helper_end(&helper);
}

struct locker {
    int fd, result;
    pid_t tid; /* atomic */
};

static void *locker_main(void *arg)
{
    struct locker *locker = arg;

    __atomic_store_n(&locker->tid, gettid(), __ATOMIC_RELEASE);
    locker->result = lock(locker->fd, F_SETLKW, F_WRLCK, 0, 1);
    return NULL;
}

/* The descriptor is closed, or another file's, by the time that the lock is got. */
static void closed_meanwhile(bool is_replaced)
{
    struct locker locker = { .fd = open(name, O_RDWR) };
    struct helper helper;
    pthread_t thread;

    NEED(locker.fd >= 0);
    helper_start(&helper);
    CHECK(ask(&helper, 'l', F_SETLK, F_WRLCK, 0, 1) == 0);
    NEED(!pthread_create(&thread, NULL, locker_main, &locker));
    while (!__atomic_load_n(&locker.tid, __ATOMIC_ACQUIRE))
        sched_yield();
    await_sleep(locker.tid);
    if (is_replaced)
        CHECK(dup2(STDERR_FILENO, locker.fd) == locker.fd);
    else
        CHECK(close(locker.fd) == 0);
    CHECK(ask(&helper, 'l', F_SETLK, F_UNLCK, 0, 1) == 0);
    pthread_join(thread, NULL);
    printf("closed meanwhile: %s", error_name(locker.result));
    printf(", then free: %s\n", error_name(ask(&helper, 'l', F_SETLK, F_WRLCK, 0, 1)));
    helper_end(&helper);
    if (is_replaced)
        close(locker.fd);
}

static void interrupted(int fd, bool is_flock)
{
    struct helper helper;

    helper_start(&helper);
    if (is_flock)
        CHECK(flock(fd, LOCK_EX) == 0);
    else
        CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 10) == 0);
    tell(&helper, is_flock ? 'f' : 'l', is_flock ? LOCK_SH : F_SETLKW, F_WRLCK, 2, 1);
    await_sleep(helper.pid);
    kill(helper.pid, SIGUSR2);
    await_sleep(helper.pid);
    kill(helper.pid, SIGUSR1);
    printf("interrupted: %s\n", error_name(answer(&helper)));
    tell(&helper, is_flock ? 'f' : 'l', is_flock ? LOCK_SH : F_SETLKW, F_WRLCK, 2, 1);
    await_sleep(helper.pid);
    kill(helper.pid, SIGUSR2);
    await_sleep(helper.pid);
    if (is_flock)
        CHECK(flock(fd, LOCK_UN) == 0);
    else
        CHECK(lock(fd, F_SETLK, F_UNLCK, 2, 1) == 0);
    printf("restarted: %s\n", error_name(answer(&helper)));
    helper_end(&helper);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
}

/* A waiter that is killed leaves nothing behind, and does not keep others waiting. */
static void killed_waiters(int fd)
{
    struct helper waiter, reader;

    helper_start(&waiter);
    helper_start(&reader);
    CHECK(lock(fd, F_SETLK, F_RDLCK, 0, 10) == 0);
    tell(&waiter, 'l', F_SETLKW, F_WRLCK, 0, 10);
    await_sleep(waiter.pid);
    printf("a reader passes a waiting writer: %s\n",
           error_name(ask(&reader, 'l', F_SETLKW, F_RDLCK, 0, 10)));
    helper_end(&waiter);
    CHECK(ask(&reader, 'l', F_SETLK, F_UNLCK, 0, 10) == 0);
    printf("the writer is gone: %s\n", error_name(lock(fd, F_SETLK, F_WRLCK, 0, 10)));
    helper_end(&reader);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
}

#define CROWD 6

static void crowd(int fd)
{
    struct helper helper[CROWD];

    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 10) == 0);
    for (int i = 0; i < CROWD; i++) {
        helper_start(&helper[i]);
        tell(&helper[i], 'l', F_SETLKW, F_RDLCK, i, 1);
        await_sleep(helper[i].pid);
    }
    printf("downgrade: %s\n", error_name(lock(fd, F_SETLK, F_RDLCK, 0, 10)));
    for (int i = 0; i < CROWD; i++) {
        CHECK(answer(&helper[i]) == 0);
        helper_end(&helper[i]);
    }
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
}

/* ---- flock(2) ---------------------------------------------------------------------------------------- */

static void whole_files(int fd)
{
    int other = open(name, O_RDONLY);
    int copy = dup(fd);
    struct helper helper;

    CHECK(flock(fd, LOCK_EX) == 0);
    CHECK(flock(copy, LOCK_EX) == 0);
    CHECK_ERRNO(flock(other, LOCK_SH | LOCK_NB), EWOULDBLOCK);
    CHECK(lock(other, F_SETLK, F_RDLCK, 0, 0) == 0);
    CHECK(flock(copy, LOCK_SH) == 0);
    CHECK(flock(other, LOCK_SH | LOCK_NB) == 0);
    CHECK_ERRNO(flock(fd, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    printf("a failed change loses the lock: %d\n", flock(other, LOCK_EX | LOCK_NB));
    close(copy);
    helper_start(&helper);
    printf("another process: %s\n", error_name(ask(&helper, 'f', LOCK_SH | LOCK_NB, 0, 0, 0)));
    tell(&helper, 'f', LOCK_EX, 0, 0, 0);
    await_sleep(helper.pid);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        close(other);
        _exit(0);
    }
    CHECK(waitpid(pid, NULL, 0) == pid);
    printf("still held after a child's close: %d\n", flock(fd, LOCK_SH | LOCK_NB));
    pid = fork();
    if (pid == 0) {
        flock(other, LOCK_UN);
        _exit(0);
    }
    CHECK(waitpid(pid, NULL, 0) == pid);
    printf("a child unlocked: %s\n", error_name(answer(&helper)));
    CHECK(ask(&helper, 'c', 0, 0, 0, 0) == 0);
    printf("free: %d\n", flock(fd, LOCK_EX | LOCK_NB));
    CHECK(flock(fd, LOCK_UN) == 0);
    helper_end(&helper);
    close(other);
}

/* ---- /proc --------------------------------------------------------------------------------------------- */

/* The lines of text about the file, without what differs from one machine to the next. */
static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void proc_lines(FILE *file, const struct stat *status, pid_t helper)
{
    char line[256];
    char found[8][160]; /* sorted: Linux lists them by the CPU that made them */
    size_t count = 0;

    while (fgets(line, sizeof(line), file)) {
        unsigned major, minor;
        unsigned long inode;
        int id, pid, at = 0;
        char kind[16], sort[16], type[16], start[24], end[24];
        char *text = strncmp(line, "lock:\t", 6) ? line : line + 6;
        if (sscanf(text, "%d: %n", &id, &at) != 1 || !at)
            continue;
        bool is_waiter = strncmp(text + at, "-> ", 3) == 0;
        if (sscanf(text + at + (is_waiter ? 3 : 0), "%15s %15s %15s %d %x:%x:%lu %23s %23s", kind,
                   sort, type, &pid, &major, &minor, &inode, start, end) != 9 ||
            inode != status->st_ino)
            continue;
        NEED(count < 8);
        snprintf(found[count++], sizeof(found[0]), "  %s%s %s %s %s %s %s\n",
                 is_waiter ? "-> " : "", kind, sort, type,
                 pid == getpid() ? "me"
                 : pid == helper ? "helper"
                 : pid == -1     ? "-1"
                                 : "other",
                 start, end);
        /* The columns, too. */
        if (!is_waiter)
            CHECK(strncmp(text + at, "POSIX  ADVISORY  ", 17) == 0 ||
                  strncmp(text + at, "FLOCK  ADVISORY  ", 17) == 0 ||
                  strncmp(text + at, "OFDLCK ADVISORY  ", 17) == 0);
    }
    qsort(found, count, sizeof(found[0]), compare);
    for (size_t i = 0; i < count; i++)
        printf("%s", found[i]);
}

static void proc_show(const char *path, const struct stat *status, pid_t helper)
{
    FILE *file = fopen(path, "r");

    NEED(file);
    proc_lines(file, status, helper);
    fclose(file);
}

static void shown(int fd)
{
    struct helper helper;
    struct stat status;
    char path[64];
    int other = open(name, O_RDWR);

    NEED(fstat(fd, &status) == 0);
    CHECK(lock(fd, F_SETLK, F_WRLCK, 0, 10) == 0);
    CHECK(lock(fd, F_SETLK, F_RDLCK, 20, 0) == 0);
    CHECK(lock(other, F_OFD_SETLK, F_WRLCK, 12, 2) == 0);
    CHECK(flock(other, LOCK_SH) == 0);
    helper_start(&helper);
    tell(&helper, 'l', F_SETLKW, F_WRLCK, 5, 5);
    await_sleep(helper.pid);
    printf("/proc/locks:\n");
    proc_show("/proc/locks", &status, helper.pid);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
    printf("fdinfo of the records:\n");
    proc_show(path, &status, helper.pid);
    snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", other);
    printf("fdinfo of the other:\n");
    proc_show(path, &status, helper.pid);
    CHECK(lock(fd, F_SETLK, F_UNLCK, 0, 0) == 0);
    CHECK(answer(&helper) == 0);
    printf("later:\n");
    proc_show("/proc/locks", &status, helper.pid);
    helper_end(&helper);
    close(other);
    printf("at the end:\n");
    proc_show("/proc/locks", &status, 0);
}

static void execed(int fd)
{
    CHECK(write(fd, "x", 1) == 1);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    program = "/proc/self/exe";
    if (argc == 3)
        execed(atoi(argv[2]));
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

    NEED(fd >= 0 && ftruncate(fd, 8) == 0);
    ranges(fd);
    bad_calls(fd);
    other_objects();
    owners(fd);
    over_exec(fd);
    threads(fd);
    deadlocks(fd);
    in_turns(fd);
    closed_meanwhile(false);
    closed_meanwhile(true);
    interrupted(fd, false);
    interrupted(fd, true);
    killed_waiters(fd);
    crowd(fd);
    whole_files(fd);
    shown(fd);
    open_file_locks(fd);
    return check_end();
}
