// SPDX-License-Identifier: MIT
/*
 * inotify: every event in order, as Linux reports it.
 * test: cpus=2
 */
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

static const struct {
    uint32_t mask;
    const char *name;
} names[] = {
    { IN_ACCESS, "access" },           { IN_MODIFY, "modify" },
    { IN_ATTRIB, "attrib" },           { IN_CLOSE_WRITE, "close_write" },
    { IN_CLOSE_NOWRITE, "close" },     { IN_OPEN, "open" },
    { IN_MOVED_FROM, "moved_from" },   { IN_MOVED_TO, "moved_to" },
    { IN_CREATE, "create" },           { IN_DELETE, "delete" },
    { IN_DELETE_SELF, "delete_self" }, { IN_MOVE_SELF, "move_self" },
    { IN_IGNORED, "ignored" },         { IN_Q_OVERFLOW, "overflow" },
    { IN_UNMOUNT, "unmount" },         { IN_ISDIR, "dir" },
};

static int fd;

/* Prints and forgets all events. */
static void show(const char *what)
{
    static char buffer[65536] __attribute__((aligned(8)));
    uint32_t first_cookie = 0;
    ssize_t len = read(fd, buffer, sizeof buffer);

    printf("%s:", what);
    for (ssize_t at = 0; at < len;) {
        const struct inotify_event *event = (const void *)(buffer + at);
        printf(" [%d", event->wd);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (event->mask & names[i].mask)
                printf(" %s", names[i].name);
        }
        if (event->len)
            printf(" \"%s\"", event->name);
        if (event->cookie) {
            printf(" %s", first_cookie == event->cookie ? "same" : "cookie");
            first_cookie = event->cookie;
        }
        printf("]");
        at += (ssize_t)(sizeof *event + event->len);
    }
    puts("");
}

static void make(const char *name, const char *text)
{
    int file = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    CHECK(write(file, text, strlen(text)) == (ssize_t)strlen(text));
    close(file);
}

static void test_directory(void)
{
    char buffer[10];

    CHECK(inotify_add_watch(fd, ".", IN_ALL_EVENTS) == 1);
    make("a", "text");
    show("created and written");
    int file = open("a", O_RDWR);
    CHECK(read(file, buffer, 4) == 4 && read(file, buffer, 4) == 0);
    CHECK(!ftruncate(file, 2) && !fchmod(file, 0644));
    close(file);
    show("read, truncated, chmod");
    CHECK(!rename("a", "b"));
    show("renamed");
    CHECK(!link("b", "c"));
    show("linked");
    CHECK(!symlink("b", "s"));
    show("symlink");
    CHECK(!mkdir("d", 0700) && !rename("b", "d/b"));
    show("moved out");
    make("over", "1");
    make("under", "2");
    show("two files");
    CHECK(!rename("over", "under"));
    show("renamed over");
    CHECK(!unlink("c") && !unlink("s") && !unlink("under") && !unlink("d/b") && !rmdir("d"));
    show("removed");
    CHECK(!inotify_rm_watch(fd, 1));
    show("watch removed");
    CHECK_ERRNO(inotify_rm_watch(fd, 1), EINVAL);
}

static void test_file(void)
{
    int available;

    make("f", "1");
    CHECK(inotify_add_watch(fd, "f", IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF | IN_DELETE_SELF) == 2);
    int file = open("f", O_WRONLY);
    for (int i = 0; i < 5; i++)
        CHECK(write(file, "x", 1) == 1);
    CHECK(!ioctl(fd, FIONREAD, &available));
    printf("%d bytes queued\n", available);
    show("five writes");
    CHECK(!rename("f", "g"));
    show("moved");
    CHECK(!unlink("g"));
    show("unlinked, still open");
    close(file);
    show("closed");
}

static void test_options(void)
{
    char small[16];

    make("o", "1");
    CHECK(inotify_add_watch(fd, "o", IN_OPEN | IN_ONESHOT) == 3);
    close(open("o", O_RDONLY));
    close(open("o", O_RDONLY));
    show("one shot");
    CHECK(inotify_add_watch(fd, "o", IN_OPEN) == 4);
    CHECK(inotify_add_watch(fd, "o", IN_CLOSE | IN_MASK_ADD) == 4);
    CHECK_ERRNO(inotify_add_watch(fd, "o", IN_CLOSE | IN_MASK_CREATE), EEXIST);
    close(open("o", O_RDONLY));
    show("mask added");
    CHECK_ERRNO(inotify_add_watch(fd, "o", IN_OPEN | IN_ONLYDIR), ENOTDIR);
    CHECK_ERRNO(inotify_add_watch(fd, "missing", IN_OPEN), ENOENT);
    CHECK_ERRNO(inotify_add_watch(fd, "o", 0), EINVAL);
    CHECK_ERRNO(inotify_add_watch(0, "o", IN_OPEN), EINVAL);
    CHECK_ERRNO(inotify_init1(1), EINVAL);
    CHECK(inotify_add_watch(fd, ".", IN_CREATE) == 5);
    make("a name that is longer than the buffer", "");
    CHECK_ERRNO(read(fd, small, sizeof small), EINVAL);
    struct pollfd item = { .fd = fd, .events = POLLIN };
    CHECK(poll(&item, 1, 0) == 1);
    show("long name");
    CHECK(poll(&item, 1, 0) == 0);
    CHECK_ERRNO(read(fd, small, sizeof small), EAGAIN);
}

/* A write does not count for who does not care for unlinked files; a change of attributes or size does. */
static void test_unlinked(void)
{
    int watch = inotify_add_watch(fd, ".", IN_MODIFY | IN_ATTRIB | IN_EXCL_UNLINK);

    make("u", "text");
    int file = open("u", O_RDWR);
    CHECK(watch > 0 && write(file, "x", 1) == 1);
    CHECK(!unlink("u"));
    CHECK(write(file, "x", 1) == 1);
    show("written, unlinked, written");
    CHECK(!fchmod(file, 0600));
    show("mode of an unlinked file");
    CHECK(!ftruncate(file, 1));
    show("size of an unlinked file");
    close(file);
    CHECK(!inotify_rm_watch(fd, watch));
    show("removed");
}

#define NNAMES 3
static char moving[NNAMES][64];
static bool has_moved; /* atomic */

static void *move_main(void *arg)
{
    for (int i = 0; i < 30000; i++)
        CHECK(!rename(moving[i % NNAMES], moving[(i + 1) % NNAMES]));
    __atomic_store_n(&has_moved, true, __ATOMIC_RELAXED);
    return arg;
}

/* Each event has one of the names, whole. */
static void check_names(int events)
{
    static char buffer[4096] __attribute__((aligned(8)));
    ssize_t len = read(events, buffer, sizeof buffer);

    CHECK(len > 0);
    for (ssize_t at = 0; at < len;) {
        const struct inotify_event *event = (const void *)(buffer + at);
        int i = 0;
        while (i < NNAMES && strcmp(event->name, moving[i]) != 0)
            i++;
        if (i == NNAMES)
            printf("no name: %s\n", event->name);
        at += (ssize_t)(sizeof *event + event->len);
    }
}

static void test_moving(void)
{
    static const size_t len[NNAMES] = { 31, 60, 30 };
    int events = inotify_init1(IN_NONBLOCK);
    pthread_t thread;

    for (int i = 0; i < NNAMES; i++)
        memset(moving[i], 'a' + i, len[i]);
    make(moving[0], "text");
    int file = open(moving[0], O_RDWR);
    NEED(file >= 0 && inotify_add_watch(events, ".", IN_ATTRIB | IN_MODIFY) > 0);
    NEED(!pthread_create(&thread, NULL, move_main, NULL));
    while (!__atomic_load_n(&has_moved, __ATOMIC_RELAXED)) {
        CHECK(!fchmod(file, 0600) && pwrite(file, "x", 1, 0) == 1);
        check_names(events);
    }
    pthread_join(thread, NULL);
    close(file);
    close(events);
    CHECK(!unlink(moving[0]));
}

static void test_overflow(void)
{
    static char buffer[1 << 20] __attribute__((aligned(8)));
    int overflows = 0, events = 0;

    make("p", "");
    CHECK(inotify_add_watch(fd, "p", IN_OPEN | IN_CLOSE) > 0);
    for (int i = 0; i < 9000; i++)
        close(open("p", O_RDONLY));
    ssize_t len = read(fd, buffer, sizeof buffer);
    for (ssize_t at = 0; at < len;) {
        const struct inotify_event *event = (const void *)(buffer + at);
        overflows += event->mask == IN_Q_OVERFLOW && event->wd == -1;
        events++;
        at += (ssize_t)(sizeof *event + event->len);
    }
    printf("%d events, %d overflow\n", events, overflows);
}

/* A watch does not keep a file system mounted: it ends with the last mount. */
static void test_unmount(void)
{
    int others[3];

    NEED(!mkdir("m", 0700) && !mkdir("n", 0700) && !mount("none", "m", "tmpfs", 0, NULL));
    make("m/f", "text");
    make("m/g", "text");
    CHECK(!mount("m", "n", NULL, MS_BIND, NULL));
    CHECK(inotify_add_watch(fd, "m/f", IN_MODIFY) > 0);
    CHECK(inotify_add_watch(fd, "m", IN_CREATE | IN_ONESHOT) > 0);
    for (int i = 0; i < 3; i++) {
        CHECK((others[i] = inotify_init1(IN_NONBLOCK)) >= 0);
        CHECK(inotify_add_watch(others[i], "m/f", IN_ALL_EVENTS) == 1);
        CHECK(inotify_add_watch(others[i], "m/g", IN_ALL_EVENTS) == 2);
    }
    close(others[0]);
    CHECK(!umount("m"));
    show("still bound elsewhere");
    make("n/f", "more");
    show("modified there");
    CHECK(!unlink("n/f"));
    close(others[1]);
    CHECK(!umount("n"));
    show("unmounted");
    CHECK_ERRNO(inotify_rm_watch(others[2], 2), EINVAL);
    close(others[2]);
    CHECK(!rmdir("m") && !rmdir("n"));
}

int main(void)
{
    char folder[] = "/tmp/inotifyXXXXXX";

    NEED(mkdtemp(folder) && !chdir(folder));
    NEED((fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) >= 0);
    test_directory();
    test_file();
    test_options();
    test_overflow();
    test_unlinked();
    test_unmount();
    test_moving();
    unlink("o");
    unlink("p");
    unlink("a name that is longer than the buffer");
    CHECK(!chdir("/") && !rmdir(folder));
    close(fd);
    return check_end();
}
