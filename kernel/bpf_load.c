// SPDX-License-Identifier: MIT
#include "kernel/bpf_load.h"

#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "kernel/usercopy.h"

int bpf_load(struct abi_sock_filter *program, size_t n, uint64_t from)
{
    if (copy_from_app(program, (const void __app *)from, n * sizeof(*program)))
        return -EFAULT;
    uint16_t *masks = kmalloc(n * sizeof(*masks), ALLOC_WAIT);
    if (!masks)
        return -ENOMEM;
    bool is_good = bpf_check(program, n, masks);
    kfree(masks);
    return is_good ? 0 : -EINVAL;
}
