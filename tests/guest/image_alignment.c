// SPDX-License-Identifier: MIT
/*
 * A program whose segments ask for more than pages is placed as they ask, with and without an interpreter.
 * test: variants=dynamic flags=-fPIE,-pie,-z,max-page-size=0x200000
 */
#include "check.h"

#include <link.h>

#define ALIGNMENT (2UL << 20)

static _Alignas(ALIGNMENT) char block[ALIGNMENT];

static int check_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    size_t *n = arg;

    CHECK(size >= sizeof info->dlpi_addr);
    if ((*n)++ == 0) /* the program */
        CHECK(info->dlpi_addr % ALIGNMENT == 0);
    return 0;
}

int main(void)
{
    size_t n = 0;

    CHECK((uintptr_t)block % ALIGNMENT == 0);
    block[ALIGNMENT - 1] = 1;
    dl_iterate_phdr(check_object, &n);
    CHECK(n > 0);
    return check_end();
}
