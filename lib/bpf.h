// SPDX-License-Identifier: MIT
#pragma once
/*
 * Classic BPF: the filters of seccomp(2) and of sockets.  A program is checked once and can then be run on anything:
 * jumps lead forward, the last instruction returns, a word of memory is written before it is read.
 */
#include <stddef.h>

#include "abi/bpf.h"
#include "lib/compiler.h"

/* What a program loads from. */
struct bpf_data {
    const uint8_t *bytes;
    uint32_t size;
    bool is_native; /* words in our own byte order (seccomp), else the network's */
};

/* masks: room for n words, to work with.  Loads of what the packet is beside its bytes (ABI_SKF_AD_OFF) are refused. */
bool bpf_check(const struct abi_sock_filter *program, size_t n, uint16_t *masks) __must_check;
/* Whether a checked program has only what seccomp allows: aligned words of data of this size, no MOD. */
bool bpf_check_words(const struct abi_sock_filter *program, size_t n, uint32_t size) __must_check;
/* A load outside of the data and a division by zero return 0. */
uint32_t bpf_run(const struct abi_sock_filter *program, const struct bpf_data *data);
