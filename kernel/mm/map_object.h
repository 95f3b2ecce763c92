// SPDX-License-Identifier: MIT
#pragma once
/*
 * What a mapping belongs to besides its pages: an object that counts the mappings of itself (a System V
 * shared memory segment).  Every mapping that comes to be, also by a split, fork or mremap, attaches; every
 * one that goes detaches.  Such mappings are never merged, as on Linux.
 */
#include "kernel/mm/vmspace.h"

struct map_object_ops {
    /* One more mapping, with a reference.  vmspace->lock is held. */
    void (*attach)(struct map_object *object);
    /* One less, and its reference.  No lock of an address space is held. */
    void (*detach)(struct map_object *object);
    /* For /proc/PID/maps, from what never changes: the name, and the inode number. */
    uint64_t (*describe)(struct map_object *object, char *name, size_t size);
};

struct map_object {
    const struct map_object_ops *ops;
};

/* vmspace_map() with wanted->object, and what mlockall(MCL_FUTURE) wants of a new mapping.  -EAGAIN. */
int vmspace_map_object(struct vmspace *vm, const struct vmspace_map_args *wanted,
                       uintptr_t *out) __must_check;
/* shmdt(2): unmaps what is left of the mapping of an object with ops that once began at address.  -EINVAL. */
int vmspace_unmap_object(struct vmspace *vm, uintptr_t address,
                         const struct map_object_ops *ops) __must_check;
