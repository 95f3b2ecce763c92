// SPDX-License-Identifier: MIT
/*
 * Moving file data: vectors with positions and flags, copying between files, preallocation and holes, truncation,
 * advice and syncing, duplicates of descriptors.
 * test: variants=dynamic
 */
#include "check.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifndef SEEK_DATA
#define SEEK_DATA 3
#define SEEK_HOLE 4
#endif

static char a[100], b[100];
static struct iovec two[2] = { { a, 4 }, { b, 6 } };

static long size_of(int fd)
{
    struct stat info;

    CHECK(!fstat(fd, &info));
    return info.st_size;
}

static int file_with(const char *text)
{
    int fd = open(".", O_TMPFILE | O_RDWR, 0600);

    NEED(fd >= 0 && write(fd, text, strlen(text)) == (long)strlen(text) && !lseek(fd, 0, SEEK_SET));
    return fd;
}

static void test_vectors(void)
{
    int fd = file_with("0123456789abcdef"), readonly = open("/proc/self/exe", O_RDONLY);
    struct iovec many[3] = { { a, 1 }, { NULL, 0 }, { b, 1 } };

    CHECK(syscall(SYS_readv, fd, two, 2) == 10 && !memcmp(a, "0123", 4) && !memcmp(b, "456789", 6));
    CHECK(syscall(SYS_readv, fd, many, 3) == 2 && a[0] == 'a' && b[0] == 'b');
    CHECK(syscall(SYS_readv, fd, two, 0) == 0);
    CHECK(syscall(SYS_preadv, fd, two, 2, 2, 0) == 10 && !memcmp(a, "2345", 4));
    CHECK(syscall(SYS_preadv, fd, two, 2, 100, 0) == 0 && lseek(fd, 0, SEEK_CUR) == 12);
    CHECK(syscall(SYS_pwritev, fd, two, 1, 14, 0) == 4 && size_of(fd) == 18);
    CHECK(syscall(SYS_writev, fd, two, 1) == 4 && lseek(fd, 0, SEEK_CUR) == 16);
    CHECK(syscall(SYS_preadv2, fd, two, 2, -1L, -1L, 0) == 2 && lseek(fd, 0, SEEK_CUR) == 18);
    CHECK(syscall(SYS_pwritev2, fd, two, 1, 0, 0, RWF_APPEND) == 4 && size_of(fd) == 22);
    CHECK(syscall(SYS_pwritev2, fd, two, 1, 0, 0, RWF_DSYNC) == 4 && size_of(fd) == 22);
    CHECK(syscall(SYS_preadv2, fd, two, 1, 0, 0, RWF_APPEND) == 4); /* nothing to a read */
    CHECK_ERRNO(syscall(SYS_preadv2, fd, two, 1, 0, 0, 0x10000), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_preadv, fd, two, 1, -1L, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_readv, fd, two, 1025), EINVAL);
    CHECK_ERRNO(syscall(SYS_readv, fd, two, -1L), EINVAL);
    CHECK_ERRNO(syscall(SYS_writev, readonly, two, 1), EBADF);
    two[1].iov_len = (size_t)-1;
    CHECK_ERRNO(syscall(SYS_readv, fd, two, 2), EINVAL);
    two[1].iov_len = 6;
    int ends[2];
    CHECK(!pipe(ends));
    CHECK_ERRNO(syscall(SYS_preadv, ends[0], two, 1, 0, 0), ESPIPE);
    CHECK_ERRNO(syscall(SYS_pread64, ends[0], a, 1, 0), ESPIPE);
    CHECK_ERRNO(syscall(SYS_pwrite64, ends[1], a, 1, 0), ESPIPE);
    CHECK_ERRNO(syscall(SYS_lseek, ends[0], 0, SEEK_CUR), ESPIPE);
    CHECK_ERRNO(syscall(SYS_pread64, fd, a, 1, -1L), EINVAL);
    CHECK_ERRNO(read(ends[1], a, 1), EBADF);
    CHECK_ERRNO(read(open("/", O_RDONLY), a, 1), EISDIR);
    close(fd), close(readonly), close(ends[0]), close(ends[1]);
}

static void test_copies(void)
{
    int from = file_with("0123456789"), to = file_with(""), ends[2];
    long position = 3, at = 1;

    CHECK(syscall(SYS_sendfile, to, from, &position, 4) == 4 && position == 7);
    CHECK(lseek(from, 0, SEEK_CUR) == 0 && lseek(to, 0, SEEK_CUR) == 4);
    CHECK(syscall(SYS_sendfile, to, from, NULL, 100) == 10 && size_of(to) == 14);
    CHECK(syscall(SYS_sendfile, to, from, NULL, 100) == 0);
    position = -1;
    CHECK_ERRNO(syscall(SYS_sendfile, to, from, &position, 4), EINVAL);
    CHECK(!pipe(ends));
    CHECK_ERRNO(syscall(SYS_sendfile, to, ends[0], NULL, 1), EINVAL);
    position = 0;
    CHECK(syscall(SYS_copy_file_range, from, &position, to, &at, 5, 0) == 5);
    CHECK(position == 5 && at == 6 && pread(to, a, 7, 0) == 7 && !memcmp(a, "3012342", 7));
    CHECK_ERRNO(syscall(SYS_copy_file_range, from, &position, to, &at, 5, 1), EINVAL);
    at = 0, position = 2;
    CHECK_ERRNO(syscall(SYS_copy_file_range, from, &position, from, &at, 5, 0), EINVAL);
    at = 20;
    CHECK(syscall(SYS_copy_file_range, from, &position, from, &at, 5, 0) == 5 &&
          size_of(from) == 25);
    position = 100;
    CHECK(syscall(SYS_copy_file_range, from, &position, to, &at, 5, 0) == 0);
    CHECK_ERRNO(syscall(SYS_copy_file_range, ends[0], NULL, to, NULL, 5, 0), EINVAL);
    close(from), close(to), close(ends[0]), close(ends[1]);
}

static void test_holes(void)
{
    int fd = file_with("");
    struct stat info;

    CHECK(!syscall(SYS_ftruncate, fd, 1 << 20) && size_of(fd) == 1 << 20);
    CHECK(!fstat(fd, &info) && info.st_blocks == 0);
    CHECK(pwrite(fd, "data", 4, 512 << 10) == 4);
    CHECK(lseek(fd, 0, SEEK_DATA) == 512 << 10 && lseek(fd, 0, SEEK_HOLE) == 0);
    CHECK(lseek(fd, 512 << 10, SEEK_HOLE) == (512 << 10) + 4096);
    CHECK_ERRNO(lseek(fd, 513 << 10 << 10, SEEK_DATA), ENXIO);
    CHECK_ERRNO(lseek(fd, 600 << 10, SEEK_DATA), ENXIO);
    CHECK(!syscall(SYS_fallocate, fd, 0, 0, 8192) && !fstat(fd, &info) && info.st_blocks >= 24);
    CHECK(!syscall(SYS_fallocate, fd, FALLOC_FL_KEEP_SIZE, 1 << 20, 4096) &&
          size_of(fd) == 1 << 20);
    CHECK(!syscall(SYS_fallocate, fd, 0, 1 << 20, 4096) && size_of(fd) == (1 << 20) + 4096);
    CHECK(!syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (512 << 10) + 1,
                   2));
    CHECK(pread(fd, a, 4, 512 << 10) == 4 && !memcmp(a, "d\0\0a", 4));
    CHECK_ERRNO(syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE, 0, 2), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_fallocate, fd, 0, 0, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_fallocate, fd, 0, -1L, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_fallocate, fd, 0, 0x7fffffffffffffff, 1), EFBIG);
    CHECK_ERRNO(syscall(SYS_fallocate, fd, 0x4000, 0, 1), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_ftruncate, fd, -1L), EINVAL);
    int readonly = open("/proc/self/exe", O_RDONLY);
    CHECK_ERRNO(syscall(SYS_ftruncate, readonly, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_fallocate, readonly, 0, 0, 1), EBADF);
    CHECK(!close(open("t", O_RDWR | O_CREAT, 0600)));
    CHECK(!syscall(SYS_truncate, "t", 5) && !syscall(SYS_truncate, "t", 2));
    CHECK_ERRNO(syscall(SYS_truncate, ".", 2), EISDIR);
    CHECK_ERRNO(syscall(SYS_truncate, "t", -2L), EINVAL);
    CHECK_ERRNO(syscall(SYS_truncate, "/dev/null", 0), EINVAL);
    /* What lies behind a shorter end is zero when the file grows again. */
    CHECK(pwrite(fd, "xyz", 3, 100) == 3 && !ftruncate(fd, 101) && !ftruncate(fd, 200));
    CHECK(pread(fd, a, 4, 100) == 4 && !memcmp(a, "x\0\0\0", 4));
    close(fd), close(readonly);
}

static long blocks_of(int fd)
{
    struct stat info;

    CHECK(!fstat(fd, &info));
    return info.st_blocks;
}

/* Blocks behind the end, which a truncation to the same size gives back; and those of a call that fails. */
static void test_preallocation(void)
{
    int fd;

    CHECK(!mkdir("m", 0700) && !mount("none", "m", "tmpfs", 0, "size=64k"));
    NEED((fd = open("m/f", O_RDWR | O_CREAT, 0600)) >= 0);
    CHECK(!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 3 * 4096) && blocks_of(fd) == 24);
    CHECK(!close(open("m/f", O_WRONLY | O_TRUNC)) && blocks_of(fd) == 0);
    CHECK(write(fd, "text", 4) == 4);
    CHECK(!fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 4 * 4096) && blocks_of(fd) == 32);
    CHECK(!ftruncate(fd, 8192) && blocks_of(fd) == 32);
    CHECK(!ftruncate(fd, 8192) && blocks_of(fd) == 16);
    CHECK(pwrite(fd, "text", 4, 4096) == 4);
    int other = open("m/other", O_RDWR | O_CREAT, 0600);
    CHECK(!fallocate(other, 0, 0, 8 * 4096) && blocks_of(other) == 64);
    CHECK_ERRNO(fallocate(fd, 0, 4096, 9 * 4096), ENOSPC);
    CHECK(size_of(fd) == 8192 && blocks_of(fd) == 16);
    CHECK(pread(fd, a, 4, 0) == 4 && !memcmp(a, "text", 4));
    CHECK(pread(fd, a, 4, 4096) == 4 && !memcmp(a, "text", 4));
    CHECK(!fallocate(other, 0, 0, 14 * 4096) && blocks_of(other) == 112);
    CHECK(!close(fd) && !close(other) && !umount("m") && !rmdir("m"));
}

static void test_advice(void)
{
    int fd = file_with("0123456789"), ends[2], link = open("/", O_PATH);

    CHECK(!pipe(ends));
    CHECK(!syscall(SYS_fsync, fd) && !syscall(SYS_fdatasync, fd));
    CHECK_ERRNO(syscall(SYS_fsync, ends[0]), EINVAL);
    CHECK_ERRNO(syscall(SYS_fdatasync, ends[0]), EINVAL);
    CHECK_ERRNO(syscall(SYS_fsync, link), EBADF);
    CHECK(!syscall(SYS_syncfs, fd));
    CHECK_ERRNO(syscall(SYS_syncfs, 99), EBADF);
    CHECK(!syscall(SYS_sync_file_range, fd, 0, 0, 7));
    CHECK_ERRNO(syscall(SYS_sync_file_range, fd, 0, 0, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_sync_file_range, fd, -1L, 0, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sync_file_range, ends[0], 0, 0, 1), ESPIPE);
    CHECK_ERRNO(syscall(SYS_sync_file_range, 99, 0, 0, 1), EBADF);
    for (int advice = 0; advice < 6; advice++)
        CHECK(!syscall(SYS_fadvise64, fd, 0, 0, advice));
    CHECK_ERRNO(syscall(SYS_fadvise64, fd, 0, 0, 6), EINVAL);
    CHECK_ERRNO(syscall(SYS_fadvise64, fd, 0, -1L, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_fadvise64, ends[0], 0, 0, 0), ESPIPE);
    CHECK_ERRNO(syscall(SYS_fadvise64, 99, 0, 0, 0), EBADF);
    CHECK(!syscall(SYS_readahead, fd, 0, 100));
    CHECK_ERRNO(syscall(SYS_readahead, ends[0], 0, 100), EINVAL);
    CHECK_ERRNO(syscall(SYS_readahead, 99, 0, 100), EBADF);
    close(fd), close(link), close(ends[0]), close(ends[1]);
}

static void test_descriptors(void)
{
    int fd = file_with("0");

    CHECK(syscall(SYS_dup, fd) >= 0 && syscall(SYS_dup2, fd, 50) == 50 && dup2(fd, fd) == fd);
    CHECK(syscall(SYS_dup3, fd, 51, O_CLOEXEC) == 51 && fcntl(51, F_GETFD) == FD_CLOEXEC);
    CHECK_ERRNO(syscall(SYS_dup3, fd, fd, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_dup3, fd, 52, O_APPEND), EINVAL);
    CHECK_ERRNO(syscall(SYS_dup2, fd, 1 << 24), EBADF);
    CHECK(!syscall(SYS_close_range, 50, 60, 4) && fcntl(50, F_GETFD) == FD_CLOEXEC);
    CHECK(!syscall(SYS_close_range, 50, 60, 0));
    CHECK_ERRNO(fcntl(50, F_GETFD), EBADF);
    CHECK_ERRNO(syscall(SYS_close_range, 60, 50, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_close_range, 50, 60, 8), EINVAL);
    CHECK(fcntl(fd, F_DUPFD_CLOEXEC, 70) == 70 && !close(70));
    CHECK_ERRNO(fcntl(fd, F_DUPFD, -1), EINVAL);
    CHECK_ERRNO(fcntl(fd, 9999, 0), EINVAL);
    close(fd);
}

/* The file size limit: SIGXFSZ and EFBIG, and what fits is written. */
static void test_size_limit(void)
{
    struct rlimit limit = { 10, 10 };
    int status;

    fflush(stdout);
    if (fork() == 0) {
        int fd = file_with("");
        setrlimit(RLIMIT_FSIZE, &limit);
        signal(SIGXFSZ, SIG_IGN);
        CHECK(write(fd, a, 20) == 10);
        CHECK_ERRNO(write(fd, a, 20), EFBIG);
        CHECK_ERRNO(ftruncate(fd, 20), EFBIG);
        CHECK(!ftruncate(fd, 5));
        signal(SIGXFSZ, SIG_DFL);
        pwrite(fd, a, 1, 10);
        _exit(check_failures);
    }
    CHECK(wait(&status) > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGXFSZ);
}

int main(void)
{
    test_vectors();
    test_copies();
    test_holes();
    test_preallocation();
    test_advice();
    test_descriptors();
    test_size_limit();
    return check_end();
}
