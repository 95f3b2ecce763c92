// SPDX-License-Identifier: MIT
/*
 * vm.max_map_count: what it takes, and which calls fail at it.
 * test: memory=192M timeout=120
 */
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define SETTING "/proc/sys/vm/max_map_count"
#define PAGE    4096UL
#define TAIL    64 /* pages that stay one mapping at the end */
#define NOBODY  54321

static long setting(void)
{
    char text[32] = "";
    int fd = open(SETTING, O_RDONLY);

    NEED(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0);
    close(fd);
    return atol(text);
}

/* 0 or errno. */
static int set(const char *text)
{
    int fd = open(SETTING, O_WRONLY);

    NEED(fd >= 0);
    int err = write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : errno;
    close(fd);
    return err;
}

static int set_number(const char *format, long number)
{
    char text[64];

    snprintf(text, sizeof(text), format, number);
    return set(text);
}

/* What is mapped; Linux's [vsyscall] is in the list but is none of them. */
static long mapping_count(void)
{
    static char chunk[65536];
    long lines = 0, n;
    int fd = open("/proc/self/maps", O_RDONLY);

    NEED(fd >= 0);
    while ((n = read(fd, chunk, sizeof(chunk))) > 0) {
        for (long i = 0; i < n; i++)
            lines += chunk[i] == '\n';
        lines -= memmem(chunk, (size_t)n, "[vsyscall]", 10) != NULL;
    }
    close(fd);
    return lines;
}

static void test_text(void)
{
    static const char *const wrong[] = { "-1",         "many", "12x",
                                         " \n",        "0x",   "2147483648\n",
                                         "4294967296", "09",   "18446744073709551616" };
    struct stat status;
    long before = setting();

    CHECK(!stat(SETTING, &status) && status.st_mode == (S_IFREG | 0644));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
        if (set(wrong[i]) != EINVAL)
            printf("'%s' is taken\n", wrong[i]);
        CHECK(setting() == before);
    }
    CHECK(!set_number("%ld", before) && setting() == before);
    CHECK(!set_number("  %ld\n", before) && setting() == before);
    CHECK(!set_number("0x%lx\n", before) && setting() == before);
    CHECK(!set_number("0%lo\n", before) && setting() == before);
}

static void test_others(void)
{
    int status;

    fflush(stdout);
    pid_t pid = fork();
    NEED(pid >= 0);
    if (!pid) {
        NEED(!setuid(NOBODY));
        CHECK(setting() > 0);
        CHECK_ERRNO(open(SETTING, O_WRONLY), EACCES);
        CHECK_ERRNO(open(SETTING, O_RDWR), EACCES);
        fflush(stdout);
        _exit(check_failures != 0);
    }
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* Every second page is readable, until that fails: as many mappings as the limit, whichever of the two cuts was it. */
static void fill(char *base, size_t npages, long limit)
{
    long count = mapping_count();
    size_t i = 1;

    for (; i < npages && !mprotect(base + i * PAGE, PAGE, PROT_READ); i += 2)
        count += 2;
    CHECK(i < npages && errno == ENOMEM);
    /* Some more than were counted: the lower half of the last cut, Stout's own pages beside a library's calls. */
    CHECK(count <= limit && count > limit - 8);
}

static void test_at_limit(char *base, char *tail)
{
    CHECK_ERRNO(mprotect(tail + 8 * PAGE, PAGE, PROT_READ), ENOMEM);
    CHECK(!mprotect(tail + 8 * PAGE, PAGE, PROT_NONE)); /* as it is already */
    CHECK_ERRNO(madvise(tail + 8 * PAGE, PAGE, MADV_DONTFORK), EAGAIN);
    CHECK_ERRNO(munmap(tail + 8 * PAGE, PAGE), ENOMEM);
    CHECK(mremap(base + PAGE, PAGE, 2 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
    CHECK(!munmap(tail + (TAIL - 2) * PAGE, 2 * PAGE)); /* ends may be cut off */
    CHECK(mremap(base + PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
                 tail + (TAIL - 1) * PAGE) == MAP_FAILED &&
          errno == ENOMEM);
}

/* mmap() looks at what there was before, so it can go one over the limit; then nothing more is mapped. */
static void test_over_limit(char *tail)
{
    char *last = tail + (TAIL - 1) * PAGE;
    int shared = MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED;

    CHECK(mmap(last, PAGE, PROT_READ, shared, -1, 0) == last);
    CHECK(mmap(last - PAGE, PAGE, PROT_READ, shared, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK(mmap(last, PAGE, PROT_READ, shared, -1, 0) == MAP_FAILED && errno == ENOMEM);
    CHECK_ERRNO(sbrk(64 * PAGE), ENOMEM);
    CHECK(!munmap(tail + (TAIL - 3) * PAGE, PAGE));
    CHECK(!munmap(last, PAGE));
}

static void test_raised(char *tail, long limit)
{
    char *last = tail + (TAIL - 1) * PAGE;

    CHECK(!set_number("%ld\n", limit + 16));
    CHECK(!mprotect(tail + 8 * PAGE, PAGE, PROT_READ));
    CHECK(!munmap(tail + 16 * PAGE, PAGE));
    CHECK(mremap(tail + 8 * PAGE, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, last) == last);
    CHECK(!set_number("%ld\n", limit));
    CHECK_ERRNO(mprotect(tail + 4 * PAGE, PAGE, PROT_READ), ENOMEM);
}

int main(void)
{
    long limit = setting();
    size_t npages = (size_t)limit + 64;

    setvbuf(stdout, malloc(BUFSIZ), _IOFBF, BUFSIZ); /* no memory is asked for at the limit */
    bool is_root = geteuid() == 0;
    if (is_root) {
        test_text();
        test_others();
    }
    char *base = mmap(NULL, (npages + TAIL) * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(base != MAP_FAILED);
    char *tail = base + npages * PAGE;
    fill(base, npages, limit);
    test_at_limit(base, tail);
    test_over_limit(tail);
    if (is_root)
        test_raised(tail, limit);
    CHECK(!munmap(base, (npages + TAIL) * PAGE));
    return check_end();
}
