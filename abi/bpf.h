// SPDX-License-Identifier: MIT
#pragma once
/* Classic BPF (uapi/linux/bpf_common.h, uapi/linux/filter.h). */
#include <stdint.h>

struct abi_sock_filter {
    uint16_t code;
    uint8_t jt, jf;
    uint32_t k;
};

struct abi_sock_fprog {
    uint16_t len;
    uint64_t filter; /* the address of struct abi_sock_filter[len] */
};

#define ABI_BPF_MAXINSNS 4096
#define ABI_BPF_MEMWORDS 16

/* code: the class, and what belongs to it */
#define ABI_BPF_CLASS(code) ((code)&0x07)
#define ABI_BPF_LD          0x00
#define ABI_BPF_LDX         0x01
#define ABI_BPF_ST          0x02
#define ABI_BPF_STX         0x03
#define ABI_BPF_ALU         0x04
#define ABI_BPF_JMP         0x05
#define ABI_BPF_RET         0x06
#define ABI_BPF_MISC        0x07

#define ABI_BPF_SIZE(code) ((code)&0x18)
#define ABI_BPF_W          0x00
#define ABI_BPF_H          0x08
#define ABI_BPF_B          0x10

#define ABI_BPF_MODE(code) ((code)&0xe0)
#define ABI_BPF_IMM        0x00
#define ABI_BPF_ABS        0x20
#define ABI_BPF_IND        0x40
#define ABI_BPF_MEM        0x60
#define ABI_BPF_LEN        0x80
#define ABI_BPF_MSH        0xa0

#define ABI_BPF_OP(code) ((code)&0xf0)
#define ABI_BPF_ADD      0x00
#define ABI_BPF_SUB      0x10
#define ABI_BPF_MUL      0x20
#define ABI_BPF_DIV      0x30
#define ABI_BPF_OR       0x40
#define ABI_BPF_AND      0x50
#define ABI_BPF_LSH      0x60
#define ABI_BPF_RSH      0x70
#define ABI_BPF_NEG      0x80
#define ABI_BPF_MOD      0x90
#define ABI_BPF_XOR      0xa0
#define ABI_BPF_JA       0x00
#define ABI_BPF_JEQ      0x10
#define ABI_BPF_JGT      0x20
#define ABI_BPF_JGE      0x30
#define ABI_BPF_JSET     0x40

#define ABI_BPF_K   0x00
#define ABI_BPF_X   0x08
#define ABI_BPF_A   0x10 /* of RET */
#define ABI_BPF_TAX 0x00
#define ABI_BPF_TXA 0x80

/* Loads from here on ask about the packet, not for its bytes. */
#define ABI_SKF_AD_OFF 0xfffff000u
