// SPDX-License-Identifier: MIT
/*
 * Page tables: four levels, 4 KiB and 2 MiB pages (1 GiB in the direct map).
 *
 * The kernel half hangs on top-level slots that are filled here once and copied into every new
 * table, so what is mapped below them later appears everywhere.  Tables of the application half
 * belong to one arch_pagetable; the caller (kernel/mm) locks, flushes TLBs, and owns the pages.
 *
 * Tables that a table walk may still use are freed only by arch_pt_trim() and arch_pt_destroy(), which
 * come after the flush.
 */
#include "arch/x86_64/paging.h"
#include "arch/x86_64/smp.h"

#include <string.h>

#include "abi/errno.h"
#include "arch/x86_64/cpu.h"
#include "arch/x86_64/layout.h"
#include "kernel/log.h"
#include "kernel/mm/frame.h"
#include "kernel/panic.h"

#define ENTRIES      512
#define GIB          (1UL << 30)
#define TABLE_BITS   (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED)
#define EARLY_TABLES 16

extern uint64_t boot_pml4[], boot_pdpt_low[], boot_pd_low[], boot_pt[], boot_pdpt_image[];
extern char vsyscall_page[], image_start[], text_start[], text_end[], rodata_end[], image_end[],
    boot_stack_guard[];

static uint64_t image_delta;
static struct arch_pagetable kernel_table;
static uint64_t pdpt_direct[DIRECT_MAP_SLOTS - 1][ENTRIES] __aligned(4096);
static uint64_t pdpt_devices[ENTRIES] __aligned(4096), pdpt_stacks[ENTRIES] __aligned(4096);
static uint64_t early_tables[EARLY_TABLES][ENTRIES] __aligned(4096);
static unsigned nearly_tables;
static bool has_frames; /* the frame allocator works */

paddr_t image_paddr(const void *symbol)
{
    return (uintptr_t)symbol - KERNEL_BASE + image_delta;
}

paddr_t paging_kernel_root(void)
{
    return kernel_table.root;
}

void *arch_direct_map(paddr_t paddr)
{
    return (void *)(DIRECT_MAP_BASE + paddr);
}

paddr_t arch_direct_paddr(const void *pointer)
{
    return (uintptr_t)pointer - DIRECT_MAP_BASE;
}

static unsigned index_at(uintptr_t address, unsigned level)
{
    return address >> (PAGE_SHIFT + 9 * level) & (ENTRIES - 1);
}

static uint64_t *table_at(uint64_t entry)
{
    return arch_direct_map(entry & PTE_ADDRESS);
}

/* A zeroed table page; its physical address, or 0. */
static paddr_t table_alloc(void)
{
    if (!has_frames) {
        if (nearly_tables == EARLY_TABLES)
            return 0;
        return image_paddr(early_tables[nearly_tables++]);
    }
    struct frame *frame = frame_alloc(0, ALLOC_ATOMIC | ALLOC_ZERO);
    return frame ? frame_paddr(frame) : 0;
}

static void table_free(uint64_t entry)
{
    frame_put(frame_of(entry & PTE_ADDRESS));
}

static bool is_used(uint64_t entry)
{
    return entry & (PTE_PRESENT | PTE_HELD);
}

/* The next lower table below *entry, made if it is not there; NULL: no memory, or a large page. */
static uint64_t *table_below(uint64_t *entry)
{
    if (!is_used(*entry)) {
        paddr_t table = table_alloc();
        if (table == 0)
            return NULL;
        WRITE_ONCE(*entry, table | TABLE_BITS);
    }
    return *entry & PTE_LARGE ? NULL : table_at(*entry);
}

/* 0xffffffffff600000, where Linux has it: readable and executable. */
static void map_vsyscall(void)
{
    static uint64_t pd[ENTRIES] __aligned(4096), pt[ENTRIES] __aligned(4096);
    boot_pdpt_image[index_at(VSYSCALL_PAGE, 2)] = image_paddr(pd) | TABLE_BITS;
    pd[index_at(VSYSCALL_PAGE, 1)] = image_paddr(pt) | TABLE_BITS;
    pt[index_at(VSYSCALL_PAGE, 0)] = image_paddr(vsyscall_page) | PTE_PRESENT;
}

static void protect_image(void)
{
    for (uintptr_t page = (uintptr_t)image_start; page < (uintptr_t)image_end; page += PAGE_SIZE) {
        uint64_t *entry = &boot_pt[(page - KERNEL_BASE) >> PAGE_SHIFT];
        bool is_text = page >= (uintptr_t)text_start && page < (uintptr_t)text_end;
        bool is_data = page >= (uintptr_t)rodata_end;
        *entry = (*entry & PTE_ADDRESS) | PTE_PRESENT | PTE_GLOBAL | (is_text ? 0 : PTE_NX) |
                 (is_data ? PTE_WRITE : 0);
    }
    boot_pt[((uintptr_t)boot_stack_guard - KERNEL_BASE) >> PAGE_SHIFT] = 0;
    for (uintptr_t x = 0; x < (uintptr_t)image_start - KERNEL_BASE; x += PAGE_SIZE)
        boot_pt[x >> PAGE_SHIFT] = 0;
    for (uintptr_t x = (uintptr_t)image_end - KERNEL_BASE; x < 4 * LARGE_PAGE_SIZE; x += PAGE_SIZE)
        boot_pt[x >> PAGE_SHIFT] = 0;
}

void paging_init(uint64_t delta)
{
    image_delta = delta;
    kernel_table.root = image_paddr(boot_pml4);
    for (unsigned i = 1; i < DIRECT_MAP_SLOTS; i++)
        boot_pml4[256 + i] = image_paddr(pdpt_direct[i - 1]) | TABLE_BITS;
    boot_pml4[index_at(DEVICE_MAP_BASE, 3)] = image_paddr(pdpt_devices) | TABLE_BITS;
    boot_pml4[index_at(STACK_MAP_BASE, 3)] = image_paddr(pdpt_stacks) | TABLE_BITS;
    /* The direct map of the first 4 GiB stays as boot_entry.S made it, but is never executed. */
    for (unsigned i = 0; i < 4; i++)
        boot_pdpt_low[i] |= PTE_NX;
    protect_image();
    map_vsyscall();
    boot_pml4[0] = 0;
    write_cr3(kernel_table.root);
}

void paging_map_trampoline(bool present)
{
    static uint64_t pdpt[ENTRIES] __aligned(4096), pd[ENTRIES] __aligned(4096);
    pd[0] = PTE_PRESENT | PTE_WRITE | PTE_LARGE;
    pdpt[0] = image_paddr(pd) | TABLE_BITS;
    boot_pml4[0] = present ? image_paddr(pdpt) | TABLE_BITS : 0;
    write_cr3(kernel_table.root);
}

int arch_map_ram(paddr_t start, uint64_t size)
{
    paddr_t end = start + size;
    if (end > (uint64_t)DIRECT_MAP_SLOTS << 39)
        return -EINVAL;
    for (paddr_t at = ALIGN_DOWN(MAX(start, 4 * GIB), GIB); at < end; at += GIB) {
        uint64_t *slot = table_at(boot_pml4[256 + (at >> 39)]) + index_at(at, 2);
        if (*slot & PTE_PRESENT)
            continue;
        if (cpu_features.has_1g_pages) {
            *slot = at | PTE_PRESENT | PTE_WRITE | PTE_LARGE | PTE_NX;
            continue;
        }
        uint64_t *pd = table_below(slot);
        if (!pd)
            return -ENOMEM;
        *slot |= PTE_NX;
        for (unsigned i = 0; i < ENTRIES; i++)
            pd[i] = (at + i * LARGE_PAGE_SIZE) | PTE_PRESENT | PTE_WRITE | PTE_LARGE;
    }
    return 0;
}

void paging_use_frames(void)
{
    has_frames = true;
}

int paging_map_kernel(uintptr_t address, paddr_t paddr, uint64_t bits)
{
    uint64_t *table = boot_pml4;
    for (unsigned level = 3; level > 0; level--) {
        table = table_below(&table[index_at(address, level)]);
        if (!table)
            return -ENOMEM;
    }
    WRITE_ONCE(table[index_at(address, 0)], paddr | bits);
    return 0;
}

paddr_t paging_unmap_kernel(uintptr_t address)
{
    uint64_t *table = boot_pml4;
    for (unsigned level = 3; level > 0; level--)
        table = table_at(table[index_at(address, level)]);
    return __atomic_exchange_n(&table[index_at(address, 0)], 0, __ATOMIC_ACQ_REL) & PTE_ADDRESS;
}

/* ---- The application half -------------------------------------------------- */

int arch_pt_create(struct arch_pagetable *pt)
{
    paddr_t root = table_alloc();
    if (root == 0)
        return -ENOMEM;
    memcpy(table_at(root) + ENTRIES / 2, boot_pml4 + ENTRIES / 2, PAGE_SIZE / 2);
    pt->root = root;
    return 0;
}

static void destroy_level(uint64_t entry, unsigned level)
{
    uint64_t *table = table_at(entry);
    for (unsigned i = 0; level > 0 && i < ENTRIES; i++)
        if (is_used(table[i]) && !(table[i] & PTE_LARGE))
            destroy_level(table[i], level - 1);
    table_free(entry);
}

void arch_pt_destroy(struct arch_pagetable *pt)
{
    uint64_t *top = table_at(pt->root);
    for (unsigned i = 0; i < ENTRIES / 2; i++)
        if (top[i] & PTE_PRESENT)
            destroy_level(top[i], 2);
    table_free(pt->root);
    pt->root = 0;
}

/* The entry that maps address, at whatever level; NULL and the hole's size if none does. */
static uint64_t *find_entry(struct arch_pagetable *pt, uintptr_t address, size_t *size)
{
    uint64_t *table = table_at(pt->root);
    for (unsigned level = 3;; level--) {
        uint64_t *entry = &table[index_at(address, level)];
        *size = 1UL << (PAGE_SHIFT + 9 * level);
        if (!is_used(*entry))
            return NULL;
        if (level == 0 || *entry & PTE_LARGE)
            return entry;
        table = table_at(*entry);
    }
}

static uint64_t bits_of(unsigned prot)
{
    uint64_t bits = prot & PT_READ ? PTE_PRESENT : PTE_HELD;
    if (prot & PT_WRITE)
        bits |= PTE_WRITE;
    if (!(prot & PT_EXEC))
        bits |= PTE_NX;
    if (prot & PT_SPECIAL)
        bits |= PTE_SPECIAL;
    if (prot & PT_DEVICE)
        bits |= PTE_PCD | PTE_PWT;
    return bits;
}

static struct arch_pte describe(uint64_t entry, size_t size)
{
    unsigned prot = entry & PTE_PRESENT ? PT_READ : 0;
    prot |= entry & PTE_WRITE ? PT_WRITE : 0;
    prot |= entry & PTE_NX ? 0 : PT_EXEC;
    prot |= entry & PTE_SPECIAL ? PT_SPECIAL : 0;
    return (struct arch_pte){
        .paddr = entry & PTE_ADDRESS & ~(paddr_t)(size - 1),
        .size = size,
        .prot = prot,
        .is_dirty = entry & PTE_DIRTY,
        .is_accessed = entry & PTE_ACCESSED,
    };
}

static bool is_empty(const uint64_t *table)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        if (table[i])
            return false;
    return true;
}

int arch_pt_map(struct arch_pagetable *pt, uintptr_t address, paddr_t paddr, size_t size,
                unsigned prot)
{
    debug_assert(address < APP_MAX && (address & (size - 1)) == 0 && (paddr & (size - 1)) == 0);
    unsigned last = size == LARGE_PAGE_SIZE ? 1 : 0;
    uint64_t *table = table_at(pt->root);
    for (unsigned level = 3; level > last; level--) {
        table = table_below(&table[index_at(address, level)]);
        if (!table)
            return -ENOMEM;
    }
    uint64_t *entry = &table[index_at(address, last)];
    uint64_t old = *entry;
    bool has_table = last == 1 && is_used(old) && !(old & PTE_LARGE);
    if (has_table && !is_empty(table_at(old)))
        return -EEXIST;
    WRITE_ONCE(*entry, paddr | bits_of(prot) | (last ? PTE_LARGE : 0));
    if (has_table) {
        /* An empty table may still be in a paging-structure cache of any CPU (SDM 3A, 4.10.3). */
        arch_tlb_flush(smp_all_cpus(), address, address + PAGE_SIZE);
        table_free(old);
    }
    return 0;
}

struct arch_pte arch_pt_lookup(struct arch_pagetable *pt, uintptr_t address)
{
    size_t size;
    const uint64_t *entry = find_entry(pt, address, &size);
    return entry ? describe(*entry, size) : (struct arch_pte){ 0 };
}

struct arch_pte arch_pt_clear(struct arch_pagetable *pt, uintptr_t address)
{
    size_t size;
    uint64_t *entry = find_entry(pt, address, &size);
    if (!entry)
        return (struct arch_pte){ 0 };
    /* Atomically: the CPU may be setting the dirty flag. */
    return describe(__atomic_exchange_n(entry, 0, __ATOMIC_ACQ_REL), size);
}

/* What is to be done with an entry that was found; what it was before. */
static uint64_t visit_entry(uint64_t *entry, enum arch_pt_scan how)
{
    /* Atomically: the CPU may be setting the dirty flag. */
    if (how == PT_SCAN_CLEAR)
        return __atomic_exchange_n(entry, 0, __ATOMIC_ACQ_REL);
    if (how == PT_SCAN_PROTECT && *entry & PTE_WRITE)
        return __atomic_fetch_and(entry, ~PTE_WRITE, __ATOMIC_ACQ_REL);
    return *entry;
}

unsigned arch_pt_scan(struct arch_pagetable *pt, uintptr_t *address, uintptr_t end,
                      enum arch_pt_scan how, struct arch_pt_page *pages, unsigned max)
{
    uint64_t *table[4] = { [3] = table_at(pt->root) };
    unsigned level = 3, n = 0;
    uintptr_t at = *address;

    while (at < end && n < max) {
        size_t span = 1UL << (PAGE_SHIFT + 9 * level);
        unsigned first = index_at(at, level), i = first;
        while (i < ENTRIES && !is_used(table[level][i]))
            i++;
        if (i > first)
            at = ALIGN_DOWN(at, span) + (i - first) * span;
        if (i < ENTRIES && at < end) {
            uint64_t *entry = &table[level][i];
            if (level > 0 && !(*entry & PTE_LARGE)) {
                table[--level] = table_at(*entry);
                continue;
            }
            if (how == PT_SCAN_CLEAR && (at % span || end - at < span))
                break;
            pages[n++] = (struct arch_pt_page){ at, describe(visit_entry(entry, how), span) };
            at = ALIGN_DOWN(at, span) + span;
        }
        while (level < 3 && index_at(at, level) == 0)
            level++; /* behind the table's end */
    }
    *address = at;
    return n;
}

unsigned arch_pt_map_pages(struct arch_pagetable *pt, const struct arch_pt_page *pages,
                           unsigned npages)
{
    uint64_t *table = NULL; /* of the page before, if that was a small one */

    for (unsigned i = 0; i < npages; i++) {
        uintptr_t address = pages[i].address;
        const struct arch_pte *pte = &pages[i].pte;
        bool is_next = i > 0 && table && (address ^ pages[i - 1].address) < LARGE_PAGE_SIZE;
        if (is_next && pte->size == PAGE_SIZE) {
            WRITE_ONCE(table[index_at(address, 0)], pte->paddr | bits_of(pte->prot));
            continue;
        }
        if (arch_pt_map(pt, address, pte->paddr, pte->size, pte->prot))
            return i;
        size_t size;
        uint64_t *entry = find_entry(pt, address, &size);
        table = size == PAGE_SIZE ? entry - index_at(address, 0) : NULL;
    }
    return npages;
}

void arch_pt_protect(struct arch_pagetable *pt, uintptr_t address, unsigned prot)
{
    size_t size;
    uint64_t *entry = find_entry(pt, address, &size);
    if (!entry)
        return;
    uint64_t old = *entry, new;
    do {
        uint64_t kept = old & (PTE_ADDRESS | PTE_ACCESSED | PTE_DIRTY | PTE_LARGE);
        new = kept | bits_of(prot);
    } while (
        !__atomic_compare_exchange_n(entry, &old, new, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
}

void arch_pt_clear_flags(struct arch_pagetable *pt, uintptr_t address, bool accessed, bool dirty)
{
    size_t size;
    uint64_t *entry = find_entry(pt, address, &size);
    uint64_t bits = (accessed ? PTE_ACCESSED : 0) | (dirty ? PTE_DIRTY : 0);
    if (entry)
        __atomic_fetch_and(entry, ~bits, __ATOMIC_ACQ_REL);
}

int arch_pt_split(struct arch_pagetable *pt, uintptr_t address)
{
    size_t size;
    uint64_t *entry = find_entry(pt, address, &size);
    if (!entry || size != LARGE_PAGE_SIZE)
        return 0;
    paddr_t table = table_alloc();
    if (table == 0)
        return -ENOMEM;
    uint64_t old = *entry;
    for (unsigned i = 0; i < ENTRIES; i++)
        table_at(table)[i] = (old & ~PTE_LARGE) + i * PAGE_SIZE;
    /* The dirty flag, if it was set after the read above, must not be lost. */
    old = __atomic_exchange_n(entry, table | TABLE_BITS, __ATOMIC_ACQ_REL);
    for (unsigned i = 0; i < ENTRIES && (old & PTE_DIRTY); i++)
        __atomic_fetch_or(&table_at(table)[i], PTE_DIRTY, __ATOMIC_RELAXED);
    return 0;
}

/* Frees empty tables below entry of level, within [start, end]; true if it has become empty itself. */
static bool trim_level(uint64_t *table, unsigned level, uintptr_t start, uintptr_t last,
                       struct list *unlinked)
{
    for (unsigned i = index_at(start, level); i <= index_at(last, level); i++) {
        if (!is_used(table[i]) || table[i] & PTE_LARGE)
            continue;
        bool is_first = i == index_at(start, level), is_last = i == index_at(last, level);
        uintptr_t from = is_first ? start : 0, to = is_last ? last : ~0UL;
        uint64_t old = table[i];
        if ((level == 1 && is_empty(table_at(old))) ||
            (level > 1 && trim_level(table_at(old), level - 1, from, to, unlinked))) {
            table[i] = 0;
            list_push_back(unlinked, &frame_of(old & PTE_ADDRESS)->node);
        }
    }
    return is_empty(table);
}

void arch_pt_trim(struct arch_pagetable *pt, uintptr_t start, uintptr_t end)
{
    struct list unlinked = LIST_INIT(unlinked);
    if (start < end)
        trim_level(table_at(pt->root), 3, start, end - 1, &unlinked);
    if (list_is_empty(&unlinked))
        return;
    /* Speculative walks may have put an empty table into a paging-structure cache since the caller's
     * flush (SDM 3A, 4.10.3); it must be gone from there before its page is used for something else. */
    arch_tlb_flush(~0ULL >> (64 - arch_cpu_count()), start, start + PAGE_SIZE);
    while (!list_is_empty(&unlinked)) {
        struct frame *frame = list_first(&unlinked, struct frame, node);
        list_remove(&frame->node);
        frame_put(frame);
    }
}

void arch_pt_activate(struct arch_pagetable *pt)
{
    write_cr3(pt->root);
}

struct arch_pagetable *arch_pt_kernel(void)
{
    return &kernel_table;
}
