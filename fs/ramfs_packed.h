// SPDX-License-Identifier: MIT
#pragma once
/*
 * Files of the RAM file system whose content is compressed in the boot archive (`stout run --compress`).
 */
#include "kernel/mm/pagecache.h"

#define PACKED_BLOCK 32768U /* bytes of the file in each compressed block but the last */

/* A page cache for plain_size bytes, whose compressed form is [paddr, paddr + size) in a boot module; of its pages the
 * first npages are adopted.  -EBADMSG: it is not on a page, or no such form; -ENOMEM. */
int packed_create(paddr_t paddr, size_t size, size_t npages, size_t plain_size,
                  struct pagecache **out) __must_check;
/* How many pages of the file can be filled from its compressed form; 0: it has none. */
uint64_t packed_pages(const struct pagecache *cache);
