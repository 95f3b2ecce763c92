// SPDX-License-Identifier: MIT
/*
 * ELF headers, read with suspicion: see lib/elf_image.h.
 *
 * What Linux accepts and real linkers make is accepted; what cannot be mapped as it says (segments
 * that overlap, whose file offset and address differ modulo the page, that leave the file) is not.
 */
#include "lib/elf_image.h"

#include <string.h>

#define PAGE 4096ULL

static enum elf_problem ident_check(const struct abi_elf_header *header, size_t len)
{
    static const uint8_t magic[4] = { 0x7f, 'E', 'L', 'F' };
    if (len < sizeof(magic) || memcmp(header->ident, magic, sizeof(magic)) != 0)
        return ELF_NOT_ELF;
    if (len < 20)
        return ELF_TRUNCATED;
    if (header->ident[4] != ABI_ELF_CLASS64)
        return header->ident[4] == 1 ? ELF_32_BIT : ELF_BAD_HEADER;
    if (header->ident[5] != ABI_ELF_DATA_LSB)
        return header->ident[5] == 2 ? ELF_BIG_ENDIAN : ELF_BAD_HEADER;
    return ELF_OK;
}

enum elf_problem elf_image_parse_header(const void *start, size_t len, struct elf_image *image)
{
    struct abi_elf_header header;
    memset(image, 0, sizeof(*image));
    memset(&header, 0, sizeof(header));
    memcpy(&header, start, MIN(len, sizeof(header)));

    enum elf_problem problem = ident_check(&header, len);
    if (len >= 20)
        image->machine = header.machine;
    if (problem)
        return problem;
    if (header.machine != ABI_ELF_X86_64)
        return ELF_WRONG_MACHINE;
    if (len < sizeof(header))
        return ELF_TRUNCATED;
    if (header.type != ABI_ELF_EXEC && header.type != ABI_ELF_DYN)
        return ELF_NOT_A_PROGRAM;
    if (header.phentsize != sizeof(struct abi_elf_segment) || header.phnum == 0 ||
        header.phnum * sizeof(struct abi_elf_segment) > ELF_HEADERS_MAX)
        return ELF_BAD_HEADER;
    if (header.phoff > (1ULL << 62) || header.entry >= ELF_ADDRESS_MAX)
        return ELF_BAD_HEADER;
    image->is_position_independent = header.type == ABI_ELF_DYN;
    image->entry = header.entry;
    image->phoff = header.phoff;
    image->phnum = header.phnum;
    return ELF_OK;
}

static bool segment_is_sane(const struct abi_elf_segment *raw, uint64_t file_size)
{
    if (raw->filesz > raw->memsz)
        return false;
    if (raw->vaddr >= ELF_ADDRESS_MAX || raw->memsz > ELF_ADDRESS_MAX - raw->vaddr)
        return false;
    if (raw->filesz == 0)
        return true; /* nothing comes from the file */
    if (raw->vaddr % PAGE != raw->offset % PAGE)
        return false;
    return raw->offset <= file_size && raw->filesz <= file_size - raw->offset;
}

/* As Linux, what is no power of two is no alignment; nor is more than a program's memory has room for. */
static void alignment_take(struct elf_image *image, uint64_t align)
{
    if (align > image->alignment && align <= ELF_ALIGNMENT_MAX && (align & (align - 1)) == 0)
        image->alignment = align;
}

static enum elf_problem load_add(struct elf_image *image, const struct abi_elf_segment *raw,
                                 uint64_t file_size)
{
    if (raw->memsz == 0)
        return ELF_OK;
    if (raw->filesz > 0 && raw->offset + raw->filesz > file_size)
        return ELF_TRUNCATED;
    if (!segment_is_sane(raw, file_size) || image->nsegments == ELF_SEGMENTS_MAX)
        return ELF_BAD_SEGMENTS;
    if (image->nsegments > 0) {
        const struct elf_segment *last = &image->segment[image->nsegments - 1];
        if (raw->vaddr < last->vaddr + last->memsz)
            return ELF_BAD_SEGMENTS;
    }
    alignment_take(image, raw->align);
    image->segment[image->nsegments++] = (struct elf_segment){
        .vaddr = raw->vaddr,
        .memsz = raw->memsz,
        .offset = raw->offset,
        .filesz = raw->filesz,
        .flags = raw->flags & (ABI_PF_R | ABI_PF_W | ABI_PF_X),
    };
    return ELF_OK;
}

static enum elf_problem interpreter_set(struct elf_image *image, const struct abi_elf_segment *raw,
                                        uint64_t file_size)
{
    if (image->interpreter_size)
        return ELF_OK; /* as Linux: the first one counts */
    if (raw->filesz < 2 || raw->filesz > 4096 || raw->offset > file_size ||
        raw->filesz > file_size - raw->offset)
        return ELF_BAD_INTERPRETER;
    image->interpreter_offset = raw->offset;
    image->interpreter_size = raw->filesz;
    return ELF_OK;
}

/* The program finds its own headers through AT_PHDR: in the segment that holds their file bytes. */
static void phdr_locate(struct elf_image *image)
{
    uint64_t size = image->phnum * sizeof(struct abi_elf_segment);
    for (unsigned i = 0; i < image->nsegments; i++) {
        const struct elf_segment *segment = &image->segment[i];
        if (segment->offset <= image->phoff && size <= segment->filesz &&
            image->phoff - segment->offset <= segment->filesz - size) {
            image->phdr_vaddr = segment->vaddr + (image->phoff - segment->offset);
            return;
        }
    }
}

static enum elf_problem header_add(struct elf_image *image, const struct abi_elf_segment *raw,
                                   uint64_t file_size)
{
    switch (raw->type) {
    case ABI_PT_LOAD:
        return load_add(image, raw, file_size);
    case ABI_PT_INTERP:
        return interpreter_set(image, raw, file_size);
    case ABI_PT_GNU_STACK:
        image->has_stack_header = true;
        image->wants_executable_stack = raw->flags & ABI_PF_X;
        return ELF_OK;
    default:
        return ELF_OK;
    }
}

enum elf_problem elf_image_parse_segments(const void *headers, size_t len, uint64_t file_size,
                                          struct elf_image *image)
{
    if (len < image->phnum * sizeof(struct abi_elf_segment))
        return ELF_TRUNCATED;
    image->alignment = PAGE;
    for (unsigned i = 0; i < image->phnum; i++) {
        struct abi_elf_segment raw;
        memcpy(&raw, (const char *)headers + i * sizeof(raw), sizeof(raw));
        if (raw.type == ABI_PT_LOAD && (raw.offset > (1ULL << 62) || raw.filesz > (1ULL << 62)))
            return ELF_BAD_SEGMENTS;
        enum elf_problem problem = header_add(image, &raw, file_size);
        if (problem)
            return problem;
    }
    if (image->nsegments == 0)
        return ELF_BAD_SEGMENTS;

    const struct elf_segment *last = &image->segment[image->nsegments - 1];
    image->low = ALIGN_DOWN(image->segment[0].vaddr, PAGE);
    image->high = ALIGN_UP(last->vaddr + last->memsz, PAGE);
    if (!image->is_position_independent && image->low == 0)
        return ELF_BAD_SEGMENTS; /* page 0 is never mapped */
    phdr_locate(image);
    return ELF_OK;
}

const char *elf_problem_text(enum elf_problem problem)
{
    switch (problem) {
    case ELF_OK:
        return "is a program";
    case ELF_NOT_ELF:
        return "is neither an ELF program nor a script that begins with #!";
    case ELF_TRUNCATED:
        return "is a truncated ELF file";
    case ELF_32_BIT:
        return "is a 32-bit program; only x86-64 programs can run";
    case ELF_BIG_ENDIAN:
        return "is a big-endian program; only x86-64 programs can run";
    case ELF_WRONG_MACHINE:
        return "is for another machine; only x86-64 programs can run";
    case ELF_NOT_A_PROGRAM:
        return "is an ELF file but not a program";
    case ELF_BAD_HEADER:
        return "has a damaged ELF header";
    case ELF_BAD_SEGMENTS:
        return "has damaged ELF program headers";
    case ELF_BAD_INTERPRETER:
        return "names its interpreter in a damaged way";
    }
    return "is not a program";
}

const char *elf_machine_name(uint16_t machine)
{
    switch (machine) {
    case 3:
        return "x86 (32-bit)";
    case 8:
        return "MIPS";
    case 20:
        return "PowerPC";
    case 21:
        return "PowerPC 64-bit";
    case 22:
        return "IBM Z";
    case 40:
        return "ARM (32-bit)";
    case 62:
        return "x86-64";
    case 183:
        return "ARM 64-bit";
    case 243:
        return "RISC-V";
    case 258:
        return "LoongArch";
    default:
        return NULL;
    }
}
