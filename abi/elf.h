// SPDX-License-Identifier: MIT
#pragma once
/* ELF-64 (System V ABI, chapters 4 and 5) and the auxiliary vector (uapi/linux/auxvec.h). */
#include <stdint.h>

#define ABI_ELF_CLASS64  2
#define ABI_ELF_DATA_LSB 1
#define ABI_ELF_EXEC     2
#define ABI_ELF_DYN      3
#define ABI_ELF_X86_64   62

struct abi_elf_header {
    uint8_t ident[16];
    uint16_t type;
    uint16_t machine;
    uint32_t version;
    uint64_t entry;
    uint64_t phoff;
    uint64_t shoff;
    uint32_t flags;
    uint16_t ehsize;
    uint16_t phentsize;
    uint16_t phnum;
    uint16_t shentsize;
    uint16_t shnum;
    uint16_t shstrndx;
};
_Static_assert(sizeof(struct abi_elf_header) == 64, "Elf64_Ehdr");

#define ABI_PT_LOAD         1u
#define ABI_PT_INTERP       3u
#define ABI_PT_PHDR         6u
#define ABI_PT_GNU_STACK    0x6474e551u
#define ABI_PT_GNU_EH_FRAME 0x6474e550u

#define ABI_PF_X 1u
#define ABI_PF_W 2u
#define ABI_PF_R 4u

struct abi_elf_segment {
    uint32_t type;
    uint32_t flags;
    uint64_t offset;
    uint64_t vaddr;
    uint64_t paddr;
    uint64_t filesz;
    uint64_t memsz;
    uint64_t align;
};
_Static_assert(sizeof(struct abi_elf_segment) == 56, "Elf64_Phdr");

#define ABI_AT_NULL         0
#define ABI_AT_PHDR         3
#define ABI_AT_PHENT        4
#define ABI_AT_PHNUM        5
#define ABI_AT_PAGESZ       6
#define ABI_AT_BASE         7
#define ABI_AT_FLAGS        8
#define ABI_AT_ENTRY        9
#define ABI_AT_UID          11
#define ABI_AT_EUID         12
#define ABI_AT_GID          13
#define ABI_AT_EGID         14
#define ABI_AT_PLATFORM     15
#define ABI_AT_HWCAP        16
#define ABI_AT_CLKTCK       17
#define ABI_AT_SECURE       23
#define ABI_AT_RANDOM       25
#define ABI_AT_HWCAP2       26
#define ABI_AT_EXECFN       31
#define ABI_AT_SYSINFO      32 /* of i386; here for the shipped musl */
#define ABI_AT_SYSINFO_EHDR 33
#define ABI_AT_MINSIGSTKSZ  51
