// SPDX-License-Identifier: MIT
/*
 * The VFS core and the RAM file system by their system calls.  What is expected is what Linux's
 * tmpfs gives.
 */
#include <string.h>

#include "abi/dirent.h"
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/ioctl.h"
#include "abi/mount.h"
#include "abi/stat.h"
#include "abi/xattr.h"
#include "fs/fdtable.h"
#include "fs/file.h"
#include "kernel/rlimit.h"
#include "kernel/syscall.h"
#include "tests/host/check.h"
#include "tests/host/fs_world.h"

#define CWD  ABI_AT_FDCWD
#define RDWR (ABI_O_RDWR | ABI_O_CREAT)
#define BAD  ((void *)16)

static long put(const char *name, const char *text)
{
    int fd = (int)sys_open(name, ABI_O_WRONLY | ABI_O_CREAT | ABI_O_TRUNC, 0644);

    CHECK(fd >= 0);
    CHECK_EQ(sys_write(fd, text, strlen(text)), strlen(text));
    return sys_close(fd);
}

static const char *get(const char *name)
{
    static char text[4096];
    int fd = (int)sys_open(name, ABI_O_RDONLY, 0);

    if (fd < 0)
        return "(missing)";
    long n = sys_read(fd, text, sizeof(text) - 1);
    CHECK(n >= 0);
    text[n] = '\0';
    CHECK_EQ(sys_close(fd), 0);
    return text;
}

static struct abi_stat stat_of(const char *name)
{
    struct abi_stat stat;

    CHECK_EQ(sys_lstat(name, &stat), 0);
    return stat;
}

static void test_open(void)
{
    int fd;

    CHECK_EQ(sys_open("/none", ABI_O_RDONLY, 0), -ENOENT);
    CHECK_EQ(sys_open("", ABI_O_RDONLY, 0), -ENOENT);
    CHECK_EQ(sys_open(BAD, ABI_O_RDONLY, 0), -EFAULT);
    CHECK_EQ(sys_open("/", ABI_O_RDWR, 0), -EISDIR);
    CHECK_EQ(sys_open("/", RDWR, 0), -EISDIR);
    CHECK_EQ(sys_open("/new/", RDWR, 0644), -EISDIR);
    fd = (int)sys_open("/file", RDWR | ABI_O_EXCL, 0666);
    CHECK_EQ(fd, 0);
    CHECK_EQ(stat_of("/file").st_mode, ABI_S_IFREG | 0644);
    CHECK_EQ(sys_open("/file", RDWR | ABI_O_EXCL, 0666), -EEXIST);
    CHECK_EQ(sys_open("/file/x", ABI_O_RDONLY, 0), -ENOTDIR);
    CHECK_EQ(sys_open("/file/", ABI_O_RDONLY, 0), -ENOTDIR);
    CHECK_EQ(sys_open("/file", ABI_O_RDONLY | ABI_O_DIRECTORY, 0), -ENOTDIR);
    CHECK_EQ(sys_openat(fd, "x", ABI_O_RDONLY, 0), -ENOTDIR);
    CHECK_EQ(sys_openat(77, "x", ABI_O_RDONLY, 0), -EBADF);
    CHECK_EQ(sys_fcntl(fd, ABI_F_GETFL, 0), ABI_O_RDWR | ABI_O_LARGEFILE);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_close(fd), -EBADF);
    CHECK_EQ(sys_unlink("/file"), 0);
    char name[300];
    memset(name, 'n', sizeof(name));
    name[0] = '/';
    name[256] = '\0';
    CHECK_EQ(put(name, "long"), 0);
    CHECK_EQ(sys_unlink(name), 0);
    name[256] = 'n';
    name[257] = '\0';
    CHECK_EQ(sys_open(name, RDWR, 0644), -ENAMETOOLONG);
    CHECK_EQ(sys_open(name, ABI_O_RDONLY, 0), -ENAMETOOLONG);
}

static void test_read_write(void)
{
    char buf[64];
    int fd = (int)sys_open("/rw", RDWR, 0644);
    struct abi_iovec vector[3] = { { (uintptr_t) "ab", 2 }, { 0, 0 }, { (uintptr_t) "cdef", 4 } };

    CHECK_EQ(sys_writev(fd, vector, 3), 6);
    CHECK_EQ(sys_read(fd, buf, 10), 0);
    CHECK_EQ(sys_lseek(fd, 1, ABI_SEEK_SET), 1);
    CHECK_EQ(sys_read(fd, buf, 3), 3);
    CHECK(memcmp(buf, "bcd", 3) == 0);
    CHECK_EQ(sys_pread64(fd, buf, 10, 4), 2);
    CHECK_EQ(sys_pread64(fd, buf, 10, -1), -EINVAL);
    CHECK_EQ(sys_read(fd, BAD, 2), -EFAULT);
    CHECK_EQ(sys_write(fd, BAD, 2), -EFAULT);
    CHECK_EQ(sys_pwrite64(fd, "X", 1, 10000), 1);
    CHECK_EQ(stat_of("/rw").st_size, 10001);
    CHECK_EQ(stat_of("/rw").st_blocks, 16);
    CHECK_EQ(sys_lseek(fd, 0, ABI_SEEK_DATA), 0);
    CHECK_EQ(sys_lseek(fd, 0, ABI_SEEK_HOLE), 4096);
    CHECK_EQ(sys_lseek(fd, 4096, ABI_SEEK_DATA), 8192);
    CHECK_EQ(sys_lseek(fd, 8192, ABI_SEEK_HOLE), 10001);
    CHECK_EQ(sys_lseek(fd, 10001, ABI_SEEK_DATA), -ENXIO);
    CHECK_EQ(sys_lseek(fd, -1, ABI_SEEK_SET), -EINVAL);
    CHECK_EQ(sys_lseek(fd, 0, 9), -EINVAL);
    CHECK_EQ(sys_ftruncate(fd, 3), 0);
    CHECK_EQ(sys_ftruncate(fd, 8), 0);
    CHECK_EQ(sys_pread64(fd, buf, 10, 0), 8);
    CHECK(memcmp(buf, "abc\0\0\0\0\0", 8) == 0);
    CHECK_EQ(sys_ftruncate(fd, -1), -EINVAL);
    CHECK_EQ(sys_close(fd), 0);
    fd = (int)sys_open("/rw", ABI_O_WRONLY | ABI_O_APPEND, 0);
    CHECK_EQ(sys_write(fd, "end", 3), 3);
    CHECK_EQ(sys_lseek(fd, 0, ABI_SEEK_CUR), 11);
    CHECK_EQ(sys_read(fd, buf, 1), -EBADF);
    CHECK_EQ(sys_close(fd), 0);
    world_limit[LIMIT_FSIZE] = 12;
    fd = (int)sys_open("/rw", ABI_O_WRONLY | ABI_O_APPEND, 0);
    CHECK_EQ(sys_write(fd, "more", 4), 1);
    CHECK_EQ(sys_write(fd, "more", 4), -EFBIG);
    CHECK_EQ(world_signals, 1);
    world_limit[LIMIT_FSIZE] = LIMIT_INFINITY;
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_unlink("/rw"), 0);
}

static void test_names(void)
{
    CHECK_EQ(sys_mkdir("/a", 0777), 0);
    CHECK_EQ(sys_mkdir("/a", 0777), -EEXIST);
    CHECK_EQ(sys_mkdir("/a/b/", 0777), 0);
    CHECK_EQ(sys_mkdir("/a/.", 0777), -EEXIST);
    CHECK_EQ(sys_mkdir("/", 0777), -EEXIST);
    CHECK_EQ(sys_mkdir("/none/b", 0777), -ENOENT);
    CHECK_EQ(stat_of("/a").st_nlink, 3);
    put("/a/f", "text");
    CHECK_EQ(sys_rmdir("/a"), -ENOTEMPTY);
    CHECK_EQ(sys_rmdir("/a/."), -EINVAL);
    CHECK_EQ(sys_rmdir("/a/b/.."), -ENOTEMPTY);
    CHECK_EQ(sys_rmdir("/"), -EBUSY);
    CHECK_EQ(sys_rmdir("/a/f"), -ENOTDIR);
    CHECK_EQ(sys_unlink("/a/b"), -EISDIR);
    CHECK_EQ(sys_unlink("/a/f/"), -ENOTDIR);
    CHECK_EQ(sys_unlink("/a/none"), -ENOENT);
    CHECK_EQ(sys_link("/a/f", "/a/g"), 0);
    CHECK_EQ(sys_link("/a/f", "/a/g"), -EEXIST);
    CHECK_EQ(sys_link("/a", "/dirlink"), -EPERM);
    CHECK_EQ(stat_of("/a/g").st_nlink, 2);
    CHECK_EQ(sys_unlink("/a/f"), 0);
    CHECK(strcmp(get("/a/g"), "text") == 0);
    CHECK_EQ(sys_mknod("/fifo", ABI_S_IFIFO | 0600, 0), 0);
    CHECK_EQ(stat_of("/fifo").st_mode, ABI_S_IFIFO | 0600);
    CHECK_EQ(sys_mknod("/dir", ABI_S_IFDIR | 0600, 0), -EPERM);
    CHECK_EQ(sys_mknod("/null", ABI_S_IFCHR | 0666, 0x103), 0);
    CHECK_EQ(stat_of("/null").st_rdev, 0x103);
    CHECK_EQ(sys_open("/null", ABI_O_RDWR, 0), -ENXIO);
    CHECK_EQ(sys_unlink("/null"), 0);
    CHECK_EQ(sys_unlink("/fifo"), 0);
    CHECK_EQ(sys_unlink("/a/g"), 0);
    CHECK_EQ(sys_rmdir("/a/b"), 0);
    CHECK_EQ(stat_of("/a").st_nlink, 2);
    CHECK_EQ(sys_rmdir("/a"), 0);
}

static void test_links(void)
{
    char buf[32];

    CHECK_EQ(sys_mkdir("/d", 0777), 0);
    put("/d/f", "one");
    CHECK_EQ(sys_symlink("d/f", "/l"), 0);
    CHECK_EQ(sys_symlink("/d", "/ld"), 0);
    CHECK_EQ(sys_symlink("", "/le"), -ENOENT);
    CHECK(strcmp(get("/l"), "one") == 0);
    CHECK(strcmp(get("/ld/f"), "one") == 0);
    CHECK(strcmp(get("/ld/../ld/./f"), "one") == 0);
    CHECK_EQ(sys_readlink("/l", buf, 2), 2);
    CHECK_EQ(sys_readlink("/l", buf, sizeof(buf)), 3);
    CHECK_EQ(sys_readlink("/d/f", buf, sizeof(buf)), -EINVAL);
    CHECK_EQ(sys_open("/l", ABI_O_RDONLY | ABI_O_NOFOLLOW, 0), -ELOOP);
    CHECK_EQ(sys_open("/ld", ABI_O_RDONLY | ABI_O_NOFOLLOW | ABI_O_DIRECTORY, 0), -ENOTDIR);
    CHECK_EQ(sys_symlink("/self", "/self"), 0);
    CHECK_EQ(sys_open("/self", ABI_O_RDONLY, 0), -ELOOP);
    CHECK_EQ(sys_open("/self", RDWR, 0644), -ELOOP);
    CHECK_EQ(sys_symlink("d/made", "/dangling"), 0);
    CHECK_EQ(sys_open("/dangling", RDWR | ABI_O_EXCL, 0644), -EEXIST);
    CHECK_EQ(put("/dangling", "made"), 0);
    CHECK(strcmp(get("/d/made"), "made") == 0);
    CHECK_EQ(sys_mkdir("/dangling", 0755), -EEXIST);
    CHECK_EQ(sys_unlink("/ld/"), -ENOTDIR);
    CHECK_EQ(sys_rmdir("/ld"), -ENOTDIR);
    struct abi_open_how how = { .resolve = ABI_RESOLVE_NO_SYMLINKS };
    CHECK_EQ(sys_openat2(CWD, "/l", &how, sizeof(how)), -ELOOP);
    how.resolve = ABI_RESOLVE_BENEATH;
    int dir = (int)sys_open("/d", ABI_O_PATH, 0);
    CHECK_EQ(sys_openat2(dir, "../l", &how, sizeof(how)), -EXDEV);
    CHECK_EQ(sys_openat2(dir, "/d/f", &how, sizeof(how)), -EXDEV);
    how.resolve = ABI_RESOLVE_IN_ROOT;
    int fd = (int)sys_openat2(dir, "/../f", &how, sizeof(how));
    CHECK(fd >= 0);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_openat2(dir, "f", &how, 8), -EINVAL);
    CHECK_EQ(sys_read(dir, buf, 1), -EBADF);
    CHECK_EQ(sys_close(dir), 0);
    for (unsigned i = 0; i < 5; i++) {
        static const char *const names[] = { "/l", "/ld", "/self", "/dangling", "/d/made" };
        CHECK_EQ(sys_unlink(names[i]), 0);
    }
    CHECK_EQ(sys_unlink("/d/f"), 0);
    CHECK_EQ(sys_rmdir("/d"), 0);
}

static void test_rename(void)
{
    CHECK_EQ(sys_mkdir("/x", 0777), 0);
    CHECK_EQ(sys_mkdir("/y", 0777), 0);
    CHECK_EQ(sys_mkdir("/x/sub", 0777), 0);
    put("/x/f", "f");
    put("/y/g", "g");
    CHECK_EQ(sys_rename("/x/f", "/y/g"), 0);
    CHECK(strcmp(get("/y/g"), "f") == 0);
    CHECK(strcmp(get("/x/f"), "(missing)") == 0);
    CHECK_EQ(sys_rename("/x", "/x/sub/in"), -EINVAL);
    CHECK_EQ(sys_rename("/x/sub", "/x"), -ENOTEMPTY);
    CHECK_EQ(sys_rename("/x", "/y"), -ENOTEMPTY);
    CHECK_EQ(sys_rename("/y/g", "/x"), -EISDIR);
    CHECK_EQ(sys_rename("/x", "/y/g"), -ENOTDIR);
    CHECK_EQ(sys_rename("/none", "/y/g"), -ENOENT);
    CHECK_EQ(sys_rename("/y/g", "/y/g/"), -ENOTDIR);
    CHECK_EQ(sys_rename("/y/.", "/z"), -EBUSY);
    CHECK_EQ(sys_rename("/x/sub", "/y/sub"), 0);
    CHECK_EQ(stat_of("/x").st_nlink, 2);
    CHECK_EQ(stat_of("/y").st_nlink, 3);
    put("/x/f", "new");
    CHECK_EQ(sys_renameat2(CWD, "/x/f", CWD, "/y/g", ABI_RENAME_NOREPLACE), -EEXIST);
    CHECK_EQ(sys_renameat2(CWD, "/x/f", CWD, "/y/none", ABI_RENAME_EXCHANGE), -ENOENT);
    CHECK_EQ(sys_renameat2(CWD, "/x/f", CWD, "/y/sub", ABI_RENAME_EXCHANGE), 0);
    CHECK(strcmp(get("/y/sub"), "new") == 0);
    CHECK_EQ(stat_of("/x").st_nlink, 3);
    CHECK_EQ(stat_of("/y").st_nlink, 2);
    CHECK_EQ(sys_renameat2(CWD, "/x/f", CWD, "/y", 8), -EINVAL);
    CHECK_EQ(sys_link("/y/g", "/y/h"), 0);
    CHECK_EQ(sys_rename("/y/g", "/y/h"), 0);
    CHECK(strcmp(get("/y/g"), "f") == 0);
    /* Names too long for a dentry. */
    static const char longer[] = "/y/a-name-that-does-not-fit-into-the-dentry-itself-at-all";
    CHECK_EQ(sys_rename("/y/g", longer), 0);
    CHECK_EQ(sys_renameat2(CWD, longer, CWD, "/y/sub", ABI_RENAME_EXCHANGE), 0);
    CHECK(strcmp(get(longer), "new") == 0);
    CHECK(strcmp(get("/y/sub"), "f") == 0);
    CHECK_EQ(sys_rename("/y/sub", longer), 0);
    CHECK_EQ(sys_unlink(longer), 0);
    CHECK_EQ(sys_unlink("/y/h"), 0);
    CHECK_EQ(sys_rmdir("/x/f"), 0);
    CHECK_EQ(sys_rmdir("/x"), 0);
    CHECK_EQ(sys_rmdir("/y"), 0);
}

static void test_unlinked(void)
{
    char buf[64];
    struct abi_stat stat;
    int fd = (int)sys_open("/gone", RDWR, 0644);

    CHECK_EQ(sys_unlink("/gone"), 0);
    CHECK_EQ(sys_write(fd, "still", 5), 5);
    CHECK_EQ(sys_fstat(fd, &stat), 0);
    CHECK_EQ(stat.st_nlink, 0);
    CHECK_EQ(sys_newfstatat(fd, "", &stat, ABI_AT_EMPTY_PATH), 0);
    CHECK_EQ(stat.st_size, 5);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_mkdir("/cwd", 0755), 0);
    CHECK_EQ(sys_chdir("/cwd"), 0);
    CHECK_EQ(sys_getcwd(buf, sizeof(buf)), 5);
    CHECK(strcmp(buf, "/cwd") == 0);
    CHECK_EQ(sys_getcwd(buf, 4), -ERANGE);
    CHECK_EQ(sys_rmdir("/cwd"), 0);
    CHECK_EQ(sys_getcwd(buf, sizeof(buf)), -ENOENT);
    CHECK_EQ(sys_open("x", RDWR, 0644), -ENOENT);
    CHECK_EQ(sys_chdir(".."), 0);
    CHECK_EQ(sys_getcwd(buf, sizeof(buf)), 2);
    fd = (int)sys_open("/", ABI_O_TMPFILE | ABI_O_RDWR, 0600);
    CHECK(fd >= 0);
    CHECK_EQ(sys_write(fd, "tmp", 3), 3);
    CHECK_EQ(sys_linkat(fd, "", CWD, "/named", ABI_AT_EMPTY_PATH), 0);
    CHECK_EQ(sys_close(fd), 0);
    CHECK(strcmp(get("/named"), "tmp") == 0);
    CHECK_EQ(stat_of("/named").st_nlink, 1);
    CHECK_EQ(sys_unlink("/named"), 0);
}

/* How many entries, and whether all expected letters are there. */
static unsigned list_all(int fd, char *found)
{
    char buf[100];
    unsigned count = 0;

    for (;;) {
        long n = sys_getdents64(fd, buf, sizeof(buf));
        CHECK(n >= 0);
        if (n == 0)
            return count;
        for (long at = 0; at < n; count++) {
            struct abi_dirent64 *entry = (void *)(buf + at);
            CHECK(entry->d_reclen % 8 == 0);
            if (found)
                found[(unsigned char)entry->d_name[0]]++;
            at += entry->d_reclen;
        }
    }
}

static void test_listing(void)
{
    char name[] = "/list/a";
    char found[256] = { 0 };
    char tiny[16];

    CHECK_EQ(sys_mkdir("/list", 0755), 0);
    for (char c = 'a'; c <= 'z'; c++) {
        name[6] = c;
        put(name, "");
    }
    int fd = (int)sys_open("/list", ABI_O_RDONLY | ABI_O_DIRECTORY, 0);
    CHECK_EQ(sys_getdents64(fd, tiny, sizeof(tiny)), -EINVAL);
    CHECK_EQ(list_all(fd, found), 28);
    for (char c = 'a'; c <= 'z'; c++)
        CHECK_EQ(found[(unsigned char)c], 1);
    CHECK_EQ(sys_lseek(fd, 0, ABI_SEEK_SET), 0);
    /* Removing while reading must not skip anything: rm -r does it so. */
    unsigned removed = 0;
    for (;;) {
        char buf[80];
        long n = sys_getdents64(fd, buf, sizeof(buf));
        if (n == 0)
            break;
        for (long at = 0; at < n;) {
            struct abi_dirent64 *entry = (void *)(buf + at);
            at += entry->d_reclen;
            if (entry->d_name[0] == '.')
                continue;
            CHECK_EQ(sys_unlinkat(fd, entry->d_name, 0), 0);
            removed++;
        }
    }
    CHECK_EQ(removed, 26);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_rmdir("/list"), 0);
}

static void test_descriptors(void)
{
    int fd = (int)sys_open("/dup", RDWR | ABI_O_CLOEXEC, 0644);
    int copy = (int)sys_dup(fd);

    CHECK_EQ(sys_fcntl(fd, ABI_F_GETFD, 0), 1);
    CHECK_EQ(sys_fcntl(copy, ABI_F_GETFD, 0), 0);
    CHECK_EQ(sys_dup2(fd, fd), fd);
    CHECK_EQ(sys_dup3(fd, fd, 0), -EINVAL);
    CHECK_EQ(sys_dup2(fd, 700), 700);
    CHECK_EQ(sys_dup2(fd, 1024), -EBADF);
    CHECK_EQ(sys_dup2(99, 5), -EBADF);
    CHECK_EQ(sys_fcntl(fd, ABI_F_DUPFD_CLOEXEC, 700), 701);
    CHECK_EQ(sys_fcntl(fd, ABI_F_DUPFD, 1024), -EINVAL);
    CHECK_EQ(sys_write(700, "x", 1), 1);
    CHECK_EQ(sys_lseek(fd, 0, ABI_SEEK_CUR), 1);
    CHECK_EQ(sys_close_range(600, ~0u, 0), 0);
    CHECK_EQ(sys_write(700, "x", 1), -EBADF);
    CHECK_EQ(sys_close_range(copy, copy, ABI_CLOSE_RANGE_CLOEXEC), 0);
    CHECK_EQ(sys_fcntl(copy, ABI_F_GETFD, 0), 1);
    CHECK_EQ(sys_fcntl(fd, ABI_F_SETFL, ABI_O_APPEND | ABI_O_NONBLOCK), 0);
    CHECK_EQ(sys_fcntl(copy, ABI_F_GETFL, 0),
             ABI_O_RDWR | ABI_O_APPEND | ABI_O_NONBLOCK | ABI_O_LARGEFILE);
    CHECK_EQ(sys_fcntl(fd, ABI_F_SETFL, ABI_O_DIRECT), -EINVAL);
    int off = 0;
    CHECK_EQ(sys_ioctl(fd, ABI_FIONBIO, (uintptr_t)&off), 0);
    CHECK_EQ(sys_fcntl(fd, ABI_F_GETFL, 0), ABI_O_RDWR | ABI_O_APPEND | ABI_O_LARGEFILE);
    CHECK_EQ(sys_ioctl(fd, 0x1234, 0), -ENOTTY);
    fdtable_close_on_exec(world_process.files);
    CHECK_EQ(sys_close(copy), -EBADF);
    world_limit[LIMIT_NOFILE] = 200;
    unsigned count = 0;
    while ((fd = (int)sys_open("/dup", ABI_O_RDONLY, 0)) >= 0)
        CHECK_EQ(fd, count++);
    CHECK_EQ(fd, -EMFILE);
    CHECK_EQ(count, 200);
    CHECK_EQ(sys_close(77), 0);
    CHECK_EQ(sys_close(33), 0);
    CHECK_EQ(sys_open("/dup", ABI_O_RDONLY, 0), 33);
    CHECK_EQ(sys_open("/dup", ABI_O_RDONLY, 0), 77);
    struct fdtable *other;
    CHECK_EQ(fdtable_copy(world_process.files, &other), 0);
    CHECK_EQ(sys_close_range(0, ~0u, 0), 0);
    struct file *file = fdtable_file(other, 199);
    CHECK(file != NULL);
    file_put(file);
    CHECK(fdtable_file(other, 200) == NULL);
    fdtable_put(other);
    world_limit[LIMIT_NOFILE] = 1024;
    CHECK_EQ(sys_unlink("/dup"), 0);
}

static bool takes_reference(int fd)
{
    struct fd_hold hold = fd_hold(fd);

    CHECK(hold.file != NULL);
    fd_release(hold);
    return hold.has_reference;
}

/* A call counts its file once another thread may close it, and no more after execve() has ended the others. */
static void test_users(void)
{
    int fd = (int)sys_open("/users", RDWR, 0644);
    struct fdtable *files = world_process.files;

    CHECK(!takes_reference(fd));
    fdtable_add_user(files);
    CHECK(takes_reference(fd));
    fdtable_used_alone(files);
    CHECK(!takes_reference(fd));
    struct fdtable *of_other_process = fdtable_share(files);
    fdtable_used_alone(files);
    CHECK(takes_reference(fd));
    fdtable_put(of_other_process);
    CHECK(takes_reference(fd));
    fdtable_used_alone(files);
    CHECK(!takes_reference(fd));
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_unlink("/users"), 0);
}

static long lock(int fd, int command, int type, long start, long len)
{
    struct abi_flock flock = { .l_type = (int16_t)type, .l_start = start, .l_len = len };
    long result = sys_fcntl(fd, command, (uintptr_t)&flock);

    return command == ABI_F_OFD_GETLK && result == 0 ? flock.l_type : result;
}

static void test_locks(void)
{
    int a = (int)sys_open("/lock", RDWR, 0644);
    int b = (int)sys_open("/lock", RDWR, 0644);

    CHECK_EQ(lock(a, ABI_F_OFD_SETLK, ABI_F_WRLCK, 0, 100), 0);
    CHECK_EQ(lock(b, ABI_F_OFD_SETLK, ABI_F_RDLCK, 50, 10), -EAGAIN);
    CHECK_EQ(lock(b, ABI_F_OFD_SETLKW, ABI_F_RDLCK, 50, 10), -ERESTARTSYS);
    CHECK_EQ(lock(a, ABI_F_OFD_SETLK, ABI_F_UNLCK, 50, 10), 0);
    CHECK_EQ(lock(b, ABI_F_OFD_SETLK, ABI_F_RDLCK, 50, 10), 0);
    CHECK_EQ(lock(b, ABI_F_OFD_GETLK, ABI_F_RDLCK, 0, 0), ABI_F_WRLCK);
    CHECK_EQ(lock(b, ABI_F_OFD_GETLK, ABI_F_RDLCK, 100, 0), ABI_F_UNLCK);
    CHECK_EQ(lock(a, ABI_F_OFD_SETLK, ABI_F_WRLCK, 0, 0), -EAGAIN);
    CHECK_EQ(lock(a, ABI_F_SETLK, ABI_F_WRLCK, 200, 0), 0);
    CHECK_EQ(lock(b, ABI_F_OFD_SETLK, ABI_F_WRLCK, 300, 1), -EAGAIN);
    int c = (int)sys_dup(b);
    CHECK_EQ(sys_close(c), 0); /* any close of the file ends the process's POSIX locks */
    CHECK_EQ(lock(b, ABI_F_OFD_SETLK, ABI_F_WRLCK, 300, 1), 0);
    CHECK_EQ(lock(b, ABI_F_OFD_SETLK, 7, 0, 0), -EINVAL);
    CHECK_EQ(lock(b, ABI_F_SETLK, ABI_F_WRLCK, -1, 0), -EINVAL);
    CHECK_EQ(sys_flock(a, ABI_LOCK_SH), 0);
    CHECK_EQ(sys_flock(b, ABI_LOCK_SH | ABI_LOCK_NB), 0);
    CHECK_EQ(sys_flock(b, ABI_LOCK_EX | ABI_LOCK_NB), -EAGAIN);
    CHECK_EQ(sys_flock(a, ABI_LOCK_EX), 0); /* the failed change cost b its lock */
    CHECK_EQ(sys_flock(b, ABI_LOCK_EX), -ERESTARTSYS);
    CHECK_EQ(sys_close(a), 0);
    CHECK_EQ(sys_flock(b, ABI_LOCK_EX | ABI_LOCK_NB), 0);
    CHECK_EQ(sys_flock(b, 0), -EINVAL);
    CHECK_EQ(sys_close(b), 0);
    CHECK_EQ(sys_unlink("/lock"), 0);
}

static void test_permission(void)
{
    struct credentials *creds = &world_process.creds;
    struct credentials root = *creds;

    CHECK_EQ(sys_mkdir("/priv", 0700), 0);
    put("/priv/f", "secret");
    put("/pub", "public");
    CHECK_EQ(sys_mkdir("/sticky", 0777), 0);
    CHECK_EQ(sys_chmod("/sticky", 01777), 0);
    put("/sticky/root", "");
    creds->uid = creds->euid = creds->fsuid = 1000;
    creds->gid = creds->egid = creds->fsgid = 1000;
    creds->cap_effective = creds->cap_permitted = 0;
    CHECK_EQ(sys_open("/priv/f", ABI_O_RDONLY, 0), -EACCES);
    CHECK_EQ(sys_open("/pub", ABI_O_WRONLY, 0), -EACCES);
    CHECK(strcmp(get("/pub"), "public") == 0);
    CHECK_EQ(sys_access("/pub", ABI_R_OK), 0);
    CHECK_EQ(sys_access("/pub", ABI_W_OK), -EACCES);
    CHECK_EQ(sys_chmod("/pub", 0777), -EPERM);
    CHECK_EQ(sys_chown("/pub", 1000, ~0u), -EPERM);
    CHECK_EQ(sys_utimensat(CWD, "/pub", NULL, 0), -EACCES);
    CHECK_EQ(sys_unlink("/sticky/root"), -EPERM);
    CHECK_EQ(sys_mkdir("/mine", 0777), -EACCES);
    CHECK_EQ(put("/sticky/mine", ""), 0);
    CHECK_EQ(stat_of("/sticky/mine").st_uid, 1000);
    CHECK_EQ(sys_unlink("/sticky/mine"), 0);
    CHECK_EQ(sys_mknod("/sticky/dev", ABI_S_IFCHR | 0666, 0x103), -EPERM);
    CHECK_EQ(sys_chroot("/"), -EPERM);
    *creds = root;
    CHECK_EQ(sys_chmod("/pub", 06755), 0);
    CHECK_EQ(sys_chown("/pub", 5, 6), 0);
    CHECK_EQ(stat_of("/pub").st_mode & 07777, 0755);
    CHECK_EQ(stat_of("/pub").st_gid, 6);
    CHECK_EQ(sys_access("/pub", 8), -EINVAL);
    CHECK_EQ(sys_access("/priv/f", ABI_X_OK), -EACCES);
    CHECK_EQ(sys_umask(077), 022);
    CHECK_EQ(put("/masked", ""), 0);
    CHECK_EQ(stat_of("/masked").st_mode & 07777, 0600);
    CHECK_EQ(sys_umask(022), 077);
    CHECK_EQ(sys_unlink("/masked"), 0);
    CHECK_EQ(sys_unlink("/priv/f"), 0);
    CHECK_EQ(sys_rmdir("/priv"), 0);
    CHECK_EQ(sys_unlink("/pub"), 0);
    CHECK_EQ(sys_unlink("/sticky/root"), 0);
    CHECK_EQ(sys_rmdir("/sticky"), 0);
}

static void test_times(void)
{
    struct abi_timespec times[2] = { { 5, 6 }, { 7, 8 } };

    put("/t", "x");
    CHECK_EQ(sys_utimensat(CWD, "/t", times, 0), 0);
    CHECK_EQ(stat_of("/t").st_atime_sec, 5);
    CHECK_EQ(stat_of("/t").st_mtime_nsec, 8);
    times[0].tv_nsec = ABI_UTIME_OMIT;
    times[1].tv_nsec = ABI_UTIME_NOW;
    CHECK_EQ(sys_utimensat(CWD, "/t", times, 0), 0);
    CHECK_EQ(stat_of("/t").st_atime_sec, 5);
    CHECK(stat_of("/t").st_mtime_sec >= 1000000);
    times[0].tv_nsec = 1000000000;
    CHECK_EQ(sys_utimensat(CWD, "/t", times, 0), -EINVAL);
    CHECK_EQ(sys_utimensat(CWD, "/none", NULL, 0), -ENOENT);
    get("/t"); /* relative atime: older than mtime, so it moves */
    CHECK(stat_of("/t").st_atime_sec >= 1000000);
    struct abi_statx statx;
    CHECK_EQ(sys_statx(CWD, "/t", 0, ABI_STATX_BASIC_STATS, &statx), 0);
    CHECK_EQ(statx.stx_size, 1);
    CHECK_EQ(sys_statx(CWD, "/t", 0, ABI_STATX_RESERVED, &statx), -EINVAL);
    CHECK_EQ(sys_unlink("/t"), 0);
}

static void test_xattrs(void)
{
    char buf[64];

    put("/x", "");
    CHECK_EQ(sys_getxattr("/x", "user.a", buf, sizeof(buf)), -ENODATA);
    CHECK_EQ(sys_setxattr("/x", "user.a", "value", 5, ABI_XATTR_REPLACE), -ENODATA);
    CHECK_EQ(sys_setxattr("/x", "user.a", "value", 5, 0), 0);
    CHECK_EQ(sys_setxattr("/x", "user.a", "v", 1, ABI_XATTR_CREATE), -EEXIST);
    CHECK_EQ(sys_getxattr("/x", "user.a", NULL, 0), 5);
    CHECK_EQ(sys_getxattr("/x", "user.a", buf, 2), -ERANGE);
    CHECK_EQ(sys_getxattr("/x", "user.a", buf, sizeof(buf)), 5);
    CHECK_EQ(sys_setxattr("/x", "trusted.t", "", 0, 0), 0);
    CHECK_EQ(sys_listxattr("/x", NULL, 0), 17);
    CHECK_EQ(sys_listxattr("/x", buf, 10), -ERANGE);
    world_process.creds.cap_effective = 0;
    CHECK_EQ(sys_listxattr("/x", buf, sizeof(buf)), 7);
    CHECK_EQ(sys_getxattr("/x", "trusted.t", buf, sizeof(buf)), -ENODATA);
    world_process.creds.cap_effective = ~0ULL;
    CHECK_EQ(sys_setxattr("/x", "other.a", "", 0, 0), -EOPNOTSUPP);
    CHECK_EQ(sys_removexattr("/x", "user.a"), 0);
    CHECK_EQ(sys_removexattr("/x", "user.a"), -ENODATA);
    CHECK_EQ(sys_unlink("/x"), 0);
}

static void test_mounts(void)
{
    struct abi_statfs statfs;

    CHECK_EQ(sys_mkdir("/m", 0755), 0);
    CHECK_EQ(put("/m/below", ""), 0);
    CHECK_EQ(sys_mount("tmpfs", "/m", "tmpfs", 0, "size=64k,mode=700"), 0);
    CHECK_EQ(sys_mount("none", "/m", "nofs", 0, NULL), -ENODEV);
    CHECK_EQ(sys_open("/m/below", ABI_O_RDONLY, 0), -ENOENT);
    CHECK_EQ(stat_of("/m").st_mode, ABI_S_IFDIR | 0700);
    CHECK_EQ(sys_statfs("/m", &statfs), 0);
    CHECK_EQ(statfs.f_blocks, 16);
    CHECK_EQ(sys_rmdir("/m"), -EBUSY);
    CHECK_EQ(put("/m/f", "in"), 0);
    CHECK_EQ(sys_rename("/m/f", "/f"), -EXDEV);
    CHECK_EQ(sys_link("/m/f", "/f"), -EXDEV);
    static char big[70000];
    int fd = (int)sys_open("/m/big", RDWR, 0644);
    CHECK_EQ(sys_write(fd, big, sizeof(big)), 60 * 1024);
    CHECK_EQ(sys_write(fd, big, 1), -ENOSPC);
    CHECK_EQ(sys_pwrite64(fd, "over", 4, 0), 4);
    CHECK_EQ(sys_umount2("/m", 0), -EBUSY);
    CHECK_EQ(sys_close(fd), 0);
    CHECK_EQ(sys_mkdir("/bind", 0755), 0);
    CHECK_EQ(sys_mount("/m", "/bind", NULL, ABI_MS_BIND, NULL), 0);
    CHECK(strcmp(get("/bind/f"), "in") == 0);
    CHECK_EQ(sys_mount(NULL, "/bind", NULL, ABI_MS_REMOUNT | ABI_MS_BIND | ABI_MS_RDONLY, NULL), 0);
    CHECK_EQ(sys_open("/bind/f", ABI_O_WRONLY, 0), -EROFS);
    CHECK_EQ(sys_unlink("/bind/f"), -EROFS);
    CHECK_EQ(sys_access("/bind/f", ABI_W_OK), -EROFS);
    CHECK_EQ(put("/m/f", "out"), 0);
    CHECK_EQ(sys_chdir("/bind"), 0);
    CHECK_EQ(sys_chdir(".."), 0);
    char cwd[16];
    CHECK_EQ(sys_getcwd(cwd, sizeof(cwd)), 2);
    CHECK_EQ(sys_umount2("/m", 0), 0);
    CHECK(strcmp(get("/bind/f"), "out") == 0);
    CHECK_EQ(sys_umount2("/bind", ABI_MNT_DETACH), 0);
    CHECK_EQ(sys_umount2("/bind", 0), -EINVAL);
    CHECK(strcmp(get("/m/below"), "") == 0);
    CHECK_EQ(sys_unlink("/m/below"), 0);
    CHECK_EQ(sys_rmdir("/m"), 0);
    CHECK_EQ(sys_rmdir("/bind"), 0);
    CHECK_EQ(sys_umount2("/", 0), -EBUSY);
}

static void test_copying(void)
{
    static char big[50000];
    char buf[8];

    memset(big, 'b', sizeof(big));
    int in = (int)sys_open("/in", RDWR, 0644);
    int out = (int)sys_open("/out", RDWR, 0644);
    CHECK_EQ(sys_pwrite64(in, big, sizeof(big), 5000), sizeof(big));
    CHECK_EQ(sys_sendfile(out, in, NULL, 100000), 55000);
    CHECK_EQ(sys_lseek(in, 0, ABI_SEEK_CUR), 55000);
    CHECK_EQ(sys_pread64(out, buf, 2, 4999), 2);
    CHECK(buf[0] == 0 && buf[1] == 'b');
    int64_t offset = 54998;
    CHECK_EQ(sys_sendfile(out, in, &offset, 10), 2);
    CHECK_EQ(offset, 55000);
    CHECK_EQ(sys_ftruncate(out, 0), 0);
    int64_t to = 3;
    offset = 4999;
    CHECK_EQ(sys_copy_file_range(in, &offset, out, &to, 10, 0), 10);
    CHECK_EQ(to, 13);
    CHECK_EQ(sys_copy_file_range(in, NULL, out, &to, 10, 0), 0);
    CHECK_EQ(sys_copy_file_range(in, &offset, out, &to, 10, 1), -EINVAL);
    offset = to = 0;
    CHECK_EQ(sys_copy_file_range(in, &offset, in, &to, 10, 0), -EINVAL);
    CHECK_EQ(sys_splice(in, NULL, out, NULL, 10, 0), -EINVAL);
    CHECK_EQ(sys_fallocate(in, ABI_FALLOC_PUNCH_HOLE | ABI_FALLOC_KEEP_SIZE, 8192, 8192), 0);
    CHECK_EQ(sys_pread64(in, buf, 1, 9000), 1);
    CHECK_EQ(buf[0], 0);
    CHECK_EQ(sys_fallocate(out, 0, 0, 20000), 0);
    CHECK_EQ(stat_of("/out").st_size, 20000);
    CHECK_EQ(stat_of("/out").st_blocks, 40);
    CHECK_EQ(sys_fallocate(out, 0, 0, 0), -EINVAL);
    CHECK_EQ(sys_fallocate(out, ABI_FALLOC_ZERO_RANGE, 0, 1), -EOPNOTSUPP);
    CHECK_EQ(sys_close(in), 0);
    CHECK_EQ(sys_close(out), 0);
    CHECK_EQ(sys_unlink("/in"), 0);
    CHECK_EQ(sys_unlink("/out"), 0);
}

int main(void)
{
    world_init(64UL << 20);
    static void (*const tests[])(void) = {
        test_open,       test_read_write, test_names,       test_links,  test_rename,
        test_unlinked,   test_listing,    test_descriptors, test_users,  test_locks,
        test_permission, test_times,      test_xattrs,      test_mounts, test_copying,
    };
    for (unsigned i = 0; i < ARRAY_SIZE(tests); i++) {
        tests[i]();
        world_check_idle();
    }
    struct abi_statfs statfs;
    CHECK_EQ(sys_statfs("/", &statfs), 0);
    CHECK_EQ(statfs.f_files - statfs.f_ffree, 1); /* everything was given back but the root */
    return 0;
}
