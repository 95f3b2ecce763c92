// SPDX-License-Identifier: MIT
/*
 * System calls on the address space: mmap and its kin.  The checks are those of Linux 6.1, in its
 * order where a program could tell; the work is in vmspace.c and vmspace_move.c.
 */
#include "abi/errno.h"
#include "kernel/log.h"
#include "kernel/mm/map_object.h"
#include "kernel/mm/map_source.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/process_files.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

/* What MAP_SHARED_VALIDATE accepts; MAP_SYNC needs persistent memory. */
#define VALID_FLAGS                                                                                \
    (ABI_MAP_TYPE | ABI_MAP_FIXED | ABI_MAP_ANONYMOUS | ABI_MAP_32BIT | ABI_MAP_GROWSDOWN |        \
     ABI_MAP_DENYWRITE | ABI_MAP_EXECUTABLE | ABI_MAP_LOCKED | ABI_MAP_NORESERVE |                 \
     ABI_MAP_POPULATE | ABI_MAP_NONBLOCK | ABI_MAP_STACK | ABI_MAP_HUGETLB |                       \
     ABI_MAP_FIXED_NOREPLACE)
#define PROT_SEM   8u
#define VALID_PROT (ABI_PROT_READ | ABI_PROT_WRITE | ABI_PROT_EXEC | PROT_SEM)

static struct vmspace *current_vmspace(void)
{
    return thread_current()->vmspace;
}

/* ---- mmap ----------------------------------------------------------------------------- */

static int check_anonymous(const struct vmspace_map_args *args)
{
    unsigned type = args->flags & ABI_MAP_TYPE;

    if (args->flags & ABI_MAP_HUGETLB) {
        log_warning_once("mmap: MAP_HUGETLB: there is no pool of huge pages");
        return -ENOMEM;
    }
    if (type != ABI_MAP_PRIVATE && type != ABI_MAP_SHARED)
        return -EINVAL;
    if (type == ABI_MAP_SHARED && args->flags & ABI_MAP_GROWSDOWN)
        return -EINVAL;
    return 0;
}

static int check_file(struct vmspace_map_args *args)
{
    if (args->flags & ABI_MAP_HUGETLB)
        return -EINVAL;
    switch (args->flags & ABI_MAP_TYPE) {
    case ABI_MAP_SHARED_VALIDATE:
        if (args->flags & ~VALID_FLAGS)
            return -EOPNOTSUPP;
        args->flags = (args->flags & ~ABI_MAP_TYPE) | ABI_MAP_SHARED;
        return 0;
    case ABI_MAP_SHARED:
    case ABI_MAP_PRIVATE:
        /* Linux has no stacks of files either. */
        args->flags &= ~ABI_MAP_GROWSDOWN;
        return 0;
    default:
        return -EINVAL;
    }
}

static int map_file(struct vmspace *vm, int fd, struct vmspace_map_args *args, uintptr_t *out)
{
    struct map_source source = { .offset = args->offset, .length = args->length };
    int err = check_file(args);

    if (err)
        return err;
    err = map_source_open(fd, args->prot, args->flags, &source);
    if (err)
        return err;
    args->max_prot = source.max_prot;
    args->offset = source.offset;
    if (source.is_zero) {
        args->flags |= ABI_MAP_ANONYMOUS;
    } else {
        args->cache = source.cache;
        args->file = source.file;
    }
    err = vmspace_map(vm, args, out);
    map_source_close(&source);
    return err;
}

long sys_mmap(unsigned long address, size_t length, unsigned prot, unsigned flags, int fd,
              long offset)
{
    struct vmspace *vm = current_vmspace();
    struct vmspace_map_args args = {
        .address = address,
        .length = length,
        .prot = prot,
        .flags = flags,
        .offset = (uint64_t)offset,
    };
    uintptr_t place = 0;
    bool is_anonymous = flags & ABI_MAP_ANONYMOUS;

    if (offset % (long)PAGE_SIZE != 0)
        return -EINVAL;
    if (length == 0 && !is_anonymous) {
        struct map_source source = { .length = 0 }; /* a bad descriptor is reported first */
        int err = map_source_open(fd, prot, ABI_MAP_PRIVATE, &source);
        if (!err)
            map_source_close(&source);
        return err == -EBADF ? err : -EINVAL;
    }
    if (length == 0)
        return -EINVAL;
    if (length > APP_MAX)
        return -ENOMEM;
    int err = is_anonymous ? check_anonymous(&args) : 0;
    if (!err)
        err = vmspace_lock_future(vm, &args);
    if (!err)
        err = is_anonymous ? vmspace_map(vm, &args, &place) : map_file(vm, fd, &args, &place);
    if (err)
        return err;

    bool is_on_fault = vm->lock_future & ABI_MCL_ONFAULT && !(flags & ABI_MAP_LOCKED);
    bool populate = (flags & (ABI_MAP_POPULATE | ABI_MAP_NONBLOCK)) == ABI_MAP_POPULATE ||
                    (args.flags & ABI_MAP_LOCKED && !is_on_fault);
    /* What cannot be made now is left to page faults, as on Linux. */
    if (populate)
        (void)!vmspace_populate(vm, place, place + ALIGN_UP(length, PAGE_SIZE), 0);
    return (long)place;
}

/* ---- remap_file_pages ------------------------------------------------------------------ */

/* vm->lock held: the mappings of [start, end) are one but for their offsets; the first one, or NULL. */
static struct mapping *mappings_alike(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    struct mapping *first = mapping_at(vm, start);

    if (!first || !(first->flags & ABI_MAP_SHARED))
        return NULL;
    for (struct mapping *at = first; at->end < end; at = mapping_next(at)) {
        const struct mapping *next = mapping_next(at);
        if (!next || next->start != at->end || next->cache != first->cache ||
            next->flags != first->flags || next->prot != first->prot)
            return NULL;
    }
    return first;
}

/* What mmap(2) would be asked for, with references that hold it until then. */
static int remap_prepare(struct vmspace *vm, struct vmspace_map_args *args)
{
    read_lock(&vm->lock);
    const struct mapping *mapping = mappings_alike(vm, args->address, args->address + args->length);
    if (mapping) {
        args->prot = mapping->prot;
        args->max_prot = mapping->max_prot;
        args->flags = ABI_MAP_SHARED | ABI_MAP_FIXED | (mapping->flags & ABI_MAP_LOCKED);
        args->cache = pagecache_get(mapping->cache);
        args->file = mapping->file ? file_get(mapping->file) : NULL;
        args->object = mapping->object;
        if (args->object)
            args->object->ops->attach(args->object);
    }
    read_unlock(&vm->lock);
    return mapping ? 0 : -EINVAL;
}

static void remap_finish(const struct vmspace_map_args *args)
{
    if (args->object)
        args->object->ops->detach(args->object);
    if (args->file)
        file_put(args->file);
    pagecache_put(args->cache);
}

long sys_remap_file_pages(unsigned long start, size_t size, unsigned long prot,
                          unsigned long first_page, unsigned flags)
{
    struct vmspace *vm = current_vmspace();
    struct vmspace_map_args args = {
        .address = ALIGN_DOWN(start, PAGE_SIZE),
        .length = ALIGN_DOWN(size, PAGE_SIZE),
        .offset = first_page << PAGE_SHIFT,
    };
    uintptr_t place;

    if (prot || args.address + args.length <= args.address ||
        first_page + (args.length >> PAGE_SHIFT) < first_page)
        return -EINVAL;
    int err = remap_prepare(vm, &args);
    if (err)
        return err;
    err = first_page > UINT64_MAX >> PAGE_SHIFT ? -EOVERFLOW : vmspace_map(vm, &args, &place);
    remap_finish(&args);
    if (!err && !(flags & ABI_MAP_NONBLOCK))
        (void)!vmspace_populate(vm, args.address, args.address + args.length, 0);
    return err;
}

long sys_munmap(unsigned long address, size_t length)
{
    return vmspace_unmap(current_vmspace(), address, length);
}

/* ---- mprotect ---------------------------------------------------------------------------- */

/* PROT_GROWSDOWN: from the start of the stack that address is in. */
static int find_stack_start(struct vmspace *vm, unsigned long *address)
{
    int err = -EINVAL;

    read_lock(&vm->lock);
    struct mapping *mapping = mapping_find(vm, *address);
    if (!mapping) {
        err = -ENOMEM;
    } else if (mapping->flags & ABI_MAP_GROWSDOWN) {
        *address = mapping->start;
        err = 0;
    }
    read_unlock(&vm->lock);
    return err;
}

long sys_mprotect(unsigned long address, size_t length, unsigned prot)
{
    struct vmspace *vm = current_vmspace();
    unsigned grows = prot & (ABI_PROT_GROWSDOWN | ABI_PROT_GROWSUP);
    unsigned long start = address;

    prot &= ~grows;
    if (grows == (ABI_PROT_GROWSDOWN | ABI_PROT_GROWSUP) || address % PAGE_SIZE != 0)
        return -EINVAL;
    if (length == 0)
        return 0;
    if (length > APP_MAX || address > APP_MAX - length)
        return -ENOMEM;
    if (prot & ~VALID_PROT || grows == ABI_PROT_GROWSUP)
        return -EINVAL;
    int err = grows ? find_stack_start(vm, &start) : 0;
    if (err)
        return err;
    return vmspace_protect(vm, start, length + (address - start), prot);
}

/* Protection keys, as on a CPU without them. */
long sys_pkey_mprotect(unsigned long address, size_t length, unsigned prot, int pkey)
{
    return pkey == -1 ? sys_mprotect(address, length, prot) : -EINVAL;
}

long sys_pkey_alloc(unsigned long flags, unsigned long rights)
{
    return flags || rights & ~3UL ? -EINVAL : -ENOSPC;
}

long sys_pkey_free(int pkey)
{
    return -EINVAL;
}

/* ---- mremap, brk --------------------------------------------------------------------------- */

long sys_mremap(unsigned long address, size_t old_length, size_t new_length, unsigned flags,
                unsigned long new_address)
{
    unsigned valid = ABI_MREMAP_MAYMOVE | ABI_MREMAP_FIXED | ABI_MREMAP_DONTUNMAP;
    uintptr_t place = address;

    if (flags & ~valid)
        return -EINVAL;
    if (flags & (ABI_MREMAP_FIXED | ABI_MREMAP_DONTUNMAP) && !(flags & ABI_MREMAP_MAYMOVE))
        return -EINVAL;
    if (flags & ABI_MREMAP_DONTUNMAP && old_length != new_length)
        return -EINVAL;
    if (address % PAGE_SIZE != 0 || new_length == 0)
        return -EINVAL;
    if (old_length > APP_MAX || new_length > APP_MAX)
        return new_length > APP_MAX ? -ENOMEM : -EFAULT;
    int err = vmspace_remap(current_vmspace(), &place, ALIGN_UP(old_length, PAGE_SIZE),
                            ALIGN_UP(new_length, PAGE_SIZE), flags, new_address);
    return err ? err : (long)place;
}

long sys_brk(unsigned long address)
{
    return (long)vmspace_brk(current_vmspace(), address);
}

/* ---- msync, mincore ------------------------------------------------------------------------ */

/* Writes back the file part of the mapping at *at; *at moves behind it.  -ENOMEM: a hole. */
static int sync_part(struct vmspace *vm, uintptr_t *at, uintptr_t end, int flags)
{
    struct pagecache *cache = NULL;
    struct file *file = NULL;
    uint64_t first = 0, stop = 0;
    int err = 0;

    read_lock(&vm->lock);
    struct mapping *mapping = mapping_find(vm, *at);
    if (!mapping || mapping->start >= end) {
        *at = end;
        err = -ENOMEM;
    } else {
        if (mapping->start > *at) {
            *at = mapping->start;
            err = -ENOMEM;
        }
        uintptr_t part_end = MIN(mapping->end, end);
        if (flags & ABI_MS_INVALIDATE && mapping->flags & ABI_MAP_LOCKED)
            err = -EBUSY;
        else if (flags & ABI_MS_SYNC && mapping->cache && mapping->flags & ABI_MAP_SHARED) {
            cache = pagecache_get(mapping->cache);
            file = mapping->file ? file_get(mapping->file) : NULL;
            first = mapping->offset + (*at - mapping->start);
            stop = first + (part_end - *at);
        }
        *at = part_end;
    }
    read_unlock(&vm->lock);
    if (cache) {
        int failure = pagecache_write_back(cache, first, stop);
        pagecache_put(cache);
        if (file)
            file_put(file);
        return failure ? failure : err;
    }
    return err;
}

long sys_msync(unsigned long address, size_t length, int flags)
{
    struct vmspace *vm = current_vmspace();
    bool has_holes = false;

    if (flags & ~(ABI_MS_ASYNC | ABI_MS_INVALIDATE | ABI_MS_SYNC) || address % PAGE_SIZE != 0 ||
        (flags & (ABI_MS_ASYNC | ABI_MS_SYNC)) == (ABI_MS_ASYNC | ABI_MS_SYNC))
        return -EINVAL;
    if (length > APP_MAX || address > APP_MAX - length)
        return -ENOMEM;
    uintptr_t at = address, end = address + ALIGN_UP(length, PAGE_SIZE);
    while (at < end) {
        int err = sync_part(vm, &at, end, flags);
        if (err && err != -ENOMEM)
            return err;
        has_holes |= err == -ENOMEM;
    }
    return has_holes ? -ENOMEM : 0;
}

#define MINCORE_PAGES 256

/* One byte for each of npages pages; -ENOMEM where nothing is mapped. */
static int residency(struct vmspace *vm, uintptr_t start, size_t npages, unsigned char *out)
{
    int err = 0;

    read_lock(&vm->lock);
    for (size_t i = 0; i < npages && !err; i++) {
        uintptr_t page = start + i * PAGE_SIZE;
        struct mapping *mapping = mapping_at(vm, page);
        if (!mapping) {
            err = -ENOMEM;
        } else if (mapping->cache) {
            uint64_t index = mapping_page(mapping, page);
            out[i] = pagecache_next_present(mapping->cache, index) == index;
        } else {
            out[i] = vmspace_has_resident(vm, page, page + PAGE_SIZE);
        }
    }
    read_unlock(&vm->lock);
    return err;
}

long sys_mincore(unsigned long address, size_t length, void __app *vec)
{
    struct vmspace *vm = current_vmspace();
    unsigned char buf[MINCORE_PAGES];

    if (address % PAGE_SIZE != 0)
        return -EINVAL;
    if (length > APP_MAX || address > APP_MAX - length)
        return -ENOMEM;
    size_t npages = (length + PAGE_SIZE - 1) / PAGE_SIZE;
    if (!app_range_ok(vec, npages))
        return -EFAULT;
    for (size_t done = 0; done < npages;) {
        size_t n = MIN(npages - done, (size_t)MINCORE_PAGES);
        int err = residency(vm, address + done * PAGE_SIZE, n, buf);
        if (!err)
            err = copy_to_app((void __app *)((uintptr_t)vec + done), buf, n);
        if (err)
            return err;
        done += n;
    }
    return 0;
}
