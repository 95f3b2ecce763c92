// SPDX-License-Identifier: MIT
/*
 * Memory: mmap, munmap, mprotect, mremap, madvise, copy on write, file mappings, errors.
 * test: variants=dynamic,static,musl,folder
 */
#include "check.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define PAGE 4096UL

static sigjmp_buf escape;
static volatile int fault_code;

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)number, (void)context;
    fault_code = info->si_code;
    siglongjmp(escape, 1);
}

/* Does a store (or load) at address fault?  0: no, else si_code. */
static int probe(volatile char *address, int store)
{
    fault_code = 0;
    if (!sigsetjmp(escape, 1)) {
        if (store)
            *address = 1;
        else
            (void)*address;
    }
    return fault_code;
}

static char *map(size_t size, int protection, int flags)
{
    char *address = mmap(NULL, size, protection, flags | MAP_ANONYMOUS, -1, 0);

    NEED(address != MAP_FAILED);
    return address;
}

static void test_anonymous(void)
{
    char *p = map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    int zero = 1;

    for (unsigned long i = 0; i < 16 * PAGE; i++)
        zero &= !p[i];
    CHECK(zero);
    memset(p, 'a', 16 * PAGE);
    CHECK(!munmap(p + 4 * PAGE, 2 * PAGE)); /* a hole */
    CHECK(probe(p + 4 * PAGE, 0) == SEGV_MAPERR && probe(p + 6 * PAGE, 1) == 0);
    CHECK(p[3 * PAGE] == 'a' && probe(p + 3 * PAGE, 1) == 0);
    CHECK(!munmap(p, 16 * PAGE)); /* with a hole in it: no error */
    CHECK(probe(p, 0) == SEGV_MAPERR);
    CHECK_ERRNO(munmap(p + 1, PAGE), EINVAL);
    CHECK_ERRNO(munmap(p, 0), EINVAL);
}

static void test_arguments(void)
{
    CHECK_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0), EBADF);
    CHECK_ERRNO(mmap(NULL, 1UL << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
    CHECK_ERRNO(syscall(SYS_mmap, 0, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1), EINVAL);
    CHECK_ERRNO(
        mmap((void *)(PAGE + 1), PAGE, PROT_READ, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
        EINVAL);
    char *p = map(PAGE, PROT_READ, MAP_PRIVATE);
    CHECK_ERRNO(mmap(p, PAGE, PROT_READ, MAP_FIXED_NOREPLACE | MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
                EEXIST);
    /* A hint that is taken is not obeyed; a free one is. */
    CHECK(mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != p);
    munmap(p, PAGE);
    char *q = mmap(p, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(q == p);
    CHECK_ERRNO(mprotect((void *)0x10000000000, PAGE, PROT_READ), ENOMEM);
    CHECK_ERRNO(syscall(SYS_mprotect, p + 1, PAGE, PROT_READ), EINVAL);
    CHECK_ERRNO(madvise(p, PAGE, 9999), EINVAL);
    CHECK_ERRNO(madvise(p + 1, PAGE, MADV_NORMAL), EINVAL);
}

static void test_mprotect(void)
{
    char *p = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    p[PAGE] = 'x';
    CHECK(!mprotect(p + PAGE, PAGE, PROT_READ));
    CHECK(probe(p + PAGE, 1) == SEGV_ACCERR && probe(p + PAGE, 0) == 0 && p[PAGE] == 'x');
    CHECK(probe(p, 1) == 0 && probe(p + 2 * PAGE, 1) == 0);
    CHECK(!mprotect(p, 3 * PAGE, PROT_NONE));
    CHECK(probe(p, 0) == SEGV_ACCERR);
    CHECK(!mprotect(p, 3 * PAGE, PROT_READ | PROT_WRITE));
    CHECK(p[PAGE] == 'x' && probe(p, 1) == 0);
    p[0] = (char)0xc3; /* ret */
    CHECK(!mprotect(p, PAGE, PROT_READ | PROT_EXEC));
    ((void (*)(void))(void *)p)();
    munmap(p, 3 * PAGE);
}

static void test_mremap(void)
{
    char *p = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    for (int i = 0; i < 4; i++)
        p[i * PAGE] = (char)('a' + i);
    char *q = mremap(p, 4 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
    NEED(q != MAP_FAILED);
    CHECK(q[0] == 'a' && q[3 * PAGE] == 'd' && q[4 * PAGE] == 0);
    if (q != p)
        CHECK(probe(p, 0) == SEGV_MAPERR);
    CHECK(mremap(q, 64 * PAGE, 2 * PAGE, 0) == q);
    CHECK(q[PAGE] == 'b' && probe(q + 2 * PAGE, 0) == SEGV_MAPERR);
    char *place = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
    CHECK(mremap(q, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
    CHECK(place[PAGE] == 'b' && probe(q, 0) == SEGV_MAPERR);
    CHECK_ERRNO(mremap(place + 1, PAGE, PAGE, 0), EINVAL);
    CHECK_ERRNO(mremap(q, PAGE, 2 * PAGE, MREMAP_MAYMOVE), EFAULT);
    char *guarded = map(2 * PAGE, PROT_READ, MAP_PRIVATE);
    mprotect(guarded + PAGE, PAGE, PROT_NONE);
    CHECK_ERRNO(mremap(guarded, PAGE, 2 * PAGE, 0), ENOMEM);
}

static void test_madvise(void)
{
    char *p = map(8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);

    memset(p, 'x', 8 * PAGE);
    CHECK(!madvise(p + PAGE, 2 * PAGE, MADV_DONTNEED));
    CHECK(p[PAGE] == 0 && p[2 * PAGE] == 0 && p[0] == 'x' && p[3 * PAGE] == 'x');
    unsigned char resident[8];
    CHECK(!mincore(p, 8 * PAGE, resident));
    CHECK(resident[0] & 1);
    CHECK(!madvise(p, PAGE, MADV_FREE));
    p[0] = 'y';
    CHECK(p[0] == 'y');
    CHECK(!madvise(p, 8 * PAGE, MADV_HUGEPAGE) || errno == EINVAL);
    munmap(p, PAGE);
    CHECK_ERRNO(madvise(p, 2 * PAGE, MADV_DONTNEED), ENOMEM);
}

static void test_files(void)
{
    int fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char buffer[8] = "";

    NEED(fd >= 0 && write(fd, "hello", 5) == 5);
    char *p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    char *s = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    NEED(p != MAP_FAILED && s != MAP_FAILED);
    CHECK(!strcmp(p, "hello") && p[5] == 0 && p[PAGE - 1] == 0);
    p[0] = 'J';
    CHECK(pread(fd, buffer, 5, 0) == 5 && !memcmp(buffer, "hello", 5));
    s[1] = 'E';
    CHECK(pread(fd, buffer, 5, 0) == 5 && !memcmp(buffer, "hEllo", 5));
    CHECK(pwrite(fd, "L", 1, 2) == 1 && s[2] == 'L');
    CHECK(p[0] == 'J' && p[1] == 'e'); /* copied before s changed */
    CHECK(!ftruncate(fd, 2 * PAGE) && s[PAGE] == 0);
    s[PAGE] = 'z';
    CHECK(!msync(s, 2 * PAGE, MS_SYNC));
    CHECK(pread(fd, buffer, 1, PAGE) == 1 && buffer[0] == 'z');
    close(fd); /* the mapping stays */
    CHECK(s[1] == 'E');
    int readonly = open("file", O_RDONLY);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, readonly, 0), EACCES);
    CHECK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, readonly, 0) != MAP_FAILED);
    int writeonly = open("file", O_WRONLY);
    CHECK_ERRNO(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, writeonly, 0), EACCES);
    unlink("file");
}

static void test_shared_anonymous(void)
{
    char *p = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);

    p[0] = 'q';
    char *alias = mremap(p, 0, PAGE, MREMAP_MAYMOVE); /* a second view of a shared mapping */
    CHECK(alias != MAP_FAILED && alias[0] == 'q');
    alias[1] = 'w';
    CHECK(p[1] == 'w');
}

static void test_reserve(void)
{
    /* What V8, Go and the JVM do: much address space, little of it used. */
    size_t size = 64UL << 30;
    char *p = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    NEED(p != MAP_FAILED);
    for (size_t at = 0; at < size; at += size / 16) {
        CHECK(!mprotect(p + at, PAGE, PROT_READ | PROT_WRITE));
        p[at] = 1;
    }
    CHECK(!munmap(p, size));
    void *before = sbrk(0);

    if (sbrk(4096) == (void *)-1)
        return; /* musl has no sbrk but for looking */
    brk(before);
    CHECK(sbrk(100000) == before);
    memset(before, 1, 100000);
    CHECK(!brk(before));
}

int main(void)
{
    struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
    test_anonymous();
    test_arguments();
    test_mprotect();
    test_mremap();
    test_madvise();
    test_files();
    test_shared_anonymous();
    test_reserve();
    return check_end();
}
