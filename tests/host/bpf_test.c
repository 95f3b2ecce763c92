// SPDX-License-Identifier: MIT
/* lib/bpf.c: what only sockets use, and what the check refuses; seccomp's part is in tests/guest/seccomp.c. */
#include "lib/bpf.h"

#include "tests/host/check.h"

#define N(program) (sizeof(program) / sizeof((program)[0]))
#define STATEMENT(code, k)                                                                         \
    {                                                                                              \
        code, 0, 0, k                                                                              \
    }
#define LOAD(size, mode, k) STATEMENT(ABI_BPF_LD | ABI_BPF_##size | ABI_BPF_##mode, k)
#define RETURN_A            STATEMENT(ABI_BPF_RET | ABI_BPF_A, 0)

static const uint8_t packet[] = { 0x45, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07 };

static uint32_t run(const struct abi_sock_filter *program, size_t n)
{
    const struct bpf_data data = { packet, sizeof(packet), false };
    uint16_t masks[16];
    CHECK(bpf_check(program, n, masks));
    return bpf_run(program, &data);
}

static bool is_refused(const struct abi_sock_filter *program, size_t n)
{
    uint16_t masks[16];
    return !bpf_check(program, n, masks);
}

static void test_loads(void)
{
    const struct abi_sock_filter word[] = { LOAD(W, ABS, 1), RETURN_A };
    const struct abi_sock_filter half[] = { LOAD(H, ABS, 6), RETURN_A };
    const struct abi_sock_filter beyond[] = { LOAD(H, ABS, 7), RETURN_A };
    const struct abi_sock_filter header[] = {
        STATEMENT(ABI_BPF_LDX | ABI_BPF_B | ABI_BPF_MSH, 0), /* 20 */
        STATEMENT(ABI_BPF_MISC | ABI_BPF_TXA, 0),
        RETURN_A,
    };
    const struct abi_sock_filter indirect[] = {
        STATEMENT(ABI_BPF_LDX | ABI_BPF_IMM, 5),
        LOAD(B, IND, 2),
        RETURN_A,
    };
    const struct abi_sock_filter around[] = {
        STATEMENT(ABI_BPF_LDX | ABI_BPF_IMM, 0xffffffff),
        LOAD(B, IND, 2),
        STATEMENT(ABI_BPF_RET | ABI_BPF_K, 9),
    };
    const struct abi_sock_filter length[] = { LOAD(W, LEN, 0), RETURN_A };
    CHECK_EQ(run(word, N(word)), 0x01020304);
    CHECK_EQ(run(half, N(half)), 0x0607);
    CHECK_EQ(run(beyond, N(beyond)), 0);
    CHECK_EQ(run(header, N(header)), 20);
    CHECK_EQ(run(indirect, N(indirect)), 7);
    CHECK_EQ(run(around, N(around)), 0);
    CHECK_EQ(run(length, N(length)), 8);
}

static void test_modulo(void)
{
    const struct abi_sock_filter by_value[] = {
        LOAD(W, LEN, 0),
        STATEMENT(ABI_BPF_ALU | ABI_BPF_MOD | ABI_BPF_K, 3),
        RETURN_A,
    };
    const struct abi_sock_filter by_zero[] = {
        LOAD(W, LEN, 0),
        STATEMENT(ABI_BPF_ALU | ABI_BPF_MOD | ABI_BPF_X, 0),
        STATEMENT(ABI_BPF_RET | ABI_BPF_K, 9),
    };
    CHECK_EQ(run(by_value, N(by_value)), 2);
    CHECK_EQ(run(by_zero, N(by_zero)), 0);
    CHECK(!bpf_check_words(by_value, N(by_value), 64));
}

static void test_refused(void)
{
    const struct abi_sock_filter no_end[] = { LOAD(W, LEN, 0) };
    const struct abi_sock_filter ancillary[] = { LOAD(W, ABS, ABI_SKF_AD_OFF), RETURN_A };
    const struct abi_sock_filter unwritten[] = { LOAD(W, MEM, 1), RETURN_A };
    const struct abi_sock_filter out[] = {
        { ABI_BPF_JMP | ABI_BPF_JEQ, 0, 1, 0 },
        RETURN_A,
    };
    CHECK(is_refused(no_end, 0));
    CHECK(is_refused(no_end, N(no_end)));
    CHECK(is_refused(ancillary, N(ancillary)));
    CHECK(is_refused(unwritten, N(unwritten)));
    CHECK(is_refused(out, N(out)));
    for (unsigned code = 0x100; code < 0x10000; code += 0x100) {
        const struct abi_sock_filter wide[] = { STATEMENT((uint16_t)code, 0), RETURN_A };
        CHECK(is_refused(wide, N(wide)));
    }
}

int main(void)
{
    test_loads();
    test_modulo();
    test_refused();
    return 0;
}
