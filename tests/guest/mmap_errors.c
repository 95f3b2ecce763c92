// SPDX-License-Identifier: MIT
/*
 * The results and error numbers of the calls on address spaces, right and wrong arguments; whatever Linux
 * answers is the answer.
 * test: memory=256M variants=dynamic,static
 */
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#define P    4096UL
#define FAR  ((void *)0x10000000000)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* Prints the call, its result unless that is an address, and the error. */
#define SHOW(call)                                                                                 \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long result_ = (long)(call);                                                               \
        if (result_ > 4096 || result_ < -4096)                                                     \
            printf("%s = an address\n", #call);                                                    \
        else                                                                                       \
            printf("%s = %ld %s\n", #call, result_, errno ? strerror(errno) : "");                 \
    } while (0)

static char *pages, *more, *file;
static unsigned char vec[64];

static void show_mmap(void)
{
    SHOW(mmap(0, 0, 3, ANON, -1, 0));
    SHOW(mmap(0, P, 3, MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(0, P, 3, MAP_PRIVATE, -1, 0));
    SHOW(mmap(0, P, 3, MAP_PRIVATE, 99, 0));
    SHOW(mmap(0, 0, 3, MAP_PRIVATE, 99, 0));
    SHOW(mmap(0, P, 3, ANON, -1, 123));
    SHOW(mmap((void *)123, P, 3, ANON | MAP_FIXED, -1, 0));
    SHOW(mmap(pages, P, 3, ANON | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap(0, 1UL << 48, 3, ANON, -1, 0));
    SHOW(mmap(0, -1UL, 3, ANON, -1, 0));
    SHOW(mmap(0, P, 3, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0));
    SHOW(mmap(0, P, 3, MAP_SHARED_VALIDATE | MAP_ANONYMOUS, -1, 0));
    int fd = open("/proc/self/exe", O_RDONLY);
    SHOW(mmap(0, P, 3, MAP_SHARED, fd, 0));
    SHOW(mmap(0, P, 1, MAP_SHARED, fd, 0));
    file = mmap(0, P, 1, MAP_SHARED, fd, 0);
    SHOW(mprotect(file, P, 3));
    SHOW(mmap(0, P, 1, MAP_SHARED_VALIDATE | MAP_SYNC, fd, 0));
    SHOW(mmap(0, P, 3, MAP_PRIVATE, fd, 0));
    SHOW(mmap(0, P, 1, MAP_PRIVATE, fd, 5));
    SHOW(mmap(0, P, 1, MAP_PRIVATE, fd, -4096));
    int wr = open("mmx", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    SHOW(mmap(0, P, 1, MAP_PRIVATE, wr, 0));
    CHECK(!unlink("mmx"));
    int dir = open("/", O_RDONLY);
    SHOW(mmap(0, P, 1, MAP_PRIVATE, dir, 0));
}

static void show_protect(void)
{
    SHOW(munmap(pages + 1, P));
    SHOW(munmap(pages, 0));
    SHOW(munmap((void *)-P, P));
    SHOW(munmap(FAR, P));
    SHOW(mprotect(pages + 1, P, 3));
    SHOW(mprotect(pages, 0, 99));
    SHOW(mprotect(pages, P, 0x100));
    SHOW(mprotect(pages, P, 8));
    SHOW(mprotect(FAR, P, 1));
    SHOW(mprotect(pages, P, PROT_READ | PROT_GROWSDOWN));
    SHOW(mprotect(pages, P, PROT_READ | PROT_GROWSUP));
    SHOW(mprotect(pages, P, 3));
}

static void show_remap(void)
{
    SHOW(mremap(pages, P, 0, 0));
    SHOW(mremap(pages + 1, P, P, 0));
    SHOW(mremap(pages, P, P, 8));
    SHOW(mremap(pages, P, P, MREMAP_FIXED, pages + P));
    SHOW(mremap(pages, P, 2 * P, 0));
    SHOW(mremap(pages, 2 * P, 2 * P, MREMAP_FIXED | MREMAP_MAYMOVE, pages + P));
    SHOW(mremap(FAR, P, P, 0));
    SHOW(mremap(pages, 0, P, MREMAP_MAYMOVE));
    SHOW(mremap(pages, 32 * P, 64 * P, MREMAP_MAYMOVE));
    SHOW(mremap(pages, P, 2 * P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP));
}

static void show_advice(void)
{
    SHOW(madvise(pages, P, 77));
    SHOW(madvise(pages + 1, P, MADV_DONTNEED));
    SHOW(madvise(pages, 0, MADV_DONTNEED));
    SHOW(madvise(pages, 64 * P, MADV_DONTNEED));
    SHOW(madvise(pages, P, MADV_WILLNEED));
    SHOW(madvise(file, P, MADV_FREE));
    SHOW(madvise(pages, P, MADV_FREE));
    SHOW(madvise(file, P, MADV_REMOVE));
    SHOW(madvise(pages, P, MADV_REMOVE));
    SHOW(madvise(pages, P, MADV_COLD));
    SHOW(madvise(pages, P, MADV_HUGEPAGE));
    SHOW(madvise(pages, P, MADV_WIPEONFORK));
    SHOW(madvise(file, P, MADV_WIPEONFORK));
    SHOW(madvise(pages, P, MADV_POPULATE_WRITE));
    SHOW(madvise(file, P, MADV_POPULATE_WRITE));
    SHOW(madvise(file, P, MADV_POPULATE_READ));
}

static void show_residency(void)
{
    CHECK(!madvise(more, 8 * P, MADV_NOHUGEPAGE));
    more[2 * P] = 1;
    more[5 * P] = 1;
    SHOW(mincore(more, 8 * P, vec));
    for (int i = 0; i < 8; i++)
        printf("%d", vec[i] & 1);
    puts("");
    SHOW(mincore(more + 1, P, vec));
    SHOW(mincore(FAR, P, vec));
    SHOW(mincore(more, P, (void *)8));
    SHOW(mincore(more, 0, vec));
    SHOW(msync(more, P, MS_SYNC));
    SHOW(msync(more + 1, P, MS_SYNC));
    SHOW(msync(more, P, MS_SYNC | MS_ASYNC));
    SHOW(msync(more, P, 99));
    SHOW(msync(FAR, P, MS_SYNC));
    SHOW(msync(more, 0, MS_SYNC));
}

static void show_locks(void)
{
    SHOW(mlock(more, P));
    SHOW(madvise(more, P, MADV_DONTNEED));
    SHOW(munlock(more, P));
    SHOW(mlock(FAR, P));
    SHOW(mlockall(0));
    SHOW(mlockall(8));
    SHOW(mlockall(4));
    SHOW(syscall(SYS_mlock2, more, P, 2));
    SHOW(syscall(SYS_mlock2, more, P, 1));
    SHOW(munlockall());
    SHOW(syscall(SYS_membarrier, 0, 1, 0));
    SHOW(syscall(SYS_membarrier, 8, 0, 0));
    SHOW(syscall(SYS_membarrier, 16, 0, 0));
    SHOW(syscall(SYS_membarrier, 8, 0, 0));
    SHOW(syscall(SYS_membarrier, 1, 0, 0));
    SHOW(syscall(SYS_membarrier, 3, 0, 0));
}

static void show_keys(void)
{
    SHOW(syscall(SYS_pkey_alloc, 1, 0));
    SHOW(syscall(SYS_pkey_free, 3));
    SHOW(syscall(SYS_pkey_mprotect, more, P, 3, -1));
    SHOW(syscall(SYS_pkey_mprotect, more, P, 3, 5));
}

static void show_limits(void)
{
    void *b = sbrk(0);
    SHOW(brk((char *)b + 100 * P));
    SHOW(brk(b));
    SHOW(brk((void *)(1UL << 46)));
    struct rlimit r = { 64 * 1024 * 1024, 64 * 1024 * 1024 };
    SHOW(setrlimit(RLIMIT_AS, &r));
    SHOW(mmap(0, 128 << 20, 3, ANON, -1, 0));
}

int main(void)
{
    pages = mmap((void *)0x20000000, 16 * P, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0);
    more = mmap((void *)0x30000000, 8 * P, PROT_READ | PROT_WRITE, ANON | MAP_FIXED, -1, 0);
    NEED(pages != MAP_FAILED && more != MAP_FAILED);
    show_mmap();
    show_protect();
    show_remap();
    show_advice();
    show_residency();
    show_locks();
    show_keys();
    show_limits();
    return check_end();
}
