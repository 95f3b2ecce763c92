// SPDX-License-Identifier: MIT
/*
 * Root, current directory and umask of one thread: unshare(CLONE_FS) by one of several, threads made without
 * CLONE_FS, what their children, their execve and /proc/PID/task/TID make of it.
 *
 * test: cpus=2
 */
#include "check.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

static pthread_barrier_t barrier;

static void wait_for_other(void)
{
    (void)pthread_barrier_wait(&barrier);
}

static bool cwd_is(const char *expected)
{
    char text[256];

    return getcwd(text, sizeof(text)) && strcmp(text, expected) == 0;
}

static unsigned umask_now(void)
{
    unsigned mask = umask(0);

    umask(mask);
    return mask;
}

static bool link_is(pid_t tid, const char *name, const char *expected)
{
    char path[64], text[256];

    snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
    ssize_t len = readlink(path, text, sizeof(text) - 1);
    if (len < 0)
        return false;
    text[len] = '\0';
    return strcmp(text, expected) == 0;
}

static unsigned umask_shown(pid_t tid)
{
    char path[64], line[256];
    unsigned mask = ~0U;

    snprintf(path, sizeof(path), "/proc/self/task/%d/status", tid);
    FILE *file = fopen(path, "r");
    NEED(file);
    while (fgets(line, sizeof(line), file))
        (void)sscanf(line, "Umask: %o", &mask);
    fclose(file);
    return mask;
}

static bool fs_is_same(pid_t a, pid_t b)
{
    return syscall(SYS_kcmp, a, b, KCMP_FS, 0, 0) == 0;
}

static void *sees_tmp(void *arg)
{
    (void)arg;
    CHECK(cwd_is("/tmp") && umask_now() == 077);
    CHECK(chdir("/proc") == 0); /* the one that made it goes there too */
    return NULL;
}

static pid_t other_tid;

static void *alone(void *arg)
{
    (void)arg;
    other_tid = gettid();
    wait_for_other(); /* 1 */
    CHECK(chdir("/usr") == 0);
    wait_for_other(); /* 2: both are in /usr */
    wait_for_other();
    CHECK(unshare(CLONE_FS) == 0);
    CHECK(cwd_is("/usr"));
    CHECK(chdir("/tmp") == 0);
    umask(077);
    wait_for_other(); /* 3: each has its own */
    wait_for_other();
    CHECK(cwd_is("/tmp") && umask_now() == 077);
    CHECK(unshare(CLONE_FS) == 0); /* once more is no change */
    CHECK(cwd_is("/tmp") && umask_now() == 077);
    pthread_t thread;
    NEED(pthread_create(&thread, NULL, sees_tmp, NULL) == 0);
    pthread_join(thread, NULL);
    CHECK(cwd_is("/proc"));
    pid_t child = fork();
    if (child == 0)
        _exit(cwd_is("/proc") && umask_now() == 077 ? 0 : 1);
    int status;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(chroot("/usr") == 0 && chdir("/") == 0 && access("/usr", F_OK) < 0 && cwd_is("/"));
    wait_for_other(); /* 4 */
    wait_for_other();
    return NULL;
}

static void test_unshare(void)
{
    pthread_t thread;

    NEED(pthread_barrier_init(&barrier, NULL, 2) == 0);
    CHECK(chdir("/") == 0);
    umask(022);
    NEED(pthread_create(&thread, NULL, alone, NULL) == 0);
    wait_for_other(); /* 1 */
    wait_for_other(); /* 2 */
    CHECK(cwd_is("/usr"));
    CHECK(fs_is_same(gettid(), other_tid));
    wait_for_other();
    wait_for_other(); /* 3 */
    CHECK(cwd_is("/usr") && umask_now() == 022);
    CHECK(!fs_is_same(gettid(), other_tid));
    CHECK(link_is(other_tid, "cwd", "/tmp") && link_is(getpid(), "cwd", "/usr"));
    CHECK(umask_shown(other_tid) == 077 && umask_shown(getpid()) == 022);
    CHECK(chdir("/dev") == 0);
    wait_for_other();
    wait_for_other(); /* 4 */
    CHECK(cwd_is("/dev") && umask_now() == 022);
    CHECK(link_is(other_tid, "root", "/usr") && link_is(getpid(), "root", "/"));
    wait_for_other();
    pthread_join(thread, NULL);
    CHECK(cwd_is("/dev") && access("/usr", F_OK) == 0);
}

/* The leader has its own: /proc/PID shows it, and the others keep the old. */
static void *stays(void *arg)
{
    (void)arg;
    wait_for_other();
    wait_for_other();
    CHECK(cwd_is("/dev"));
    return NULL;
}

static void test_leader(void)
{
    pthread_t thread;
    char text[64] = "";

    NEED(pthread_create(&thread, NULL, stays, NULL) == 0);
    wait_for_other();
    CHECK(unshare(CLONE_FS) == 0 && chdir("/tmp") == 0);
    CHECK(readlink("/proc/self/cwd", text, sizeof(text) - 1) > 0 && !strcmp(text, "/tmp"));
    wait_for_other();
    pthread_join(thread, NULL);
    CHECK(cwd_is("/tmp"));
    CHECK(unshare(CLONE_FS) == 0 && chdir("/dev") == 0); /* alone again */
    CHECK(cwd_is("/dev") && link_is(getpid(), "cwd", "/dev"));
}

/* A thread made without CLONE_FS begins with a copy. */
static int done;

static int goes_away(void *arg)
{
    (void)arg;
    CHECK(syscall(SYS_chdir, "/usr") == 0);
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    syscall(SYS_exit, 0);
    return 0;
}

static void test_clone(void)
{
    size_t size = 65536;
    char *stack = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int flags = CLONE_VM | CLONE_THREAD | CLONE_SIGHAND | CLONE_FILES;

    NEED(stack != MAP_FAILED);
    CHECK(chdir("/tmp") == 0);
    NEED(clone(goes_away, stack + size, flags, NULL) > 0);
    while (!__atomic_load_n(&done, __ATOMIC_ACQUIRE))
        sched_yield();
    CHECK(cwd_is("/tmp"));
}

/* execve by a thread with its own: the program goes on in that. */
static void *executes(void *arg)
{
    char *argv[] = { arg, "executed", NULL };

    if (unshare(CLONE_FS) || chdir("/usr"))
        _exit(2);
    umask(027);
    execv("/proc/self/exe", argv);
    _exit(3);
}

static void test_exec(char *name)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, executes, name))
            _exit(1);
        for (;;)
            pause();
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return cwd_is("/usr") && umask_now() == 027 ? 0 : 4;
    test_unshare();
    test_leader();
    test_clone();
    test_exec(argv[0]);
    return check_end();
}
