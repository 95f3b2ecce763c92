// SPDX-License-Identifier: MIT
/*
 * Page tables of the host: four levels as on x86-64, in malloc'ed memory, and a TLB that remembers as
 * stubbornly as a real one.
 *
 * host_translate() is what a CPU does with an address.  It answers from the TLB if it can, and then checks
 * that the page table still allows as much: a difference means that somebody cleared or restricted an entry and
 * gave the page away without arch_tlb_flush(), and ends the test.
 */
#include "arch/host/pagetable.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"

#define ENTRIES   512
#define TLB_SIZE  256
#define USED      (1ULL << 63) /* an entry that holds a page */
#define DIRTY     (1ULL << 62)
#define ACCESSED  (1ULL << 61)
#define PROT_BITS 0xfffULL
#define PADDR     (~(USED | DIRTY | ACCESSED | PROT_BITS))

struct table;

struct entry {
    uint64_t page; /* USED | paddr | prot, or 0 */
    struct table *below;
};

struct table {
    struct entry entry[ENTRIES];
};

struct tlb_entry {
    struct table *root; /* NULL: unused */
    uintptr_t page;
    paddr_t paddr;
    unsigned prot;
};

static struct tlb_entry tlb[TLB_SIZE];
static unsigned ntables;
static struct arch_pagetable kernel_table;

unsigned host_page_tables(void)
{
    return ntables;
}

static struct table *table_create(void)
{
    ntables++;
    return calloc(1, sizeof(struct table));
}

static void table_destroy(struct table *table)
{
    ntables--;
    free(table);
}

static unsigned index_at(uintptr_t address, unsigned level)
{
    return address >> (PAGE_SHIFT + 9 * level) & (ENTRIES - 1);
}

static struct table *root_of(struct arch_pagetable *pt)
{
    return (struct table *)(uintptr_t)pt->root;
}

int arch_pt_create(struct arch_pagetable *pt)
{
    struct table *root = table_create();

    pt->root = (uintptr_t)root;
    return root ? 0 : -ENOMEM;
}

static void destroy_level(struct table *table)
{
    for (unsigned i = 0; i < ENTRIES; i++) {
        if (table->entry[i].page) {
            fprintf(stderr, "page table destroyed with a page in it\n");
            abort();
        }
        if (table->entry[i].below)
            destroy_level(table->entry[i].below);
    }
    table_destroy(table);
}

void arch_pt_destroy(struct arch_pagetable *pt)
{
    for (unsigned i = 0; i < TLB_SIZE; i++)
        if (tlb[i].root == root_of(pt))
            tlb[i].root = NULL;
    destroy_level(root_of(pt));
    pt->root = 0;
}

/* The entry that holds the page of address, or NULL and the hole's size. */
static struct entry *find_entry(struct arch_pagetable *pt, uintptr_t address, size_t *size)
{
    struct table *table = root_of(pt);

    for (unsigned level = 3;; level--) {
        struct entry *entry = &table->entry[index_at(address, level)];
        *size = 1UL << (PAGE_SHIFT + 9 * level);
        if (entry->page)
            return entry;
        if (!entry->below)
            return NULL;
        table = entry->below;
    }
}

static struct arch_pte describe(uint64_t page, size_t size)
{
    return (struct arch_pte){
        .paddr = page & PADDR,
        .size = size,
        .prot = page & PROT_BITS,
        .is_dirty = page & DIRTY,
        .is_accessed = page & ACCESSED,
    };
}

static bool is_empty(const struct table *table)
{
    for (unsigned i = 0; i < ENTRIES; i++)
        if (table->entry[i].page || table->entry[i].below)
            return false;
    return true;
}

int arch_pt_map(struct arch_pagetable *pt, uintptr_t address, paddr_t paddr, size_t size,
                unsigned prot)
{
    struct table *table = root_of(pt);
    unsigned last = size == LARGE_PAGE_SIZE ? 1 : 0;

    if (address >= APP_MAX || address % size != 0 || paddr % size != 0)
        abort();
    for (unsigned level = 3; level > last; level--) {
        struct entry *entry = &table->entry[index_at(address, level)];
        if (entry->page)
            abort(); /* a large page must be split first */
        if (!entry->below)
            entry->below = table_create();
        table = entry->below;
    }
    struct entry *entry = &table->entry[index_at(address, last)];
    if (entry->below) {
        if (!is_empty(entry->below))
            return -EEXIST;
        table_destroy(entry->below);
        entry->below = NULL;
    }
    entry->page = USED | paddr | prot;
    return 0;
}

struct arch_pte arch_pt_lookup(struct arch_pagetable *pt, uintptr_t address)
{
    size_t size;
    struct entry *entry = find_entry(pt, address, &size);

    return entry ? describe(entry->page, size) : (struct arch_pte){ 0 };
}

struct arch_pte arch_pt_clear(struct arch_pagetable *pt, uintptr_t address)
{
    size_t size;
    struct entry *entry = find_entry(pt, address, &size);

    if (!entry)
        return (struct arch_pte){ 0 };
    struct arch_pte pte = describe(entry->page, size);
    entry->page = 0;
    return pte;
}

unsigned arch_pt_scan(struct arch_pagetable *pt, uintptr_t *address, uintptr_t end,
                      enum arch_pt_scan how, struct arch_pt_page *pages, unsigned max)
{
    unsigned n = 0;

    while (*address < end && n < max) {
        size_t size;
        struct entry *entry = find_entry(pt, *address, &size);
        if (entry) {
            if (how == PT_SCAN_CLEAR && (*address % size || end - *address < size))
                break;
            pages[n++] = (struct arch_pt_page){ *address, describe(entry->page, size) };
            if (how == PT_SCAN_CLEAR)
                entry->page = 0;
            else if (how == PT_SCAN_PROTECT)
                entry->page &= ~(uint64_t)PT_WRITE;
        }
        *address = ALIGN_DOWN(*address, size) + size;
    }
    return n;
}

unsigned arch_pt_map_pages(struct arch_pagetable *pt, const struct arch_pt_page *pages,
                           unsigned npages)
{
    for (unsigned i = 0; i < npages; i++) {
        const struct arch_pte *pte = &pages[i].pte;
        if (arch_pt_map(pt, pages[i].address, pte->paddr, pte->size, pte->prot))
            return i;
    }
    return npages;
}

void arch_pt_protect(struct arch_pagetable *pt, uintptr_t address, unsigned prot)
{
    size_t size;
    struct entry *entry = find_entry(pt, address, &size);

    if (entry)
        entry->page = (entry->page & ~PROT_BITS) | prot;
}

void arch_pt_clear_flags(struct arch_pagetable *pt, uintptr_t address, bool accessed, bool dirty)
{
    size_t size;
    struct entry *entry = find_entry(pt, address, &size);

    if (entry)
        entry->page &= ~((accessed ? ACCESSED : 0) | (dirty ? DIRTY : 0));
}

int arch_pt_split(struct arch_pagetable *pt, uintptr_t address)
{
    size_t size;
    struct entry *entry = find_entry(pt, address, &size);

    if (!entry || size != LARGE_PAGE_SIZE)
        return 0;
    entry->below = table_create();
    for (unsigned i = 0; i < ENTRIES; i++)
        entry->below->entry[i].page = entry->page + i * PAGE_SIZE;
    entry->page = 0;
    return 0;
}

static bool trim_level(struct table *table, unsigned level, uintptr_t start, uintptr_t last)
{
    for (unsigned i = index_at(start, level); i <= index_at(last, level) && level > 0; i++) {
        struct entry *entry = &table->entry[i];
        if (!entry->below)
            continue;
        uintptr_t from = i == index_at(start, level) ? start : 0;
        uintptr_t to = i == index_at(last, level) ? last : ~0UL;
        if (trim_level(entry->below, level - 1, from, to)) {
            table_destroy(entry->below);
            entry->below = NULL;
        }
    }
    return is_empty(table);
}

void arch_pt_trim(struct arch_pagetable *pt, uintptr_t start, uintptr_t end)
{
    if (start < end)
        trim_level(root_of(pt), 3, start, end - 1);
}

void arch_pt_activate(struct arch_pagetable *pt)
{
    memset(tlb, 0, sizeof(tlb));
}

struct arch_pagetable *arch_pt_kernel(void)
{
    return &kernel_table;
}

void arch_tlb_flush(uint64_t mask, uintptr_t start, uintptr_t end)
{
    for (unsigned i = 0; i < TLB_SIZE; i++)
        if (mask && tlb[i].page >= ALIGN_DOWN(start, PAGE_SIZE) && tlb[i].page < end)
            tlb[i].root = NULL;
}

/* A cached translation must not allow more than the page table does. */
static void check_tlb_entry(struct arch_pagetable *pt, const struct tlb_entry *cached)
{
    struct arch_pte pte = arch_pt_lookup(pt, cached->page);
    paddr_t paddr = pte.paddr + (cached->page & (pte.size - 1));

    if (pte.size == 0 || paddr != cached->paddr || cached->prot & ~pte.prot) {
        fprintf(stderr, "stale TLB entry for %#lx: no flush after a change\n",
                (unsigned long)cached->page);
        abort();
    }
}

int host_translate(struct arch_pagetable *pt, uintptr_t address, unsigned access, paddr_t *paddr)
{
    uintptr_t page = ALIGN_DOWN(address, PAGE_SIZE);
    struct tlb_entry *cached = &tlb[(page >> PAGE_SHIFT) % TLB_SIZE];
    bool is_hit = cached->root == root_of(pt) && cached->page == page;

    if (is_hit)
        check_tlb_entry(pt, cached);
    if (!is_hit || (cached->prot & access) != access) {
        size_t size;
        struct entry *entry = find_entry(pt, address, &size);
        if (!entry || (entry->page & access) != access || !(entry->page & PT_READ))
            return -EFAULT;
        entry->page |= ACCESSED | (access & PT_WRITE ? DIRTY : 0);
        *cached = (struct tlb_entry){
            .root = root_of(pt),
            .page = page,
            .paddr = (entry->page & PADDR) + (page & (size - 1)),
            .prot = entry->page & PROT_BITS,
        };
    }
    *paddr = cached->paddr + address % PAGE_SIZE;
    return 0;
}

void arch_vmspace_copy(const struct vmspace *from, struct vmspace *child)
{
    (void)from;
    (void)child;
}

void arch_vmspace_release(struct vmspace *vm)
{
    (void)vm;
}
