// SPDX-License-Identifier: MIT
/*
 * F_NOTIFY of fcntl(2): what happens in a directory is told by a signal.
 */
#include "check.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>

static sigset_t set;
static int rt, dir;

/* How many signals are pending, which all name the directory. */
static int told(void)
{
    struct timespec none = { 0 };
    siginfo_t info;
    int count = 0, signo;

    while ((signo = sigtimedwait(&set, &info, &none)) > 0) {
        count++;
        CHECK(signo == rt && info.si_code == POLL_MSG && info.si_fd == dir);
    }
    return count;
}

static void make(const char *name)
{
    close(open(name, O_CREAT | O_RDWR, 0600));
}

static void test_kinds(void)
{
    char c = 0;

    CHECK(fcntl(dir, F_NOTIFY, DN_RENAME | DN_MULTISHOT) == 0);
    CHECK(fcntl(dir, F_GETOWN) == getpid());
    make("a");
    CHECK(told() == 0);
    CHECK(rename("a", "b") == 0 && told() == 1);
    CHECK(rename("b", "sub/b") == 0 && told() == 0);
    CHECK(rename("sub/b", "b") == 0 && told() == 0);
    CHECK(fcntl(dir, F_NOTIFY, 0) == 0);
    CHECK(rename("b", "a") == 0 && told() == 0);

    CHECK(fcntl(dir, F_NOTIFY, DN_ATTRIB | DN_MULTISHOT) == 0);
    CHECK(chmod("a", 0644) == 0 && told() == 1);
    CHECK(chmod(".", 0711) == 0 && told() == 1);    /* itself too */
    CHECK(fcntl(dir, F_NOTIFY, DN_MULTISHOT) == 0); /* no event is none */
    CHECK(chmod("a", 0600) == 0 && told() == 0);

    int fd = open("a", O_RDWR);
    CHECK(fcntl(dir, F_NOTIFY, DN_MODIFY | DN_MULTISHOT) == 0);
    CHECK(write(fd, "x", 1) == 1 && told() == 1);
    CHECK(pread(fd, &c, 1, 0) == 1 && told() == 0);
    CHECK(fcntl(dir, F_NOTIFY, DN_ACCESS | DN_MULTISHOT) == 0); /* joins the other */
    CHECK(pread(fd, &c, 1, 0) == 1 && told() == 1);
    CHECK(write(fd, "x", 1) == 1 && told() == 1);
    CHECK(fcntl(dir, F_NOTIFY, 0) == 0);
    CHECK_ERRNO(fcntl(fd, F_NOTIFY, DN_ACCESS), ENOTDIR);
    CHECK(fcntl(fd, F_NOTIFY, 0) == 0);
    close(fd);

    CHECK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_MULTISHOT) == 0);
    make("c");
    CHECK(told() == 1);
    CHECK(mkdir("d", 0700) == 0 && told() == 1);
    CHECK(rename("c", "sub/c") == 0 && told() == 0);
    CHECK(rename("sub/c", "c") == 0 && told() == 1);
    CHECK(fcntl(dir, F_NOTIFY, 0) == 0);
    CHECK(fcntl(dir, F_NOTIFY, DN_DELETE | DN_MULTISHOT) == 0);
    CHECK(unlink("c") == 0 && told() == 1);
    CHECK(rmdir("d") == 0 && told() == 1);
    CHECK(rename("a", "sub/a") == 0 && told() == 1);
    CHECK(rename("sub/a", "a") == 0 && told() == 0);
    CHECK(fcntl(dir, F_NOTIFY, 0) == 0);
}

static void test_once(void)
{
    CHECK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_DELETE) == 0);
    make("z");
    CHECK(unlink("z") == 0);
    CHECK(told() == 1);
    make("z");
    CHECK(unlink("z") == 0 && told() == 0);
}

/* A close by the process that asked ends it, one by another process does not. */
static void test_close(void)
{
    int status;

    CHECK(fcntl(dir, F_NOTIFY, DN_CREATE | DN_MULTISHOT) == 0);
    pid_t child = fork();
    if (child == 0) {
        close(dir);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    make("e");
    CHECK(told() == 1);
    close(dup(dir));
    make("f");
    CHECK(told() == 0);
    unlink("e");
    unlink("f");
}

/* The directory goes away. */
static void test_removed(void)
{
    CHECK(mkdir("gone", 0700) == 0);
    int fd = open("gone", O_RDONLY | O_DIRECTORY);
    CHECK(fcntl(fd, F_NOTIFY, DN_CREATE | DN_MULTISHOT) == 0);
    CHECK(rmdir("gone") == 0);
    CHECK(told() == 0);
    CHECK(fcntl(fd, F_NOTIFY, 0) == 0);
    close(fd);
}

int main(void)
{
    char path[] = "/tmp/dnotifyXXXXXX";

    rt = SIGRTMIN + 1;
    sigemptyset(&set);
    sigaddset(&set, rt);
    sigaddset(&set, SIGIO);
    sigprocmask(SIG_BLOCK, &set, NULL);
    NEED(mkdtemp(path) && chdir(path) == 0 && mkdir("sub", 0700) == 0);
    dir = open(".", O_RDONLY | O_DIRECTORY);
    NEED(dir >= 0 && fcntl(dir, F_SETSIG, rt) == 0);
    test_kinds();
    test_once();
    test_close();
    test_removed();
    return check_end();
}
