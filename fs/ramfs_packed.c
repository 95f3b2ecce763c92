// SPDX-License-Identifier: MIT
/*
 * Compressed files of the boot archive.
 *
 * The data of such an entry are a blocked gzip file (lib/inflate.h; gunzip reads it), each of whose blocks is 32 KiB
 * of the file.  They stay where they are, and a page comes into being when it is first touched: its block is
 * decompressed into a buffer, and the page copied from there.  While memory is ample its neighbours in the block come
 * with it; else they stay in the buffer until another block is wanted.  Pages can be filled again, so reclaim drops
 * those that nobody changed; a changed one is dirty and stays, as there is nowhere to write it to.  Behind a place
 * where the file was once cut off everything reads as zeros.
 *
 * Where the blocks begin is found out at the first touch of a file: most are never touched.
 *
 * Locking: cache->lock covers a struct packed; buffer_lock the buffer.
 */
#include "fs/ramfs_packed.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "lib/inflate.h"

#define BLOCK_ORDER 3
#define BLOCK_PAGES (PACKED_BLOCK / PAGE_SIZE)
_Static_assert(BLOCK_PAGES == 1 << BLOCK_ORDER, "a block is 2^order pages");

struct packed {
    paddr_t paddr;       /* [i] of the compressed form */
    size_t npages;       /* [i] of it that are ours, from there on */
    const uint8_t *data; /* [i] the same in the direct map */
    size_t size;         /* [i] */
    uint64_t plain_size; /* [i] */
    uint64_t valid;      /* up to here the file is what the blocks say */
    uint32_t *offsets;   /* of each block in data; NULL: not yet known */
};

/* The block that was decompressed last. */
static struct {
    const struct packed *packed; /* NULL: none */
    uint64_t block;
    uint8_t *bytes;
    struct inflate_work work;
} * buffer;
static struct mutex buffer_lock = MUTEX_INIT(buffer_lock, RANK_PACKED);

static size_t nblocks_of(const struct packed *packed)
{
    return (packed->plain_size + PACKED_BLOCK - 1) / PACKED_BLOCK;
}

static int find_blocks(struct packed *packed)
{
    size_t nblocks = nblocks_of(packed), at = 0;
    uint32_t *offsets = kmalloc(nblocks * sizeof(*offsets), ALLOC_WAIT);

    if (!offsets)
        return -ENOMEM;
    for (size_t i = 0; i < nblocks; i++) {
        struct gzip_block block;
        if (!gzip_block_read(packed->data + at, packed->size - at, &block)) {
            kfree(offsets);
            return -EIO;
        }
        offsets[i] = (uint32_t)at;
        at += block.whole;
    }
    packed->offsets = offsets;
    return 0;
}

/* Brings a block into the buffer. */
static int block_load(const struct packed *packed, uint64_t number)
{
    size_t at = packed->offsets[number];
    uint64_t left = packed->plain_size - number * PACKED_BLOCK;
    struct gzip_block block;

    assert_held(&buffer_lock);
    if (buffer->packed == packed && buffer->block == number)
        return 0;
    buffer->packed = NULL;
    bool is_good = gzip_block_read(packed->data + at, packed->size - at, &block) &&
                   inflate_block(&buffer->work, block.data, block.size, buffer->bytes,
                                 PACKED_BLOCK) == (long)MIN(left, PACKED_BLOCK);
    if (!is_good) {
        log_warning("boot archive: a compressed file is damaged: block %llu of %zu",
                    (unsigned long long)number, nblocks_of(packed));
        return -EIO;
    }
    buffer->packed = packed;
    buffer->block = number;
    return 0;
}

/* How much of page index the compressed form has. */
static size_t valid_in(const struct packed *packed, uint64_t index)
{
    uint64_t pos = index << PAGE_SHIFT;

    return pos < packed->valid ? MIN(packed->valid - pos, PAGE_SIZE) : 0;
}

static const uint8_t *page_in_buffer(uint64_t index)
{
    return buffer->bytes + index % BLOCK_PAGES * PAGE_SIZE;
}

static bool is_memory_ample(void)
{
    struct frame_stats stats;

    frame_get_stats(&stats);
    return stats.free_pages > stats.total_pages / 8;
}

/* The other pages of the block. */
static void offer_neighbours(struct pagecache *cache, uint64_t index)
{
    const struct packed *packed = cache->owner;
    uint64_t first = ALIGN_DOWN(index, BLOCK_PAGES);

    for (uint64_t i = first; i < first + BLOCK_PAGES && valid_in(packed, i) > 0; i++) {
        if (i != index)
            pagecache_offer_locked(cache, i, page_in_buffer(i), valid_in(packed, i));
    }
}

static int packed_fill(struct pagecache *cache, uint64_t index, struct frame *frame)
{
    struct packed *packed = cache->owner;
    size_t n = valid_in(packed, index);
    int err = n > 0 && !packed->offsets ? find_blocks(packed) : 0;

    if (err || n == 0)
        return err;
    mutex_lock(&buffer_lock);
    err = block_load(packed, index / BLOCK_PAGES);
    if (!err) {
        memcpy(frame_address(frame), page_in_buffer(index), n);
        if (is_memory_ample())
            offer_neighbours(cache, index);
    }
    mutex_unlock(&buffer_lock);
    return err;
}

/* Marks pages that are written as dirty: see pagecache_tracks_writes(). */
static int packed_make_writable(struct pagecache *cache, uint64_t index, struct frame *frame)
{
    return 0;
}

static void packed_cut(struct pagecache *cache, uint64_t size_bytes)
{
    struct packed *packed = cache->owner;

    packed->valid = MIN(packed->valid, size_bytes);
}

static void put_frames(paddr_t paddr, size_t npages)
{
    for (size_t i = 0; i < npages; i++)
        frame_put(frame_of(paddr + i * PAGE_SIZE));
}

static void packed_release(struct pagecache *cache)
{
    struct packed *packed = cache->owner;

    mutex_lock(&buffer_lock);
    if (buffer->packed == packed)
        buffer->packed = NULL;
    mutex_unlock(&buffer_lock);
    put_frames(packed->paddr, packed->npages);
    kfree(packed->offsets);
    kfree(packed);
}

static const struct pagecache_ops packed_ops = {
    .fill = packed_fill,
    .make_writable = packed_make_writable,
    .cut = packed_cut,
    .release = packed_release,
};

uint64_t packed_pages(const struct pagecache *cache)
{
    if (likely(cache->ops != &packed_ops))
        return 0;
    const struct packed *packed = cache->owner;
    return ALIGN_UP(READ_ONCE(packed->valid), PAGE_SIZE) / PAGE_SIZE;
}

/* ---- The archive is read: one CPU, no application --------------------------------------------- */

static int buffer_create(void)
{
    if (buffer)
        return 0;
    struct frame *frames = frame_alloc(BLOCK_ORDER, ALLOC_WAIT);
    buffer = frames ? kzalloc(sizeof(*buffer), ALLOC_WAIT) : NULL;
    if (!buffer) {
        if (frames)
            frame_put(frames);
        return -ENOMEM;
    }
    buffer->bytes = frame_address(frames);
    return 0;
}

/* Pages of the boot module, none of which has been adopted before. */
static int adopt(paddr_t paddr, size_t npages)
{
    struct frame *first;

    for (size_t done = 0; done < npages;) {
        size_t n = frame_adopt(paddr + done * PAGE_SIZE, npages - done, &first);
        if (n == 0) {
            put_frames(paddr, done);
            return -ENOMEM;
        }
        done += n;
    }
    return 0;
}

int packed_create(paddr_t paddr, size_t size, size_t npages, size_t plain_size,
                  struct pagecache **out)
{
    struct gzip_block block;
    const uint8_t *data = arch_direct_map(paddr);

    if (paddr % PAGE_SIZE != 0 || !gzip_block_read(data, size, &block))
        return -EBADMSG;
    int err = buffer_create();
    struct packed *packed = err ? NULL : kzalloc(sizeof(*packed), ALLOC_WAIT);
    if (!packed)
        return -ENOMEM;
    npages = MIN(npages, ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
    *packed = (struct packed){ .paddr = paddr,
                               .npages = npages,
                               .data = data,
                               .size = size,
                               .plain_size = plain_size,
                               .valid = plain_size };
    err = adopt(paddr, npages);
    if (!err) {
        err = pagecache_create(&packed_ops, packed, out);
        if (err)
            put_frames(paddr, npages);
    }
    if (err)
        kfree(packed);
    return err;
}
