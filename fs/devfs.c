// SPDX-License-Identifier: MIT
/*
 * /dev: a RAM file system with the nodes that programs expect, and the other special mounts.
 */
#include "fs/devfs.h"

#include "fs/mqueue.h"
#include "fs/ninep/fs.h"
#include "fs/procfs.h"
#include "fs/pty.h"
#include "fs/ramfs.h"
#include "fs/special.h"
#include "fs/sysfs.h"
#include "fs/tty_console.h"
#include "fs/vfs.h"
#include "kernel/log.h"

static const struct {
    const char *name;
    unsigned mode;
    unsigned major, minor;
} nodes[] = {
    { "/dev/null", 0666, 1, 3 },   { "/dev/zero", 0666, 1, 5 },    { "/dev/full", 0666, 1, 7 },
    { "/dev/random", 0666, 1, 8 }, { "/dev/urandom", 0666, 1, 9 }, { "/dev/kmsg", 0644, 1, 11 },
    { "/dev/tty", 0666, 5, 0 },    { "/dev/console", 0620, 5, 1 }, { "/dev/ptmx", 0666, 5, 2 },
};

static const struct {
    const char *name, *target;
} links[] = {
    { "/dev/fd", "/proc/self/fd" },
    { "/dev/stdin", "/proc/self/fd/0" },
    { "/dev/stdout", "/proc/self/fd/1" },
    { "/dev/stderr", "/proc/self/fd/2" },
};

static const struct file_system devtmpfs = { .name = "devtmpfs", .mount = ramfs_mount };

/* Something that is there already is as good. */
static void check(int err, const char *what, const char *name)
{
    if (err && err != -EEXIST)
        log_error("%s %s: error %d", what, name, -err);
}

static void make_directory(const char *name, unsigned mode)
{
    check(vfs_mkdir(name, mode), "directory", name);
}

static void mount(const char *name, const char *type, const char *options)
{
    check(vfs_mount(name, type, type, 0, options), "mount", name);
}

void devfs_populate(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(nodes); i++)
        check(vfs_mknod(nodes[i].name, ABI_S_IFCHR | nodes[i].mode,
                        DEVICE_NUMBER(nodes[i].major, nodes[i].minor)),
              "node", nodes[i].name);
    for (size_t i = 0; i < ARRAY_SIZE(links); i++)
        check(vfs_symlink(links[i].target, links[i].name), "link", links[i].name);
    make_directory("/dev/pts", 0755);
    make_directory("/dev/shm", 01777);
    make_directory("/dev/mqueue", 01777);
}

void special_mounts_init(void)
{
    check(tty_console_init(), "terminal", "/dev/console");
    file_system_register(&devtmpfs);
    file_system_register(&devpts);
    file_system_register(&procfs);
    file_system_register(&sysfs);
    file_system_register(&cgroup2);
    file_system_register(&ninep_file_system);
    mqueue_fs_init();

    make_directory("/dev", 0755);
    make_directory("/proc", 0555);
    make_directory("/sys", 0555);
    make_directory("/tmp", 01777);
    make_directory("/run", 0755);
    mount("/dev", "devtmpfs", "mode=0755");
    devfs_populate();
    mount("/dev/pts", "devpts", NULL);
    mount("/dev/shm", "tmpfs", "mode=1777");
    mount("/dev/mqueue", "mqueue", NULL);
    mount("/proc", "proc", NULL);
    mount("/sys", "sysfs", NULL);
    mount("/sys/fs/cgroup", "cgroup2", NULL);
}
