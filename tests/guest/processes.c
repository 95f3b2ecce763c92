// SPDX-License-Identifier: MIT
/*
 * fork, vfork, posix_spawn, execve, wait: statuses, orphans, groups, copy on write.
 * test: flags=-pthread cpus=2 variants=dynamic,static,musl timeout=40 roads=patched
 */
#include "check.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

static int wait_for(pid_t pid)
{
    int status = -1;

    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void test_statuses(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(42);
    int status = wait_for(pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
    CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
    pid = fork();
    if (pid == 0)
        for (;;)
            pause();
    CHECK(waitpid(pid, &status, WNOHANG) == 0);
    kill(pid, SIGTERM);
    status = wait_for(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
    pid = fork();
    if (pid == 0) {
        struct rlimit no_core = { 0, 0 };
        setrlimit(RLIMIT_CORE, &no_core);
        *(volatile int *)8 = 1;
    }
    status = wait_for(pid);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static void test_memory(void)
{
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    volatile int mine = 1;
    char *heap = malloc(100000);

    memset(heap, 'a', 100000);
    pid_t pid = fork();
    if (pid == 0) {
        mine = 2;
        *shared = 7;
        int wrong = heap[99999] != 'a';
        memset(heap, 'b', 100000);
        _exit(wrong);
    }
    CHECK(wait_for(pid) == 0 && mine == 1 && *shared == 7 && heap[5] == 'a');
    free(heap);
}

static void test_descriptors(void)
{
    int ends[2];
    char buffer[10];

    NEED(!pipe(ends));
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        _exit(write(ends[1], "child", 5) != 5);
    }
    close(ends[1]);
    CHECK(read(ends[0], buffer, 10) == 5 && read(ends[0], buffer, 10) == 0);
    CHECK(wait_for(pid) == 0);
    close(ends[0]);
    int fd = open("file", O_RDWR | O_CREAT, 0600);
    pid = fork();
    if (pid == 0)
        _exit(write(fd, "12345", 5) != 5);
    CHECK(wait_for(pid) == 0 && lseek(fd, 0, SEEK_CUR) == 5); /* the position is shared */
    close(fd);
}

static void test_exec(const char *self)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl(self, self, "child", "exit 5", NULL);
        _exit(99);
    }
    CHECK(WEXITSTATUS(wait_for(pid)) == 5);
    pid = vfork();
    if (pid == 0) {
        execl("/no/such/file", "x", NULL);
        _exit(errno == ENOENT ? 3 : 4);
    }
    CHECK(WEXITSTATUS(wait_for(pid)) == 3);
    CHECK_ERRNO(execl("/proc", "x", NULL), EACCES);
    int fd = open("text", O_WRONLY | O_CREAT, 0700);
    CHECK(write(fd, "junk, neither ELF nor script\n", 29) == 29);
    close(fd);
    CHECK_ERRNO(execl("./text", "x", NULL), ENOEXEC);
    CHECK(!syscall(SYS_chmod, "text", 0600));
    CHECK_ERRNO(execl("./text", "x", NULL), EACCES);
    unlink("text");
    char *args[] = { (char *)self, "child", "env", NULL }, *env[] = { "ONLY=this", NULL };
    CHECK(!posix_spawn(&pid, self, NULL, NULL, args, env));
    CHECK(WEXITSTATUS(wait_for(pid)) == 11);
    CHECK(posix_spawn(&pid, "/no/such/file", NULL, NULL, args, env) == ENOENT);
}

static void test_script(const char *self)
{
    int fd = open("script", O_WRONLY | O_CREAT | O_TRUNC, 0700);
    pid_t pid;

    dprintf(fd, "#!%s child\nignored\n", self);
    close(fd);
    pid = fork();
    if (pid == 0) {
        execl("./script", "zero", "exit 6", NULL);
        _exit(99);
    }
    CHECK(WEXITSTATUS(wait_for(pid)) == 6);
    unlink("script");
}

static volatile int child_signals;

static void on_child(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    child_signals++;
    CHECK(info->si_code == CLD_EXITED && info->si_status == 9);
}

static void test_waiting(void)
{
    struct sigaction action = { .sa_sigaction = on_child, .sa_flags = SA_SIGINFO | SA_RESTART };
    siginfo_t info;

    sigaction(SIGCHLD, &action, NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(9);
    CHECK(!waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) && info.si_pid == pid &&
          info.si_status == 9);
    CHECK(WEXITSTATUS(wait_for(pid)) == 9 && child_signals == 1);
    signal(SIGCHLD, SIG_IGN); /* no zombies */
    pid = fork();
    if (pid == 0)
        _exit(0);
    CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
    signal(SIGCHLD, SIG_DFL);
    pid = fork();
    if (pid == 0) {
        raise(SIGSTOP);
        for (;;) /* its end would be told in place of its going on */
            pause();
    }
    int status;
    CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) &&
          WSTOPSIG(status) == SIGSTOP);
    kill(pid, SIGCONT);
    CHECK(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
    kill(pid, SIGTERM);
    CHECK(WTERMSIG(wait_for(pid)) == SIGTERM);
}

static void test_groups(void)
{
    int ends[2];
    char c;

    NEED(!pipe(ends));
    pid_t pid = fork();
    if (pid == 0) {
        CHECK(setsid() == getpid() && getpgrp() == getpid() && getsid(0) == getpid());
        CHECK_ERRNO(setsid(), EPERM);
        pid_t inner = fork();
        if (inner == 0) {
            (void)!write(ends[1], "i", 1);
            for (;;)
                pause();
        }
        (void)!read(ends[0], &c, 1);
        CHECK(getpgid(inner) == getpid());
        signal(SIGTERM, SIG_IGN);
        kill(0, SIGTERM);
        _exit(!(WTERMSIG(wait_for(inner)) == SIGTERM) + check_failures);
    }
    CHECK(wait_for(pid) == 0);
}

static void test_many(void)
{
    for (int i = 0; i < 40; i++) {
        pid_t pid = fork();
        NEED(pid >= 0);
        if (pid == 0)
            _exit(i);
        CHECK(WEXITSTATUS(wait_for(pid)) == i);
    }
    pid_t pids[20];
    for (int i = 0; i < 20; i++)
        if ((pids[i] = fork()) == 0) {
            sleep_ms(10);
            _exit(i);
        }
    int sum = 0, status;
    while (wait(&status) > 0)
        sum += WEXITSTATUS(status);
    CHECK(sum == 190);
}

static int be_child(int argc, char **argv)
{
    if (argc < 3)
        return 98;
    if (!strcmp(argv[2], "env"))
        return getenv("ONLY") && !strcmp(getenv("ONLY"), "this") && !getenv("HOME") ? 11 : 12;
    /* By a script: program, "child", script, arguments of the script. */
    const char *command = argc > 3 ? argv[3] : argv[2];
    return atoi(command + strlen("exit "));
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "child"))
        return be_child(argc, argv);
    test_statuses();
    test_memory();
    test_descriptors();
    test_exec("/proc/self/exe");
    char self[500] = "";
    CHECK(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    test_script(self);
    test_waiting();
    test_groups();
    test_many();
    return check_end();
}
