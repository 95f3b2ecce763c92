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
#include "kernel/mm/pagetree.h"
#include "kernel/mutex.h"
#include "lib/list.h"

struct pagecache;

struct pagecache_ops {
    /* Fills a new, zeroed frame with page index.  NULL ops: stays zero.  -EIO ...  All ops but
     * release are called with cache->lock held; what can be filled again may be reclaimed. */
    int (*fill)(struct pagecache *cache, uint64_t index, struct frame *frame);
    /* A page is about to be made writable (block allocation).  May be NULL. */
    int (*make_writable)(struct pagecache *cache, uint64_t index, struct frame *frame);
    int (*write_back)(struct pagecache *cache, uint64_t index, struct frame *frame);
    /* The file ends at size_bytes now, where it was longer; what is filled behind it must be zeros.  May be NULL. */
    void (*cut)(struct pagecache *cache, uint64_t size_bytes);
    /* The last reference is gone; the pages have been dropped.  May be NULL. */
    void (*release)(struct pagecache *cache);
};

struct pagecache {
    unsigned refcount; /* [a] */
    struct mutex lock;
    const struct pagecache_ops *ops; /* [i] may be NULL: RAM only */
    void *owner;                     /* [i] the inode, for ops */
    struct pagetree pages;           /* [p] of struct frame */
    uint64_t npages;                 /* [p] present */
    uint64_t size_bytes;  /* [p] end of file: faults at or after the page behind it are SIGBUS */
    struct list mappings; /* [p] struct mapping of the vmspaces */
    unsigned nwritable_shared; /* [p] shared writable mappings (memfd seals) */
    bool is_retired;           /* [p] owner is gone: nothing is written back any more */
};

int pagecache_create(const struct pagecache_ops *ops, void *owner,
                     struct pagecache **out) __must_check;
struct pagecache *pagecache_get(struct pagecache *cache);
void pagecache_put(struct pagecache *cache);

/* The frame of page index, with a reference; made (zero or filled) if create.
 * 0; -ENOENT: a hole and !create; -ENOMEM; -EIO. */
int pagecache_page(struct pagecache *cache, uint64_t index, bool create,
                   struct frame **out) __must_check;
/* Enters npages frames that follow each other, as the pages from index on.  The references are taken over, also by
 * a failure, which leaves those in that came first.  -EEXIST, -ENOMEM. */
int pagecache_insert(struct pagecache *cache, uint64_t index, struct frame *frames,
                     size_t npages) __must_check;
/* Changes the size: unless the file grows, drops pages behind the end, zeroes the rest of the last one, and unmaps
 * them everywhere. */
void pagecache_set_size(struct pagecache *cache, uint64_t size_bytes);
/* Drops the pages that lie in [start, end) bytes, zeroes partial ones (FALLOC_FL_PUNCH_HOLE). 0. */
int pagecache_punch(struct pagecache *cache, uint64_t start, uint64_t end) __must_check;
/* Drops the pages of [first, end) that nobody uses and that hold zeros: as holes they read the same. */
void pagecache_drop_zeros(struct pagecache *cache, uint64_t first, uint64_t end);
/* Drops the clean pages that touch [start, end) bytes: what they are filled from has changed. */
void pagecache_invalidate(struct pagecache *cache, uint64_t start, uint64_t end);
/* These bytes were just written to what pages are filled from, all the while under cache->lock: clean pages that touch
 * them are dropped, dirty ones get them, and the file ends behind them at least. */
void pagecache_written_locked(struct pagecache *cache, uint64_t pos, const void *data, size_t n);
/* Byte access for read and write; no size check.  They copy from and to kernel memory or the
 * application (is_app); -EFAULT only if nothing was copied.  Bytes copied or -errno. */
long pagecache_read(struct pagecache *cache, uint64_t pos, void *buf, size_t len, bool is_app);
long pagecache_write(struct pagecache *cache, uint64_t pos, const void *buf, size_t len,
                     bool is_app);
/* First page at or after index that is present, or UINT64_MAX (SEEK_DATA). */
uint64_t pagecache_next_present(struct pagecache *cache, uint64_t index);
/* Writes the dirty pages of [start, end) bytes back through ops (fsync, msync); a page that fails
 * stays dirty, and the first error is returned. */
int pagecache_write_back(struct pagecache *cache, uint64_t start, uint64_t end) __must_check;
/* Writes up to npages dirty pages of any caches back, the oldest first, so that they can be reclaimed; how many.
 * Without locks. */
size_t pagecache_clean(size_t npages);
/* The owner of a cache with write_back ends: what is dirty has its last chance.  pagecache_clean() may still have
 * a reference. */
void pagecache_retire(struct pagecache *cache);

/* For page faults, which hold cache->lock from the look at the page until it is mapped: as
 * pagecache_page(); and only if it is present already, or NULL. */
int pagecache_page_locked(struct pagecache *cache, uint64_t index, bool create,
                          struct frame **out) __must_check;
struct frame *pagecache_present_locked(struct pagecache *cache, uint64_t index);
/* For ops->fill, which came to more than was asked for: page index, unless it is there or there is no free memory, gets
 * these n bytes. */
void pagecache_offer_locked(struct pagecache *cache, uint64_t index, const void *data, size_t n);
/* The page is about to be written through a mapping: ops->make_writable, and it is dirty from now on. */
int pagecache_dirty_locked(struct pagecache *cache, uint64_t index,
                           struct frame *frame) __must_check;
/* Whether writes through mappings must be noticed (there is something to write back to). */
static inline bool pagecache_tracks_writes(const struct pagecache *cache)
{
    return cache->ops && (cache->ops->write_back || cache->ops->make_writable);
}
