// SPDX-License-Identifier: MIT
/*
 * What shmctl(2), semctl(2) and msgctl(2) have in common.  What differs is in the kind's struct ipc_ops.
 */
#include "kernel/ipc/ipc_table.h"
#include "kernel/usercopy.h"

#define NO_CHANGE 0xffffffffu

void ipc_fill(struct ipc_object *object, union ipc_status *out)
{
    *out = (union ipc_status){ 0 };
    object->table->ops->fill(object, out);
    out->perm = (struct abi_ipc_perm){
        .key = object->key,
        .uid = object->uid,
        .gid = object->gid,
        .cuid = object->cuid,
        .cgid = object->cgid,
        .mode = object->mode,
        .seq = (uint16_t)(object->id >> IPC_INDEX_SHIFT),
    };
}

/* Table locked. */
static int stat_fill(struct ipc_object *object, bool any, union ipc_status *out)
{
    int err = any ? 0 : ipc_may_access(object, IPC_READ);
    if (!err)
        ipc_fill(object, out);
    return err;
}

static long stat_id(struct ipc_table *table, int id, void __app *buf)
{
    union ipc_status status;
    struct ipc_object *object;

    mutex_lock(&table->lock);
    int err = ipc_find_locked(table, id, &object);
    if (!err)
        err = stat_fill(object, false, &status);
    mutex_unlock(&table->lock);
    return err ? err : copy_to_app(buf, &status, table->ops->status_size);
}

long ipc_stat_index(struct ipc_table *table, int index, bool any, void __app *buf)
{
    union ipc_status status;
    struct ipc_object *object;
    long id = -1;

    mutex_lock(&table->lock);
    int err = ipc_find_index_locked(table, index, &object);
    if (!err)
        err = stat_fill(object, any, &status);
    if (!err)
        id = object->id;
    mutex_unlock(&table->lock);
    if (!err)
        err = copy_to_app(buf, &status, table->ops->status_size);
    return err ? err : id;
}

static int object_set(struct ipc_object *object, const union ipc_status *status)
{
    const struct ipc_ops *ops = object->table->ops;

    int err = ops->check_set ? ops->check_set(status) : 0;
    if (err)
        return err;
    if (status->perm.uid == NO_CHANGE || status->perm.gid == NO_CHANGE)
        return -EINVAL;
    object->uid = status->perm.uid;
    object->gid = status->perm.gid;
    object->mode = (object->mode & ~IPC_MODE) | (status->perm.mode & IPC_MODE);
    ops->changed(object, status);
    return 0;
}

/* IPC_SET if status is given, else IPC_RMID. */
static int change(struct ipc_table *table, int id, const union ipc_status *status)
{
    struct ipc_object *object;

    mutex_lock(&table->lock);
    int err = ipc_find_locked(table, id, &object);
    if (!err)
        err = ipc_may_change(object);
    if (!err && status)
        err = object_set(object, status);
    else if (!err)
        table->ops->remove(object);
    mutex_unlock(&table->lock);
    return err;
}

long ipc_control(struct ipc_table *table, int id, int command, void __app *buf)
{
    union ipc_status status;

    switch (command) {
    case ABI_IPC_STAT:
        return stat_id(table, id, buf);
    case ABI_IPC_SET:
        if (copy_from_app(&status, buf, table->ops->status_size))
            return -EFAULT;
        return change(table, id, &status);
    case ABI_IPC_RMID:
        return change(table, id, NULL);
    default:
        return -EINVAL;
    }
}

long ipc_max_index(struct ipc_table *table)
{
    long max = 0;

    mutex_lock(&table->lock);
    for (unsigned index = 0; index < table->nslots; index++)
        if (table->slots[index])
            max = index;
    mutex_unlock(&table->lock);
    return max;
}
