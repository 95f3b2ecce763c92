// SPDX-License-Identifier: MIT
/*
 * System V semaphores: atomic sets, SEM_UNDO over fork, exit and threads, waiters, removal, signals, errors.
 * test: flags=-pthread cpus=2 variants=dynamic,musl-static timeout=60
 */
#include "check.h"

#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define KEY    0x53544f56
#define NOBODY 65534
#define BAD    ((void *)8)

union semun {
    int val;
    struct semid_ds *buf;
    unsigned short *array;
    struct seminfo *info;
};

static int make(int count)
{
    int id = semget(IPC_PRIVATE, count, IPC_CREAT | 0600);

    NEED(id >= 0);
    return id;
}

static int drop(int id)
{
    return semctl(id, 0, IPC_RMID);
}

static int value(int id, int number)
{
    return semctl(id, number, GETVAL);
}

static int set(int id, int number, int to)
{
    return semctl(id, number, SETVAL, (union semun){ .val = to });
}

static int one(int id, int number, int op, int flags)
{
    struct sembuf sop = { number, op, flags };

    return semop(id, &sop, 1);
}

static int status_of(pid_t pid)
{
    int status = -1;

    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void await(int id, int number, int command, int count)
{
    for (int i = 0; i < 5000 && semctl(id, number, command) != count; i++)
        sleep_ms(1);
    CHECK(semctl(id, number, command) == count);
}

static void test_get(void)
{
    struct semid_ds status;
    int id = semget(KEY, 3, IPC_CREAT | IPC_EXCL | 0640);

    NEED(id >= 0);
    CHECK(semget(KEY, 0, 0) == id && semget(KEY, 3, IPC_CREAT | 0600) == id);
    CHECK_ERRNO(semget(KEY, 4, 0), EINVAL);
    CHECK_ERRNO(semget(KEY, 3, IPC_CREAT | IPC_EXCL), EEXIST);
    CHECK_ERRNO(semget(KEY + 1, 1, 0), ENOENT);
    CHECK_ERRNO(semget(IPC_PRIVATE, 0, IPC_CREAT), EINVAL);
    CHECK_ERRNO(semget(IPC_PRIVATE, -1, IPC_CREAT), EINVAL);
    CHECK_ERRNO(semget(IPC_PRIVATE, 32001, IPC_CREAT), EINVAL);
    CHECK(semctl(id, 0, IPC_STAT, (union semun){ .buf = &status }) == 0);
    CHECK(status.sem_nsems == 3 && status.sem_otime == 0 && status.sem_perm.mode == 0640);
    CHECK(labs(status.sem_ctime - time(NULL)) <= 60 && status.sem_perm.__key == KEY);
    status.sem_perm.mode = 0600;
    CHECK(semctl(id, 0, IPC_SET, (union semun){ .buf = &status }) == 0);
    CHECK(one(id, 0, 0, 0) == 0);
    CHECK(semctl(id, 0, IPC_STAT, (union semun){ .buf = &status }) == 0);
    CHECK(labs(status.sem_otime - time(NULL)) <= 60 && status.sem_perm.mode == 0600);
    CHECK(drop(id) == 0);
    CHECK_ERRNO(drop(id), EINVAL);
    CHECK_ERRNO(one(id, 0, 1, 0), EINVAL);
}

static void test_values(void)
{
    unsigned short all[3] = { 4, 5, 6 }, seen[3] = { 0 };
    int id = make(3);

    CHECK(semctl(id, 0, SETALL, (union semun){ .array = all }) == 0);
    CHECK(semctl(id, 0, GETALL, (union semun){ .array = seen }) == 0);
    CHECK(!memcmp(all, seen, sizeof(all)) && value(id, 2) == 6);
    CHECK(semctl(id, 1, GETPID) == getpid());
    CHECK(set(id, 1, 32767) == 0 && value(id, 1) == 32767);
    CHECK_ERRNO(one(id, 1, 1, 0), ERANGE);
    CHECK_ERRNO(set(id, 1, 32768), ERANGE);
    CHECK_ERRNO(set(id, 1, -1), ERANGE);
    CHECK_ERRNO(set(id, 3, 1), EINVAL);
    CHECK_ERRNO(value(id, 3), EINVAL);
    CHECK_ERRNO(value(id, -1), EINVAL);
    all[1] = 40000;
    CHECK_ERRNO(semctl(id, 0, SETALL, (union semun){ .array = all }), ERANGE);
    CHECK_ERRNO(semctl(id, 0, SETALL, (union semun){ .array = BAD }), EFAULT);
    CHECK_ERRNO(semctl(id, 0, GETALL, (union semun){ .array = BAD }), EFAULT);
    CHECK_ERRNO(semctl(id, 0, IPC_STAT, (union semun){ .buf = BAD }), EFAULT);
    CHECK_ERRNO(semctl(id, 0, IPC_SET, (union semun){ .buf = BAD }), EFAULT);
    CHECK_ERRNO(semctl(id, 0, IPC_INFO, (union semun){ .info = BAD }), EFAULT);
    CHECK_ERRNO(semctl(id, 0, 99), EINVAL);
    CHECK_ERRNO(semctl(-1, 0, GETVAL), EINVAL);
    CHECK(value(id, 0) == 4);

    struct sembuf ops[501] = { { 0, -4, 0 }, { 2, -7, IPC_NOWAIT } };
    CHECK_ERRNO(semop(id, ops, 2), EAGAIN);
    CHECK(value(id, 0) == 4 && value(id, 2) == 6); /* nothing of it */
    ops[1].sem_op = -6;
    CHECK(semop(id, ops, 2) == 0 && value(id, 0) == 0 && value(id, 2) == 0);
    CHECK_ERRNO(semop(id, ops, 0), EINVAL);
    CHECK_ERRNO(semop(id, ops, 501), E2BIG);
    CHECK_ERRNO(semop(id, BAD, 1), EFAULT);
    CHECK_ERRNO(one(id, 3, 1, 0), EFBIG);
    CHECK_ERRNO(one(-1, 0, 1, 0), EINVAL);
    CHECK_ERRNO(one(id, 0, -1, IPC_NOWAIT), EAGAIN);
    CHECK_ERRNO(one(id, 1, 0, IPC_NOWAIT), EAGAIN);
    /* The same semaphore several times; the values between count. */
    struct sembuf both[3] = { { 0, 1, 0 }, { 0, -1, IPC_NOWAIT }, { 0, 0, IPC_NOWAIT } };
    CHECK(semop(id, both, 3) == 0 && value(id, 0) == 0);
    for (int i = 0; i < 40; i++)
        ops[i] = (struct sembuf){ 0, 1, 0 };
    CHECK(semop(id, ops, 40) == 0 && value(id, 0) == 40);
    CHECK(drop(id) == 0);
}

static void test_timeout(void)
{
    int id = make(1);
    struct sembuf take = { 0, -1, 0 };
    struct timespec time = { 0, 30000000 };
    int64_t start = now_ns();

    CHECK_ERRNO(semtimedop(id, &take, 1, &time), EAGAIN);
    CHECK(now_ns() - start >= 30000000);
    time.tv_nsec = 0;
    CHECK_ERRNO(semtimedop(id, &take, 1, &time), EAGAIN);
    time.tv_nsec = 1000000000;
    CHECK_ERRNO(semtimedop(id, &take, 1, &time), EINVAL);
    CHECK_ERRNO(syscall(SYS_semtimedop, id, &take, 1, BAD), EFAULT);
    CHECK(semctl(id, 0, GETNCNT) == 0);
    CHECK(drop(id) == 0);
}

/* A child that does one operation: its status is the errno. */
static pid_t child(int id, int number, int op, int flags)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(one(id, number, op, flags) ? errno : 0);
    return pid;
}

static void test_waiting(void)
{
    int id = make(2);
    pid_t zero, first, second;

    CHECK(set(id, 0, 1) == 0);
    zero = child(id, 0, 0, 0);
    await(id, 0, GETZCNT, 1);
    CHECK(semctl(id, 0, GETNCNT) == 0);
    first = child(id, 0, -3, 0);
    await(id, 0, GETNCNT, 1);
    second = child(id, 0, -2, 0);
    await(id, 0, GETNCNT, 2);
    CHECK(one(id, 0, 1, 0) == 0); /* enough for the second */
    CHECK(status_of(second) == 0);
    CHECK(status_of(zero) == 0); /* the second made it zero */
    CHECK(semctl(id, 0, GETPID) == zero);
    CHECK(one(id, 0, 3, 0) == 0);
    CHECK(status_of(first) == 0 && value(id, 0) == 0);

    /* The oldest goes first. */
    first = child(id, 0, -1, 0);
    await(id, 0, GETNCNT, 1);
    second = child(id, 0, -1, 0);
    await(id, 0, GETNCNT, 2);
    CHECK(one(id, 0, 1, 0) == 0);
    CHECK(status_of(first) == 0 && semctl(id, 0, GETNCNT) == 1);
    CHECK(set(id, 0, 5) == 0);
    CHECK(status_of(second) == 0 && value(id, 0) == 4);

    /* Killed while it waits; removed while it waits. */
    first = child(id, 1, -1, 0);
    await(id, 1, GETNCNT, 1);
    kill(first, SIGKILL);
    CHECK(WTERMSIG(status_of(first)) == SIGKILL && semctl(id, 1, GETNCNT) == 0);
    first = child(id, 1, -1, SEM_UNDO);
    second = child(id, 0, 0, 0);
    await(id, 1, GETNCNT, 1);
    await(id, 0, GETZCNT, 1);
    CHECK(drop(id) == 0);
    CHECK(WEXITSTATUS(status_of(first)) == EIDRM && WEXITSTATUS(status_of(second)) == EIDRM);
}

static void on_alarm(int signo)
{
    (void)signo;
}

static void test_signal(void)
{
    struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
    int id = make(1);

    sigaction(SIGALRM, &action, NULL);
    alarm(1);
    CHECK_ERRNO(one(id, 0, -1, 0), EINTR); /* never restarted */
    CHECK(semctl(id, 0, GETNCNT) == 0 && drop(id) == 0);
}

static void *undo_thread(void *arg)
{
    CHECK(one(*(int *)arg, 0, 2, SEM_UNDO) == 0);
    return NULL;
}

static void *unshare_thread(void *arg)
{
    int id = *(int *)arg;

    CHECK(unshare(CLONE_SYSVSEM) == 0);
    CHECK(one(id, 0, 5, SEM_UNDO) == 0);
    CHECK(unshare(CLONE_SYSVSEM) == 0);
    CHECK(value(id, 0) == 12); /* its own are undone, those of the process are not */
    return NULL;
}

static void test_undo(const char *self)
{
    int id = make(2);
    pthread_t thread;
    pid_t pid;

    CHECK(set(id, 0, 10) == 0);
    pid = child(id, 0, -4, SEM_UNDO);
    CHECK(status_of(pid) == 0 && value(id, 0) == 10 && semctl(id, 0, GETPID) == pid);
    if ((pid = fork()) == 0) {
        CHECK(one(id, 0, -4, SEM_UNDO) == 0 && one(id, 1, 2, SEM_UNDO) == 0);
        pid_t other = fork(); /* fork does not inherit it */
        if (other == 0)
            _exit(0);
        CHECK(status_of(other) == 0 && value(id, 0) == 6 && value(id, 1) == 2);
        CHECK(set(id, 1, 7) == 0); /* forgets what was to be undone */
        execl(self, self, "child", NULL);
        _exit(1);
    }
    CHECK(status_of(pid) == 0 && value(id, 0) == 10 && value(id, 1) == 7);

    /* Threads share it, and the last one's end counts. */
    if ((pid = fork()) == 0) {
        pthread_create(&thread, NULL, undo_thread, &id);
        pthread_join(thread, NULL);
        CHECK(value(id, 0) == 12);
        pthread_create(&thread, NULL, unshare_thread, &id);
        pthread_join(thread, NULL);
        CHECK(value(id, 0) == 12);
        fflush(stdout);
        kill(getpid(), SIGKILL);
    }
    CHECK(WTERMSIG(status_of(pid)) == SIGKILL && value(id, 0) == 10);

    /* What is undone wakes others; never below zero. */
    CHECK(set(id, 0, 1) == 0);
    int ready[2];
    char byte;
    NEED(pipe(ready) == 0);
    if ((pid = fork()) == 0) {
        CHECK(one(id, 0, -1, SEM_UNDO) == 0 && one(id, 1, 3, SEM_UNDO) == 0);
        CHECK(write(ready[1], "r", 1) == 1);
        for (;;)
            pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1 && value(id, 1) == 10);
    CHECK(one(id, 1, -10, 0) == 0);
    pid_t waiter = child(id, 0, -1, 0);
    await(id, 0, GETNCNT, 1);
    kill(pid, SIGKILL);
    status_of(pid);
    CHECK(status_of(waiter) == 0 && value(id, 0) == 0 && value(id, 1) == 0);
    CHECK(drop(id) == 0);

    /* Removed with something to undo. */
    for (int i = 0; i < 100; i++) {
        id = make(1);
        CHECK(one(id, 0, 1, SEM_UNDO) == 0 && drop(id) == 0);
    }
}

/* A mutex of processes, some of which die holding it. */
static void test_load(void)
{
    int id = make(2), status;

    CHECK(set(id, 0, 1) == 0);
    for (int i = 0; i < 6; i++) {
        if (fork() == 0) {
            for (int n = 0; n < 300; n++) {
                struct sembuf both[2] = { { 0, -1, SEM_UNDO }, { 1, 1, 0 } };
                if (semop(id, both, 2))
                    _exit(1);
                if (n == 299)
                    _exit(0);
                if (one(id, 0, 1, SEM_UNDO))
                    _exit(2);
            }
        }
    }
    for (int i = 0; i < 6; i++)
        CHECK(wait(&status) > 0 && status == 0);
    CHECK(value(id, 0) == 1 && value(id, 1) == 1800 && drop(id) == 0);
}

static void test_permissions(void)
{
    int id = semget(KEY, 1, IPC_CREAT | IPC_EXCL | 0604), status;
    struct semid_ds info;

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
            setresuid(NOBODY, NOBODY, NOBODY))
            _exit(99);
        CHECK(value(id, 0) == 0 && one(id, 0, 0, 0) == 0);
        CHECK_ERRNO(one(id, 0, 1, 0), EACCES);
        CHECK_ERRNO(set(id, 0, 1), EACCES);
        CHECK_ERRNO(drop(id), EPERM);
        CHECK_ERRNO(semget(KEY, 1, 0600), EACCES);
        CHECK(semctl(id, 0, IPC_STAT, (union semun){ .buf = &info }) == 0);
        CHECK_ERRNO(semctl(id, 0, IPC_SET, (union semun){ .buf = &info }), EPERM);
        fflush(stdout);
        _exit(check_failures);
    }
    status = status_of(pid);
    CHECK(status == 0);
    CHECK(drop(id) == 0);
}

static void test_information(void)
{
    struct seminfo limits, usage;
    struct semid_ds status;
    char line[256], want[128];
    bool found = false;
    int id = semget(0xbeef, 7, IPC_CREAT | IPC_EXCL | 0640);

    int max = semctl(0, 0, IPC_INFO, (union semun){ .info = &limits });
    CHECK(max >= 0 && semctl(0, 0, SEM_INFO, (union semun){ .info = &usage }) == max);
    printf("%d %d %d %d %d %d %d %d %d %d\n", limits.semmap, limits.semmni, limits.semmns,
           limits.semmnu, limits.semmsl, limits.semopm, limits.semume, limits.semusz, limits.semvmx,
           limits.semaem);
    CHECK(usage.semusz >= 1 && usage.semaem >= 7);
    for (int i = 0; i <= max; i++)
        found |=
            semctl(i, 0, SEM_STAT, (union semun){ .buf = &status }) == id && status.sem_nsems == 7;
    CHECK(found);
    FILE *file = fopen("/proc/sysvipc/sem", "r");
    NEED(file && fgets(line, sizeof(line), file));
    printf("%s", line);
    snprintf(want, sizeof(want), "%10d %10d   640          7     0     0     0     0          0 ",
             0xbeef, id);
    for (found = false; !found && fgets(line, sizeof(line), file);)
        found = !strncmp(line, want, strlen(want));
    fclose(file);
    CHECK(found && drop(id) == 0);
    file = fopen("/proc/sys/kernel/sem", "r");
    NEED(file && fgets(line, sizeof(line), file));
    printf("%s", line);
    fclose(file);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return 0;
    test_get();
    test_values();
    test_timeout();
    test_waiting();
    test_signal();
    test_undo(argv[0]);
    test_load();
    test_permissions();
    test_information();
    return check_end();
}
