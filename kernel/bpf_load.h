// SPDX-License-Identifier: MIT
#pragma once
/* Programs of classic BPF (lib/bpf.h) out of an application's memory. */
#include "lib/bpf.h"

/* Reads and checks n instructions at an address of the application's.  -EFAULT, -ENOMEM, -EINVAL. */
int bpf_load(struct abi_sock_filter *program, size_t n, uint64_t from) __must_check;
