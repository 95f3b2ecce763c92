// SPDX-License-Identifier: MIT
/*
 * lib/bpf.c on any program: what is accepted runs within its bounds, comes to an end and always says the same.
 */
#include "lib/bpf.h"

#include <stdlib.h>
#include <string.h>

#define WORDS 64 /* struct seccomp_data */

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void run_twice(const struct abi_sock_filter *program, const uint8_t *bytes, uint32_t size,
                      bool is_native)
{
    const struct bpf_data data = { bytes, size, is_native };
    require(bpf_run(program, &data) == bpf_run(program, &data));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t n = size / sizeof(struct abi_sock_filter), program_size = n * 8;
    uint32_t left = (uint32_t)(size - program_size);
    if (n == 0)
        return 0;
    /* In memory of just their size. */
    struct abi_sock_filter *program = malloc(program_size);
    uint16_t *masks = malloc(n * sizeof(*masks));
    uint8_t *packet = malloc(left + !left), *words = calloc(1, WORDS);
    require(program && masks && packet && words);
    memcpy(program, data, program_size);
    memcpy(packet, data + program_size, left);
    memcpy(words, data, size < WORDS ? size : WORDS);
    if (bpf_check(program, n, masks)) {
        run_twice(program, packet, left, false);
        run_twice(program, words, WORDS, true);
        (void)!bpf_check_words(program, n, WORDS);
    }
    free(words);
    free(packet);
    free(masks);
    free(program);
    return 0;
}
