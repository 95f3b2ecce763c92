// SPDX-License-Identifier: MIT
/*
 * Files: open flags, positions, holes, truncate, append, vectors, links, rename, directories, times.
 * test: variants=dynamic,static flags=-Wno-stringop-overflow,-Wno-stringop-overread
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>

static void test_open(void)
{
    int fd = open("a", O_RDWR | O_CREAT | O_EXCL, 0640);
    struct stat info;

    NEED(fd >= 0);
    CHECK_ERRNO(open("a", O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
    CHECK_ERRNO(open("none", O_RDONLY), ENOENT);
    CHECK_ERRNO(open("a/b", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(open("a", O_RDONLY | O_DIRECTORY), ENOTDIR);
    CHECK_ERRNO(open(".", O_WRONLY), EISDIR);
    CHECK_ERRNO(open("", O_RDONLY), ENOENT);
    CHECK(!fstat(fd, &info) && S_ISREG(info.st_mode) && (info.st_mode & 0777) == 0640);
    CHECK(info.st_size == 0 && info.st_nlink == 1);
    CHECK(write(fd, "0123456789", 10) == 10);
    CHECK(lseek(fd, 0, SEEK_CUR) == 10 && lseek(fd, -3, SEEK_END) == 7 &&
          lseek(fd, 1, SEEK_SET) == 1);
    CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
    CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
    char buffer[20];
    CHECK(read(fd, buffer, 20) == 9 && buffer[0] == '1' && read(fd, buffer, 20) == 0);
    int append = open("a", O_WRONLY | O_APPEND);
    CHECK(write(append, "AB", 2) == 2 && lseek(append, 0, SEEK_CUR) == 12);
    CHECK_ERRNO(read(append, buffer, 1), EBADF);
    CHECK(pwrite(append, "C", 1, 0) == 1); /* Linux appends all the same */
    CHECK(!fstat(fd, &info) && info.st_size == 13);
    int readonly = open("a", O_RDONLY);
    CHECK_ERRNO(write(readonly, "x", 1), EBADF);
    CHECK((fcntl(readonly, F_GETFL) & O_ACCMODE) == O_RDONLY);
    close(open("a", O_WRONLY | O_TRUNC));
    CHECK(!fstat(fd, &info) && info.st_size == 0);
    CHECK_ERRNO(close(99), EBADF);
    close(fd), close(append), close(readonly);
    char name[300];
    memset(name, 'n', sizeof name);
    name[256] = 0;
    CHECK_ERRNO(open(name, O_RDWR | O_CREAT, 0600), ENAMETOOLONG);
    name[255] = 0;
    fd = open(name, O_RDWR | O_CREAT, 0600);
    CHECK(fd >= 0 && !unlink(name));
    close(fd);
}

static void test_descriptors(void)
{
    int fd = open("a", O_RDWR | O_CLOEXEC), copy = dup(fd), high = fcntl(fd, F_DUPFD, 100);

    CHECK(copy != fd && high >= 100);
    CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(copy, F_GETFD) == 0);
    CHECK(fcntl(fcntl(fd, F_DUPFD_CLOEXEC, 0), F_GETFD) == FD_CLOEXEC);
    CHECK(write(fd, "abc", 3) == 3 && lseek(copy, 0, SEEK_CUR) == 3); /* one position */
    CHECK(dup2(fd, 50) == 50 && dup2(fd, fd) == fd);
    CHECK_ERRNO(dup2(99, 50), EBADF);
    CHECK_ERRNO(dup3(fd, fd, 0), EINVAL);
    CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
    CHECK(!fcntl(fd, F_SETFL, O_NONBLOCK | O_APPEND));
    CHECK((fcntl(copy, F_GETFL) & (O_NONBLOCK | O_APPEND)) == (O_NONBLOCK | O_APPEND));
    CHECK(!flock(fd, LOCK_EX | LOCK_NB));
    int other = open("a", O_RDWR);
    CHECK_ERRNO(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
    CHECK(!flock(fd, LOCK_UN) && !flock(other, LOCK_EX | LOCK_NB));
    struct flock lock = { .l_type = F_WRLCK };
    CHECK(!fcntl(fd, F_SETLK, &lock));
    CHECK(!fcntl(fd, F_GETLK, &lock) && lock.l_type == F_UNLCK);
    for (int i = 3; i < 200; i++)
        close(i);
}

static void test_holes(void)
{
    int fd = open("hole", O_RDWR | O_CREAT, 0600);
    struct stat info;
    char buffer[4096];

    CHECK(pwrite(fd, "end", 3, 1 << 20) == 3);
    CHECK(!fstat(fd, &info) && info.st_size == (1 << 20) + 3);
    CHECK(info.st_blocks * 512 < 1 << 20);
    CHECK(pread(fd, buffer, 4096, 5000) == 4096 && buffer[0] == 0 && buffer[4095] == 0);
    CHECK(pread(fd, buffer, 10, (1 << 20) + 3) == 0);
    CHECK(!ftruncate(fd, 2) && pread(fd, buffer, 10, 0) == 2);
    CHECK(!ftruncate(fd, 5000) && pread(fd, buffer, 10, 4995) == 5 && buffer[0] == 0);
    CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
    CHECK(!posix_fallocate(fd, 0, 10000) && !fstat(fd, &info) && info.st_size == 10000);
    CHECK_ERRNO(pread(fd, buffer, 1, -1), EINVAL);
    struct iovec parts[3] = { { "ab", 2 }, { NULL, 0 }, { "cde", 3 } };
    CHECK(pwritev(fd, parts, 3, 0) == 5);
    struct iovec into[2] = { { buffer, 1 }, { buffer + 100, 4 } };
    CHECK(preadv(fd, into, 2, 0) == 5 && buffer[0] == 'a' && !memcmp(buffer + 100, "bcde", 4));
    CHECK_ERRNO(writev(fd, parts, -1), EINVAL);
    CHECK_ERRNO(writev(fd, parts, IOV_MAX + 1), EINVAL);
    close(fd);
}

static void test_links(void)
{
    struct stat one, two;
    char buffer[100];

    close(open("first", O_CREAT | O_WRONLY, 0600));
    CHECK(!link("first", "second") && !stat("first", &one) && !stat("second", &two));
    CHECK(one.st_ino == two.st_ino && one.st_nlink == 2);
    CHECK(!symlink("first", "soft") && readlink("soft", buffer, 100) == 5 &&
          !memcmp(buffer, "first", 5));
    CHECK(readlink("soft", buffer, 3) == 3);
    CHECK_ERRNO(readlink("first", buffer, 100), EINVAL);
    CHECK(!lstat("soft", &one) && S_ISLNK(one.st_mode) && one.st_size == 5);
    CHECK(!stat("soft", &one) && S_ISREG(one.st_mode));
    CHECK(!symlink("loop", "loop"));
    CHECK_ERRNO(stat("loop", &one), ELOOP);
    CHECK_ERRNO(open("soft", O_RDONLY | O_NOFOLLOW), ELOOP);
    CHECK(!symlink("nowhere", "dangling"));
    CHECK_ERRNO(stat("dangling", &one), ENOENT);
    CHECK(open("dangling", O_CREAT | O_WRONLY, 0600) >= 0 &&
          !stat("nowhere", &one)); /* creates the target */
    CHECK_ERRNO(link("first", "second"), EEXIST);
    CHECK_ERRNO(unlink("gone"), ENOENT);
    /* An unlinked file lives while it is open. */
    int fd = open("second", O_RDWR);
    CHECK(!unlink("second") && !unlink("first") && write(fd, "x", 1) == 1 && !fstat(fd, &one));
    CHECK(one.st_nlink == 0);
    close(fd);
}

static void test_rename(void)
{
    struct stat info;

    close(open("x", O_CREAT | O_WRONLY, 0600));
    close(open("y", O_CREAT | O_WRONLY, 0600));
    CHECK(!rename("x", "y"));
    CHECK_ERRNO(stat("x", &info), ENOENT);
    CHECK(!mkdir("d", 0755) && !mkdir("d/e", 0755));
    CHECK_ERRNO(rename("d", "d/e/f"), EINVAL);
    CHECK_ERRNO(rename("y", "d"), EISDIR);
    CHECK_ERRNO(rename("d", "y"), ENOTDIR);
    CHECK(!mkdir("empty", 0755) && !rename("d", "empty") && !stat("empty/e", &info));
    CHECK(!mkdir("d", 0755));
    CHECK_ERRNO(rename("d", "empty"), ENOTEMPTY);
    CHECK_ERRNO(renameat2(AT_FDCWD, "y", AT_FDCWD, "d", RENAME_NOREPLACE), EEXIST);
    CHECK(!renameat2(AT_FDCWD, "y", AT_FDCWD, "d", RENAME_EXCHANGE) && !stat("y", &info) &&
          S_ISDIR(info.st_mode));
    CHECK(!rmdir("y") && !unlink("d") && !rmdir("empty/e") && !rmdir("empty"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void test_directories(void)
{
    char name[20], *names[400];
    int count = 0;

    CHECK(!mkdir("dir", 0751));
    CHECK_ERRNO(mkdir("dir", 0700), EEXIST);
    CHECK_ERRNO(rmdir("."), EINVAL);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "dir/f%03d", i);
        close(open(name, O_CREAT | O_WRONLY, 0600));
    }
    CHECK_ERRNO(rmdir("dir"), ENOTEMPTY);
    CHECK_ERRNO(unlink("dir"), EISDIR);
    DIR *dir = opendir("dir");
    for (struct dirent *entry; (entry = readdir(dir));) {
        CHECK(entry->d_type == (entry->d_name[0] == '.' ? DT_DIR : DT_REG));
        names[count++] = strdup(entry->d_name);
    }
    qsort(names, (size_t)count, sizeof *names, by_name);
    CHECK(count == 302 && !strcmp(names[0], ".") && !strcmp(names[2], "f000") &&
          !strcmp(names[301], "f299"));
    rewinddir(dir);
    CHECK(readdir(dir) != NULL);
    closedir(dir);
    /* Entries removed while the directory is read. */
    dir = opendir("dir");
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] == 'f')
            CHECK(!unlinkat(dirfd(dir), entry->d_name, 0));
    closedir(dir);
    CHECK(!rmdir("dir"));
}

static void test_paths(void)
{
    char here[PATH_MAX], buffer[PATH_MAX];
    struct stat info;

    NEED(getcwd(here, sizeof here));
    CHECK_ERRNO(syscall(79, buffer, 1UL), ERANGE); /* getcwd */
    CHECK(!mkdir("p", 0755) && !mkdir("p/q", 0755) && !chdir("p/q"));
    CHECK(!stat("../../p/./q//", &info) && S_ISDIR(info.st_mode));
    CHECK(!chdir("../.."));
    CHECK(getcwd(buffer, sizeof buffer) && !strcmp(here, buffer));
    int dir = open("p", O_RDONLY | O_DIRECTORY);
    CHECK(!fchdir(dir) && !chdir(here));
    int fd = openat(dir, "q/file", O_CREAT | O_WRONLY, 0600);
    CHECK(fd >= 0 && !fstatat(dir, "q/file", &info, 0) && !faccessat(dir, "q/file", R_OK, 0));
    CHECK_ERRNO(faccessat(dir, "none", F_OK, 0), ENOENT);
    CHECK(!fstatat(fd, "", &info, AT_EMPTY_PATH));
    CHECK_ERRNO(openat(fd, "x", O_RDONLY), ENOTDIR);
    CHECK_ERRNO(openat(99, "x", O_RDONLY), EBADF);
    CHECK(!stat("/", &info) && S_ISDIR(info.st_mode) && !stat("/..", &info));
    CHECK(realpath("p/../p/q", buffer) && strstr(buffer, "/p/q"));
    CHECK(!unlinkat(dir, "q/file", 0) && !unlinkat(dir, "q", AT_REMOVEDIR) && !rmdir("p"));
}

static void test_attributes(void)
{
    int fd = open("attr", O_RDWR | O_CREAT, 0666);
    struct stat info;
    struct timespec times[2] = { { 1000, 5 }, { 2000, 7 } };

    CHECK(!fchmod(fd, 0751) && !fstat(fd, &info) && (info.st_mode & 07777) == 0751);
    CHECK(!chmod("attr", 04755) && !stat("attr", &info) && (info.st_mode & 07777) == 04755);
    CHECK(!futimens(fd, times) && !fstat(fd, &info));
    CHECK(info.st_atim.tv_sec == 1000 && info.st_mtim.tv_sec == 2000 && info.st_mtim.tv_nsec == 7);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    CHECK(!utimensat(AT_FDCWD, "attr", times, 0) && !fstat(fd, &info));
    CHECK(info.st_atim.tv_sec == 1000 && info.st_mtim.tv_sec > 1600000000);
    struct timespec before = info.st_mtim;
    sleep_ms(15);
    CHECK(write(fd, "x", 1) == 1 && !fstat(fd, &info));
    CHECK(info.st_mtim.tv_sec > before.tv_sec || info.st_mtim.tv_nsec > before.tv_nsec);
    CHECK(umask(022) == 022 || 1);
    close(open("masked", O_CREAT | O_WRONLY, 0666));
    CHECK(!stat("masked", &info) && (info.st_mode & 0777) == 0644);
    struct statvfs vfs;
    CHECK(!statvfs(".", &vfs) && vfs.f_bsize >= 512 && vfs.f_namemax >= 255);
    struct statx x;
    CHECK(!statx(AT_FDCWD, "attr", 0, STATX_BASIC_STATS, &x) && x.stx_size == 1);
    CHECK((x.stx_mask & STATX_SIZE) && (x.stx_mode & 07777) == 04755 - 0);
    close(fd);
}

int main(void)
{
    umask(022);
    test_open();
    test_descriptors();
    test_holes();
    test_links();
    test_rename();
    test_directories();
    test_paths();
    test_attributes();
    return check_end();
}
