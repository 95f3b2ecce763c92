// SPDX-License-Identifier: MIT
/*
 * What /proc and /sys tell of pages (pagemap, smaps, Shmem), of interrupts, and of the processors' caches.
 * test: cpus=2
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PAGE    4096L
#define NPAGES  8
#define PRESENT (1ULL << 63)
#define OF_FILE (1ULL << 61)
#define FRAME   ((1ULL << 55) - 1)

static char text[1 << 20];

static const char *contents(const char *path)
{
    int fd = open(path, O_RDONLY);
    ssize_t size = 0, n = 0;

    while (fd >= 0 && (n = read(fd, text + size, sizeof text - 1 - (size_t)size)) > 0)
        size += n;
    if (fd >= 0)
        close(fd);
    text[size] = 0;
    return fd >= 0 && n == 0 ? text : "";
}

static char *map_pages(int flags)
{
    char *pages = mmap(NULL, NPAGES * PAGE, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);

    NEED(pages != MAP_FAILED);
    return pages;
}

static void test_pagemap(void)
{
    char *own = map_pages(MAP_PRIVATE), *shared = map_pages(MAP_SHARED);
    uint64_t entry[NPAGES];
    void *volatile nowhere = (void *)1;
    int fd = open("/proc/self/pagemap", O_RDONLY);

    own[0] = own[2 * PAGE] = 1;
    shared[PAGE] = 1;
    CHECK(pread(fd, entry, sizeof entry, (long)own / PAGE * 8) == sizeof entry);
    for (int i = 0; i < NPAGES; i++)
        CHECK(!(entry[i] & PRESENT) == (i != 0 && i != 2));
    CHECK((entry[0] & FRAME) && (entry[2] & FRAME) && (entry[0] & FRAME) != (entry[2] & FRAME));
    CHECK(!(entry[0] & OF_FILE) && !entry[1]);
    CHECK(lseek(fd, (long)shared / PAGE * 8, SEEK_SET) == (long)shared / PAGE * 8);
    CHECK(read(fd, entry, 16) == 16 && !entry[0]);
    CHECK((entry[1] & PRESENT) && (entry[1] & OF_FILE));
    CHECK_ERRNO(pread(fd, entry, 12, 0), EINVAL);
    CHECK_ERRNO(pread(fd, entry, 8, 4), EINVAL);
    CHECK_ERRNO(pread(fd, nowhere, 8, 8), EFAULT);
    CHECK(pread(fd, entry, 8, 1L << 40) == 0 && pread(fd, entry, 0, 0) == 0);
    close(fd);
    munmap(own, NPAGES * PAGE);
    munmap(shared, NPAGES * PAGE);
}

/* A figure of the mapping that begins at start, in KiB. */
static long smaps_value(const char *start, const char *name)
{
    char begin[24];
    long value = -1;

    snprintf(begin, sizeof begin, "%lx-", (long)start);
    const char *at = strstr(contents("/proc/self/smaps"), begin);
    NEED(at && (at = strstr(at, name)));
    sscanf(at + strlen(name), "%ld", &value);
    return value;
}

static void check_smaps(const char *pages, long shared_dirty, long own_dirty)
{
    CHECK(smaps_value(pages, "Rss:") == NPAGES * 4);
    CHECK(smaps_value(pages, "Pss:") == shared_dirty / 2 + own_dirty);
    CHECK(smaps_value(pages, "Shared_Dirty:") == shared_dirty);
    CHECK(smaps_value(pages, "Private_Dirty:") == own_dirty);
}

static void test_smaps(void)
{
    char *room = mmap(NULL, (NPAGES + 2) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *pages = room + PAGE; /* between pages of another protection: a line of its own */
    int status;

    NEED(room != MAP_FAILED && !mprotect(pages, NPAGES * PAGE, PROT_READ | PROT_WRITE));
    memset(pages, 1, NPAGES * PAGE);
    check_smaps(pages, 0, NPAGES * 4);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        check_smaps(pages, NPAGES * 4, 0);
        pages[0] = pages[PAGE] = 2;
        check_smaps(pages, NPAGES * 4 - 8, 8);
        fflush(stdout);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    check_smaps(pages, 0, NPAGES * 4);
    munmap(room, (NPAGES + 2) * PAGE);
}

static long shmem_kib(void)
{
    long value = -1;
    const char *at = strstr(contents("/proc/meminfo"), "\nShmem:");

    NEED(at && sscanf(at + 7, "%ld", &value) == 1);
    return value;
}

static void test_shmem(void)
{
    size_t size = 16 << 20;
    long before = shmem_kib();
    char *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    NEED(pages != MAP_FAILED);
    memset(pages, 1, size);
    CHECK(shmem_kib() - before > 8 << 10); /* on Linux others use it, too */
    munmap(pages, size);
    CHECK(shmem_kib() - before < 8 << 10);
}

static int store(const char *path, const char *value)
{
    int fd = open(path, O_WRONLY);
    ssize_t n = write(fd, value, strlen(value));

    close(fd);
    return n < 0 ? -1 : 0;
}

static void test_coredump_filter(void)
{
    const char *path = "/proc/self/coredump_filter";
    int status;

    CHECK(!strcmp(contents(path), "00000033\n"));
    CHECK(!store(path, "0x7f\n") && !strcmp(contents(path), "0000007f\n"));
    CHECK(!store(path, "17") && !strcmp(contents(path), "00000011\n"));
    CHECK(!store(path, "010") && !strcmp(contents(path), "00000008\n"));
    CHECK_ERRNO(store(path, "word"), EINVAL);
    CHECK_ERRNO(store(path, "1 2"), EINVAL);
    CHECK_ERRNO(store(path, "0x100000000"), ERANGE);
    fflush(stdout);
    pid_t child = fork();
    if (child == 0)
        _exit(strcmp(contents(path), "00000008\n") != 0);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    CHECK(!store(path, "51"));
}

static void test_interrupts(void)
{
    const char *row = strstr(contents("/proc/interrupts"), "LOC:");
    unsigned long cpu0 = 0, cpu1 = 0;

    CHECK(strstr(text, "CPU0 ") && row && sscanf(row + 4, "%lu %lu", &cpu0, &cpu1) == 2);
    CHECK(cpu0 + cpu1 > 0 && strstr(text, "RES:") && strstr(text, "CAL:"));
    CHECK(strstr(contents("/proc/softirqs"), "TIMER:") && strstr(text, "NET_RX:"));
}

#define CACHES "/sys/devices/system/cpu/cpu0/cache"

static void check_cache(const char *name)
{
    char path[400];
    long level, size, sets, ways, line;

    snprintf(path, sizeof path, CACHES "/%s/level", name);
    level = atol(contents(path));
    snprintf(path, sizeof path, CACHES "/%s/size", name);
    size = atol(contents(path));
    CHECK(strstr(text, "K\n"));
    snprintf(path, sizeof path, CACHES "/%s/number_of_sets", name);
    sets = atol(contents(path));
    snprintf(path, sizeof path, CACHES "/%s/ways_of_associativity", name);
    ways = atol(contents(path));
    snprintf(path, sizeof path, CACHES "/%s/coherency_line_size", name);
    line = atol(contents(path));
    CHECK(level >= 1 && level <= 4 && size * 1024 == sets * ways * line);
    snprintf(path, sizeof path, CACHES "/%s/type", name);
    CHECK(!strcmp(contents(path), "Data\n") || !strcmp(text, "Instruction\n") ||
          !strcmp(text, "Unified\n"));
    snprintf(path, sizeof path, CACHES "/%s/shared_cpu_list", name);
    CHECK(contents(path)[0] == '0');
    snprintf(path, sizeof path, CACHES "/%s/shared_cpu_map", name);
    CHECK(strtoul(contents(path), NULL, 16) & 1);
}

static void test_caches(void)
{
    DIR *dir = opendir(CACHES);
    int count = 0;

    NEED(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[300];
        struct stat info;
        snprintf(path, sizeof path, CACHES "/%s", entry->d_name);
        if (strncmp(entry->d_name, "index", 5))
            continue;
        CHECK(!stat(path, &info) && info.st_ino == entry->d_ino && S_ISDIR(info.st_mode));
        check_cache(entry->d_name);
        count++;
    }
    closedir(dir);
    CHECK(count >= 2);
    CHECK_ERRNO(access(CACHES "/index99", F_OK), ENOENT);
}

int main(void)
{
    if (access(CACHES, F_OK))
        unable("no topology of caches");
    test_pagemap();
    test_smaps();
    test_shmem();
    test_coredump_filter();
    test_interrupts();
    test_caches();
    return check_end();
}
