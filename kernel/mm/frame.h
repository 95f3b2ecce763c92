// SPDX-License-Identifier: MIT
#pragma once
/*
 * Page frames: a buddy allocator with per-CPU caches over all RAM.  struct frame describes
 * each; the array is initialised lazily, 4 MiB of RAM at a time when the buddy first reaches into
 * it, so that boot touches only the memory it uses.
 */
#include "arch/arch.h"
#include "lib/list.h"

struct boot_info;
struct pagecache;
struct slab_cache;

#define FRAME_ORDER_MAX   10 /* 4 MiB */
#define FRAME_ORDER_LARGE 9  /* 2 MiB: one large page */

/* Allocation flags; also for kmalloc. */
#define ALLOC_WAIT      0u /* may reclaim and sleep */
#define ALLOC_ATOMIC    1u /* interrupt level or under a spinlock; may use the reserve */
#define ALLOC_ZERO      2u
#define ALLOC_APP       4u /* for the application's pages: keeps the kernel's reserve */
#define ALLOC_NORECLAIM 8u /* fail rather than reclaim: worth it only if memory is ample */

/* What a frame is used for: only counted. */
enum frame_kind { FRAME_KERNEL, FRAME_APP, FRAME_CACHE, FRAME_SHMEM, FRAME_SLABS, FRAME_KINDS };

struct frame {
    uint32_t refcount; /* [a] 0: free */
    uint32_t pfn;      /* [i] physical address in pages */
    uint16_t flags;    /* FRAME_* */
    uint16_t nused;    /* slab: objects in use */
    uint8_t order;     /* of the block, in its first frame (of a slab: in each) */
    uint8_t kind;      /* enum frame_kind */
    struct list node;  /* free list; page cache LRU; owner's */
    union {
        struct pagecache *cache; /* page cache frames: whose, and which page */
        struct slab_cache *slab;
    };
    union {
        uint64_t index;
        void *free_object; /* slab: the first free one */
    };
};

#define FRAME_DIRTY      1u
#define FRAME_ADOPTED    2u  /* part of the boot archive: returned as a single page when dropped */
#define FRAME_SLAB       4u  /* every frame of a slab's block */
#define FRAME_FREE       8u  /* first frame of a block in the buddy's lists */
#define FRAME_RESERVED   16u /* no RAM, or not handed to the allocator */
#define FRAME_REFERENCED 32u /* page cache: used since the reclaim scan last came by */

/* Takes all RAM of boot but the kernel's image, the modules and what belongs to the machine: the first 64 KiB, and
 * from 640 KiB to 1 MiB.  arch_map_ram() has run for all of it.  Never allocates before. */
void frame_init(const struct boot_info *boot);
/* 2^order contiguous frames, naturally aligned, refcount 1 on the first.  NULL: no memory.
 * With ALLOC_WAIT no spinlock may be held; locks that shrinkers use are only tried. */
struct frame *frame_alloc(unsigned order, unsigned flags);
/* References count on the block's first frame; the last put frees the block. */
struct frame *frame_get(struct frame *frame);
void frame_put(struct frame *frame);
/* Makes a block of 2^order frames into that many single frames, each with the references that the block had. */
void frame_split(struct frame *frame);
/* A large page may be in several page tables.  Each of these references is one on the block or, after
 * frame_split(), one on each of its frames, so that everybody can split on their own. */
void frame_large_get(struct frame *frame);
void frame_large_put(struct frame *frame);
/* Whether the caller's reference, which an entry under its lock holds, is the only one to any part of the page. */
bool frame_large_is_exclusive(struct frame *frame) __must_check;
/* Gives what is left of [start, end), which frame_init() left out (a boot module), to the
 * allocator: all but the pages that were adopted. */
void frame_release_range(paddr_t start, paddr_t end);
/* Adopts pages of a boot module, each with refcount 1 (loader of the boot archive): up to npages from paddr
 * on, whose frames follow *first.  How many; 0: no memory to describe the first one, or it was adopted
 * before; copy it then. */
size_t frame_adopt(paddr_t paddr, size_t npages, struct frame **first);

struct frame *frame_of(paddr_t paddr); /* NULL: not RAM that is managed */
paddr_t frame_paddr(const struct frame *frame);
void *frame_address(const struct frame *frame); /* in the direct map */
void frame_set_kind(struct frame *frame, enum frame_kind kind);

struct frame_stats {
    uint64_t total_pages;
    uint64_t free_pages;
    uint64_t cache_pages; /* in page caches, adopted ones included */
    uint64_t shmem_pages; /* those of them that no device has, too */
    uint64_t app_pages;   /* anonymous */
    uint64_t slab_pages;
    uint64_t kernel_pages; /* the rest: tables, stacks, buffers */
};
void frame_get_stats(struct frame_stats *stats);
uint64_t frame_free_bytes(void);

/* Caches that can give memory back register one. */
struct shrinker {
    struct list node;
    const char *name;
    bool has_files; /* what it holds can be read again */
    /* Tries to free npages; returns how many it did.  May sleep, but locks are only tried: the
     * allocation that waits for this may hold any of them. */
    size_t (*shrink)(size_t npages);
};
void shrinker_register(struct shrinker *shrinker);
/* Whether ALLOC_ATOMIC has found more than half of what is kept for it used, since the last frame_replenish(). */
bool frame_reserve_is_used(void);
/* Reclaims until that reserve is whole.  False: there is not enough to reclaim.  Threads only, without spinlocks. */
bool frame_replenish(void) __must_check;
/* All that the shrinkers give of files, of the rest, or of both.  Threads only, without locks. */
void frame_drop_caches(bool files, bool rest);

/* For tests: the n-th allocation from now on and all after it fail; 0: none does. */
void frame_fail_from(uint64_t n);
