// SPDX-License-Identifier: MIT
/*
 * pthread objects in memory that processes share: mutexes of all protocols, conditions, rwlocks, barriers,
 * semaphores; and what becomes of a lock whose owner was killed, stopped or not.
 *
 * test: cpus=2 timeout=60
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NCHILDREN 3
#define ROUNDS    300

struct shared {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    pthread_rwlock_t rwlock;
    pthread_barrier_t barrier;
    sem_t sem, ready;
    long counter;
    int turn;
};

static struct shared *shared;

static void map_shared(bool is_file)
{
    int fd = -1, flags = MAP_SHARED;

    if (is_file) {
        fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
        if (fd < 0)
            fd = memfd_create("objects", 0);
        NEED(fd >= 0 && ftruncate(fd, 4096) == 0);
    } else {
        flags |= MAP_ANONYMOUS;
    }
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
    NEED(shared != MAP_FAILED);
    if (fd >= 0)
        close(fd);
}

static void mutex_make(int protocol, int robust)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    CHECK(!pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED));
    CHECK(!pthread_mutexattr_setprotocol(&attr, protocol));
    CHECK(!pthread_mutexattr_setrobust(&attr, robust));
    NEED(!pthread_mutex_init(&shared->mutex, &attr));
}

static void wait_all(int n)
{
    int status;

    for (int i = 0; i < n; i++)
        CHECK(wait(&status) > 0 && status == 0);
}

static void test_mutex(int protocol, int robust)
{
    mutex_make(protocol, robust);
    shared->counter = 0;
    for (int i = 0; i < NCHILDREN; i++)
        if (fork() == 0) {
            for (int round = 0; round < ROUNDS; round++) {
                CHECK(!pthread_mutex_lock(&shared->mutex));
                shared->counter++;
                if (round % 16 == 0)
                    sched_yield();
                CHECK(!pthread_mutex_unlock(&shared->mutex));
            }
            _exit(check_failures);
        }
    wait_all(NCHILDREN);
    CHECK(shared->counter == NCHILDREN * ROUNDS);
    CHECK(!pthread_mutex_destroy(&shared->mutex));
}

static void test_others(void)
{
    pthread_condattr_t cond;
    pthread_rwlockattr_t rwlock;
    pthread_barrierattr_t barrier;

    mutex_make(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
    pthread_condattr_init(&cond);
    pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    pthread_cond_init(&shared->cond, &cond);
    pthread_rwlockattr_init(&rwlock);
    pthread_rwlockattr_setpshared(&rwlock, PTHREAD_PROCESS_SHARED);
    pthread_rwlock_init(&shared->rwlock, &rwlock);
    pthread_barrierattr_init(&barrier);
    pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared->barrier, &barrier, NCHILDREN);
    sem_init(&shared->sem, 1, 1);
    shared->counter = shared->turn = 0;
    for (int i = 0; i < NCHILDREN; i++)
        if (fork() == 0) {
            for (int round = 0; round < 50; round++) {
                pthread_barrier_wait(&shared->barrier);
                pthread_mutex_lock(&shared->mutex);
                while (shared->turn % NCHILDREN != i)
                    pthread_cond_wait(&shared->cond, &shared->mutex);
                shared->turn++;
                pthread_cond_broadcast(&shared->cond);
                pthread_mutex_unlock(&shared->mutex);
                pthread_rwlock_wrlock(&shared->rwlock);
                shared->counter++;
                pthread_rwlock_unlock(&shared->rwlock);
                pthread_rwlock_rdlock(&shared->rwlock);
                pthread_rwlock_unlock(&shared->rwlock);
                sem_wait(&shared->sem);
                shared->counter++;
                sem_post(&shared->sem);
            }
            _exit(0);
        }
    wait_all(NCHILDREN);
    CHECK(shared->turn == 50 * NCHILDREN && shared->counter <= 100 * NCHILDREN);
}

/* ---- Owners that die ------------------------------------------------------------------- */

enum ending { EXITS, KILLED, KILLED_STOPPED, KILLED_THREAD, EXECS };

static void *hold(void *arg)
{
    pthread_mutex_lock(&shared->mutex);
    sem_post(&shared->ready);
    for (;;)
        pause();
    return arg;
}

static void own(enum ending ending)
{
    pthread_t thread;

    if (ending == KILLED_THREAD) {
        pthread_create(&thread, NULL, hold, NULL);
        for (;;)
            pause();
    }
    pthread_mutex_lock(&shared->mutex);
    sem_post(&shared->ready);
    if (ending == EXITS) {
        sem_wait(&shared->sem);
        _exit(0);
    }
    if (ending == EXECS) {
        sem_wait(&shared->sem);
        char *argv[] = { (char *)"shared_objects", (char *)"nothing", NULL };
        execv("/proc/self/exe", argv);
        _exit(1);
    }
    for (;;)
        pause();
}

/* Waits for the lock while its owner dies, or takes it afterwards. */
static void test_death(int protocol, enum ending ending, bool waits)
{
    int status;

    mutex_make(protocol, PTHREAD_MUTEX_ROBUST);
    sem_init(&shared->ready, 1, 0);
    sem_init(&shared->sem, 1, 0);
    pid_t owner = fork();
    if (owner == 0)
        own(ending);
    sem_wait(&shared->ready);
    CHECK(pthread_mutex_trylock(&shared->mutex) == EBUSY);
    pid_t waiter = 0;
    if (waits) {
        waiter = fork();
        if (waiter == 0) {
            int err = pthread_mutex_lock(&shared->mutex);
            if (err == EOWNERDEAD && !pthread_mutex_consistent(&shared->mutex) &&
                !pthread_mutex_unlock(&shared->mutex))
                _exit(0);
            _exit(err ? err : 255);
        }
        sleep_ms(30);
    }
    if (ending == KILLED_STOPPED) {
        CHECK(!kill(owner, SIGSTOP));
        CHECK(waitpid(owner, &status, WUNTRACED) == owner && WIFSTOPPED(status));
    }
    if (ending == EXITS || ending == EXECS)
        sem_post(&shared->sem);
    else
        CHECK(!kill(owner, SIGKILL));
    CHECK(waitpid(owner, &status, 0) == owner);
    CHECK(ending == EXITS || ending == EXECS ? status == 0
                                             : WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    if (waits) {
        CHECK(waitpid(waiter, &status, 0) == waiter && status == 0);
        CHECK(!pthread_mutex_lock(&shared->mutex));
    } else {
        CHECK(pthread_mutex_lock(&shared->mutex) == EOWNERDEAD);
        CHECK(!pthread_mutex_consistent(&shared->mutex));
    }
    CHECK(!pthread_mutex_unlock(&shared->mutex));
    CHECK(!pthread_mutex_lock(&shared->mutex) && !pthread_mutex_unlock(&shared->mutex));
    CHECK(!pthread_mutex_destroy(&shared->mutex));
}

/* SIGKILL ends a stopped process with several threads, and what it waits for does not matter. */
static void test_stopped(void)
{
    int status;

    for (int i = 0; i < 20; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t threads[2];
            sem_init(&shared->ready, 1, 0);
            mutex_make(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST);
            pthread_create(&threads[0], NULL, hold, NULL);
            pthread_create(&threads[1], NULL, hold, NULL);
            sigset_t set;
            sigfillset(&set);
            if (i % 2)
                sigprocmask(SIG_SETMASK, &set, NULL);
            for (;;)
                if (i % 3 == 0)
                    pause();
        }
        if (i % 4)
            sleep_ms(5);
        CHECK(!kill(pid, SIGSTOP));
        if (i % 5)
            CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
        if (i % 7 == 3)
            CHECK(!kill(pid, SIGTERM));
        CHECK(!kill(pid, SIGKILL));
        CHECK(waitpid(pid, &status, 0) == pid);
        CHECK(WIFSIGNALED(status));
    }
}

int main(int argc, char **argv)
{
    (void)argv;
    if (argc > 1)
        return 0;
    for (int is_file = 0; is_file < 2; is_file++) {
        map_shared(is_file);
        test_mutex(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
        test_mutex(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_ROBUST);
        test_mutex(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
        test_mutex(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ROBUST);
        test_others();
        for (enum ending ending = EXITS; ending <= EXECS; ending++)
            for (int waits = 0; waits < 2; waits++) {
                test_death(PTHREAD_PRIO_NONE, ending, waits);
                test_death(PTHREAD_PRIO_INHERIT, ending, waits);
            }
    }
    test_stopped();
    return check_end();
}
