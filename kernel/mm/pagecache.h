// SPDX-License-Identifier: MIT
#pragma once
/*
 * The pages of a file, or of a piece of shared memory: an index from page number to frame.
 * The RAM filesystem's files are this and nothing else; disk filesystems fill and write back
 * through ops.  Inodes and vmspaces refer to it, it lists the mappings of itself (reverse map).
 *
 * [i] set at creation  [p] pagecache->lock (RANK_PAGECACHE)
 */
#include "kernel/mm/frame.h"
#include "kernel/mutex.h"
#include "lib/list.h"

struct pagecache;

struct pagecache_ops {
    /* Fills a new, zeroed frame with page index.  NULL ops: stays zero.  -EIO ... */
    int (*fill)(struct pagecache *cache, uint64_t index, struct frame *frame);
    /* A page is about to be made writable (block allocation).  May be NULL. */
    int (*make_writable)(struct pagecache *cache, uint64_t index, struct frame *frame);
    int (*write_back)(struct pagecache *cache, uint64_t index, struct frame *frame);
    /* The last reference is gone; the pages have been dropped.  May be NULL. */
    void (*release)(struct pagecache *cache);
};

struct pagecache {
    unsigned refcount;              /* [a] */
    struct mutex lock;
    const struct pagecache_ops *ops; /* [i] may be NULL: RAM only */
    void *owner;                    /* [i] the inode, for ops */
    void *root;                     /* [p] radix tree */
    unsigned height;                /* [p] */
    uint64_t npages;                /* [p] present */
    uint64_t size_bytes;            /* [p] end of file: faults at or after the page behind it are SIGBUS */
    struct list mappings;           /* [p] struct mapping of the vmspaces */
    unsigned nwritable_shared;      /* [p] shared writable mappings (memfd seals) */
};

int pagecache_create(const struct pagecache_ops *ops, void *owner, struct pagecache **out)
    __must_check;
struct pagecache *pagecache_get(struct pagecache *cache);
void pagecache_put(struct pagecache *cache);

/* The frame of page index, with a reference; made (zero or filled) if create.
 * 0; -ENOENT: a hole and !create; -ENOMEM; -EIO. */
int pagecache_page(struct pagecache *cache, uint64_t index, bool create, struct frame **out)
    __must_check;
/* Enters a frame (its reference is taken over); -EEXIST. */
int pagecache_insert(struct pagecache *cache, uint64_t index, struct frame *frame) __must_check;
/* Changes the size: drops pages behind the new end, zeroes the rest of the last one, and unmaps
 * them everywhere. */
void pagecache_set_size(struct pagecache *cache, uint64_t size_bytes);
/* Drops the pages that lie in [start, end) bytes, zeroes partial ones (FALLOC_FL_PUNCH_HOLE). */
int pagecache_punch(struct pagecache *cache, uint64_t start, uint64_t end) __must_check;
/* Byte access for read and write; no size check.  They copy from and to kernel memory or the
 * application (is_app); -EFAULT only if nothing was copied.  Bytes copied or -errno. */
long pagecache_read(struct pagecache *cache, uint64_t pos, void *buf, size_t len, bool is_app);
long pagecache_write(struct pagecache *cache, uint64_t pos, const void *buf, size_t len,
                     bool is_app);
/* First page at or after index that is present, or UINT64_MAX (SEEK_DATA). */
uint64_t pagecache_next_present(struct pagecache *cache, uint64_t index);
