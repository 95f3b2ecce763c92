// SPDX-License-Identifier: MIT
/*
 * Mapping ELF segments.
 *
 * A segment's file part is mapped privately from the page cache, so a program in the boot archive is run
 * where it lies; what memory has beyond the file part is zero.  A position-independent image first
 * reserves its whole span without access, which finds it a place, and then maps its segments over it.
 */
#include <string.h>

#include "abi/errno.h"
#include "fs/file.h"
#include "kernel/entropy.h"
#include "kernel/process.h"
#include "loader/exec.h"

/* Two thirds of the application half, as Linux; 28 random bits of pages on top. */
#define PIE_BASE        0x555555554000UL
#define PIE_RANDOM_BITS 28
#define BRK_RANDOM_BITS 13 /* 32 MiB */

uintptr_t random_pages(const struct exec *exec, unsigned bits)
{
    if (!exec->is_randomized)
        return 0;
    return (random64() & ((1UL << bits) - 1)) << PAGE_SHIFT;
}

static unsigned segment_prot(const struct elf_segment *segment)
{
    return (segment->flags & ABI_PF_R ? ABI_PROT_READ : 0) |
           (segment->flags & ABI_PF_W ? ABI_PROT_WRITE : 0) |
           (segment->flags & ABI_PF_X ? ABI_PROT_EXEC : 0);
}

/* Anonymous memory at exactly [start, end). */
static int anonymous_map(struct vmspace *vm, uintptr_t start, uintptr_t end, unsigned prot,
                         unsigned flags)
{
    uintptr_t where;
    if (start >= end)
        return 0;
    return vmspace_map(vm,
                       &(struct vmspace_map_args){
                           .address = start,
                           .length = end - start,
                           .prot = prot,
                           .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | flags,
                       },
                       &where);
}

static int file_map(struct vmspace *vm, struct file *file, const struct elf_segment *segment,
                    uintptr_t address)
{
    uintptr_t where, start = ALIGN_DOWN(address, PAGE_SIZE);
    return vmspace_map(vm,
                       &(struct vmspace_map_args){
                           .address = start,
                           .length = ALIGN_UP(address + segment->filesz, PAGE_SIZE) - start,
                           .prot = segment_prot(segment),
                           .flags = ABI_MAP_PRIVATE | ABI_MAP_FIXED,
                           .cache = file->inode->cache,
                           .file = file,
                           .offset = ALIGN_DOWN(segment->offset, PAGE_SIZE),
                       },
                       &where);
}

/* The rest of the file part's last page: the file's bytes there are not the program's. */
static int tail_zero(struct vmspace *vm, const struct elf_segment *segment, uintptr_t from)
{
    static const char zeros[256];
    uintptr_t end = ALIGN_UP(from, PAGE_SIZE);
    if (segment->memsz == segment->filesz || !(segment->flags & ABI_PF_W))
        return 0;
    while (from < end) {
        size_t part = MIN(end - from, sizeof(zeros));
        long n = vmspace_write(vm, from, zeros, part);
        if (n != (long)part)
            return n < 0 ? (int)n : -EFAULT;
        from += part;
    }
    return 0;
}

static int segment_map(struct vmspace *vm, struct file *file, const struct elf_segment *segment,
                       uintptr_t bias)
{
    uintptr_t address = segment->vaddr + bias;
    uintptr_t file_end = address + segment->filesz;
    uintptr_t zero_start = ALIGN_DOWN(address, PAGE_SIZE);
    int err = 0;
    if (segment->filesz) {
        err = file_map(vm, file, segment, address);
        if (!err)
            err = tail_zero(vm, segment, file_end);
        zero_start = ALIGN_UP(file_end, PAGE_SIZE);
    }
    if (err)
        return err;
    return anonymous_map(vm, zero_start, ALIGN_UP(address + segment->memsz, PAGE_SIZE),
                         segment_prot(segment), ABI_MAP_FIXED);
}

static int room_find(struct vmspace *vm, uintptr_t wanted, size_t length, uintptr_t *where)
{
    return vmspace_map(vm,
                       &(struct vmspace_map_args){
                           .address = wanted,
                           .length = length,
                           .prot = ABI_PROT_NONE,
                           .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | ABI_MAP_NORESERVE,
                       },
                       where);
}

/* The first place from where on at which an image has the alignment that its segments ask for. */
static uintptr_t align_place(const struct elf_image *image, uintptr_t where)
{
    return ALIGN_UP(where - image->low, image->alignment) + image->low;
}

/* Finds a place for a position-independent image: its bias. */
static int place_find(struct vmspace *vm, const struct elf_image *image, uintptr_t wanted,
                      uintptr_t *bias)
{
    size_t length = image->high - image->low;
    uintptr_t where, place;
    int err = room_find(vm, wanted ? align_place(image, wanted) : 0, length, &where);
    if (!err && align_place(image, where) != where) {
        /* Room for any place in it; what is too much goes back. */
        size_t room = length + image->alignment;
        err = vmspace_unmap(vm, where, length);
        if (!err)
            err = room_find(vm, 0, room, &where);
        place = align_place(image, where);
        if (!err && place > where)
            err = vmspace_unmap(vm, where, place - where);
        if (!err)
            err = vmspace_unmap(vm, place + length, where + room - place - length);
        where = place;
    }
    if (!err)
        *bias = where - image->low;
    return err;
}

static int program_map(struct vmspace *vm, struct program *program, uintptr_t wanted)
{
    const struct elf_image *image = &program->image;
    int err = 0;
    if (image->is_position_independent)
        err = place_find(vm, image, wanted, &program->bias);
    for (unsigned i = 0; i < image->nsegments && !err; i++)
        err = segment_map(vm, program->file, &image->segment[i], program->bias);
    return err;
}

/* The heap begins a random distance behind the program. */
static void brk_set(struct exec *exec)
{
    const struct program *program = &exec->program;
    uintptr_t brk = program->image.high + program->bias + random_pages(exec, BRK_RANDOM_BITS);
    exec->vm->brk_start = brk;
    exec->vm->brk_end = brk;
}

int image_map(struct exec *exec)
{
    uintptr_t wanted = PIE_BASE + random_pages(exec, PIE_RANDOM_BITS);
    int err = program_map(exec->vm, &exec->program, wanted);
    if (!err && exec->interpreter.file)
        err = program_map(exec->vm, &exec->interpreter, 0);
    if (err)
        return exec_fail(exec, err, "%s does not fit into the address space or the memory",
                         exec->path);
    brk_set(exec);
    const struct program *first = exec->interpreter.file ? &exec->interpreter : &exec->program;
    exec->entry = first->image.entry + first->bias;
    if (exec->entry >= APP_MAX)
        return exec_fail(exec, -EINVAL, "%s begins outside of a program's memory", exec->path);
    return 0;
}
