// SPDX-License-Identifier: MIT
#pragma once
/*
 * System V shared memory segments.
 */
#include "kernel/ipc/ipc_table.h"
#include "kernel/mm/map_object.h"

/* [i] set at creation  [t] shm_table.lock */
struct shm_segment {
    struct ipc_object ipc;
    struct map_object object;
    struct pagecache *cache;     /* [i] */
    uint64_t size;               /* [i] bytes */
    int32_t name_key;            /* [i] the key it was made with */
    uint64_t nattch;             /* [t] mappings, and shmat calls under way */
    int64_t atime, dtime, ctime; /* [t] */
    int cpid, lpid;              /* [i] [t] */
    uint32_t locker;             /* [t] user whose limit counts SHM_LOCK */
};

struct vmspace;

extern struct ipc_table shm_table;

/* SHM_INFO. */
void shm_usage(struct abi_shm_info *info);
/* Maps the segment as shmat(2) says; args has the place, prot and flags. */
int shm_attach(struct shm_segment *segment, struct vmspace_map_args *args,
               uintptr_t *out) __must_check;
int shm_detach(struct vmspace *vm, uintptr_t address) __must_check;
/* Table locked: SHM_LOCK, SHM_UNLOCK. */
int shm_lock_locked(struct shm_segment *segment, bool lock) __must_check;
static inline struct shm_segment *shm_of_ipc(struct ipc_object *object)
{
    return container_of(object, struct shm_segment, ipc);
}
