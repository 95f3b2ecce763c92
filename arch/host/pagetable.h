// SPDX-License-Identifier: MIT
#pragma once
#include "arch/arch.h"

/* What a CPU makes of an application address: 0 and the physical one, or -EFAULT where it would
 * raise a page fault.  access: PT_READ, PT_WRITE or PT_EXEC. */
int host_translate(struct arch_pagetable *pt, uintptr_t address, unsigned access,
                   paddr_t *paddr) __must_check;
/* Page tables in existence, roots included. */
unsigned host_page_tables(void);
