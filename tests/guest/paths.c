// SPDX-License-Identifier: MIT
/*
 * The calls about names, each of them: the *at forms with their flags, the old forms beside them, links, renames,
 * special files, times, owners and modes, O_TMPFILE, O_PATH, O_NOFOLLOW, openat2's RESOLVE flags.
 * test: flags=-pthread cpus=2 variants=dynamic
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <utime.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1
#define RENAME_EXCHANGE  2
#endif

static int dir;

static void make(const char *name)
{
    int fd = (int)syscall(SYS_creat, name, 0644);

    NEED(fd >= 0 && write(fd, name, strlen(name)) == (long)strlen(name));
    close(fd);
}

static struct stat status_of(const char *name)
{
    struct stat info = { 0 };

    CHECK(!syscall(SYS_lstat, name, &info));
    return info;
}

static void test_create(void)
{
    struct stat info;

    CHECK(syscall(SYS_umask, 0022) >= 0 && syscall(SYS_umask, 0022) == 0022);
    CHECK(!syscall(SYS_mkdirat, AT_FDCWD, "d", 0777) && status_of("d").st_mode == (S_IFDIR | 0755));
    dir = open("d", O_RDONLY | O_DIRECTORY);
    NEED(dir >= 0);
    CHECK_ERRNO(syscall(SYS_mkdirat, AT_FDCWD, "d", 0777), EEXIST);
    CHECK_ERRNO(mkdir("d/", 0700), EEXIST);
    CHECK(!syscall(SYS_mkdirat, dir, "sub/", 01777));
    CHECK(status_of("d/sub").st_mode == (S_IFDIR | 01755));
    CHECK(!syscall(SYS_mknod, "fifo", S_IFIFO | 0666, 0) && S_ISFIFO(status_of("fifo").st_mode));
    CHECK(!syscall(SYS_mknodat, dir, "plain", 0666, 0));
    CHECK(status_of("d/plain").st_mode == (S_IFREG | 0644));
    CHECK(!syscall(SYS_mknodat, dir, "socket", S_IFSOCK | 0600, 0));
    CHECK_ERRNO(open("d/socket", O_RDONLY), ENXIO);
    CHECK_ERRNO(syscall(SYS_mknodat, dir, "d2", S_IFDIR | 0600, 0), EPERM);
    CHECK_ERRNO(syscall(SYS_mknodat, dir, "x", 0170000 | 0600, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_mknodat, dir, "plain", S_IFREG | 0600, 0), EEXIST);
    make("one");
    CHECK(!syscall(SYS_stat, "one", &info) && info.st_size == 3);
    CHECK(!syscall(SYS_fstat, dir, &info) && S_ISDIR(info.st_mode) && info.st_nlink == 3);
    CHECK_ERRNO(creat("d", 0600), EISDIR);
    CHECK_ERRNO(open("one/", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("new/", O_RDWR | O_CREAT, 0600), EISDIR);
}

static void test_links(void)
{
    char text[20];

    CHECK(!syscall(SYS_link, "one", "two") && status_of("one").st_nlink == 2);
    CHECK_ERRNO(syscall(SYS_link, "one", "two"), EEXIST);
    CHECK_ERRNO(syscall(SYS_link, "d", "e"), EPERM);
    CHECK(!syscall(SYS_symlinkat, "../one", dir, "up"));
    CHECK(syscall(SYS_readlinkat, dir, "up", text, sizeof text) == 6 && !memcmp(text, "../one", 6));
    CHECK(syscall(SYS_readlinkat, dir, "up", text, 2) == 2);
    CHECK_ERRNO(syscall(SYS_readlinkat, dir, "up", text, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_readlinkat, dir, "plain", text, 9), EINVAL);
    CHECK(syscall(SYS_readlink, "d/up", text, sizeof text) == 6);
    CHECK(!syscall(SYS_symlink, "nowhere", "dangling"));
    CHECK_ERRNO(syscall(SYS_symlink, "a", "dangling"), EEXIST);
    CHECK_ERRNO(syscall(SYS_symlink, "", "empty"), ENOENT);
    /* linkat: the link itself, or what it points at. */
    CHECK(!syscall(SYS_linkat, dir, "up", AT_FDCWD, "link", 0) &&
          S_ISLNK(status_of("link").st_mode));
    CHECK(!syscall(SYS_linkat, dir, "up", AT_FDCWD, "file", AT_SYMLINK_FOLLOW));
    CHECK(S_ISREG(status_of("file").st_mode) && status_of("one").st_nlink == 3);
    CHECK_ERRNO(syscall(SYS_linkat, dir, "up", AT_FDCWD, "x", 0x8000), EINVAL);
    int fd = open("one", O_PATH);
    CHECK(!syscall(SYS_linkat, fd, "", AT_FDCWD, "by-fd", AT_EMPTY_PATH));
    close(fd);
    CHECK(!syscall(SYS_unlinkat, AT_FDCWD, "by-fd", 0) && !unlink("link") && !unlink("file"));
    CHECK_ERRNO(syscall(SYS_unlinkat, dir, "sub", 0), EISDIR);
    CHECK_ERRNO(syscall(SYS_unlinkat, dir, "plain", AT_REMOVEDIR), ENOTDIR);
    CHECK_ERRNO(syscall(SYS_unlinkat, dir, "plain", 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_unlinkat, AT_FDCWD, "d", AT_REMOVEDIR), ENOTEMPTY);
    CHECK_ERRNO(syscall(SYS_rmdir, "d/sub/."), EINVAL);
    CHECK_ERRNO(syscall(SYS_rmdir, "d/sub/.."), ENOTEMPTY);
    CHECK_ERRNO(syscall(SYS_unlink, "one/"), ENOTDIR);
    CHECK_ERRNO(open("dangling", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_ERRNO(open("d/up", O_RDONLY | O_NOFOLLOW), ELOOP);
    fd = open("dangling", O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && S_ISREG(status_of("nowhere").st_mode));
    close(fd), unlink("nowhere"), unlink("dangling");
}

static long rename2(const char *from, const char *to, unsigned flags)
{
    return syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags);
}

static void test_rename(void)
{
    make("a"), make("bb");
    CHECK(!rename("one", "two")); /* the same file: nothing happens */
    CHECK(status_of("one").st_nlink == 2);
    CHECK(!syscall(SYS_renameat, AT_FDCWD, "a", dir, "a") && status_of("d/a").st_size == 1);
    CHECK(!syscall(SYS_rename, "d/a", "a"));
    CHECK_ERRNO(rename2("a", "bb", RENAME_NOREPLACE), EEXIST);
    CHECK(!rename2("a", "bb", RENAME_EXCHANGE));
    CHECK(status_of("a").st_size == 2 && status_of("bb").st_size == 1);
    CHECK_ERRNO(rename2("a", "none", RENAME_EXCHANGE), ENOENT);
    CHECK_ERRNO(rename2("a", "bb", RENAME_EXCHANGE | RENAME_NOREPLACE), EINVAL);
    CHECK_ERRNO(rename2("a", "bb", 0x80), EINVAL);
    CHECK(!rename2("a", "d", RENAME_EXCHANGE) && S_ISREG(status_of("d").st_mode));
    CHECK(!rename2("a", "d", RENAME_EXCHANGE));
    CHECK_ERRNO(rename("a", "d"), EISDIR);
    CHECK_ERRNO(rename("d", "a"), ENOTDIR);
    CHECK_ERRNO(rename("d", "d/sub/d"), EINVAL);
    CHECK_ERRNO(rename("d/sub", "d"), ENOTEMPTY);
    CHECK_ERRNO(rename("d/.", "e"), EBUSY);
    CHECK_ERRNO(rename("a/", "e"), ENOTDIR);
    CHECK(!mkdir("empty", 0700) && !rename("d/sub", "empty") && !rename("empty", "d/sub"));
    CHECK_ERRNO(rename("/proc/none", "/proc/x"), ENOENT);
    CHECK_ERRNO(rename("/proc/stat", "/proc/stat2"), ENOENT); /* which no name can become */
    CHECK_ERRNO(rename("/proc/stat", "/proc/uptime"), EPERM);
    CHECK_ERRNO(rename("/proc/stat", "x"), EXDEV);
    CHECK(!rename2("a", "c", RENAME_NOREPLACE) && !rename("c", "a"));
}

static void test_modes(void)
{
    int fd = open("a", O_RDONLY), place = open("a", O_PATH);

    CHECK(!syscall(SYS_chmod, "a", 06751) && (status_of("a").st_mode & 07777) == 06751);
    CHECK(!syscall(SYS_fchmod, fd, 0600) && !syscall(SYS_fchmodat, dir, "../a", 0640));
    CHECK((status_of("a").st_mode & 07777) == 0640);
    CHECK_ERRNO(syscall(SYS_fchmod, place, 0600), EBADF);
    chmod("a", 06755);
    CHECK(!syscall(SYS_chown, "a", 1000, 1001) && status_of("a").st_uid == 1000);
    CHECK((status_of("a").st_mode & 07777) == 0755); /* set-id bits are lost */
    chmod("a", 02644);
    CHECK(!syscall(SYS_fchown, fd, -1, 7) && (status_of("a").st_mode & 07777) == 02644);
    CHECK(!symlink("a", "l") && !syscall(SYS_lchown, "l", 5, 6) && status_of("l").st_uid == 5);
    CHECK(status_of("a").st_uid == 1000 && status_of("a").st_gid == 7);
    CHECK(!syscall(SYS_fchownat, AT_FDCWD, "l", 8, 9, AT_SYMLINK_NOFOLLOW));
    CHECK(status_of("l").st_gid == 9 && !syscall(SYS_fchownat, AT_FDCWD, "l", 0, 0, 0));
    CHECK(status_of("a").st_uid == 0 && !syscall(SYS_fchownat, place, "", 3, 3, AT_EMPTY_PATH));
    CHECK(status_of("a").st_uid == 3);
    CHECK_ERRNO(syscall(SYS_fchownat, AT_FDCWD, "l", 8, 9, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_fchown, place, 1, 1), EBADF);
    CHECK(!syscall(SYS_faccessat, dir, "../a", R_OK | W_OK));
    CHECK_ERRNO(syscall(SYS_faccessat, dir, "../a", X_OK), EACCES); /* root too needs one x */
    CHECK_ERRNO(syscall(SYS_faccessat, dir, "../a", 8), EINVAL);
    CHECK(!syscall(SYS_faccessat2, place, "", R_OK, AT_EMPTY_PATH | AT_EACCESS));
    CHECK_ERRNO(syscall(SYS_faccessat2, dir, "up", R_OK, 1), EINVAL);
    CHECK(!syscall(SYS_faccessat2, AT_FDCWD, "l", F_OK, AT_SYMLINK_NOFOLLOW));
    chown("a", 0, 0), close(fd), close(place);
}

static void test_times(void)
{
    struct utimbuf old = { 1000, 2000 };
    struct timeval pair[2] = { { 3000, 500 }, { 4000, 600 } };
    struct timespec fine[2] = { { 5000, 7 }, { 6000, 8 } };
    int fd = open("a", O_RDONLY);

    CHECK(!syscall(SYS_utime, "a", &old) && status_of("a").st_atime == 1000);
    CHECK(status_of("a").st_mtime == 2000);
    CHECK(!syscall(SYS_utimes, "a", pair) && status_of("a").st_mtim.tv_nsec == 600000);
    pair[0].tv_usec = 1000000;
    CHECK_ERRNO(syscall(SYS_utimes, "a", pair), EINVAL);
    pair[0].tv_usec = 1;
    CHECK(!syscall(SYS_futimesat, dir, "../a", pair) && status_of("a").st_atim.tv_nsec == 1000);
    CHECK(!syscall(SYS_utimensat, AT_FDCWD, "a", fine, 0) && status_of("a").st_atim.tv_nsec == 7);
    fine[0].tv_nsec = UTIME_OMIT, fine[1].tv_sec = 9000;
    CHECK(!syscall(SYS_utimensat, fd, NULL, fine, 0));
    CHECK(status_of("a").st_atime == 5000 && status_of("a").st_mtime == 9000);
    fine[1].tv_nsec = 1000000000;
    CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, "a", fine, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_utimensat, AT_FDCWD, "a", NULL, 1), EINVAL);
    fine[1].tv_nsec = UTIME_NOW;
    CHECK(!syscall(SYS_utimensat, AT_FDCWD, "l", fine, AT_SYMLINK_NOFOLLOW));
    CHECK(status_of("l").st_mtime > 1000000 && status_of("a").st_mtime == 9000);
    CHECK(!syscall(SYS_utime, "a", NULL) && status_of("a").st_mtime > 1000000);
    close(fd);
}

static long open2(int at, const char *name, uint64_t flags, uint64_t resolve)
{
    struct open_how how = { .flags = flags, .resolve = resolve };

    return syscall(SYS_openat2, at, name, &how, sizeof how);
}

static bool is_moving; /* atomic */

static void *move_main(void *arg)
{
    while (__atomic_load_n(&is_moving, __ATOMIC_RELAXED)) {
        CHECK(!renameat(dir, "deep", AT_FDCWD, "outside/deep"));
        CHECK(!renameat(AT_FDCWD, "outside/deep", dir, "deep"));
    }
    return arg;
}

/* ".." does not leave the root, though the folder it is the parent of does meanwhile. */
static void test_scoped(void)
{
    char name[1024] = "deep/";
    pthread_t thread;
    int fd;

    NEED(!mkdirat(dir, "deep", 0700) && !mkdir("outside", 0700));
    CHECK((fd = open("outside/secret", O_CREAT | O_WRONLY, 0600)) >= 0 && !close(fd));
    CHECK((fd = (int)open2(dir, "deep/../plain", O_RDONLY, RESOLVE_BENEATH)) >= 0 && !close(fd));
    CHECK((fd = (int)open2(dir, "deep/../plain", O_RDONLY, RESOLVE_IN_ROOT)) >= 0 && !close(fd));
    CHECK((fd = (int)open2(dir, "../../plain", O_RDONLY, RESOLVE_IN_ROOT)) >= 0 && !close(fd));
    for (int i = 0; i < 400; i++)
        strcat(name, "./");
    strcat(name, "../secret");
    is_moving = true;
    NEED(!pthread_create(&thread, NULL, move_main, NULL));
    for (int i = 0; i < 5000; i++) {
        uint64_t resolve = i & 1 ? RESOLVE_BENEATH : RESOLVE_IN_ROOT;
        if ((fd = (int)open2(dir, name, O_RDONLY, resolve)) >= 0)
            break;
    }
    CHECK(fd < 0);
    __atomic_store_n(&is_moving, false, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    CHECK(!unlink("outside/secret") && !rmdir("outside") && !unlinkat(dir, "deep", AT_REMOVEDIR));
}

static void test_open_flags(void)
{
    char text[10];
    struct stat info;
    int fd = open(".", O_TMPFILE | O_RDWR, 0600), place = open("l", O_PATH | O_NOFOLLOW);

    CHECK(fd >= 0 && write(fd, "tmp", 3) == 3 && !fstat(fd, &info) && info.st_nlink == 0);
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    CHECK(!linkat(AT_FDCWD, link, AT_FDCWD, "named", AT_SYMLINK_FOLLOW));
    CHECK(status_of("named").st_size == 3);
    close(fd);
    CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
    CHECK(place >= 0 && !fstat(place, &info) && S_ISLNK(info.st_mode));
    CHECK_ERRNO(read(place, text, 1), EBADF);
    CHECK(readlinkat(place, "", text, 10) == 1);
    CHECK_ERRNO(fcntl(place, F_SETFL, O_APPEND), EBADF);
    close(place);
    CHECK((fd = (int)open2(dir, "plain", O_RDWR, 0)) >= 0 && !close(fd));
    CHECK_ERRNO(open2(dir, "../a", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open2(dir, "up", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
    CHECK_ERRNO(open2(dir, "/etc", O_RDONLY, RESOLVE_BENEATH), EXDEV);
    CHECK_ERRNO(open2(dir, "up", O_RDONLY, RESOLVE_IN_ROOT),
                ENOENT); /* ".." of the root is the root */
    CHECK((fd = (int)open2(dir, "/plain", O_RDONLY, RESOLVE_IN_ROOT)) >= 0 && !close(fd));
    CHECK_ERRNO(open2(AT_FDCWD, "/proc/self/exe", O_RDONLY, RESOLVE_NO_MAGICLINKS), ELOOP);
    CHECK_ERRNO(open2(AT_FDCWD, "/proc/version", O_RDONLY, RESOLVE_NO_XDEV), EXDEV);
    CHECK_ERRNO(open2(dir, "plain", O_RDONLY, 0x100), EINVAL);
    CHECK_ERRNO(open2(dir, "plain", 1ULL << 40, 0), EINVAL);
    struct {
        struct open_how how;
        uint64_t more;
    } large = { .more = 1 };
    CHECK_ERRNO(syscall(SYS_openat2, dir, "plain", &large, sizeof large), E2BIG);
    CHECK_ERRNO(syscall(SYS_openat2, dir, "plain", &large, 8), EINVAL);
    large.more = 0;
    CHECK((fd = (int)syscall(SYS_openat2, dir, "plain", &large, sizeof large)) >= 0 && !close(fd));
    large.how.mode = 0600; /* a mode without O_CREAT */
    CHECK_ERRNO(syscall(SYS_openat2, dir, "plain", &large, sizeof large), EINVAL);
}

static void test_directories(void)
{
    char buffer[2000];
    struct statfs file_system, other;
    int old = open(".", O_RDONLY), seen = 0;

    for (long n; (n = syscall(SYS_getdents, dir, buffer, sizeof buffer)) > 0;)
        for (long at = 0; at < n; at += *(unsigned short *)(buffer + at + 16))
            seen++;
    CHECK(seen == 6); /* . .. sub plain socket up */
    CHECK(!lseek(dir, 0, SEEK_SET));
    CHECK_ERRNO(syscall(SYS_getdents, dir, buffer, 10), EINVAL);
    CHECK(!syscall(SYS_chdir, "d") && getcwd(buffer, 2000) && !strcmp(strrchr(buffer, '/'), "/d"));
    CHECK_ERRNO(syscall(SYS_getcwd, buffer, 3), ERANGE);
    CHECK(!syscall(SYS_fchdir, old));
    CHECK(!syscall(SYS_statfs, ".", &file_system) && !syscall(SYS_fstatfs, dir, &other));
    CHECK(file_system.f_type == other.f_type && file_system.f_namelen == 255 &&
          other.f_bsize >= 512);
    fflush(stdout);
    if (fork() == 0) {
        CHECK(!syscall(SYS_chroot, "d") && !access("/plain", F_OK) && !chdir("/"));
        CHECK(!access("../../../plain", F_OK) && getcwd(buffer, 2000) && !strcmp(buffer, "/"));
        _exit(check_failures);
    }
    int status;
    CHECK(wait(&status) > 0 && status == 0);
    close(old);
    syscall(SYS_sync);
    CHECK(!syscall(SYS_syncfs, dir) && !syscall(SYS_fsync, dir) && !syscall(SYS_fdatasync, dir));
}

int main(void)
{
    test_create();
    test_links();
    test_rename();
    test_modes();
    test_times();
    test_open_flags();
    test_scoped();
    test_directories();
    return check_end();
}
