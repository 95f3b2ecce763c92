// SPDX-License-Identifier: MIT
/*
 * Address spaces against a model: random mmap, munmap, mprotect, mremap, madvise, fork and truncation in a
 * window of 32 MiB, with stores and loads between them.  The model knows for each page whether it is
 * mapped, how, and what byte it holds.  At the end every frame and page table must have come back.
 */
#include "kernel/mm/vmspace.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/signal.h"
#include "arch/host/pagetable.h"
#include "kernel/mm/heap.h"
#include "kernel/rlimit.h"
#include "kernel/syscall.h"
#include "tests/host/check.h"
#include "tests/host/mm_machine.h"

#define WINDOW     0x40000000UL
#define NPAGES     8192u
#define NFILES     3u
#define FILE_PAGES 1500u
#define RWX        (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC)

/* What the model knows of a page of the window. */
struct page {
    bool is_mapped;
    bool is_shared;
    bool is_own; /* private: not the file's page any more */
    unsigned char prot;
    unsigned char value; /* of an anonymous or own page */
    short file;          /* -1: anonymous */
    unsigned index;      /* page of the file */
};

static struct page window[NPAGES], saved[NPAGES];
static struct pagecache *files[NFILES];
static unsigned char contents[NFILES][FILE_PAGES];
static unsigned file_size[NFILES]; /* in pages */
static struct vmspace *vm;

static unsigned random_below(unsigned n)
{
    return (unsigned)random() % n;
}

static uintptr_t address_of(unsigned page)
{
    return WINDOW + page * PAGE_SIZE;
}

static uint64_t resident_in(uintptr_t start, uintptr_t end)
{
    struct vmspace_page page;
    uint64_t nbytes = 0;

    CHECK_EQ(vmspace_has_resident(vm, start, end),
             vmspace_look(vm, &(uintptr_t){ start }, end, &page, 1));
    while (vmspace_look(vm, &start, end, &page, 1))
        nbytes += page.size;
    return nbytes / PAGE_SIZE;
}

/* A range of the window: mostly small, sometimes megabytes. */
static void random_range(unsigned *first, unsigned *n)
{
    unsigned max = random_below(8) == 0 ? 3000 : 40;

    *first = random_below(NPAGES);
    *n = 1 + random_below(max);
    *n = MIN(*n, NPAGES - *first);
    if (random_below(10) == 0) /* whole large pages */
        *first &= ~511u;
}

/* ---- The model ---------------------------------------------------------------------------- */

/* The signal an access gets, or 0 and where the byte is kept. */
static int model_access(struct page *page, bool write, unsigned char **value)
{
    if (!page->is_mapped || !(page->prot & (write ? ABI_PROT_WRITE : RWX)))
        return ABI_SIGSEGV;
    if (page->file >= 0 && !page->is_own && page->index >= file_size[page->file])
        return ABI_SIGBUS;
    if (page->file < 0 || page->is_own) {
        *value = &page->value;
        return 0;
    }
    unsigned char *shared = &contents[page->file][page->index];
    if (write && !page->is_shared) {
        page->is_own = true;
        page->value = *shared;
        shared = &page->value;
    }
    *value = shared;
    return 0;
}

static void check_load(unsigned i)
{
    unsigned char seen = 0, *expected = NULL;
    int signo = model_access(&window[i], false, &expected);

    CHECK_EQ(machine_read(address_of(i) + 123, &seen), signo);
    if (!signo)
        CHECK_EQ(seen, *expected);
}

static void check_store(unsigned i)
{
    unsigned char value = (unsigned char)random(), *expected = NULL;
    int signo = model_access(&window[i], true, &expected);

    CHECK_EQ(machine_write(address_of(i) + 123, value), signo);
    if (!signo)
        *expected = value;
}

static void check_all(void)
{
    for (unsigned i = 0; i < NPAGES; i++)
        if (window[i].is_mapped || random_below(50) == 0)
            check_load(i);
}

/* ---- Operations ------------------------------------------------------------------------------ */

static void do_map(void)
{
    unsigned first, n, prot = random_below(4) ? ABI_PROT_READ | ABI_PROT_WRITE : random_below(8);
    int file = (int)random_below(2 * NFILES) - (int)NFILES;
    uintptr_t place;

    random_range(&first, &n);
    file = file < 0 ? -1 : file;
    struct vmspace_map_args args = {
        .address = address_of(first),
        .length = n * PAGE_SIZE - random_below(PAGE_SIZE),
        .prot = prot,
        .flags = ABI_MAP_FIXED | (random_below(2) && file >= 0 ? ABI_MAP_SHARED : ABI_MAP_PRIVATE),
    };
    unsigned index = random_below(FILE_PAGES / 2);
    n = MIN(n, FILE_PAGES / 2);
    args.length = MIN(args.length, n * PAGE_SIZE);
    if (file >= 0) {
        args.cache = files[file];
        args.offset = index * PAGE_SIZE;
    } else {
        args.flags |= ABI_MAP_ANONYMOUS;
    }
    CHECK_EQ(vmspace_map(vm, &args, &place), 0);
    CHECK_EQ(place, args.address);
    for (unsigned i = first; i < first + n; i++)
        window[i] = (struct page){
            .is_mapped = true,
            .is_shared = args.flags & ABI_MAP_SHARED,
            .prot = (unsigned char)prot,
            .file = (short)file,
            .index = index + i - first,
        };
}

static void do_unmap(void)
{
    unsigned first, n;

    random_range(&first, &n);
    CHECK_EQ(vmspace_unmap(vm, address_of(first), n * PAGE_SIZE), 0);
    memset(&window[first], 0, n * sizeof(window[0]));
}

static void do_protect(void)
{
    unsigned first, n, prot = random_below(8);
    int expected = 0;

    random_range(&first, &n);
    for (unsigned i = first; i < first + n && !expected; i++) {
        if (window[i].is_mapped)
            window[i].prot = (unsigned char)prot;
        else
            expected = -ENOMEM;
    }
    CHECK_EQ(vmspace_protect(vm, address_of(first), n * PAGE_SIZE, prot), expected);
}

static void do_advise(void)
{
    unsigned first, n;
    bool has_holes = false;

    random_range(&first, &n);
    for (unsigned i = first; i < first + n; i++) {
        has_holes |= !window[i].is_mapped;
        if (window[i].is_mapped && !window[i].is_shared) {
            window[i].is_own = false;
            window[i].value = 0;
        }
    }
    CHECK_EQ(sys_madvise(address_of(first), n * PAGE_SIZE, ABI_MADV_DONTNEED),
             has_holes ? -ENOMEM : 0);
}

static bool continues(const struct page *a, const struct page *b)
{
    return b->is_mapped && a->is_shared == b->is_shared && a->prot == b->prot &&
           a->file == b->file && (a->file < 0 || a->index + 1 == b->index);
}

/* Moves a piece that the model knows to be in one mapping, possibly changing its length. */
static void do_move(void)
{
    unsigned first, n, length = 1;
    uintptr_t place;

    random_range(&first, &n);
    if (!window[first].is_mapped)
        return;
    while (length < n && continues(&window[first + length - 1], &window[first + length]))
        length++;
    unsigned new_length = random_below(3) ? length : 1 + random_below(2 * length);
    unsigned to = random_below(NPAGES);
    if (random_below(4) == 0)
        to = (to & ~511u) + first % 512;
    if (to + new_length > NPAGES || (to < first + length && first < to + new_length) ||
        (window[first].file >= 0 && window[first].index + new_length > FILE_PAGES))
        return;
    place = address_of(first);
    CHECK_EQ(vmspace_remap(vm, &place, length * PAGE_SIZE, new_length * PAGE_SIZE,
                           ABI_MREMAP_MAYMOVE | ABI_MREMAP_FIXED, address_of(to)),
             0);
    CHECK_EQ(place, address_of(to));
    for (unsigned i = 0; i < new_length; i++) {
        struct page *page = &window[to + i];
        *page = i < length ? window[first + i] : window[first];
        if (i >= length) {
            page->is_own = false;
            page->value = 0;
            page->index = window[first].index + i;
        }
    }
    memset(&window[first], 0, length * sizeof(window[0]));
}

static void do_truncate(void)
{
    unsigned file = random_below(NFILES), npages = random_below(FILE_PAGES);

    if (npages < file_size[file]) {
        memset(&contents[file][npages], 0, FILE_PAGES - npages);
        for (unsigned i = 0; i < NPAGES; i++)
            if (window[i].is_mapped && window[i].file == (int)file && window[i].index >= npages)
                window[i].is_own = false; /* copies go too */
    }
    file_size[file] = npages;
    pagecache_set_size(files[file], npages * PAGE_SIZE);
}

static void do_punch(void)
{
    unsigned file = random_below(NFILES), first = random_below(FILE_PAGES);
    unsigned end = first + random_below(50);

    end = MIN(end, FILE_PAGES);
    memset(&contents[file][first], 0, end - first);
    CHECK_EQ(pagecache_punch(files[file], first * PAGE_SIZE, end * PAGE_SIZE), 0);
}

static void do_file_write(void)
{
    unsigned file = random_below(NFILES), index = random_below(FILE_PAGES);
    unsigned char value = (unsigned char)random();

    if (index >= file_size[file])
        return;
    contents[file][index] = value;
    CHECK_EQ(pagecache_write(files[file], index * PAGE_SIZE + 123, &value, 1, false), 1);
}

/* Another way in: vmspace_read and vmspace_write. */
static void do_remote(void)
{
    unsigned i = random_below(NPAGES);
    unsigned char seen = 0, value = (unsigned char)random(), *expected = NULL;
    bool write = random_below(2);
    int signo = model_access(&window[i], write, &expected);
    uintptr_t address = address_of(i) + 123;
    long n = write ? vmspace_write(vm, address, &value, 1) : vmspace_read(vm, address, &seen, 1);

    CHECK_EQ(n, signo ? -EFAULT : 1);
    if (!signo && write)
        *expected = value;
    else if (!signo)
        CHECK_EQ(seen, *expected);
}

/* The child sees what the parent has; private stores of either stay its own. */
static void do_fork(void)
{
    struct vmspace *parent = vm, *child;

    CHECK_EQ(vmspace_fork(parent, &child), 0);
    memcpy(saved, window, sizeof(saved));
    vm = child;
    machine_use(child);
    for (unsigned i = 0; i < 500; i++)
        random_below(2) ? check_store(random_below(NPAGES)) : check_load(random_below(NPAGES));
    do_unmap();
    do_map();
    do_protect();
    check_all();
    vm = parent;
    machine_use(parent);
    memcpy(window, saved, sizeof(saved));
    vmspace_put(child);
    for (unsigned i = 0; i < 500; i++)
        random_below(2) ? check_store(random_below(NPAGES)) : check_load(random_below(NPAGES));
}

static void touch_some(void)
{
    unsigned first, n;

    random_range(&first, &n);
    bool write = random_below(2);
    for (unsigned i = first; i < first + n; i++)
        write ? check_store(i) : check_load(i);
}

static void step(void)
{
    unsigned which = random_below(100);

    if (which < 15)
        do_map();
    else if (which < 22)
        do_unmap();
    else if (which < 32)
        do_protect();
    else if (which < 38)
        do_advise();
    else if (which < 46)
        do_move();
    else if (which < 48)
        do_truncate();
    else if (which < 50)
        do_punch();
    else if (which < 55)
        do_file_write();
    else if (which < 60)
        do_remote();
    else if (which < 61)
        do_fork();
    else
        touch_some();
}

/* ---- The tree itself ------------------------------------------------------------------------- */

struct walk {
    uintptr_t last;
    unsigned n;
};

static bool check_mapping(const struct mapping *mapping, void *arg)
{
    struct walk *walk = arg;

    CHECK(mapping->start < mapping->end && mapping->start >= walk->last);
    for (uintptr_t at = mapping->start; at < mapping->end; at += PAGE_SIZE) {
        const struct page *page = &window[(at - WINDOW) / PAGE_SIZE];
        CHECK(page->is_mapped);
        CHECK_EQ(page->prot, mapping->prot);
        CHECK_EQ(page->is_shared, (mapping->flags & ABI_MAP_SHARED) != 0);
    }
    walk->last = mapping->end;
    walk->n++;
    return true;
}

static void check_tree(void)
{
    struct walk walk = { 0, 0 };
    uint64_t mapped = 0;

    vmspace_for_each(vm, check_mapping, &walk);
    CHECK_EQ(walk.n, vm->nmappings);
    for (unsigned i = 0; i < NPAGES; i++)
        mapped += window[i].is_mapped;
    CHECK_EQ(vm->mapped_bytes, mapped * PAGE_SIZE);
    CHECK_EQ(vm->resident_pages, resident_in(0, APP_MAX));
}

static void test_random(unsigned seed, unsigned rounds)
{
    struct frame_stats before, after;

    srandom(seed);
    memset(window, 0, sizeof(window));
    memset(contents, 0, sizeof(contents));
    frame_get_stats(&before);
    unsigned tables = host_page_tables();
    CHECK_EQ(vmspace_create(true, &vm), 0);
    machine_use(vm);
    for (unsigned i = 0; i < NFILES; i++) {
        CHECK_EQ(pagecache_create(NULL, NULL, &files[i]), 0);
        file_size[i] = FILE_PAGES;
        pagecache_set_size(files[i], FILE_PAGES * PAGE_SIZE);
    }
    for (unsigned round = 0; round < rounds; round++) {
        step();
        if (round % 64 == 0)
            check_tree();
    }
    check_all();
    check_tree();
    CHECK_EQ(vmspace_unmap(vm, 0, APP_MAX), 0);
    CHECK_EQ(host_page_tables(), tables + 1);
    CHECK_EQ(vm->data_bytes + vm->shared_bytes + vm->exec_bytes + vm->stack_bytes, 0);
    machine_use(NULL);
    vmspace_put(vm);
    for (unsigned i = 0; i < NFILES; i++) {
        CHECK_EQ(files[i]->nwritable_shared, 0);
        pagecache_put(files[i]);
    }
    frame_get_stats(&after);
    CHECK_EQ(after.app_pages, 0);
    CHECK_EQ(after.cache_pages, 0);
    CHECK_EQ(after.total_pages - after.free_pages, before.total_pages - before.free_pages);
    CHECK_EQ(host_page_tables(), tables);
}

/* ---- Particular cases --------------------------------------------------------------------------- */

static uintptr_t map_anonymous(size_t length, unsigned prot, unsigned flags, uintptr_t hint,
                               int expected)
{
    struct vmspace_map_args args = {
        .address = hint,
        .length = length,
        .prot = prot,
        .flags = ABI_MAP_ANONYMOUS | (flags & ABI_MAP_TYPE ? flags : flags | ABI_MAP_PRIVATE),
    };
    uintptr_t place = 0;

    CHECK_EQ(vmspace_map(vm, &args, &place), expected);
    return place;
}

static void test_placement(void)
{
    unsigned rw = ABI_PROT_READ | ABI_PROT_WRITE;
    uintptr_t a = map_anonymous(PAGE_SIZE, rw, 0, 0, 0), b = map_anonymous(PAGE_SIZE, rw, 0, 0, 0);

    CHECK_EQ(a, vm->mmap_top - PAGE_SIZE);
    CHECK_EQ(b, a - PAGE_SIZE);
    CHECK_EQ(vm->nmappings, 1); /* merged */
    CHECK_EQ(vmspace_unmap(vm, a, PAGE_SIZE), 0);
    CHECK_EQ(map_anonymous(PAGE_SIZE, rw, 0, 0, 0), a); /* the highest room */
    CHECK_EQ(map_anonymous(PAGE_SIZE, rw, 0, 0x50000123, 0), 0x50000000);
    CHECK_EQ(map_anonymous(PAGE_SIZE, rw, 0, 0x50000000, 0), b - PAGE_SIZE); /* taken */
    map_anonymous(PAGE_SIZE, rw, ABI_MAP_FIXED_NOREPLACE, 0x50000000, -EEXIST);
    map_anonymous(PAGE_SIZE, rw, ABI_MAP_FIXED, 0, -EPERM);
    map_anonymous(PAGE_SIZE, rw, ABI_MAP_FIXED, 0x50000001, -EINVAL);
    map_anonymous(PAGE_SIZE, rw, ABI_MAP_FIXED, APP_MAX, -ENOMEM);
    map_anonymous(0, rw, 0, 0, -EINVAL);
    uintptr_t low = map_anonymous(PAGE_SIZE, rw, ABI_MAP_32BIT, 0, 0);
    CHECK(low >= 0x40000000 && low < 0x80000000);
    /* Overcommit: never more than all memory at once, unless it need not be there. */
    map_anonymous(1UL << 40, rw, 0, 0, -ENOMEM);
    uintptr_t huge = map_anonymous(1UL << 40, rw, ABI_MAP_NORESERVE, 0, 0);
    CHECK_EQ(huge % LARGE_PAGE_SIZE, 0);
    uintptr_t none = map_anonymous(1UL << 42, ABI_PROT_NONE, 0, 0, 0);
    CHECK_EQ(vmspace_protect(vm, none, 1UL << 20, rw), 0);
    CHECK_EQ(vmspace_protect(vm, none, 1UL << 41, rw), -ENOMEM);
    CHECK_EQ(machine_write(none + 5, 1), 0);
    CHECK_EQ(vmspace_unmap(vm, none, 1UL << 42), 0);
    machine_limit[LIMIT_AS] = vm->mapped_bytes + 3 * PAGE_SIZE;
    map_anonymous(4 * PAGE_SIZE, rw, 0, 0, -ENOMEM);
    map_anonymous(3 * PAGE_SIZE, rw, 0, 0, 0);
    machine_limit[LIMIT_AS] = LIMIT_INFINITY;
}

static void test_stack(void)
{
    uintptr_t top = 0x7000000000, bottom = top - 16 * PAGE_SIZE;
    unsigned rw = ABI_PROT_READ | ABI_PROT_WRITE;
    unsigned char value;

    map_anonymous(16 * PAGE_SIZE, rw, ABI_MAP_GROWSDOWN | ABI_MAP_FIXED, bottom, 0);
    CHECK_EQ(machine_write(bottom - 1, 7), 0);
    CHECK_EQ(machine_write(top - (4UL << 20), 7), 0);
    CHECK_EQ(machine_write(top - (9UL << 20), 7), ABI_SIGSEGV); /* RLIMIT_STACK */
    CHECK_EQ(machine_read(bottom - 1, &value), 0);
    CHECK_EQ(value, 7);
    /* A neighbour below keeps its distance, in both directions. */
    uintptr_t near = top - (6UL << 20);
    map_anonymous(PAGE_SIZE, rw, ABI_MAP_FIXED, near, 0);
    CHECK_EQ(machine_write(near + PAGE_SIZE, 7), ABI_SIGSEGV);
    CHECK_EQ(machine_write(near + (2UL << 20), 7), 0);
    uintptr_t hint = top - (5UL << 20);
    CHECK(map_anonymous(PAGE_SIZE, rw, 0, hint, 0) != hint);
    CHECK_EQ(vm->stack_bytes, 4UL << 20);
}

static void test_large(void)
{
    unsigned rw = ABI_PROT_READ | ABI_PROT_WRITE;
    uintptr_t base = map_anonymous(16UL << 20, rw, 0, 0, 0);
    unsigned char value;

    for (uintptr_t at = base; at < base + (16UL << 20); at += PAGE_SIZE)
        CHECK_EQ(machine_write(at, 9), 0);
    CHECK_EQ(vm->resident_pages, 4096);
    struct arch_pte pte = arch_pt_lookup(&vm->table, base + (4UL << 20));
    CHECK_EQ(pte.size, LARGE_PAGE_SIZE);
    /* Punching a page out of a large one leaves the rest. */
    CHECK_EQ(sys_madvise(base + (4UL << 20) + PAGE_SIZE, PAGE_SIZE, ABI_MADV_DONTNEED), 0);
    CHECK_EQ(vm->resident_pages, 4095);
    CHECK_EQ(machine_read(base + (4UL << 20) + PAGE_SIZE, &value), 0);
    CHECK_EQ(value, 0);
    CHECK_EQ(machine_read(base + (4UL << 20), &value), 0);
    CHECK_EQ(value, 9);
    /* So does clearing a range at whose borders a fault has made a large page meanwhile. */
    uintptr_t large = base + (12UL << 20);
    CHECK_EQ(vmspace_zap(vm, large + PAGE_SIZE, large + LARGE_PAGE_SIZE - PAGE_SIZE), 0);
    CHECK_EQ(vm->resident_pages, 4096 - 510);
    CHECK_EQ(machine_read(large, &value), 0);
    CHECK_EQ(value, 9);
    CHECK_EQ(machine_read(large + LARGE_PAGE_SIZE - PAGE_SIZE, &value), 0);
    CHECK_EQ(value, 9);
    CHECK_EQ(machine_read(large + PAGE_SIZE, &value), 0);
    CHECK_EQ(value, 0);
    /* Contents survive PROT_NONE. */
    CHECK_EQ(vmspace_protect(vm, base, 16UL << 20, ABI_PROT_NONE), 0);
    CHECK_EQ(machine_read(base, &value), ABI_SIGSEGV);
    CHECK_EQ(vmspace_protect(vm, base, 16UL << 20, rw), 0);
    CHECK_EQ(machine_read(base + (8UL << 20), &value), 0);
    CHECK_EQ(value, 9);
    /* Moving by an odd distance splits, by a whole one does not. */
    uintptr_t place = base;
    CHECK_EQ(vmspace_remap(vm, &place, 16UL << 20, 16UL << 20,
                           ABI_MREMAP_MAYMOVE | ABI_MREMAP_FIXED, base - (64UL << 20)),
             0);
    CHECK_EQ(arch_pt_lookup(&vm->table, place + (8UL << 20)).size, LARGE_PAGE_SIZE);
    CHECK_EQ(vmspace_remap(vm, &place, 16UL << 20, 16UL << 20,
                           ABI_MREMAP_MAYMOVE | ABI_MREMAP_FIXED, place - (64UL << 20) - PAGE_SIZE),
             0);
    CHECK_EQ(arch_pt_lookup(&vm->table, place + (8UL << 20)).size, PAGE_SIZE);
    CHECK_EQ(machine_read(place + (12UL << 20), &value), 0);
    CHECK_EQ(value, 9);
    CHECK_EQ(vmspace_unmap(vm, place, 16UL << 20), 0);
    CHECK_EQ(vm->resident_pages, 0);
}

/* Fork shares large pages; who writes first splits its own, and whoever is left alone has a whole one again. */
static void test_large_fork(void)
{
    unsigned rw = ABI_PROT_READ | ABI_PROT_WRITE;
    struct vmspace *parent = vm, *child, *second;
    uintptr_t base = map_anonymous(16UL << 20, rw, 0, 0, 0), block = base + (4UL << 20);
    unsigned char value;

    for (uintptr_t at = base; at < base + (16UL << 20); at += PAGE_SIZE)
        CHECK_EQ(machine_write(at, 9), 0);
    block = ALIGN_UP(block, LARGE_PAGE_SIZE);
    struct frame *frame = frame_of(arch_pt_lookup(&vm->table, block).paddr);
    CHECK_EQ(vmspace_fork(parent, &child), 0);
    CHECK_EQ(vmspace_fork(parent, &second), 0);
    CHECK_EQ(child->resident_pages, 4096);
    CHECK_EQ(arch_pt_lookup(&child->table, block).size, LARGE_PAGE_SIZE);
    CHECK_EQ(arch_pt_lookup(&child->table, block).prot & PT_WRITE, 0);
    CHECK_EQ(arch_pt_lookup(&parent->table, block).prot & PT_WRITE, 0);
    CHECK_EQ(frame->refcount, 3);

    machine_use(vm = child);
    CHECK_EQ(machine_write(block + PAGE_SIZE, 10), 0);
    CHECK_EQ(arch_pt_lookup(&child->table, block).size, PAGE_SIZE);
    CHECK_EQ(arch_pt_lookup(&second->table, block).size, LARGE_PAGE_SIZE);
    CHECK_EQ(frame[0].refcount, 3);
    CHECK_EQ(frame[1].refcount, 2); /* the child has a copy */
    CHECK_EQ(vmspace_unmap(child, block + (1UL << 20), 8UL << 20), 0);
    machine_use(vm = parent);
    vmspace_put(child);
    CHECK_EQ(vmspace_fork(second, &child), 0); /* a large entry of frames that are single by now */
    CHECK_EQ(frame[1].refcount, 3);
    vmspace_put(second);
    vmspace_put(child);

    CHECK_EQ(frame[511].refcount, 1);
    CHECK_EQ(machine_write(block + 2 * PAGE_SIZE, 11), 0);
    CHECK_EQ(arch_pt_lookup(&parent->table, block).size, LARGE_PAGE_SIZE);
    CHECK_EQ(frame->order, FRAME_ORDER_LARGE);
    CHECK_EQ(machine_read(block + PAGE_SIZE, &value), 0);
    CHECK_EQ(value, 9);
    CHECK_EQ(vmspace_unmap(parent, base, 16UL << 20), 0);
    CHECK_EQ(parent->resident_pages, 0);
}

/* A read fault maps the neighbours that the cache has: neither holes, nor what is behind the file's end, nor
 * over a copy of the process' own. */
static void test_fault_around(void)
{
    enum { IN_FILE = 14, HOLE = 5, OWN = 3, TOUCHED = 8 };
    struct pagecache *cache;
    unsigned char value;
    uintptr_t place;

    CHECK_EQ(pagecache_create(NULL, NULL, &cache), 0);
    pagecache_set_size(cache, IN_FILE * PAGE_SIZE);
    for (unsigned char i = 0; i < IN_FILE; i++)
        if (i != HOLE)
            CHECK_EQ(pagecache_write(cache, i * PAGE_SIZE, &i, 1, false), 1);
    struct vmspace_map_args args = {
        .address = 0x40000000,
        .length = 16 * PAGE_SIZE,
        .prot = ABI_PROT_READ | ABI_PROT_WRITE,
        .flags = ABI_MAP_PRIVATE | ABI_MAP_FIXED,
        .cache = cache,
    };
    CHECK_EQ(vmspace_map(vm, &args, &place), 0);
    uintptr_t end = place + args.length;
    CHECK_EQ(machine_write(place + OWN * PAGE_SIZE, 99), 0);
    CHECK_EQ(resident_in(place, end), 1);
    CHECK_EQ(machine_read(place + TOUCHED * PAGE_SIZE, &value), 0);
    CHECK_EQ(resident_in(place, end), IN_FILE - 1);
    CHECK_EQ(resident_in(place + HOLE * PAGE_SIZE, place + (HOLE + 1) * PAGE_SIZE), 0);
    for (unsigned i = 0; i < IN_FILE; i++) {
        CHECK_EQ(machine_read(place + i * PAGE_SIZE, &value), 0);
        CHECK_EQ(value, i == OWN ? 99 : i == HOLE ? 0 : i);
    }
    CHECK_EQ(machine_read(place + IN_FILE * PAGE_SIZE, &value), ABI_SIGBUS);
    CHECK_EQ(vmspace_unmap(vm, place, args.length), 0);
    pagecache_put(cache);
}

static void test_brk(void)
{
    vm->brk_start = vm->brk_end = 0x20000800;
    CHECK_EQ(vmspace_brk(vm, 0), 0x20000800);
    CHECK_EQ(vmspace_brk(vm, 0x20010000), 0x20010000);
    CHECK_EQ(machine_write(0x2000ffff, 1), 0);
    CHECK_EQ(machine_write(0x20000fff, 1), ABI_SIGSEGV);
    CHECK_EQ(vmspace_brk(vm, 0x20002000), 0x20002000);
    CHECK_EQ(machine_write(0x2000ffff, 1), ABI_SIGSEGV);
    map_anonymous(PAGE_SIZE, ABI_PROT_READ, ABI_MAP_FIXED, 0x20008000, 0);
    CHECK_EQ(vmspace_brk(vm, 0x20009000), 0x20002000);
    CHECK_EQ(vmspace_brk(vm, 0x20000800), 0x20000800);
}

static void test_out_of_memory(void)
{
    uintptr_t base =
        map_anonymous(200UL << 20, ABI_PROT_READ | ABI_PROT_WRITE, ABI_MAP_NORESERVE, 0, 0);
    int signo = 0;

    for (uintptr_t at = base; at < base + (200UL << 20) && !signo; at += PAGE_SIZE)
        signo = machine_write(at, 1);
    CHECK_EQ(signo, ABI_SIGKILL);
    CHECK_EQ(machine_kills, 1);
    CHECK_EQ(vmspace_unmap(vm, base, 200UL << 20), 0);
    CHECK_EQ(vm->resident_pages, 0);
}

/* A bit of everything, whether it works or not. */
static void failing_script(void)
{
    unsigned rw = ABI_PROT_READ | ABI_PROT_WRITE;
    struct pagecache *cache = NULL;
    struct vmspace *child = NULL;
    uintptr_t place = WINDOW;

    if (vmspace_create(true, &vm))
        return;
    machine_use(vm);
    int err = pagecache_create(NULL, NULL, &cache);
    if (!err) {
        pagecache_set_size(cache, 64 * PAGE_SIZE);
        struct vmspace_map_args file = { .address = WINDOW,
                                         .length = 32 * PAGE_SIZE,
                                         .prot = rw,
                                         .flags = ABI_MAP_PRIVATE | ABI_MAP_FIXED,
                                         .cache = cache,
                                         .offset = 8 * PAGE_SIZE };
        err = vmspace_map(vm, &file, &place);
    }
    struct vmspace_map_args shared = { .length = 10 * PAGE_SIZE,
                                       .prot = rw,
                                       .flags = ABI_MAP_SHARED | ABI_MAP_ANONYMOUS };
    if (!vmspace_map(vm, &shared, &place))
        (void)machine_write(place, 1);
    struct vmspace_map_args big = { .address = WINDOW + (16UL << 20),
                                    .length = 8UL << 20,
                                    .prot = rw,
                                    .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | ABI_MAP_FIXED };
    if (!vmspace_map(vm, &big, &place))
        for (uintptr_t at = place; at < place + (8UL << 20); at += 97 * PAGE_SIZE)
            (void)machine_write(at, 1);
    for (unsigned i = 0; i < 32 && !err; i += 3)
        (void)machine_write(WINDOW + i * PAGE_SIZE, 1);
    (void)!vmspace_protect(vm, WINDOW + 5 * PAGE_SIZE, 7 * PAGE_SIZE, ABI_PROT_READ);
    (void)!vmspace_unmap(vm, WINDOW + 20 * PAGE_SIZE, 3 * PAGE_SIZE);
    (void)!vmspace_unmap(vm, place + PAGE_SIZE, 700 * PAGE_SIZE);
    place = WINDOW + (20UL << 20);
    (void)!vmspace_remap(vm, &place, 1UL << 20, 2UL << 20, ABI_MREMAP_MAYMOVE, 0);
    if (!vmspace_fork(vm, &child)) {
        (void)machine_write(WINDOW, 2);
        vmspace_put(child);
    }
    if (cache) {
        pagecache_set_size(cache, 16 * PAGE_SIZE);
        pagecache_put(cache);
    }
    machine_use(NULL);
    vmspace_put(vm);
}

/* With each allocation failing in turn: nothing may be lost or broken. */
static void test_failing(void)
{
    struct frame_stats before, after;
    unsigned tables = host_page_tables();

    frame_get_stats(&before);
    for (unsigned n = 1; n < 400; n++) {
        n % 2 ? heap_fail_from((n + 1) / 2) : frame_fail_from(n / 2);
        failing_script();
        heap_fail_from(0);
        frame_fail_from(0);
        frame_get_stats(&after);
        CHECK_EQ(after.total_pages - after.free_pages, before.total_pages - before.free_pages);
        CHECK_EQ(host_page_tables(), tables);
    }
}

static void test_cases(void (*test)(void))
{
    CHECK_EQ(vmspace_create(true, &vm), 0);
    machine_use(vm);
    test();
    machine_use(NULL);
    vmspace_put(vm);
}

int main(int argc, char **argv)
{
    unsigned seed = argc > 1 ? (unsigned)atoi(argv[1]) : 1;

    machine_init(128UL << 20);
    test_cases(test_placement);
    test_cases(test_stack);
    test_cases(test_large);
    test_cases(test_large_fork);
    test_cases(test_fault_around);
    test_cases(test_brk);
    test_cases(test_out_of_memory);
    test_failing();
    for (unsigned i = 0; i < 3; i++)
        test_random(seed + i, 3000);
    return 0;
}
