// SPDX-License-Identifier: MIT
/*
 * Memory policies on a machine with one node.  Every policy that names node 0 has the same effect, so
 * only the thread's own is remembered, to be reported back; the checks are Linux's.
 */
#include "abi/errno.h"
#include "kernel/mm/vmspace_internal.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

#define MPOL_DEFAULT        0
#define MPOL_PREFERRED      1
#define MPOL_BIND           2
#define MPOL_INTERLEAVE     3
#define MPOL_LOCAL          4
#define MPOL_PREFERRED_MANY 5
#define MPOL_MODE_FLAGS     0xe000 /* STATIC_NODES, RELATIVE_NODES, NUMA_BALANCING */
#define MPOL_F_NODE         1
#define MPOL_F_ADDR         2
#define MPOL_F_MEMS_ALLOWED 4
#define MPOL_MF_VALID       7 /* STRICT, MOVE, MOVE_ALL */
#define MPOL_MF_MOVE        2
#define MPOL_MF_MOVE_ALL    4
#define NODE_BITS_MAX       (PAGE_SIZE * 8)

/* Reads a node mask of maxnode - 1 bits. */
static int read_nodes(const void __app *mask, unsigned long maxnode, bool *any, bool *has_node0)
{
    *any = *has_node0 = false;
    if (maxnode-- == 0 || maxnode == 0 || !mask)
        return 0;
    if (maxnode > NODE_BITS_MAX)
        return -EINVAL;
    for (unsigned long bit = 0; bit < maxnode; bit += 64) {
        uint64_t word;
        if (copy_from_app(&word, (const void __app *)((uintptr_t)mask + bit / 8), sizeof(word)))
            return -EFAULT;
        if (maxnode - bit < 64)
            word &= (1ULL << (maxnode - bit)) - 1;
        *any |= word != 0;
        *has_node0 |= bit == 0 && word & 1;
    }
    return 0;
}

static int check_policy(int mode, const void __app *mask, unsigned long maxnode)
{
    bool any, has_node0;
    int flags = mode & MPOL_MODE_FLAGS;

    mode &= ~MPOL_MODE_FLAGS;
    if (mode < MPOL_DEFAULT || mode > MPOL_PREFERRED_MANY || (flags & 0xc000) == 0xc000)
        return -EINVAL;
    int err = read_nodes(mask, maxnode, &any, &has_node0);
    if (err)
        return err;
    if (mode == MPOL_DEFAULT || mode == MPOL_LOCAL)
        return any || (mode == MPOL_LOCAL && flags) ? -EINVAL : 0;
    if (mode == MPOL_PREFERRED && !any)
        return flags & 0xc000 ? -EINVAL : 0; /* the local node */
    return has_node0 ? 0 : -EINVAL;
}

long sys_set_mempolicy(int mode, const void __app *mask, unsigned long maxnode)
{
    int err = check_policy(mode, mask, maxnode);

    if (!err)
        thread_current()->mempolicy = (uint16_t)mode;
    return err;
}

static bool is_mapped(struct vmspace *vm, uintptr_t start, uintptr_t end)
{
    uintptr_t at = start;

    read_lock(&vm->lock);
    for (struct mapping *mapping = mapping_find(vm, start);
         mapping && mapping->start <= at && at < end; mapping = mapping_next(mapping))
        at = mapping->end;
    read_unlock(&vm->lock);
    return at >= end;
}

long sys_mbind(unsigned long address, size_t length, int mode, const void __app *mask,
               unsigned long maxnode, unsigned flags)
{
    if (flags & ~MPOL_MF_VALID || address % PAGE_SIZE != 0)
        return -EINVAL;
    int err = check_policy(mode, mask, maxnode);
    if (err)
        return err;
    if (length > APP_MAX || address > APP_MAX - length)
        return -EINVAL;
    uintptr_t end = address + ALIGN_UP(length, PAGE_SIZE);
    return is_mapped(thread_current()->vmspace, address, end) ? 0 : -EFAULT;
}

/* Node 0, or none, into a mask of maxnode bits. */
static int write_nodes(void __app *mask, unsigned long maxnode, bool node0)
{
    uint64_t word = node0;
    size_t bytes = ALIGN_UP(MIN(maxnode - 1, NODE_BITS_MAX), 64) / 8;

    if (bytes == 0)
        return 0;
    int err = copy_to_app(mask, &word, sizeof(word));
    if (!err && bytes > sizeof(word))
        err = zero_app((void __app *)((uintptr_t)mask + sizeof(word)), bytes - sizeof(word));
    return err;
}

long sys_get_mempolicy(void __app *policy, void __app *mask, unsigned long maxnode,
                       unsigned long address, unsigned long flags)
{
    struct thread *self = thread_current();
    int value = self->mempolicy;
    bool has_nodes = value != MPOL_DEFAULT && value != MPOL_LOCAL;

    if (flags & ~7UL || (mask && maxnode < 1))
        return -EINVAL;
    if (flags & MPOL_F_MEMS_ALLOWED) {
        if (flags & (MPOL_F_NODE | MPOL_F_ADDR))
            return -EINVAL;
        value = 0;
        has_nodes = true;
    } else if (flags & MPOL_F_ADDR) {
        if (!is_mapped(self->vmspace, address, address + 1))
            return -EFAULT;
        value = 0; /* the default policy, or node 0 */
        has_nodes = false;
    } else if (address != 0) {
        return -EINVAL;
    } else if (flags & MPOL_F_NODE) {
        if ((value & ~MPOL_MODE_FLAGS) != MPOL_INTERLEAVE)
            return -EINVAL;
        value = 0;
    }
    int err = policy ? copy_to_app(policy, &value, sizeof(value)) : 0;
    return !err && mask ? write_nodes(mask, maxnode, has_nodes) : err;
}

static int check_process(int pid)
{
    struct process *process = pid ? process_find(pid) : NULL;

    if (pid && !process)
        return -ESRCH;
    if (process)
        process_put(process);
    return 0;
}

long sys_migrate_pages(int pid, unsigned long maxnode, const void __app *from, const void __app *to)
{
    bool any, has_node0;
    int err = read_nodes(from, maxnode, &any, &has_node0);

    if (!err)
        err = read_nodes(to, maxnode, &any, &has_node0);
    if (!err)
        err = check_process(pid);
    if (err)
        return err;
    return has_node0 ? 0 : -EINVAL; /* everything is there already */
}

/* The node of the page at address, or -errno as move_pages(2) reports it. */
static int page_status(struct vmspace *vm, uintptr_t address)
{
    if (address >= APP_MAX || !is_mapped(vm, address, address + 1))
        return -EFAULT;
    uintptr_t page = ALIGN_DOWN(address, PAGE_SIZE);
    return vmspace_has_resident(vm, page, page + PAGE_SIZE) ? 0 : -ENOENT;
}

long sys_move_pages(int pid, unsigned long count, const void __app *pages, const void __app *nodes,
                    void __app *status, int flags)
{
    struct thread *self = thread_current();

    if (flags & ~(MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
        return -EINVAL;
    if (pid != 0 && pid != self->process->pid) {
        int err = check_process(pid);
        return err ? err : -EPERM;
    }
    for (unsigned long i = 0; i < count; i++) {
        uintptr_t page;
        int node = 0;
        if (copy_from_app(&page, (const void __app *)((uintptr_t)pages + i * 8), sizeof(page)) ||
            (nodes &&
             copy_from_app(&node, (const void __app *)((uintptr_t)nodes + i * 4), sizeof(node))))
            return -EFAULT;
        if (node != 0)
            return -ENODEV;
        int result = page_status(self->vmspace, page);
        if (copy_to_app((void __app *)((uintptr_t)status + i * 4), &result, sizeof(result)))
            return -EFAULT;
    }
    return 0;
}

long sys_set_mempolicy_home_node(unsigned long address, unsigned long length, unsigned long node,
                                 unsigned long flags)
{
    if (flags != 0 || address % PAGE_SIZE != 0 || node != 0)
        return -EINVAL;
    return 0;
}
