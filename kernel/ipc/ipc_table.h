// SPDX-License-Identifier: MIT
#pragma once
/*
 * What shared memory, semaphores and message queues have in common: a table of objects by number and by
 * key, with owners and permissions.
 *
 * [i] set at creation  [t] table->lock (RANK_IPC)  [a] atomic
 */
#include "abi/errno.h"
#include "abi/ipc.h"
#include "kernel/mutex.h"
#include "lib/compiler.h"
#include "lib/rbtree.h"

#define IPC_INDEX_SHIFT 15 /* id = sequence << 15 | index */
#define IPC_INDEX_MAX   (1u << IPC_INDEX_SHIFT)
#define IPC_READ        0444u /* access that ipc_may_access() asks for */
#define IPC_WRITE       0222u
#define IPC_MODE        0777u

struct ipc_table;
struct ipc_request;

struct ipc_object {
    unsigned refcount;       /* [a] one is the table's */
    int id;                  /* [i] */
    bool is_removed;         /* [t] also written with the kind's own lock held, if it has one */
    int32_t key;             /* [t] ABI_IPC_PRIVATE: nobody finds it by key */
    unsigned mode;           /* [t] permissions, and what the kind adds */
    uint32_t uid, gid;       /* [t] */
    uint32_t cuid, cgid;     /* [i] */
    struct rb_node key_node; /* [t] */
    struct ipc_table *table; /* [i] */
};

/* What IPC_STAT tells and IPC_SET takes, of any kind. */
union ipc_status {
    struct abi_ipc_perm perm; /* all begin with it */
    struct abi_shmid_ds shm;
    struct abi_semid_ds sem;
    struct abi_msqid_ds msg;
};

/* What one kind does.  Called with the table locked, but for release. */
struct ipc_ops {
    size_t status_size;
    /* A new object, its ipc part not yet filled in. */
    int (*create)(const struct ipc_request *request, struct ipc_object **out);
    void (*created)(struct ipc_object *object); /* it is in the table; may be NULL */
    /* The object is there already: does it meet the request?  May be NULL. */
    int (*check)(const struct ipc_request *request, const struct ipc_object *object);
    void (*fill)(struct ipc_object *object, union ipc_status *out); /* all but perm */
    /* IPC_SET: what the kind adds is not permitted.  May be NULL. */
    int (*check_set)(const union ipc_status *status);
    void (*changed)(struct ipc_object *object, const union ipc_status *status); /* by IPC_SET */
    void (*remove)(struct ipc_object *object);                                  /* IPC_RMID */
    void (*release)(struct ipc_object *object); /* the last reference is gone */
};

struct ipc_table {
    struct mutex lock;
    struct ipc_object **slots;  /* [t] */
    unsigned nslots, nused;     /* [t] */
    int last_index;             /* [t] of the newest object */
    unsigned sequence;          /* [t] */
    struct rb_tree keys;        /* [t] */
    const unsigned long *limit; /* [i] how many there may be: a setting */
    const struct ipc_ops *ops;  /* [i] */
};

#define IPC_TABLE_INIT(name, limit_, ops_)                                                         \
    {                                                                                              \
        .lock = MUTEX_INIT((name).lock, RANK_IPC), .last_index = -1, .limit = (limit_),            \
        .ops = (ops_)                                                                              \
    }

/* The arguments of a get call. */
struct ipc_request {
    int32_t key;
    unsigned flags;
    size_t size; /* bytes of a segment, semaphores of a set */
};

/* shmget, semget, msgget: the number, or -ENOENT, -EEXIST, -EACCES, -ENOSPC, -ENOMEM. */
long ipc_get_id(struct ipc_table *table, const struct ipc_request *request) __must_check;
void ipc_put(struct ipc_object *object);
static inline struct ipc_object *ipc_get(struct ipc_object *object)
{
    __atomic_fetch_add(&object->refcount, 1, __ATOMIC_RELAXED);
    return object;
}
/* The object with this number; -EINVAL.  The table is locked, or a reference is taken. */
int ipc_find_locked(struct ipc_table *table, int id, struct ipc_object **out) __must_check;
int ipc_find(struct ipc_table *table, int id, unsigned access,
             struct ipc_object **out) __must_check;
/* SHM_STAT and its like: by the index. */
int ipc_find_index_locked(struct ipc_table *table, int index, struct ipc_object **out) __must_check;
/* Whether an object that is held may still be used so: -EIDRM, -EACCES. */
int ipc_check(struct ipc_object *object, unsigned access) __must_check;
/* Out of the table; drops its reference. */
void ipc_remove_locked(struct ipc_object *object);
/* It cannot be found by its key any more. */
void ipc_forget_key_locked(struct ipc_object *object);

/* Table locked.  access: bits of any of the three classes.  -EACCES. */
int ipc_may_access(const struct ipc_object *object, unsigned access) __must_check;
/* Whether the running process owns it or may do as if; -EPERM. */
int ipc_may_change(const struct ipc_object *object) __must_check;
/* ---- ipc_control.c: what the ctl calls have in common ---- */

/* What IPC_STAT tells; table locked. */
void ipc_fill(struct ipc_object *object, union ipc_status *out);
/* IPC_STAT, IPC_SET, IPC_RMID; -EINVAL for another command. */
long ipc_control(struct ipc_table *table, int id, int command, void __app *buf) __must_check;
/* SHM_STAT and its like, and SHM_STAT_ANY: about the object at index, its number is the result. */
long ipc_stat_index(struct ipc_table *table, int index, bool any, void __app *buf) __must_check;
/* The result of IPC_INFO and its like: the highest index in use, 0 if there is none. */
long ipc_max_index(struct ipc_table *table) __must_check;

/* Visits all in order of index with the table locked. */
void ipc_for_each(struct ipc_table *table, void (*visit)(struct ipc_object *object, void *arg),
                  void *arg);
int ipc_current_pid(void); /* 0 in a kernel thread */
int64_t ipc_now(void);     /* seconds since the epoch */

/* /proc/sys/kernel */
struct ipc_settings {
    unsigned long shmmax, shmall, shmmni;
    unsigned long sem[4]; /* SEMMSL, SEMMNS, SEMOPM, SEMMNI */
    unsigned long msgmax, msgmnb, msgmni;
};
extern struct ipc_settings ipc_settings; /* [a] each */
