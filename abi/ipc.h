// SPDX-License-Identifier: MIT
#pragma once
/* System V IPC: shmget(2), semget(2), msgget(2) and their kin (uapi/linux/ipc.h, shm.h, sem.h, msg.h). */
#include <stdint.h>

#define ABI_IPC_PRIVATE 0

#define ABI_IPC_CREAT  00001000
#define ABI_IPC_EXCL   00002000
#define ABI_IPC_NOWAIT 00004000

#define ABI_IPC_RMID 0
#define ABI_IPC_SET  1
#define ABI_IPC_STAT 2
#define ABI_IPC_INFO 3

struct abi_ipc_perm {
    int32_t key;
    uint32_t uid, gid, cuid, cgid;
    uint32_t mode;
    uint16_t seq;
    uint16_t pad;
    uint64_t unused[2];
};

/* ---- Shared memory ---- */

#define ABI_SHM_HUGETLB    04000  /* shmget */
#define ABI_SHM_NORESERVE  010000 /* shmget */
#define ABI_SHM_HUGE_SHIFT 26
#define ABI_SHM_HUGE_MASK  0x3f
#define ABI_SHM_RDONLY     010000 /* shmat */
#define ABI_SHM_RND        020000
#define ABI_SHM_REMAP      040000
#define ABI_SHM_EXEC       0100000
#define ABI_SHM_DEST       01000 /* in mode */
#define ABI_SHM_LOCKED     02000

#define ABI_SHM_LOCK     11
#define ABI_SHM_UNLOCK   12
#define ABI_SHM_STAT     13
#define ABI_SHM_INFO     14
#define ABI_SHM_STAT_ANY 15

struct abi_shmid_ds {
    struct abi_ipc_perm perm;
    uint64_t segsz;
    int64_t atime, dtime, ctime;
    int32_t cpid, lpid;
    uint64_t nattch;
    uint64_t unused[2];
};

struct abi_shminfo {
    uint64_t shmmax, shmmin, shmmni, shmseg, shmall;
    uint64_t unused[4];
};

struct abi_shm_info {
    int32_t used_ids;
    uint64_t tot, rss, swp;
    uint64_t swap_attempts, swap_successes;
};

/* ---- Semaphores ---- */

#define ABI_SEM_UNDO     0x1000
#define ABI_GETPID       11
#define ABI_GETVAL       12
#define ABI_GETALL       13
#define ABI_GETNCNT      14
#define ABI_GETZCNT      15
#define ABI_SETVAL       16
#define ABI_SETALL       17
#define ABI_SEM_STAT     18
#define ABI_SEM_INFO     19
#define ABI_SEM_STAT_ANY 20
#define ABI_SEMVMX       32767

struct abi_sembuf {
    uint16_t num;
    int16_t op;
    int16_t flags;
};

struct abi_semid_ds {
    struct abi_ipc_perm perm;
    int64_t otime;
    uint64_t unused1;
    int64_t ctime;
    uint64_t unused2;
    uint64_t nsems;
    uint64_t unused[2];
};

struct abi_seminfo {
    int32_t map, mni, mns, mnu, msl, opm, ume, usz, vmx, aem;
};

/* ---- Messages ---- */

#define ABI_MSG_NOERROR  010000
#define ABI_MSG_EXCEPT   020000
#define ABI_MSG_COPY     040000
#define ABI_MSG_STAT     11
#define ABI_MSG_INFO     12
#define ABI_MSG_STAT_ANY 13

struct abi_msqid_ds {
    struct abi_ipc_perm perm;
    int64_t stime, rtime, ctime;
    uint64_t cbytes, qnum, qbytes;
    int32_t lspid, lrpid;
    uint64_t unused[2];
};

struct abi_msginfo {
    int32_t pool, map, max, mnb, mni, ssz, tql;
    uint16_t seg;
};

_Static_assert(sizeof(struct abi_ipc_perm) == 48, "struct ipc64_perm");
_Static_assert(sizeof(struct abi_shmid_ds) == 112, "struct shmid64_ds");
_Static_assert(sizeof(struct abi_shminfo) == 72, "struct shminfo64");
_Static_assert(sizeof(struct abi_shm_info) == 48, "struct shm_info");
_Static_assert(sizeof(struct abi_semid_ds) == 104, "struct semid64_ds");
_Static_assert(sizeof(struct abi_msqid_ds) == 120, "struct msqid64_ds");
_Static_assert(sizeof(struct abi_msginfo) == 32, "struct msginfo");
