// SPDX-License-Identifier: MIT
/*
 * Extended attributes: by name, by link, by descriptor; flags, sizes, namespaces, permissions.
 * test: variants=dynamic
 */
#include "check.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>

static char value[70000];

/* Whether a list of names has this one. */
static bool has_name(const char *list, long len, const char *name)
{
    for (const char *at = list; at < list + len; at += strlen(at) + 1)
        if (!strcmp(at, name))
            return true;
    return false;
}

static void test_set(void)
{
    CHECK(!syscall(SYS_setxattr, "f", "user.one", "1234", 4L, 0));
    CHECK(syscall(SYS_getxattr, "f", "user.one", value, 10L) == 4 && !memcmp(value, "1234", 4));
    CHECK(syscall(SYS_getxattr, "f", "user.one", NULL, 0L) == 4);
    CHECK_ERRNO(syscall(SYS_getxattr, "f", "user.one", value, 3L), ERANGE);
    CHECK_ERRNO(syscall(SYS_getxattr, "f", "user.none", value, 3L), ENODATA);
    CHECK_ERRNO(syscall(SYS_setxattr, "f", "user.one", "x", 1L, XATTR_CREATE), EEXIST);
    CHECK_ERRNO(syscall(SYS_setxattr, "f", "user.two", "x", 1L, XATTR_REPLACE), ENODATA);
    CHECK_ERRNO(syscall(SYS_setxattr, "f", "user.two", "x", 1L, 8), EINVAL);
    CHECK(!syscall(SYS_setxattr, "f", "user.one", "x", 1L, XATTR_REPLACE));
    CHECK(!syscall(SYS_setxattr, "f", "user.empty", "", 0L, XATTR_CREATE));
    CHECK(syscall(SYS_getxattr, "f", "user.empty", value, 10L) == 0);
    CHECK_ERRNO(syscall(SYS_setxattr, "f", "user.big", value, 65537L, 0), E2BIG);
    CHECK_ERRNO(syscall(SYS_setxattr, "f", "", "x", 1L, 0), ERANGE);
    CHECK_ERRNO(syscall(SYS_setxattr, "f", "unknown.x", "x", 1L, 0), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_setxattr, "f", "user", "x", 1L, 0), EOPNOTSUPP);
    memset(value, 'n', 300);
    memcpy(value, "user.", 5);
    value[300] = '\0';
    CHECK_ERRNO(syscall(SYS_setxattr, "f", value, "x", 1L, 0), ERANGE);
    CHECK(!syscall(SYS_setxattr, "f", "trusted.t", "root", 4L, 0)); /* as root */
}

static void test_links(void)
{
    CHECK_ERRNO(syscall(SYS_lsetxattr, "l", "user.x", "x", 1L, 0), EPERM); /* not on links */
    CHECK(!syscall(SYS_lsetxattr, "l", "trusted.x", "on link", 7L, 0));
    CHECK(syscall(SYS_lgetxattr, "l", "trusted.x", value, 10L) == 7);
    CHECK_ERRNO(syscall(SYS_getxattr, "l", "trusted.x", value, 10L), ENODATA);
    CHECK(syscall(SYS_getxattr, "l", "user.one", value, 10L) == 1);
    long n = syscall(SYS_llistxattr, "l", value, 100L);
    CHECK(n >= 10 && has_name(value, n, "trusted.x"));
    CHECK(!syscall(SYS_lremovexattr, "l", "trusted.x"));
    CHECK_ERRNO(syscall(SYS_lremovexattr, "l", "trusted.x"), ENODATA);
}

static void test_list(int fd)
{
    CHECK(!syscall(SYS_fsetxattr, fd, "user.three", "333", 3L, 0));
    CHECK(syscall(SYS_fgetxattr, fd, "user.three", value, 10L) == 3);
    long n = syscall(SYS_listxattr, "f", NULL, 0L);
    CHECK(n > 30 && syscall(SYS_listxattr, "f", value, sizeof value) == n);
    CHECK(has_name(value, n, "user.one") && has_name(value, n, "user.three") &&
          has_name(value, n, "user.empty") && has_name(value, n, "trusted.t"));
    CHECK(syscall(SYS_flistxattr, fd, value, sizeof value) == n);
    CHECK_ERRNO(syscall(SYS_flistxattr, fd, value, 5L), ERANGE);
    CHECK_ERRNO(syscall(SYS_flistxattr, fd, 8L, 1000L), EFAULT);
    CHECK(!syscall(SYS_fremovexattr, fd, "user.three") &&
          !syscall(SYS_removexattr, "f", "user.empty"));
    CHECK_ERRNO(syscall(SYS_removexattr, "f", "user.empty"), ENODATA);
    CHECK_ERRNO(syscall(SYS_fremovexattr, fd, "user.empty"), ENODATA);
    CHECK(syscall(SYS_listxattr, "d", value, 100L) >= 0);
    int place = open("f", O_PATH);
    CHECK_ERRNO(syscall(SYS_fgetxattr, place, "user.one", value, 10L), EBADF);
    CHECK_ERRNO(syscall(SYS_flistxattr, place, value, 10L), EBADF);
    close(place);
}

/* As somebody else. */
static void test_permissions(void)
{
    int status;

    chmod("f", 0644), chmod(".", 0755);
    fflush(stdout);
    if (fork() == 0) {
        NEED(!setresgid(65534, 65534, 65534) && !setresuid(65534, 65534, 65534));
        CHECK_ERRNO(setxattr("f", "user.one", "y", 1, 0), EACCES);
        CHECK_ERRNO(removexattr("f", "user.one"), EACCES);
        CHECK(getxattr("f", "user.one", value, 10) == 1);
        CHECK_ERRNO(setxattr("f", "trusted.t", "y", 1, 0), EPERM);
        CHECK_ERRNO(getxattr("f", "trusted.t", value, 10), ENODATA);
        long n = listxattr("f", value, sizeof value);
        CHECK(n > 0 && has_name(value, n, "user.one") && !has_name(value, n, "trusted.t"));
        exit(check_failures);
    }
    CHECK(wait(&status) > 0 && status == 0);
}

int main(void)
{
    int fd = open("f", O_RDWR | O_CREAT, 0644);

    NEED(fd >= 0 && !symlink("f", "l") && !mkdir("d", 0700));
    test_set();
    test_links();
    test_list(fd);
    test_permissions();
    return check_end();
}
