// SPDX-License-Identifier: MIT
/*
 * What being traced means for rights: a set-user-id program gains nothing under a tracer that had none, and who may not
 * trace may not look.  And whose children wait4 waits for: __WNOTHREAD.
 * test: flags=-pthread
 */
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NOBODY 65534

/* ---- Set-user-id ---------------------------------------------------------------------- */

static int show_identity(void)
{
    char line[256];
    FILE *status = fopen("/proc/self/status", "r");

    printf("user %d %d group %d %d\n", getuid(), geteuid(), getgid(), getegid());
    while (status && fgets(line, sizeof(line), status))
        if (!strncmp(line, "CapEff", 6))
            fputs(strtoull(line + 7, NULL, 16) ? "capable\n" : "not capable\n", stdout);
    fflush(stdout);
    return 0;
}

static void copy_self(const char *to)
{
    char buffer[65536];
    ssize_t n;
    int from = open("/proc/self/exe", O_RDONLY), fd = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0755);

    NEED(from >= 0 && fd >= 0);
    while ((n = read(from, buffer, sizeof(buffer))) > 0)
        CHECK(write(fd, buffer, (size_t)n) == n);
    CHECK(fchmod(fd, 06755) == 0 && close(fd) == 0 && close(from) == 0);
}

static void execute(bool is_traced)
{
    char *argv[] = { "show", "show", NULL };

    if (is_traced)
        CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
    execv("./setuid", argv);
    CHECK(!"execv");
    _exit(1);
}

/* The tracer is who starts it: as root, or after giving that up. */
static void run(const char *what, bool is_traced, bool is_root)
{
    int status = 0;

    printf("%s\n", what);
    fflush(stdout);
    pid_t tracer = fork();
    if (tracer == 0) {
        if (!is_root)
            CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
        pid_t pid = fork();
        if (pid == 0)
            execute(is_traced);
        while (waitpid(pid, &status, 0) == pid && WIFSTOPPED(status))
            CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(tracer, &status, 0) == tracer && status == 0);
}

static void test_set_user_id(void)
{
    NEED(chmod(".", 0755) == 0);
    copy_self("setuid");
    run("nobody, not traced", false, false);
    run("nobody, traced", true, false);
    run("root, traced", true, true);
    CHECK(unlink("setuid") == 0);
}

/* ---- Looking --------------------------------------------------------------------------------- */

static void test_robust_list(void)
{
    pid_t parent = getpid();
    int status;
    void *head;
    size_t size;

    pid_t pid = fork();
    if (pid == 0) {
        CHECK(syscall(SYS_get_robust_list, parent, &head, &size) == 0);
        /* The effective user is the other's, but that is not enough. */
        CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0);
        CHECK_ERRNO(syscall(SYS_get_robust_list, parent, &head, &size), EPERM);
        CHECK(syscall(SYS_get_robust_list, 0, &head, &size) == 0);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* The files that are about memory: the first is not a text. */
static const char *const memory_files[] = { "mem", "pagemap", "environ", "auxv", "maps" };
#define NFILES 5

static int open_about(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return open(path, O_RDONLY);
}

/* A process of the same user that has another group. */
static void test_other_group(void)
{
    int status, tell[2], go[2];
    char byte = 'x';

    NEED(pipe(tell) == 0 && pipe(go) == 0);
    pid_t other = fork();
    if (other == 0) {
        CHECK(setresuid(NOBODY, NOBODY, NOBODY) == 0 && write(tell[1], &byte, 1) == 1);
        close(go[1]);
        _exit(read(go[0], &byte, 1) != 0);
    }
    CHECK(read(tell[0], &byte, 1) == 1);
    int pidfd = (int)syscall(SYS_pidfd_open, other, 0);
    CHECK(pidfd >= 0);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
        for (int i = 0; i < NFILES; i++)
            CHECK_ERRNO(open_about(other, memory_files[i]), EACCES);
        CHECK(kill(other, 0) == 0);
        CHECK_ERRNO(syscall(SYS_pidfd_getfd, pidfd, 0, 0), EPERM);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    for (int i = 0; i < NFILES; i++) { /* root may */
        int fd = open_about(other, memory_files[i]);
        CHECK(fd >= 0 && close(fd) == 0);
    }
    int fd = (int)syscall(SYS_pidfd_getfd, pidfd, tell[0], 0);
    CHECK(fd >= 0 && close(fd) == 0 && close(pidfd) == 0);
    close(go[1]);
    CHECK(waitpid(other, &status, 0) == other && status == 0);
    close(go[0]), close(tell[0]), close(tell[1]);
}

#define PLACE ((char *)0x10000000)

static void fill_place(const char *word)
{
    NEED(mmap(PLACE, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
              0) == PLACE);
    strcpy(PLACE, word);
}

/* What a process becomes: it says so, and ends with its input. */
static int wait_for_end(void)
{
    char byte = 'x';

    fill_place("new");
    return write(STDOUT_FILENO, &byte, 1) != 1 || read(STDIN_FILENO, &byte, 1) != 0;
}

/* An open file stays with the memory that there was. */
static void test_execve(void)
{
    char *argv[] = { "wait", "wait", NULL }, word[4096];
    int status, tell[2], go[2], fd[NFILES];

    NEED(pipe2(tell, O_CLOEXEC) == 0 && pipe2(go, O_CLOEXEC) == 0);
    fill_place("old");
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(read(go[0], word, 1) == 1);
        dup2(go[0], STDIN_FILENO), dup2(tell[1], STDOUT_FILENO);
        execv("/proc/self/exe", argv);
        _exit(1);
    }
    for (int i = 0; i < NFILES; i++)
        CHECK((fd[i] = open_about(pid, memory_files[i])) >= 0);
    CHECK(pread(fd[0], word, 4, (long)PLACE) == 4 && !strcmp(word, "old"));
    CHECK(write(go[1], "x", 1) == 1 && read(tell[0], word, 1) == 1);
    CHECK(pread(fd[0], word, 4, (long)PLACE) == 0);
    CHECK(pread(fd[1], word, 8, (long)PLACE / 4096 * 8) == 0);
    CHECK(read(fd[2], word, sizeof(word)) == 0); /* Linux has the old auxv still */
    CHECK(read(fd[4], word, sizeof(word)) == 0);
    int now = open_about(pid, "mem");
    CHECK(pread(now, word, 4, (long)PLACE) == 4 && !strcmp(word, "new"));
    close(go[1]);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    CHECK(pread(now, word, 4, (long)PLACE) == 0);
    close(now), close(go[0]), close(tell[0]), close(tell[1]);
    for (int i = 0; i < NFILES; i++)
        close(fd[i]);
}

static long look_at(pid_t pid)
{
    void *head;
    size_t size;

    return syscall(SYS_get_robust_list, pid, &head, &size);
}

static void become_nobody(bool is_capable, bool is_dumpable)
{
    CHECK(prctl(PR_SET_KEEPCAPS, is_capable) == 0);
    CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
    CHECK(prctl(PR_GET_DUMPABLE) == 0);
    CHECK(prctl(PR_SET_DUMPABLE, is_dumpable) == 0);
}

/* Who dropped root may not be looked at by the user that it became, nor who kept capabilities. */
static void show_looking(bool is_capable, bool is_dumpable)
{
    int status, ready[2], done[2];
    char byte;

    NEED(pipe(ready) == 0 && pipe(done) == 0);
    fflush(stdout);
    pid_t target = fork();
    if (target == 0) {
        close(done[1]);
        become_nobody(is_capable, is_dumpable);
        CHECK(write(ready[1], "", 1) == 1 && read(done[0], &byte, 1) == 0);
        _exit(check_failures != 0);
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(look_at(target) == 0);
    pid_t looker = fork();
    if (looker == 0) {
        become_nobody(false, true);
        long result = look_at(target);
        printf("capable %d dumpable %d: %ld %s\n", is_capable, is_dumpable, result,
               result ? strerror(errno) : "");
        fflush(stdout);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(looker, &status, 0) == looker && status == 0);
    close(done[1]);
    CHECK(waitpid(target, &status, 0) == target && status == 0);
    close(done[0]);
    close(ready[0]);
    close(ready[1]);
}

/* A parent that may less than its child is no tracer of it. */
static void test_weak_parent(void)
{
    int status, ready[2];
    char byte;

    NEED(pipe(ready) == 0);
    pid_t parent = fork();
    if (parent == 0) {
        pid_t pid = fork();
        if (pid == 0) {
            CHECK(read(ready[0], &byte, 1) == 1);
            CHECK_ERRNO(ptrace(PTRACE_TRACEME, 0, 0, 0), EPERM);
            become_nobody(false, true);
            CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
            _exit(check_failures != 0);
        }
        become_nobody(false, true);
        CHECK(write(ready[1], "", 1) == 1);
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(parent, &status, 0) == parent && status == 0);
    close(ready[0]);
    close(ready[1]);
}

/* ---- Waiting ------------------------------------------------------------------------------------ */

static pthread_barrier_t barrier;
static volatile pid_t child;

static void *fork_and_wait(void *arg)
{
    int status;

    child = fork();
    if (child == 0)
        _exit(3);
    pthread_barrier_wait(&barrier); /* the child is there */
    pthread_barrier_wait(&barrier); /* the main thread has tried */
    CHECK(waitpid(-1, &status, __WNOTHREAD) == child && WEXITSTATUS(status) == 3);
    child = fork();
    if (child == 0)
        _exit(4);
    return arg;
}

static void test_own_children(void)
{
    pthread_t thread;
    siginfo_t info;
    int status;

    pthread_barrier_init(&barrier, NULL, 2);
    NEED(pthread_create(&thread, NULL, fork_and_wait, NULL) == 0);
    pthread_barrier_wait(&barrier);
    CHECK_ERRNO(waitpid(-1, &status, __WNOTHREAD), ECHILD);
    CHECK_ERRNO(waitpid(child, &status, __WNOTHREAD), ECHILD);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED | WNOHANG | __WNOTHREAD), ECHILD);
    CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == child);
    pthread_barrier_wait(&barrier);
    CHECK(pthread_join(thread, NULL) == 0);
    /* Its thread has ended: the child is another one's. */
    CHECK(waitpid(child, &status, __WNOTHREAD) == child && WEXITSTATUS(status) == 4);
}

static void *wait_for_name(void *arg)
{
    char byte;

    return read(*(int *)arg, &byte, 1) ? arg : NULL;
}

/* Of what a process that dropped root may not open any more, its threads' names are not a part. */
static void test_names_of_threads(void)
{
    int status, go[2];
    char name[16];

    NEED(pipe(go) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        CHECK(setresgid(NOBODY, NOBODY, NOBODY) == 0 && setresuid(NOBODY, NOBODY, NOBODY) == 0);
        NEED(pthread_create(&thread, NULL, wait_for_name, &go[0]) == 0);
        CHECK(pthread_setname_np(thread, "worker") == 0);
        CHECK(pthread_getname_np(thread, name, sizeof(name)) == 0 && !strcmp(name, "worker"));
        CHECK_ERRNO(open("/proc/self/comm", O_WRONLY), EACCES);
        close(go[1]);
        pthread_join(thread, NULL);
        _exit(check_failures != 0);
    }
    close(go[1]);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    close(go[0]);
}

/* access(2) asks for the real user, of /proc as well. */
static void test_access(void)
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        CHECK(setresuid(NOBODY, 0, 0) == 0);
        CHECK_ERRNO(access("/proc/1/fd", R_OK), EACCES);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return strcmp(argv[1], "wait") == 0 ? wait_for_end() : show_identity();
    test_set_user_id();
    test_robust_list();
    test_other_group();
    test_execve();
    show_looking(false, false);
    show_looking(false, true);
    show_looking(true, false);
    show_looking(true, true);
    test_weak_parent();
    test_own_children();
    test_names_of_threads();
    test_access();
    return check_end();
}
