// SPDX-License-Identifier: MIT
/*
 * What is different in a folder of the host and must not show: files without a name, names that are replaced, modes
 * that forbid what the open file may, mappings beside read() and write(), listings, and several threads.
 *
 * test: folder=yes cpus=2 timeout=60
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define PAGE 4096

static off_t size_of(int fd)
{
    struct stat info;

    return fstat(fd, &info) ? -1 : info.st_size;
}

static int file_with(const char *name, const char *text)
{
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);

    NEED(fd >= 0 && write(fd, text, strlen(text)) == (long)strlen(text));
    return fd;
}

static bool holds(int fd, off_t at, const char *text)
{
    char buf[64];
    long n = pread(fd, buf, sizeof(buf), at);

    return n == (long)strlen(text) && memcmp(buf, text, (size_t)n) == 0;
}

static void test_modes(void)
{
    struct stat info;
    int fd = open("object", O_RDWR | O_CREAT | O_EXCL, 0444);

    CHECK(fd >= 0 && write(fd, "data", 4) == 4 && holds(fd, 0, "data"));
    CHECK(!fstat(fd, &info) && (info.st_mode & 07777) == 0444 && info.st_nlink == 1);
    close(fd);
    CHECK_ERRNO(open("object", O_RDWR | O_CREAT | O_EXCL, 0444), EEXIST);
    CHECK(!chmod("object", 04755) && !stat("object", &info) && (info.st_mode & 07777) == 04755);
    fd = open("object", O_WRONLY | O_CREAT, 0);
    CHECK(fd >= 0 && !close(fd));
    umask(077);
    CHECK(!mkdir("private", 0777) && !stat("private", &info) && (info.st_mode & 07777) == 0700);
    umask(022);
    CHECK(!rmdir("private") && !unlink("object"));
}

static void test_nameless(void)
{
    struct stat info;
    int fd = file_with("gone", "0123456789");
    int other;

    CHECK(!unlink("gone") && !fstat(fd, &info) && info.st_nlink == 0 && info.st_size == 10);
    other = file_with("gone", "another file"); /* the name means something else now */
    CHECK(size_of(fd) == 10 && holds(fd, 0, "0123456789"));
    CHECK(!ftruncate(fd, 4) && size_of(fd) == 4 && holds(fd, 0, "0123") && holds(fd, 4, ""));
    CHECK(!ftruncate(fd, 6) && size_of(fd) == 6 && pread(fd, &info, 10, 4) == 2 &&
          *(char *)&info == 0);
    CHECK(pwrite(fd, "xy", 2, 8) == 2 && size_of(fd) == 10);
    CHECK(!fchmod(fd, 0600) && !fstat(fd, &info) && (info.st_mode & 07777) == 0600);
    CHECK(size_of(other) == 12 && holds(other, 0, "another file"));
    char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(map != MAP_FAILED);
    CHECK(memcmp(map, "0123\0\0\0\0xy", 10) == 0);
    memcpy(map, "mapped", 6);
    CHECK(holds(fd, 0, "mapped\0\0xy") || pread(fd, &info, 10, 0) == 10);
    CHECK(!munmap(map, PAGE) && !close(fd) && !close(other) && !unlink("gone"));
}

/* What is done to the open file is seen by the other name. */
static void check_other_name(int fd, const char *name)
{
    struct stat info;

    CHECK(!ftruncate(fd, 10) && !fchmod(fd, 0600));
    CHECK(!stat(name, &info) && info.st_size == 10 && (info.st_mode & 07777) == 0600);
    CHECK(info.st_nlink == 1);
    CHECK(!fstat(fd, &info) && info.st_nlink == 1 && info.st_size == 10);
    CHECK(!close(fd) && !unlink(name));
}

static void test_other_names(void)
{
    int fd = file_with("first", "more than ten bytes");

    CHECK(!link("first", "second") && !unlink("first"));
    check_other_name(fd, "second");
    fd = file_with("first", "more than ten bytes");
    CHECK(!link("first", "second") && !unlink("second"));
    check_other_name(fd, "first");
    fd = file_with("first", "more than ten bytes");
    CHECK(!mkdir("d", 0755) && !link("first", "d/second") && !link("first", "third"));
    CHECK(!rename("d/second", "d/renamed") && !unlink("first"));
    close(file_with("new", "new"));
    CHECK(!rename("new", "third"));
    check_other_name(fd, "d/renamed");
    CHECK(!rmdir("d") && !unlink("third"));
}

static void test_replaced(void)
{
    struct stat info, now;
    int old = file_with("config", "old text");
    int fresh = file_with("config.new", "new");

    CHECK(!rename("config.new", "config"));
    CHECK(holds(old, 0, "old text") && holds(fresh, 0, "new"));
    CHECK(!fstat(old, &info) && info.st_nlink == 0 && !stat("config", &now) && now.st_size == 3);
    CHECK(info.st_ino != now.st_ino && !fstat(fresh, &info) && info.st_ino == now.st_ino);
    CHECK(!ftruncate(old, 0) && !stat("config", &now) && now.st_size == 3);
    CHECK(!link("config", "second") && !unlink("config") && !fstat(fresh, &info) &&
          info.st_nlink == 1);
    CHECK(!stat("second", &now) && now.st_ino == info.st_ino && !ftruncate(fresh, 2));
    CHECK(!stat("second", &now) && now.st_size == 2 && !close(old) && !close(fresh) &&
          !unlink("second"));
    CHECK(!mkdir("a", 0755) && !mkdir("a/b", 0755));
    fresh = file_with("a/b/file", "deep");
    CHECK(!rename("a", "z") && size_of(fresh) == 4 && !stat("z/b/file", &now));
    CHECK_ERRNO(stat("a/b/file", &now), ENOENT);
    CHECK_ERRNO(rmdir("z"), ENOTEMPTY);
    CHECK(!unlink("z/b/file") && !rmdir("z/b") && !rmdir("z") && !close(fresh));
}

static void test_writing(void)
{
    char *volatile nowhere = (char *)8;
    struct iovec pieces[2] = { { (void *)"gather", 6 }, { (void *)"ed", 2 } };
    static char block[300000], back[300000];
    int log = open("log", O_WRONLY | O_CREAT | O_APPEND, 0644);
    int fd = open("log", O_RDWR);

    CHECK(write(log, "one\n", 4) == 4 && pwrite(fd, "two\n", 4, 4) == 4 &&
          write(log, "three\n", 6) == 6);
    CHECK(holds(fd, 0, "one\ntwo\nthree\n"));
    CHECK(!fcntl(fd, F_SETFL, O_APPEND) && write(fd, "four\n", 5) == 5 && size_of(fd) == 19);
    CHECK(!fcntl(fd, F_SETFL, 0) && pwrite(fd, "O", 1, 0) == 1 && size_of(fd) == 19);
    CHECK(lseek(fd, -5, SEEK_END) == 14 && writev(fd, pieces, 2) == 8 && size_of(fd) == 22);
    CHECK_ERRNO(pwrite(fd, nowhere, 4, 0), EFAULT);
    close(log);
    log = open("log", O_WRONLY | O_TRUNC);
    CHECK(log >= 0 && size_of(fd) == 0 && read(fd, block, 1) == 0);
    for (size_t i = 0; i < sizeof(block); i++)
        block[i] = (char)(i * 7 + i / 4096);
    CHECK(pwrite(fd, block, sizeof(block), 12345) == (long)sizeof(block));
    CHECK(pread(fd, back, sizeof(back), 12345) == (long)sizeof(back) &&
          !memcmp(block, back, sizeof(back)));
    CHECK(pread(fd, back, 12345, 0) == 12345 && back[0] == 0 && back[12344] == 0);
    /* Where holes are is the filesystem's affair, but not where the file ends. */
    off_t size = size_of(fd);
    CHECK(lseek(fd, 0, SEEK_HOLE) <= size && lseek(fd, 12345, SEEK_DATA) == 12345);
    CHECK(lseek(fd, size - 1, SEEK_DATA) == size - 1 && lseek(fd, size - 1, SEEK_HOLE) == size);
    CHECK_ERRNO(lseek(fd, size, SEEK_DATA), ENXIO);
    CHECK_ERRNO(lseek(fd, size, SEEK_HOLE), ENXIO);
    CHECK(!fsync(fd) && !fdatasync(fd) && !close(log) && !close(fd));
    fd = open("log", O_RDWR | O_DIRECT);
    CHECK(fd >= 0 && !close(fd) && !truncate("log", 5) && !unlink("log"));
}

static void test_mappings(void)
{
    int fd = file_with("map", "");
    char text[8] = "";

    CHECK(!ftruncate(fd, 3 * PAGE));
    char *shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    char *private = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    NEED(shared != MAP_FAILED && private != MAP_FAILED);
    memcpy(shared + PAGE - 2, "cross", 5);
    CHECK(pread(fd, text, 5, PAGE - 2) == 5 && !memcmp(text, "cross", 5));
    CHECK(!memcmp(private + PAGE - 2, "cross", 5));
    CHECK(pwrite(fd, "WRITE", 5, PAGE) == 5 && !memcmp(shared + PAGE - 2, "crWRITE", 7));
    private[0] = 'p';
    CHECK(pwrite(fd, "q", 1, 0) == 1 && private[0] == 'p' && shared[0] == 'q');
    shared[2 * PAGE] = 's';
    CHECK(!msync(shared, 3 * PAGE, MS_SYNC) && pread(fd, text, 1, 2 * PAGE) == 1 && text[0] == 's');
    CHECK(!ftruncate(fd, PAGE + 3) && shared[PAGE + 2] == 'I' && shared[PAGE + 4] == 0);
    CHECK(!ftruncate(fd, 2 * PAGE) && shared[PAGE + 4] == 0);
    shared[PAGE + 4] = 'k';
    close(fd);
    CHECK(!munmap(shared, 3 * PAGE) && !munmap(private, 3 * PAGE)); /* the last user of the file */
    fd = open("map", O_RDONLY);
    CHECK(pread(fd, text, 1, PAGE + 4) == 1 && text[0] == 'k' && size_of(fd) == 2 * PAGE);
    CHECK(!close(fd) && !unlink("map"));
}

static void test_appending(void)
{
    int fd = open("log", O_RDWR | O_CREAT | O_EXCL | O_APPEND, 0444);

    CHECK(fd >= 0 && write(fd, "one", 3) == 3 && pwrite(fd, "two", 3, 0) == 3 &&
          holds(fd, 0, "onetwo"));
    CHECK(lseek(fd, 0, SEEK_CUR) == 3 && write(fd, "3", 1) == 1 && lseek(fd, 0, SEEK_CUR) == 7);
    CHECK(!fcntl(fd, F_SETFL, 0) && pwrite(fd, "O", 1, 0) == 1 && holds(fd, 0, "Onetwo3"));
    CHECK(!chmod("log", 0644) && !close(fd));
    fd = open("log", O_RDWR | O_APPEND);
    char *map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(fd >= 0 && map != MAP_FAILED);
    map[1] = 'N';
    CHECK(write(fd, "four", 4) == 4 && !memcmp(map, "ONetwo3four", 12));
    CHECK(!fcntl(fd, F_SETFL, 0) && pwrite(fd, "1", 1, 0) == 1 && size_of(fd) == 11);
    CHECK(!fcntl(fd, F_SETFL, O_APPEND) && write(fd, "5", 1) == 1 && holds(fd, 0, "1Netwo3four5"));
    map[2] = 'E';
    CHECK(!unlink("log") && write(fd, "6", 1) == 1 && size_of(fd) == 13);
    CHECK(!ftruncate(fd, 4) && write(fd, "7", 1) == 1 && holds(fd, 0, "1NEt7"));
    CHECK(!munmap(map, PAGE) && !close(fd));
}

static bool has_written; /* atomic */

static void *store_main(void *arg)
{
    volatile char *byte = arg;

    while (!__atomic_load_n(&has_written, __ATOMIC_RELAXED))
        (*byte)++;
    return NULL;
}

/* What is written beside a byte that another thread stores to all the while. */
static void test_stores(void)
{
    int lost = 0, fd = file_with("map", "");
    pthread_t thread;

    CHECK(!ftruncate(fd, 2 * PAGE));
    char *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(map != MAP_FAILED && !pthread_create(&thread, NULL, store_main, map));
    for (unsigned i = 1; i <= 300; i++) {
        unsigned pair[2] = { i, ~i }, back[2];
        CHECK(pwrite(fd, pair, sizeof(pair), PAGE - 4) == sizeof(pair));
        lost += memcmp(map + PAGE - 4, pair, sizeof(pair)) != 0;
        CHECK(pread(fd, back, sizeof(back), PAGE - 4) == sizeof(back));
        lost += memcmp(back, pair, sizeof(pair)) != 0;
    }
    __atomic_store_n(&has_written, true, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    printf("lost: %d\n", lost);
    CHECK(!munmap(map, 2 * PAGE) && !close(fd) && !unlink("map"));
}

static void test_times(void)
{
    struct timespec times[2] = { { 1000000000, 123456789 }, { 1100000000, 987654321 } };
    struct stat info;

    close(file_with("times", "t"));
    CHECK(!utimensat(AT_FDCWD, "times", times, 0) && !stat("times", &info));
    CHECK(info.st_atim.tv_sec == 1000000000 && info.st_mtim.tv_nsec == 987654321);
    times[0].tv_nsec = UTIME_OMIT;
    times[1].tv_nsec = UTIME_NOW;
    CHECK(!utimensat(AT_FDCWD, "times", times, 0) && !stat("times", &info));
    CHECK(info.st_atim.tv_sec == 1000000000 && info.st_mtim.tv_sec > 1700000000);
    CHECK(!symlink("nowhere", "link") && !utimensat(AT_FDCWD, "link", times, AT_SYMLINK_NOFOLLOW));
    CHECK(!unlink("link") && !unlink("times"));
}

static void test_listing(void)
{
    char name[32];
    struct dirent *entry;
    unsigned seen = 0, again = 0;
    long middle = 0;

    CHECK(!mkdir("many", 0755));
    for (int i = 0; i < 700; i++) {
        snprintf(name, sizeof(name), "many/file-%d", i);
        close(file_with(name, ""));
    }
    DIR *dir = opendir("many");
    NEED(dir);
    while ((entry = readdir(dir))) {
        seen++;
        if (seen == 300)
            middle = telldir(dir);
    }
    CHECK(seen == 702);
    seekdir(dir, middle);
    while (readdir(dir))
        again++;
    CHECK(again == 402);
    rewinddir(dir);
    while ((entry = readdir(dir))) {
        if (entry->d_name[0] == '.')
            continue;
        CHECK(entry->d_type == DT_REG && !unlinkat(dirfd(dir), entry->d_name, 0));
    }
    closedir(dir);
    CHECK(!rmdir("many"));
}

/* The events come with the last user, not later. */
static void test_watching(void)
{
    struct inotify_event event;
    int watcher = inotify_init1(IN_NONBLOCK);

    close(file_with("watched", "w"));
    CHECK(inotify_add_watch(watcher, "watched", IN_DELETE_SELF) > 0);
    CHECK_ERRNO(read(watcher, &event, sizeof(event)), EAGAIN);
    CHECK(!unlink("watched"));
    CHECK(read(watcher, &event, sizeof(event)) == sizeof(event) && event.mask == IN_DELETE_SELF);
    close(watcher);
}

static void *worker(void *arg)
{
    char name[32], text[64];

    for (int i = 0; i < 40; i++) {
        int len = snprintf(text, sizeof(text), "thread %ld round %d", (long)arg, i);
        snprintf(name, sizeof(name), "t%ld-%d", (long)arg, i % 3);
        int fd = file_with(name, text);
        CHECK(holds(fd, 0, text) && size_of(fd) == len);
        close(fd);
        CHECK(!rename(name, "shared"));
        fd = open("shared", O_RDONLY);
        CHECK(fd >= 0 && size_of(fd) > 0);
        close(fd);
    }
    return NULL;
}

static void test_threads(void)
{
    pthread_t threads[4];

    for (long i = 0; i < 4; i++)
        CHECK(!pthread_create(&threads[i], NULL, worker, (void *)i));
    for (int i = 0; i < 4; i++)
        pthread_join(threads[i], NULL);
    CHECK(!unlink("shared"));
}

int main(void)
{
    test_modes();
    test_nameless();
    test_other_names();
    test_replaced();
    test_writing();
    test_mappings();
    test_appending();
    test_stores();
    test_times();
    test_listing();
    test_watching();
    test_threads();
    return check_end();
}
