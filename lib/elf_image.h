// SPDX-License-Identifier: MIT
#pragma once
/*
 * The headers of an ELF-64 program for x86-64, checked.  Pure: it reads a buffer and trusts
 * nothing in it.  After elf_image_parse() no sum of the fields can overflow, the segments to
 * load ascend without touching each other, and every one lies in the file and below the limit.
 */
#include "abi/elf.h"
#include "lib/compiler.h"

#define ELF_SEGMENTS_MAX  32    /* PT_LOAD segments; the linkers make at most a handful */
#define ELF_HEADERS_MAX   65536 /* bytes of program headers, as Linux */
#define ELF_ADDRESS_MAX   0x7ffffffff000ULL
#define ELF_ALIGNMENT_MAX (1ULL << 30)

enum elf_problem {
    ELF_OK,
    ELF_NOT_ELF,
    ELF_TRUNCATED,
    ELF_32_BIT,
    ELF_BIG_ENDIAN,
    ELF_WRONG_MACHINE,
    ELF_NOT_A_PROGRAM, /* a relocatable object, a core dump */
    ELF_BAD_HEADER,
    ELF_BAD_SEGMENTS, /* overlapping, misaligned, outside the address space or the file */
    ELF_BAD_INTERPRETER,
};

struct elf_segment {
    uint64_t vaddr;
    uint64_t memsz;
    uint64_t offset;
    uint64_t filesz;
    unsigned flags; /* ABI_PF_* */
};

struct elf_image {
    bool is_position_independent;
    bool has_stack_header;       /* PT_GNU_STACK is there */
    bool wants_executable_stack; /* and says so */
    uint16_t machine;            /* filled even for ELF_WRONG_MACHINE */
    uint64_t entry;
    uint64_t phoff;
    unsigned phnum;
    uint64_t phdr_vaddr;         /* where the program headers are in memory, or 0 */
    uint64_t interpreter_offset; /* of its name in the file; size 0: none */
    uint64_t interpreter_size;   /* the NUL included */
    uint64_t low, high;          /* span of the segments, whole pages */
    uint64_t
        alignment; /* of the place of a position-independent image: low's, and low's in memory, are congruent */
    unsigned nsegments;
    struct elf_segment segment[ELF_SEGMENTS_MAX];
};

/* The first step: len bytes of the file's start (64 are enough).  Tells where the program headers
 * are: image->phoff and phnum * 56 bytes. */
enum elf_problem elf_image_parse_header(const void *start, size_t len, struct elf_image *image);
/* The second: the program headers, exactly phnum * 56 bytes of them; the file's size is for the checks. */
enum elf_problem elf_image_parse_segments(const void *headers, size_t len, uint64_t file_size,
                                          struct elf_image *image);
/* "is not an ELF file" and so on: to follow the file's name in a sentence. */
const char *elf_problem_text(enum elf_problem problem);
/* "ARM 64-bit", "RISC-V", ...; NULL if the number means nothing to us. */
const char *elf_machine_name(uint16_t machine);
