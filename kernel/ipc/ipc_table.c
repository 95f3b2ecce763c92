// SPDX-License-Identifier: MIT
/*
 * System V IPC: numbers, keys, permissions.
 *
 * A number is a slot's index and a sequence number, made as Linux makes them: slots are taken in turn, at least 64
 * of them before the first is used again, and the sequence counts the turns.  So a number that a program
 * has kept does not mean another object soon after its own was removed.
 *
 * An object stays valid while there are references; once it is out of the table, is_removed tells those
 * who still hold one.
 */
#include "kernel/ipc/ipc_table.h"

#include "abi/process.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"

#define SLOTS_MIN    16
#define CYCLE_MIN    64
#define SEQUENCE_END (INT32_MAX >> IPC_INDEX_SHIFT)

struct ipc_settings ipc_settings = {
    .shmmax = ~0UL - (1UL << 24),
    .shmall = ~0UL - (1UL << 24),
    .shmmni = 4096,
    .sem = { 32000, 1024000000, 500, 32000 },
    .msgmax = 8192,
    .msgmnb = 16384,
    .msgmni = 32000,
};

int ipc_current_pid(void)
{
    struct process *process = process_current();

    return process ? process->pid : 0;
}

int64_t ipc_now(void)
{
    return clock_realtime() / NSEC_PER_SEC;
}

/* ---- Permission ------------------------------------------------------------------------- */

int ipc_may_access(const struct ipc_object *object, unsigned access)
{
    const struct credentials *creds = &process_current()->creds;
    unsigned wanted = (access >> 6) | (access >> 3) | access, granted = object->mode;

    if (creds->euid == object->cuid || creds->euid == object->uid)
        granted >>= 6;
    else if (creds_is_in_group(creds, creds->fsgid, object->cgid) ||
             creds_is_in_group(creds, creds->fsgid, object->gid))
        granted >>= 3;
    return wanted & ~granted & 7 && !process_is_capable(ABI_CAP_IPC_OWNER) ? -EACCES : 0;
}

int ipc_may_change(const struct ipc_object *object)
{
    uint32_t euid = process_current()->creds.euid;
    bool is_owner = euid == object->cuid || euid == object->uid;

    return is_owner || process_is_capable(ABI_CAP_SYS_ADMIN) ? 0 : -EPERM;
}

/* ---- Keys --------------------------------------------------------------------------------- */

static struct ipc_object *key_find(struct ipc_table *table, int32_t key)
{
    struct rb_node *node = table->keys.root;

    while (node) {
        struct ipc_object *object = rb_entry(node, struct ipc_object, key_node);
        if (object->key == key)
            return object;
        node = node->child[key > object->key];
    }
    return NULL;
}

static void key_insert(struct ipc_table *table, struct ipc_object *object)
{
    struct rb_node **link = &table->keys.root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = &parent->child[object->key > rb_entry(parent, struct ipc_object, key_node)->key];
    }
    rb_link(&object->key_node, parent, link);
    rb_insert_fixup(&table->keys, &object->key_node);
}

void ipc_forget_key_locked(struct ipc_object *object)
{
    if (object->key != ABI_IPC_PRIVATE)
        rb_remove(&object->table->keys, &object->key_node);
    object->key = ABI_IPC_PRIVATE;
}

/* ---- Slots --------------------------------------------------------------------------------- */

static int slots_grow(struct ipc_table *table, unsigned wanted)
{
    unsigned count = MAX(table->nslots, SLOTS_MIN / 2);

    while (count < wanted)
        count *= 2;
    if (count <= table->nslots)
        return 0;
    struct ipc_object **slots =
        krealloc(table->slots, count * sizeof(struct ipc_object *), ALLOC_WAIT);
    if (!slots)
        return -ENOMEM;
    for (unsigned i = table->nslots; i < count; i++)
        slots[i] = NULL;
    table->slots = slots;
    table->nslots = count;
    return 0;
}

static bool slot_is_free(const struct ipc_table *table, unsigned index)
{
    return index >= table->nslots || !table->slots[index];
}

/* The next free one after the newest, within a range that grows with the number of objects. */
static int slot_choose(const struct ipc_table *table)
{
    unsigned limit = (unsigned)MIN(READ_ONCE(*table->limit), (unsigned long)IPC_INDEX_MAX);
    unsigned end = MIN(MAX(table->nused * 3 / 2, (unsigned)CYCLE_MIN), IPC_INDEX_MAX);
    unsigned first = (unsigned)(table->last_index + 1);

    if (table->nused >= limit)
        return -ENOSPC;
    for (unsigned index = first; index < end; index++)
        if (slot_is_free(table, index))
            return (int)index;
    for (unsigned index = 0; index < MIN(first, end); index++)
        if (slot_is_free(table, index))
            return (int)index;
    return -ENOSPC;
}

static long object_enter(struct ipc_table *table, struct ipc_object *object, int index)
{
    if (index <= table->last_index)
        table->sequence = (table->sequence + 1) % SEQUENCE_END;
    table->last_index = index;
    object->id = (int)(table->sequence << IPC_INDEX_SHIFT) + index;
    table->slots[index] = object;
    table->nused++;
    if (object->key != ABI_IPC_PRIVATE)
        key_insert(table, object);
    return object->id;
}

static void object_init(struct ipc_table *table, struct ipc_object *object,
                        const struct ipc_request *request)
{
    const struct credentials *creds = &process_current()->creds;

    object->refcount = 1;
    object->table = table;
    object->key = request->key;
    object->mode = request->flags & IPC_MODE;
    object->uid = object->cuid = creds->euid;
    object->gid = object->cgid = creds->egid;
}

static long object_create(struct ipc_table *table, const struct ipc_request *request)
{
    struct ipc_object *object;

    int index = slot_choose(table);
    /* What is wrong with the request itself is reported before that there is no room. */
    int err = table->ops->create(request, &object);
    if (err)
        return err;
    object_init(table, object, request);
    err = index < 0 ? index : slots_grow(table, (unsigned)index + 1);
    if (err) {
        table->ops->release(object);
        return err;
    }
    long id = object_enter(table, object, index);
    if (table->ops->created)
        table->ops->created(object);
    return id;
}

static long object_open(const struct ipc_object *object, const struct ipc_request *request)
{
    if ((request->flags & ABI_IPC_CREAT) && (request->flags & ABI_IPC_EXCL))
        return -EEXIST;
    const struct ipc_ops *ops = object->table->ops;
    int err = ops->check ? ops->check(request, object) : 0;
    if (!err)
        err = ipc_may_access(object, request->flags);
    return err ? err : object->id;
}

long ipc_get_id(struct ipc_table *table, const struct ipc_request *request)
{
    long id;

    mutex_lock(&table->lock);
    bool is_private = request->key == ABI_IPC_PRIVATE;
    struct ipc_object *object = is_private ? NULL : key_find(table, request->key);
    if (object)
        id = object_open(object, request);
    else if (!is_private && !(request->flags & ABI_IPC_CREAT))
        id = -ENOENT;
    else
        id = object_create(table, request);
    mutex_unlock(&table->lock);
    return id;
}

/* ---- Looking up, going away --------------------------------------------------------------- */

int ipc_find_index_locked(struct ipc_table *table, int index, struct ipc_object **out)
{
    assert_held(&table->lock);
    if (index < 0 || (unsigned)index >= table->nslots || !table->slots[index])
        return -EINVAL;
    *out = table->slots[index];
    return 0;
}

int ipc_find_locked(struct ipc_table *table, int id, struct ipc_object **out)
{
    if (id < 0)
        return -EINVAL;
    int err = ipc_find_index_locked(table, id & (int)(IPC_INDEX_MAX - 1), out);
    return !err && (*out)->id != id ? -EINVAL : err;
}

int ipc_find(struct ipc_table *table, int id, unsigned access, struct ipc_object **out)
{
    mutex_lock(&table->lock);
    int err = ipc_find_locked(table, id, out);
    if (!err)
        err = ipc_may_access(*out, access);
    if (!err)
        ipc_get(*out);
    mutex_unlock(&table->lock);
    return err;
}

int ipc_check(struct ipc_object *object, unsigned access)
{
    mutex_lock(&object->table->lock);
    int err = object->is_removed ? -EIDRM : ipc_may_access(object, access);
    mutex_unlock(&object->table->lock);
    return err;
}

void ipc_remove_locked(struct ipc_object *object)
{
    struct ipc_table *table = object->table;

    assert_held(&table->lock);
    ipc_forget_key_locked(object);
    object->is_removed = true;
    table->slots[object->id & (int)(IPC_INDEX_MAX - 1)] = NULL;
    table->nused--;
    ipc_put(object);
}

void ipc_put(struct ipc_object *object)
{
    if (__atomic_sub_fetch(&object->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        object->table->ops->release(object);
}

void ipc_for_each(struct ipc_table *table, void (*visit)(struct ipc_object *object, void *arg),
                  void *arg)
{
    mutex_lock(&table->lock);
    for (unsigned index = 0; index < table->nslots; index++)
        if (table->slots[index])
            visit(table->slots[index], arg);
    mutex_unlock(&table->lock);
}
