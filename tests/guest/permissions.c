// SPDX-License-Identifier: MIT
/*
 * What a user who is not root may do with files: mode bits, groups, sticky and set-group-id folders, owners,
 * times, links, umask, and the privileged calls refused.
 * test: variants=dynamic
 */
#include "check.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <utime.h>

#define SOMEBODY 1234
#define GROUP    2345

static void make(const char *name, unsigned mode, int uid, int gid)
{
    int fd = open(name, O_RDWR | O_CREAT, 0600);

    NEED(fd >= 0 && !fchown(fd, (uid_t)uid, (gid_t)gid) && !fchmod(fd, mode));
    close(fd);
}

static void make_folder(const char *name, unsigned mode, int uid, int gid)
{
    NEED(!mkdir(name, 0700) && !chown(name, (uid_t)uid, (gid_t)gid) && !chmod(name, mode));
}

static void prepare(void)
{
    make("mine", 0600, SOMEBODY, GROUP);
    make("secret", 0600, 0, 0);
    make("public", 0644, 0, 0);
    make("group", 0640, 0, GROUP);
    make("not-mine", 0077, SOMEBODY, 0); /* the owner's bits count, though others may */
    make("program", 0711, 0, 0);
    make_folder("locked", 0700, 0, 0);
    make_folder("passage", 0711, 0, 0);
    make_folder("readable", 0744, 0, 0);
    make_folder("sticky", 01777, 0, 0);
    make_folder("shared", 02777, 0, 777);
    make("locked/f", 0666, 0, 0);
    make("passage/f", 0644, 0, 0);
    make("readable/f", 0644, 0, 0);
    make("sticky/theirs", 0666, 0, 0);
    NEED(!chmod(".", 0755));
}

static void test_open(void)
{
    CHECK(open("mine", O_RDWR) >= 0 && open("public", O_RDONLY) >= 0 &&
          open("group", O_RDONLY) >= 0);
    CHECK_ERRNO(open("public", O_WRONLY), EACCES);
    CHECK_ERRNO(open("group", O_RDWR), EACCES);
    CHECK_ERRNO(open("secret", O_RDONLY), EACCES);
    CHECK_ERRNO(open("not-mine", O_RDONLY), EACCES);
    CHECK_ERRNO(open("public", O_RDONLY | O_TRUNC), EACCES);
    CHECK_ERRNO(open("public", O_RDONLY | O_NOATIME), EPERM);
    CHECK_ERRNO(truncate("public", 0), EACCES);
    CHECK_ERRNO(open("locked/f", O_RDONLY), EACCES);
    CHECK(open("passage/f", O_RDONLY) >= 0);
    CHECK_ERRNO(open("passage", O_RDONLY), EACCES);
    CHECK(open("readable", O_RDONLY) >= 0);
    CHECK_ERRNO(open("readable/f", O_RDONLY), EACCES);
    CHECK_ERRNO(open("readable/none", O_RDONLY), EACCES);
    CHECK_ERRNO(open("new", O_RDWR | O_CREAT, 0600), EACCES);
    CHECK(open("secret", O_PATH) >= 0);
    CHECK(!access("program", X_OK) && !access("mine", R_OK | W_OK));
    CHECK_ERRNO(access("program", R_OK), EACCES);
    CHECK_ERRNO(access("public", W_OK), EACCES);
    CHECK_ERRNO(chdir("readable"), EACCES);
    CHECK_ERRNO(execl("public", "public", NULL), EACCES);
    CHECK_ERRNO(execl("locked/f", "f", NULL), EACCES);
    CHECK_ERRNO(mkdir("new", 0700), EACCES);
    CHECK_ERRNO(mknod("sticky/null", S_IFCHR | 0666, 0x103), EPERM);
    CHECK(!mkfifo("sticky/fifo", 0600) && !unlink("sticky/fifo"));
}

static void test_folders(void)
{
    struct stat info;

    CHECK_ERRNO(unlink("sticky/theirs"), EPERM);
    CHECK_ERRNO(rename("sticky/theirs", "sticky/x"), EPERM);
    CHECK_ERRNO(rename("sticky/theirs", "shared/x"), EPERM);
    CHECK_ERRNO(unlink("public"), EACCES);
    close(open("sticky/own", O_RDWR | O_CREAT, 0600));
    CHECK_ERRNO(rename("sticky/own", "sticky/theirs"), EPERM);
    CHECK(!rename("sticky/own", "sticky/still") && !unlink("sticky/still"));
    CHECK(!mkdir("shared/d", 0700) && !stat("shared/d", &info));
    CHECK(info.st_gid == 777 && (info.st_mode & 07777) == 02700);
    close(open("shared/f", O_RDWR | O_CREAT, 0600));
    CHECK(!stat("shared/f", &info) && info.st_gid == 777 && info.st_uid == SOMEBODY);
    /* A set-group-id bit of a group one is not in is not to be had. */
    close(open("shared/g", O_RDWR | O_CREAT, 02710));
    CHECK(!stat("shared/g", &info) && !(info.st_mode & S_ISGID));
    CHECK(!chmod("shared/f", 02710) && !stat("shared/f", &info) && !(info.st_mode & S_ISGID));
    CHECK(!link("mine", "sticky/link") && !unlink("sticky/link"));
}

static void test_owners(void)
{
    struct stat info;
    struct utimbuf times = { 1, 2 };

    CHECK_ERRNO(chmod("public", 0666), EPERM);
    CHECK_ERRNO(chown("mine", 0, (gid_t)-1), EPERM);
    CHECK_ERRNO(chown("mine", (uid_t)-1, 0), EPERM);
    CHECK(!chown("mine", SOMEBODY, GROUP + 1)); /* a group one is in */
    CHECK(!chmod("mine", 06755) && !stat("mine", &info) && (info.st_mode & 07777) == 06755);
    int fd = open("mine", O_WRONLY);
    CHECK(write(fd, "x", 1) == 1 && !fstat(fd, &info) && (info.st_mode & 07777) == 0755);
    close(fd);
    CHECK_ERRNO(utime("public", &times), EPERM);
    CHECK_ERRNO(utime("public", NULL), EACCES);
    CHECK(!utime("mine", &times) && !utime("mine", NULL));
    CHECK(!utime("sticky/theirs", NULL)); /* who may write may set it to now */
}

static void test_privileged(void)
{
    struct timespec now;
    struct timeval second;
    struct rlimit limit;
    gid_t groups[1] = { 0 };

    CHECK_ERRNO(setuid(0), EPERM);
    CHECK_ERRNO(setresuid(0, -1u, -1u), EPERM);
    CHECK_ERRNO(setreuid(0, 0), EPERM);
    CHECK_ERRNO(setgid(0), EPERM);
    CHECK_ERRNO(setregid(0, 0), EPERM);
    CHECK_ERRNO(setresgid(0, -1u, -1u), EPERM);
    CHECK_ERRNO(setgroups(1, groups), EPERM);
    CHECK_ERRNO(chroot("/"), EPERM);
    CHECK_ERRNO(mount("none", "/", "tmpfs", 0, NULL), EPERM);
    CHECK_ERRNO(umount2("/", 0), EPERM);
    CHECK_ERRNO(sethostname("x", 1), EPERM);
    CHECK_ERRNO(setdomainname("x", 1), EPERM);
    clock_gettime(CLOCK_REALTIME, &now);
    CHECK_ERRNO(clock_settime(CLOCK_REALTIME, &now), EPERM);
    gettimeofday(&second, NULL);
    CHECK_ERRNO(settimeofday(&second, NULL), EPERM);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, -5), EACCES);
    CHECK(!getrlimit(RLIMIT_CORE, &limit));
    limit.rlim_max = limit.rlim_cur = 4096;
    CHECK(!setrlimit(RLIMIT_CORE, &limit));
    limit.rlim_max = 8192;
    CHECK_ERRNO(setrlimit(RLIMIT_CORE, &limit), EPERM);
    CHECK_ERRNO(kill(getppid(), 0), EPERM);
    CHECK_ERRNO(syscall(SYS_vhangup), EPERM);
    CHECK_ERRNO(syscall(SYS_reboot, 0xfee1dead, 672274793, 0, NULL), EPERM);
    CHECK_ERRNO(syscall(SYS_pivot_root, "/", "/"), EPERM);
}

int main(void)
{
    gid_t groups[] = { GROUP, GROUP + 1 };
    int status;

    umask(0);
    prepare();
    fflush(stdout);
    if (fork() == 0) {
        NEED(!setgroups(2, groups) && !setresgid(GROUP, GROUP, GROUP));
        NEED(!setresuid(SOMEBODY, SOMEBODY, SOMEBODY));
        test_open();
        test_folders();
        test_owners();
        test_privileged();
        exit(check_failures);
    }
    CHECK(wait(&status) > 0 && status == 0);
    /* Root may do it all, but run what nobody may run. */
    CHECK(open("not-mine", O_RDWR) >= 0 && !access("secret", R_OK | W_OK) && !chdir("locked"));
    CHECK_ERRNO(access("../secret", X_OK), EACCES);
    return check_end();
}
