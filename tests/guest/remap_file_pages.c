// SPDX-License-Identifier: MIT
/*
 * remap_file_pages(2): pages of a shared mapping in another order, and its errors.
 */
#include "check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#define PAGE 4096UL

static long remap(void *start, size_t size, int prot, size_t page, int flags)
{
    return syscall(SYS_remap_file_pages, start, size, prot, page, flags);
}

static char *map_file(int flags)
{
    int fd = open("pages", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char page[PAGE];

    NEED(fd >= 0);
    for (int i = 0; i < 4; i++) {
        memset(page, 'a' + i, PAGE);
        NEED(write(fd, page, PAGE) == (long)PAGE);
    }
    char *map = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, flags, fd, 0);
    NEED(map != MAP_FAILED);
    close(fd);
    return map;
}

static void test_order(char *map)
{
    CHECK(remap(map, PAGE, 0, 3, 0) == 0 && map[0] == 'd' && map[PAGE] == 'b');
    CHECK(remap(map + 2 * PAGE, 2 * PAGE, 0, 0, MAP_NONBLOCK) == 0);
    CHECK(map[2 * PAGE] == 'a' && map[3 * PAGE] == 'b');
    map[3 * PAGE] = 'X';
    CHECK(map[PAGE] == 'X'); /* they are the same page */
    /* Over mappings that are pieces already; sizes are rounded down. */
    CHECK(remap(map + 10, 4 * PAGE + 100, 0, 0, 0) == 0);
    for (int i = 0; i < 4; i++)
        CHECK(map[i * PAGE + 1] == 'a' + i);
}

static void test_errors(char *map)
{
    char *private = map_file(MAP_PRIVATE);

    CHECK_ERRNO(remap(private, PAGE, 0, 1, 0), EINVAL);
    CHECK_ERRNO(remap(map, PAGE, PROT_READ, 1, 0), EINVAL);
    CHECK_ERRNO(remap(map, 0, 0, 1, 0), EINVAL);
    CHECK_ERRNO(remap(map, PAGE, 0, ~0UL, 0), EINVAL);
    CHECK_ERRNO(remap(map, PAGE, 0, 1UL << 52, 0), EOVERFLOW);
    CHECK_ERRNO(remap((void *)PAGE, PAGE, 0, 0, 0), EINVAL);
    NEED(munmap(map + PAGE, PAGE) == 0);
    CHECK_ERRNO(remap(map, 3 * PAGE, 0, 0, 0), EINVAL); /* a hole */
    CHECK(map[0] == 'a');
}

static void test_segment(void)
{
    int id = shmget(IPC_PRIVATE, 2 * PAGE, 0600);
    char *map = shmat(id, NULL, 0);
    struct shmid_ds status;

    NEED(id >= 0 && map != (void *)-1);
    map[0] = 'a';
    map[PAGE] = 'b';
    CHECK(remap(map, PAGE, 0, 1, 0) == 0 && map[0] == 'b');
    CHECK(shmctl(id, IPC_STAT, &status) == 0 && status.shm_nattch == 2);
    CHECK(munmap(map, 2 * PAGE) == 0 && shmctl(id, IPC_STAT, &status) == 0 &&
          status.shm_nattch == 0);
    CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

int main(void)
{
    char *map = map_file(MAP_SHARED);

    test_order(map);
    test_errors(map);
    test_segment();
    return check_end();
}
