// SPDX-License-Identifier: MIT
/*
 * Memory policy of a machine with one node: results and errors.
 * test: variants=dynamic
 */
#include "check.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#define MPOL_DEFAULT    0
#define MPOL_PREFERRED  1
#define MPOL_BIND       2
#define MPOL_INTERLEAVE 3

int main(void)
{
    unsigned long mask = 1, got[16] = { 0 }, none = 0;
    int mode = 77, status = 99, node = 0;
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    void *pages[1] = { page };

    NEED(page != MAP_FAILED);
    page[0] = 1;
    errno = 0;
    printf("get %ld", syscall(SYS_get_mempolicy, &mode, got, 1024L, 0L, 0L));
    printf(" %d mode %d mask %lx\n", errno, mode, got[0]);
#define SHOW(...)                                                                                  \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long result_ = syscall(__VA_ARGS__);                                                       \
        printf("%s: %ld %s\n", #__VA_ARGS__, result_, strerrorname_np(errno));                     \
    } while (0)
    SHOW(SYS_get_mempolicy, 8L, NULL, 0L, 0L, 0L);
    SHOW(SYS_get_mempolicy, &mode, NULL, 0L, 0L, 64L);
    SHOW(SYS_set_mempolicy, MPOL_BIND, &mask, 64L);
    SHOW(SYS_set_mempolicy, MPOL_BIND, &none, 64L);
    SHOW(SYS_set_mempolicy, 77, NULL, 0L);
    SHOW(SYS_set_mempolicy, MPOL_BIND, 8L, 64L);
    SHOW(SYS_set_mempolicy, MPOL_DEFAULT, NULL, 0L);
    SHOW(SYS_mbind, page, 4096L, MPOL_PREFERRED, &mask, 64L, 0);
    SHOW(SYS_mbind, page, 4096L, MPOL_BIND, 8L, 64L, 0);
    SHOW(SYS_mbind, page + 1, 4096L, MPOL_BIND, &mask, 64L, 0);
    SHOW(SYS_mbind, page, 4096L, 77, &mask, 64L, 0);
    SHOW(SYS_mbind, page, 4096L, MPOL_DEFAULT, NULL, 0L, 0);
    SHOW(SYS_migrate_pages, 0, 64L, &mask, &mask);
    SHOW(SYS_migrate_pages, 0, 64L, 8L, &mask);
    SHOW(SYS_migrate_pages, 0x3fffffff, 64L, &mask, &mask);
    SHOW(SYS_move_pages, 0, 1L, pages, NULL, &status, 0);
    printf("status %d\n", status);
    SHOW(SYS_move_pages, 0, 1L, pages, &node, &status, 2);
    SHOW(SYS_move_pages, 0, 1L, 8L, NULL, &status, 0);
    SHOW(SYS_move_pages, 0, 1L, pages, NULL, &status, 0x10);
    SHOW(SYS_move_pages, 0x3fffffff, 1L, pages, NULL, &status, 0);
    SHOW(SYS_mbind, page, 4096L, MPOL_BIND, &mask, 64L, 0);
    SHOW(SYS_set_mempolicy_home_node, page, 4096L, 0L, 0L);
    SHOW(SYS_set_mempolicy_home_node, page, 4096L, 0L, 1L);
    SHOW(SYS_set_mempolicy_home_node, page, 4096L, 500L, 0L);
    return check_end();
}
