// SPDX-License-Identifier: MIT
#include "lib/bpf.h"

#include <string.h>

/* ---- The check ---------------------------------------------------------------------- */

/* ALU operations and jumps that there are, a bit for each. */
#define ALU_OPERATIONS 0x07ffu
#define JUMPS          0x001fu

static bool is_load(uint16_t code)
{
    bool is_word = ABI_BPF_SIZE(code) == ABI_BPF_W;
    bool has_size = ABI_BPF_SIZE(code) <= ABI_BPF_B;
    switch (ABI_BPF_MODE(code)) {
    case ABI_BPF_IMM:
    case ABI_BPF_MEM:
    case ABI_BPF_LEN:
        return is_word;
    case ABI_BPF_ABS:
    case ABI_BPF_IND:
        return has_size && ABI_BPF_CLASS(code) == ABI_BPF_LD;
    case ABI_BPF_MSH:
        return code == (ABI_BPF_LDX | ABI_BPF_B | ABI_BPF_MSH);
    default:
        return false;
    }
}

static bool is_operation(uint16_t code)
{
    unsigned operation = ABI_BPF_OP(code) >> 4;
    switch (ABI_BPF_CLASS(code)) {
    case ABI_BPF_ALU:
        return ALU_OPERATIONS >> operation & 1 && code != (ABI_BPF_ALU | ABI_BPF_NEG | ABI_BPF_X);
    case ABI_BPF_JMP:
        return JUMPS >> operation & 1 && code != (ABI_BPF_JMP | ABI_BPF_JA | ABI_BPF_X);
    case ABI_BPF_RET:
        return code == (ABI_BPF_RET | ABI_BPF_K) || code == (ABI_BPF_RET | ABI_BPF_A);
    case ABI_BPF_MISC:
        return code == (ABI_BPF_MISC | ABI_BPF_TAX) || code == (ABI_BPF_MISC | ABI_BPF_TXA);
    default:
        return code == ABI_BPF_ST || code == ABI_BPF_STX;
    }
}

static bool is_instruction(uint16_t code)
{
    if (code > 0xff)
        return false;
    return ABI_BPF_CLASS(code) <= ABI_BPF_LDX ? is_load(code) : is_operation(code);
}

static bool uses_memory(uint16_t code)
{
    return code == ABI_BPF_ST || code == ABI_BPF_STX ||
           (ABI_BPF_CLASS(code) <= ABI_BPF_LDX && ABI_BPF_MODE(code) == ABI_BPF_MEM);
}

static bool is_operand_good(const struct abi_sock_filter *at)
{
    switch (at->code) {
    case ABI_BPF_ALU | ABI_BPF_DIV | ABI_BPF_K:
    case ABI_BPF_ALU | ABI_BPF_MOD | ABI_BPF_K:
        return at->k != 0;
    case ABI_BPF_ALU | ABI_BPF_LSH | ABI_BPF_K:
    case ABI_BPF_ALU | ABI_BPF_RSH | ABI_BPF_K:
        return at->k < 32;
    case ABI_BPF_LD | ABI_BPF_W | ABI_BPF_ABS:
    case ABI_BPF_LD | ABI_BPF_H | ABI_BPF_ABS:
    case ABI_BPF_LD | ABI_BPF_B | ABI_BPF_ABS:
        return at->k < ABI_SKF_AD_OFF;
    default:
        return !uses_memory(at->code) || at->k < ABI_BPF_MEMWORDS;
    }
}

/* left: instructions behind it. */
static bool is_target_good(const struct abi_sock_filter *at, size_t left)
{
    if (ABI_BPF_CLASS(at->code) != ABI_BPF_JMP)
        return true;
    if (at->code == (ABI_BPF_JMP | ABI_BPF_JA))
        return at->k < left;
    return at->jt < left && at->jf < left;
}

/* Every word of memory that is read was written, whichever way led there. */
static bool is_memory_written(const struct abi_sock_filter *program, size_t n, uint16_t *masks)
{
    uint16_t written = 0;
    memset(masks, 0xff, n * sizeof(*masks));
    for (size_t i = 0; i < n; i++) {
        const struct abi_sock_filter *at = &program[i];
        written &= masks[i];
        if (ABI_BPF_CLASS(at->code) == ABI_BPF_JMP) {
            bool is_always = at->code == (ABI_BPF_JMP | ABI_BPF_JA);
            masks[i + 1 + (is_always ? at->k : at->jt)] &= written;
            masks[i + 1 + (is_always ? at->k : at->jf)] &= written;
            written = 0xffff;
        } else if (at->code == ABI_BPF_ST || at->code == ABI_BPF_STX) {
            written |= (uint16_t)(1u << at->k);
        } else if (uses_memory(at->code) && !(written >> at->k & 1)) {
            return false;
        }
    }
    return true;
}

bool bpf_check(const struct abi_sock_filter *program, size_t n, uint16_t *masks)
{
    if (n == 0 || n > ABI_BPF_MAXINSNS || ABI_BPF_CLASS(program[n - 1].code) != ABI_BPF_RET)
        return false;
    for (size_t i = 0; i < n; i++) {
        const struct abi_sock_filter *at = &program[i];
        if (!is_instruction(at->code) || !is_operand_good(at) || !is_target_good(at, n - 1 - i))
            return false;
    }
    return is_memory_written(program, n, masks);
}

bool bpf_check_words(const struct abi_sock_filter *program, size_t n, uint32_t size)
{
    for (size_t i = 0; i < n; i++) {
        const struct abi_sock_filter *at = &program[i];
        unsigned class = ABI_BPF_CLASS(at->code), mode = ABI_BPF_MODE(at->code);
        if (class == ABI_BPF_ALU && ABI_BPF_OP(at->code) == ABI_BPF_MOD)
            return false;
        if (class > ABI_BPF_LDX || mode == ABI_BPF_IMM || mode == ABI_BPF_MEM ||
            mode == ABI_BPF_LEN)
            continue;
        if (at->code != (ABI_BPF_LD | ABI_BPF_W | ABI_BPF_ABS) || at->k >= size || at->k & 3)
            return false;
    }
    return true;
}

/* ---- The run -------------------------------------------------------------------------- */

struct machine {
    uint32_t a, x;
    uint32_t memory[ABI_BPF_MEMWORDS];
    const struct bpf_data *data;
};

/* False: not all of it is there. */
static bool data_load(const struct bpf_data *data, uint16_t size, uint32_t at, uint32_t *value)
{
    uint32_t n = size == ABI_BPF_W ? 4 : size == ABI_BPF_H ? 2 : 1;
    uint32_t word = 0;
    if (at > data->size || data->size - at < n)
        return false;
    if (data->is_native) {
        memcpy(&word, data->bytes + at, n);
    } else {
        for (uint32_t i = 0; i < n; i++)
            word = word << 8 | data->bytes[at + i];
    }
    *value = word;
    return true;
}

static bool run_load(struct machine *machine, const struct abi_sock_filter *at, uint32_t *to)
{
    uint16_t size = ABI_BPF_SIZE(at->code);
    switch (ABI_BPF_MODE(at->code)) {
    case ABI_BPF_IMM:
        *to = at->k;
        return true;
    case ABI_BPF_MEM:
        *to = machine->memory[at->k];
        return true;
    case ABI_BPF_LEN:
        *to = machine->data->size;
        return true;
    case ABI_BPF_ABS:
        return data_load(machine->data, size, at->k, to);
    case ABI_BPF_IND:
        return at->k + (uint64_t)machine->x <= UINT32_MAX &&
               data_load(machine->data, size, at->k + machine->x, to);
    default: /* MSH: the length of an IPv4 header */
        if (!data_load(machine->data, size, at->k, to))
            return false;
        *to = (*to & 0xf) * 4;
        return true;
    }
}

static bool run_operation(uint32_t *a, uint16_t code, uint32_t operand)
{
    switch (ABI_BPF_OP(code)) {
    case ABI_BPF_ADD:
        *a += operand;
        return true;
    case ABI_BPF_SUB:
        *a -= operand;
        return true;
    case ABI_BPF_MUL:
        *a *= operand;
        return true;
    case ABI_BPF_DIV:
        *a = operand ? *a / operand : 0;
        return operand;
    case ABI_BPF_MOD:
        *a = operand ? *a % operand : 0;
        return operand;
    case ABI_BPF_OR:
        *a |= operand;
        return true;
    case ABI_BPF_AND:
        *a &= operand;
        return true;
    case ABI_BPF_XOR:
        *a ^= operand;
        return true;
    case ABI_BPF_LSH:
        *a <<= operand & 31;
        return true;
    case ABI_BPF_RSH:
        *a >>= operand & 31;
        return true;
    default:
        *a = -*a;
        return true;
    }
}

/* How many instructions are left out. */
static uint32_t run_jump(uint32_t a, const struct abi_sock_filter *at, uint32_t operand)
{
    switch (ABI_BPF_OP(at->code)) {
    case ABI_BPF_JEQ:
        return a == operand ? at->jt : at->jf;
    case ABI_BPF_JGT:
        return a > operand ? at->jt : at->jf;
    case ABI_BPF_JGE:
        return a >= operand ? at->jt : at->jf;
    case ABI_BPF_JSET:
        return a & operand ? at->jt : at->jf;
    default:
        return at->k;
    }
}

uint32_t bpf_run(const struct abi_sock_filter *program, const struct bpf_data *data)
{
    struct machine machine = { .data = data };
    for (const struct abi_sock_filter *at = program;; at++) {
        uint32_t operand = at->code & ABI_BPF_X ? machine.x : at->k;
        switch (ABI_BPF_CLASS(at->code)) {
        case ABI_BPF_LD:
            if (!run_load(&machine, at, &machine.a))
                return 0;
            break;
        case ABI_BPF_LDX:
            if (!run_load(&machine, at, &machine.x))
                return 0;
            break;
        case ABI_BPF_ST:
            machine.memory[at->k] = machine.a;
            break;
        case ABI_BPF_STX:
            machine.memory[at->k] = machine.x;
            break;
        case ABI_BPF_ALU:
            if (!run_operation(&machine.a, at->code, operand))
                return 0;
            break;
        case ABI_BPF_JMP:
            at += run_jump(machine.a, at, operand);
            break;
        case ABI_BPF_RET:
            return ABI_BPF_SIZE(at->code) == ABI_BPF_A ? machine.a : at->k;
        default:
            if (ABI_BPF_OP(at->code) == ABI_BPF_TXA)
                machine.a = machine.x;
            else
                machine.x = machine.a;
        }
    }
}
