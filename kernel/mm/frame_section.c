// SPDX-License-Identifier: MIT
/*
 * The frame array and untouched RAM.
 *
 * RAM is divided into sections of 128 MiB; a section's part of the frame array is carved out of its own
 * RAM (out of any other if it is too small), when its first page is wanted.  It is initialised in chunks
 * of 4 MiB (48 KiB of array), when the buddy runs out of memory or when a page of a boot module
 * in the chunk is adopted.  So a machine of any size boots with a few chunks touched, and holes between
 * RAM ranges cost nothing: they have no section, or only unused entries.
 *
 * pieces[] lists the RAM that no chunk has handed to the buddy yet.
 */
#include "kernel/mm/frame_section.h"

#include <string.h>

#include "kernel/boot_info.h"
#include "kernel/log.h"
#include "kernel/mutex.h"
#include "kernel/panic.h"

#define SECTION_SHIFT  27
#define SECTION_SIZE   (1UL << SECTION_SHIFT)
#define TABLE_SHIFT    36 /* sections of 64 GiB are in one table */
#define TABLE_SECTIONS (1u << (TABLE_SHIFT - SECTION_SHIFT))
#define RAM_SHIFT      44 /* frame.pfn has 32 bits */
#define RAM_MAX        (1UL << RAM_SHIFT)
#define LOW_RESERVED                                                                               \
    0x10000UL /* interrupt vectors, BIOS data, trampoline.S; BIOSes are known to write here */
#define LEGACY_START 0xa0000UL /* video memory and ROMs, whatever the map says */
#define LEGACY_END   0x100000UL
#define PIECES_MAX   (2 * BOOT_RANGES_MAX + 2 * BOOT_MODULES_MAX + 64)

struct section {
    struct frame *frames;
    uint32_t first_pfn; /* of frames[0] */
    uint32_t ready;     /* bit n: chunk n is initialised */
};

struct piece {
    paddr_t start, end;
};

static struct section *tables[1u << (RAM_SHIFT - TABLE_SHIFT)];
static struct piece pieces[PIECES_MAX]; /* sorted; some may be empty */
static unsigned npieces;
static unsigned first_piece; /* those before are empty */
static uint64_t pending_pages;
static struct piece ram[BOOT_RANGES_MAX]; /* all RAM, whatever it is used for */
static unsigned nram;

uint64_t frame_section_pending(void)
{
    return pending_pages;
}

/* ---- Pieces ------------------------------------------------------------------ */

static void piece_insert(unsigned at, paddr_t start, paddr_t end)
{
    if (start >= end)
        return;
    if (npieces == PIECES_MAX) {
        log_warning("memory map too fragmented: %llu KiB at %#llx not used",
                    (unsigned long long)(end - start) >> 10, (unsigned long long)start);
        return;
    }
    memmove(&pieces[at + 1], &pieces[at], (npieces - at) * sizeof(pieces[0]));
    pieces[at] = (struct piece){ start, end };
    npieces++;
    pending_pages += (end - start) >> PAGE_SHIFT;
}

/* Takes what lies in [start, end) out of the pieces. */
static void pieces_remove(paddr_t start, paddr_t end)
{
    for (unsigned i = first_piece; i < npieces; i++) {
        struct piece old = pieces[i];
        paddr_t from = MAX(old.start, start), to = MIN(old.end, end);

        if (from >= to)
            continue;
        pending_pages -= (old.end - old.start) >> PAGE_SHIFT;
        memmove(&pieces[i], &pieces[i + 1], (npieces - i - 1) * sizeof(pieces[0]));
        npieces--;
        piece_insert(i, to, old.end);
        piece_insert(i, old.start, from);
        i += (old.start < from) + (to < old.end);
        i--;
    }
}

static void pieces_add_ram(paddr_t start, paddr_t end)
{
    unsigned at = 0;

    while (at < npieces && pieces[at].start < start)
        at++;
    if (at > 0)
        start = MAX(start, pieces[at - 1].end);
    if (at < npieces)
        end = MIN(end, pieces[at].start); /* overlapping ranges: the first come wins */
    piece_insert(at, start, end);
}

uint64_t frame_section_init(const struct boot_info *boot)
{
    for (unsigned i = 0; i < boot->nranges; i++) {
        const struct boot_range *range = &boot->range[i];
        paddr_t start = ALIGN_UP(MAX(range->start, LOW_RESERVED), PAGE_SIZE);
        paddr_t end = ALIGN_DOWN(range->start + range->size, PAGE_SIZE);

        if (range->kind != BOOT_RAM || start >= end)
            continue;
        if (end > RAM_MAX)
            log_warning("RAM above 16 TiB is not used");
        end = MIN(end, RAM_MAX);
        if (start < end) {
            ram[nram++] = (struct piece){ start, end };
            pieces_add_ram(start, end);
        }
    }
    for (unsigned i = 0; i < boot->nranges; i++) {
        const struct boot_range *range = &boot->range[i];
        if (range->kind != BOOT_RAM && range->size != 0)
            pieces_remove(ALIGN_DOWN(range->start, PAGE_SIZE),
                          ALIGN_UP(range->start + range->size, PAGE_SIZE));
    }
    pieces_remove(LEGACY_START, LEGACY_END);
    pieces_remove(ALIGN_DOWN(boot->kernel_start, PAGE_SIZE), ALIGN_UP(boot->kernel_end, PAGE_SIZE));
    for (unsigned i = 0; i < boot->nmodules; i++)
        pieces_remove(ALIGN_DOWN(boot->module[i].start, PAGE_SIZE),
                      ALIGN_UP(boot->module[i].start + boot->module[i].size, PAGE_SIZE));
    return pending_pages;
}

/* Memory for the array itself, never given back; out of [start, end) if it can be. */
static void *piece_carve(paddr_t start, paddr_t end, size_t size)
{
    size = ALIGN_UP(size, PAGE_SIZE);
    for (unsigned i = first_piece; i < npieces; i++) {
        paddr_t from = MAX(pieces[i].start, start), to = MIN(pieces[i].end, end);

        if (from < to && to - from >= size) {
            pieces_remove(from, from + size);
            return arch_direct_map(from);
        }
    }
    return start == 0 && end == RAM_MAX ? NULL : piece_carve(0, RAM_MAX, size);
}

/* ---- Sections ----------------------------------------------------------------- */

static struct section *section_of(paddr_t paddr)
{
    if (paddr >= RAM_MAX || !tables[paddr >> TABLE_SHIFT])
        return NULL;
    return &tables[paddr >> TABLE_SHIFT][paddr >> SECTION_SHIFT & (TABLE_SECTIONS - 1)];
}

static uint32_t chunk_bit(paddr_t paddr)
{
    return 1u << (paddr / CHUNK_SIZE & (SECTION_SIZE / CHUNK_SIZE - 1));
}

struct frame *frame_of(paddr_t paddr)
{
    struct section *section = section_of(paddr);

    if (!section || !(section->ready & chunk_bit(paddr)))
        return NULL;
    struct frame *frame = &section->frames[(paddr >> PAGE_SHIFT) - section->first_pfn];
    return frame->flags & FRAME_RESERVED ? NULL : frame;
}

/* The section of paddr with its array; NULL: no RAM there, or none left for the array. */
static struct section *section_prepare(paddr_t paddr)
{
    paddr_t start = ALIGN_DOWN(paddr, SECTION_SIZE), end = start + SECTION_SIZE;
    struct section **table = &tables[paddr >> TABLE_SHIFT];

    if (!*table) {
        size_t size = TABLE_SECTIONS * sizeof(struct section);
        struct section *made = piece_carve(start, end, size);
        if (!made)
            return NULL;
        *table = memset(made, 0, size);
    }
    struct section *section = section_of(paddr);
    if (section->frames)
        return section;

    /* Only as much array as there is RAM, whole chunks of it. */
    paddr_t low = end, high = start;
    for (unsigned i = 0; i < nram; i++) {
        if (ram[i].start >= end || ram[i].end <= start)
            continue;
        low = MIN(low, ALIGN_DOWN(MAX(ram[i].start, start), CHUNK_SIZE));
        high = MAX(high, ALIGN_UP(MIN(ram[i].end, end), CHUNK_SIZE));
    }
    if (paddr < low || paddr >= high)
        return NULL;
    section->frames = piece_carve(start, end, ((high - low) >> PAGE_SHIFT) * sizeof(struct frame));
    section->first_pfn = low >> PAGE_SHIFT;
    return section->frames ? section : NULL;
}

static void chunk_init(struct section *section, paddr_t paddr)
{
    paddr_t start = ALIGN_DOWN(paddr, CHUNK_SIZE), end = start + CHUNK_SIZE;
    uint32_t pfn = start >> PAGE_SHIFT;
    struct frame *frames = &section->frames[pfn - section->first_pfn];

    memset(frames, 0, CHUNK_PAGES * sizeof(struct frame));
    for (unsigned i = 0; i < CHUNK_PAGES; i++) {
        frames[i].pfn = pfn + i;
        frames[i].flags = FRAME_RESERVED;
    }
    section->ready |= chunk_bit(paddr);

    for (unsigned i = first_piece; i < npieces; i++) {
        paddr_t from = MAX(pieces[i].start, start), to = MIN(pieces[i].end, end);
        if (from < to)
            buddy_add_range(&frames[(from - start) >> PAGE_SHIFT], (to - from) >> PAGE_SHIFT);
    }
    pieces_remove(start, end);
}

bool frame_section_grow(void)
{
    assert_held(&frame_lock);
    while (first_piece < npieces) {
        struct piece *piece = &pieces[first_piece];
        paddr_t start = piece->start;

        if (start == piece->end) {
            first_piece++;
            continue;
        }
        struct section *section = section_prepare(start);
        if (!section) {
            pieces_remove(start, ALIGN_DOWN(start, SECTION_SIZE) + SECTION_SIZE);
            continue;
        }
        /* The array may have been carved out of this very piece. */
        if (first_piece == npieces || pieces[first_piece].start != start)
            continue;
        chunk_init(section, start);
        return true;
    }
    return false;
}

struct frame *frame_section_open(paddr_t paddr)
{
    assert_held(&frame_lock);
    struct section *section = paddr < RAM_MAX ? section_prepare(paddr) : NULL;

    if (!section)
        return NULL;
    if (!(section->ready & chunk_bit(paddr)))
        chunk_init(section, paddr);
    return &section->frames[(paddr >> PAGE_SHIFT) - section->first_pfn];
}
