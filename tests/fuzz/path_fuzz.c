// SPDX-License-Identifier: MIT
/*
 * System calls on names, drawn from the input: each op takes two short paths over a small alphabet, so that
 * they meet.  Checked: no lock stays held, link counts and the tree agree, everything can be removed.
 */
#include <stdlib.h>
#include <string.h>

#include "abi/dirent.h"
#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/stat.h"
#include "kernel/syscall.h"
#include "tests/host/fs_world.h"

#define CWD ABI_AT_FDCWD

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *at;
    const uint8_t *end;
};

static unsigned take(struct input *input)
{
    return input->at < input->end ? *input->at++ : 0;
}

static void take_path(struct input *input, char *path)
{
    static const char *const parts[] = {
        "a", "b", "c", ".", "..", "", "a", "b", "c", "link-with-a-name-longer-than-a-dentry-holds",
    };
    unsigned count = 1 + take(input) % 4;

    path[0] = '\0';
    if (take(input) & 1)
        strcat(path, "/");
    while (count--) {
        strcat(path, parts[take(input) % 10]);
        if (count || (take(input) & 7) == 0)
            strcat(path, "/");
    }
}

static void touch(const char *path, unsigned flags)
{
    long fd = sys_open(path, (int)flags, 0777);

    if (fd < 0)
        return;
    (void)sys_write((int)fd, path, strlen(path));
    (void)sys_lseek((int)fd, 0, ABI_SEEK_SET);
    char buf[64];
    (void)sys_read((int)fd, buf, sizeof(buf));
    (void)sys_close((int)fd);
}

static void run(struct input *input)
{
    char from[512];
    char to[512];
    char buf[512];
    struct abi_stat stat;
    unsigned op = take(input);

    take_path(input, from);
    take_path(input, to);
    switch (op % 12) {
    case 0:
        (void)sys_mkdir(from, 0777);
        break;
    case 1:
        (void)sys_rmdir(from);
        break;
    case 2:
        touch(from, ABI_O_RDWR | (op & 16 ? ABI_O_CREAT : 0) | (op & 32 ? ABI_O_EXCL : 0) |
                        (op & 64 ? ABI_O_NOFOLLOW : 0) | (op & 128 ? ABI_O_TRUNC : 0));
        break;
    case 3:
        (void)sys_unlink(from);
        break;
    case 4:
        (void)sys_symlink(from, to);
        break;
    case 5:
        (void)sys_link(from, to);
        break;
    case 6:
    case 7:
        (void)sys_renameat2(CWD, from, CWD, to, op >> 4 & 3);
        break;
    case 8:
        (void)sys_stat(from, &stat);
        (void)sys_lstat(to, &stat);
        break;
    case 9:
        (void)sys_chdir(from);
        (void)sys_getcwd(buf, sizeof(buf));
        break;
    case 10:
        touch(from, ABI_O_RDONLY | ABI_O_DIRECTORY);
        touch(to, ABI_O_TMPFILE | ABI_O_RDWR);
        break;
    default:
        (void)sys_readlink(from, buf, sizeof(buf));
        (void)sys_truncate(to, op);
        break;
    }
    world_check_idle();
}

/* Removes everything below the directory fd; how many directories there were. */
static unsigned remove_below(int fd)
{
    char buf[1024];
    unsigned ndirs = 0;
    long n;

    while ((n = sys_getdents64(fd, buf, sizeof(buf))) > 0) {
        for (long at = 0; at < n;) {
            struct abi_dirent64 *entry = (void *)(buf + at);
            at += entry->d_reclen;
            if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
                continue;
            if (entry->d_type != ABI_DT_DIR) {
                if (sys_unlinkat(fd, entry->d_name, 0))
                    abort();
                continue;
            }
            ndirs++;
            long below = sys_openat(fd, entry->d_name, ABI_O_RDONLY | ABI_O_DIRECTORY, 0);
            if (below < 0)
                abort();
            struct abi_stat stat;
            if (sys_fstat((int)below, &stat))
                abort();
            unsigned children = remove_below((int)below);
            if (stat.st_nlink != 2 + children || sys_close((int)below))
                abort();
            if (sys_unlinkat(fd, entry->d_name, ABI_AT_REMOVEDIR))
                abort();
        }
    }
    return ndirs;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool is_ready;
    struct input input = { data, data + size };
    struct abi_statfs statfs;

    if (!is_ready) {
        world_init(64UL << 20);
        is_ready = true;
    }
    while (input.at < input.end)
        run(&input);
    if (sys_chdir("/"))
        abort();
    int fd = (int)sys_open("/", ABI_O_RDONLY | ABI_O_DIRECTORY, 0);
    (void)remove_below(fd);
    if (fd != 0 || sys_close(fd))
        abort();
    if (sys_statfs("/", &statfs) || statfs.f_files - statfs.f_ffree != 1)
        abort(); /* an inode was lost */
    return 0;
}
