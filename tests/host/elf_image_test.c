// SPDX-License-Identifier: MIT
/*
 * lib/elf_image.c: a good program, and what is wrong with bad ones.
 */
#include "lib/elf_image.h"

#include <string.h>

#include "tests/host/check.h"

#define FILE_SIZE 0x5000

struct test_file {
    struct abi_elf_header header;
    struct abi_elf_segment segment[4];
};

/* A position-independent program with a text and a data segment, an interpreter and a stack header. */
static struct test_file good_file(void)
{
    return (struct test_file){
        .header = {
            .ident = { 0x7f, 'E', 'L', 'F', ABI_ELF_CLASS64, ABI_ELF_DATA_LSB, 1 },
            .type = ABI_ELF_DYN,
            .machine = ABI_ELF_X86_64,
            .version = 1,
            .entry = 0x1040,
            .phoff = 64,
            .ehsize = 64,
            .phentsize = 56,
            .phnum = 4,
        },
        .segment = {
            { .type = ABI_PT_INTERP, .offset = 0x300, .vaddr = 0x300, .filesz = 28, .memsz = 28 },
            { .type = ABI_PT_LOAD, .flags = ABI_PF_R | ABI_PF_X, .filesz = 0x2000, .memsz = 0x2000 },
            { .type = ABI_PT_LOAD, .flags = ABI_PF_R | ABI_PF_W, .offset = 0x2e00, .vaddr = 0x3e00,
              .filesz = 0x300, .memsz = 0x1800 },
            { .type = ABI_PT_GNU_STACK, .flags = ABI_PF_R | ABI_PF_W },
        },
    };
}

static enum elf_problem parse(const struct test_file *file, struct elf_image *image)
{
    enum elf_problem problem = elf_image_parse_header(file, sizeof(file->header), image);
    if (problem)
        return problem;
    return elf_image_parse_segments(file->segment, sizeof(file->segment), FILE_SIZE, image);
}

static void test_good(void)
{
    struct test_file file = good_file();
    struct elf_image image;
    CHECK_EQ(parse(&file, &image), ELF_OK);
    CHECK(image.is_position_independent);
    CHECK(image.has_stack_header && !image.wants_executable_stack);
    CHECK_EQ(image.nsegments, 2);
    CHECK_EQ(image.low, 0);
    CHECK_EQ(image.high, 0x6000);
    CHECK_EQ(image.phdr_vaddr, 64);
    CHECK_EQ(image.interpreter_offset, 0x300);
    CHECK_EQ(image.interpreter_size, 28);
    CHECK_EQ(image.segment[1].filesz, 0x300);
}

#define CHECK_BAD(change, problem)                                                                 \
    do {                                                                                           \
        struct test_file file = good_file();                                                       \
        struct elf_image image;                                                                    \
        change;                                                                                    \
        CHECK_EQ(parse(&file, &image), problem);                                                   \
    } while (0)

static void test_bad_headers(void)
{
    CHECK_BAD(file.header.ident[1] = 'X', ELF_NOT_ELF);
    CHECK_BAD(file.header.ident[4] = 1, ELF_32_BIT);
    CHECK_BAD(file.header.ident[4] = 9, ELF_BAD_HEADER);
    CHECK_BAD(file.header.ident[5] = 2, ELF_BIG_ENDIAN);
    CHECK_BAD(file.header.machine = 183, ELF_WRONG_MACHINE);
    CHECK_BAD(file.header.type = 1, ELF_NOT_A_PROGRAM);
    CHECK_BAD(file.header.type = 4, ELF_NOT_A_PROGRAM);
    CHECK_BAD(file.header.phentsize = 32, ELF_BAD_HEADER);
    CHECK_BAD(file.header.phnum = 0, ELF_BAD_HEADER);
    CHECK_BAD(file.header.phnum = 0xffff, ELF_BAD_HEADER);
    CHECK_BAD(file.header.phoff = UINT64_MAX - 8, ELF_BAD_HEADER);
    CHECK_BAD(file.header.entry = UINT64_MAX, ELF_BAD_HEADER);
    CHECK_BAD(file.header.phnum = 5, ELF_TRUNCATED);
}

static void test_short_headers(void)
{
    struct test_file file = good_file();
    struct elf_image image;
    CHECK_EQ(elf_image_parse_header(&file, 0, &image), ELF_NOT_ELF);
    CHECK_EQ(elf_image_parse_header(&file, 3, &image), ELF_NOT_ELF);
    CHECK_EQ(elf_image_parse_header(&file, 16, &image), ELF_TRUNCATED);
    CHECK_EQ(elf_image_parse_header(&file, 63, &image), ELF_TRUNCATED);
    CHECK_EQ(elf_image_parse_header(&file, 64, &image), ELF_OK);
}

static void test_bad_segments(void)
{
    CHECK_BAD(file.segment[1].memsz = 0x1000, ELF_BAD_SEGMENTS); /* less than its file part */
    CHECK_BAD(file.segment[1].offset = 0x10, ELF_BAD_SEGMENTS);  /* not congruent */
    CHECK_BAD(file.segment[1].memsz = 0x3f00, ELF_BAD_SEGMENTS); /* runs into the next */
    CHECK_BAD(file.segment[2].vaddr = 0xe00, ELF_BAD_SEGMENTS);  /* descends */
    CHECK_BAD(file.segment[2].filesz = 0x9000; file.segment[2].memsz = 0x9000, ELF_TRUNCATED);
    CHECK_BAD(file.segment[2].offset = UINT64_MAX - 0x1ff, ELF_BAD_SEGMENTS);
    CHECK_BAD(file.segment[2].vaddr = UINT64_MAX - 0x1ff, ELF_BAD_SEGMENTS);
    CHECK_BAD(file.segment[2].memsz = UINT64_MAX, ELF_BAD_SEGMENTS);
    CHECK_BAD(file.segment[2].memsz = ELF_ADDRESS_MAX, ELF_BAD_SEGMENTS);
    CHECK_BAD(file.segment[1].type = 0; file.segment[2].type = 0, ELF_BAD_SEGMENTS);
    CHECK_BAD(file.header.type = ABI_ELF_EXEC, ELF_BAD_SEGMENTS); /* page 0 */
    CHECK_BAD(file.segment[0].filesz = 1, ELF_BAD_INTERPRETER);
    CHECK_BAD(file.segment[0].filesz = 5000, ELF_BAD_INTERPRETER);
    CHECK_BAD(file.segment[0].offset = FILE_SIZE - 4, ELF_BAD_INTERPRETER);
    CHECK_BAD(file.segment[0].offset = UINT64_MAX - 4, ELF_BAD_INTERPRETER);
}

static void test_executable_stack(void)
{
    struct test_file file = good_file();
    struct elf_image image;
    file.segment[3].flags |= ABI_PF_X;
    CHECK_EQ(parse(&file, &image), ELF_OK);
    CHECK(image.wants_executable_stack);
}

int main(void)
{
    test_good();
    test_bad_headers();
    test_short_headers();
    test_bad_segments();
    test_executable_stack();
    return 0;
}
