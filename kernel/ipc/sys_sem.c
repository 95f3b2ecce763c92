// SPDX-License-Identifier: MIT
/*
 * semget(2), semop(2), semtimedop(2), semctl(2): the checks, in Linux's order; the work is in sem.c.
 */
#include "kernel/clock.h"
#include "kernel/ipc/sem.h"
#include "kernel/mm/heap.h"
#include "kernel/sched.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

#define OPS_ON_STACK 16

/* What only IPC_INFO of old systems has a use for (uapi/linux/sem.h). */
#define SEMMNU 1024000000
#define SEMMAP 1024000000
#define SEMUME 500
#define SEMUSZ 20

long sys_semget(int key, int count, unsigned flags)
{
    const struct ipc_request request = { .key = key, .flags = flags, .size = (size_t)count };

    if (count < 0 || (unsigned long)count > READ_ONCE(ipc_settings.sem[0]))
        return -EINVAL;
    return ipc_get_id(&sem_table, &request);
}

/* ---- semop ---------------------------------------------------------------------------------------- */

static int set_find(int id, const struct sem_call *call, unsigned max_number, struct sem_set **out)
{
    struct ipc_object *object;

    mutex_lock(&sem_table.lock);
    int err = ipc_find_locked(&sem_table, id, &object);
    if (!err && max_number >= sem_of_ipc(object)->count)
        err = -EFBIG;
    if (!err)
        err = ipc_may_access(object, call->alters ? IPC_WRITE : IPC_READ);
    if (!err)
        *out = sem_of_ipc(ipc_get(object));
    mutex_unlock(&sem_table.lock);
    return err;
}

static long operate(int id, const struct abi_sembuf *ops, unsigned nops, nsec_t deadline)
{
    struct sem_call call = { .ops = ops, .nops = nops, .pid = ipc_current_pid() };
    struct sem_set *set;
    unsigned max_number = 0;
    bool undoes = false;

    for (unsigned i = 0; i < nops; i++) {
        max_number = MAX(max_number, (unsigned)ops[i].num);
        undoes |= ops[i].flags & ABI_SEM_UNDO;
        call.alters |= ops[i].op != 0;
    }
    int err = set_find(id, &call, max_number, &set);
    if (err)
        return err;
    err = undoes ? sem_undo_find(set, &call.undo) : 0;
    if (!err)
        err = sem_operate(set, &call, deadline);
    ipc_put(&set->ipc);
    return err;
}

long sys_semtimedop(int id, const void __app *from, size_t nops, const void __app *timeout)
{
    struct abi_sembuf few[OPS_ON_STACK], *ops = few;
    nsec_t deadline;

    int err = deadline_from_app(timeout, &deadline);
    if (err == -EFAULT)
        return err;
    nops = (unsigned)nops; /* Linux's argument is no longer than that */
    if (nops > READ_ONCE(ipc_settings.sem[2]))
        return -E2BIG;
    if (nops < 1)
        return -EINVAL;
    if (nops > OPS_ON_STACK)
        ops = kmalloc(nops * sizeof(*ops), ALLOC_WAIT);
    if (!ops)
        return -ENOMEM;
    if (copy_from_app(ops, from, nops * sizeof(*ops)))
        err = -EFAULT;
    else if (id < 0)
        err = -EINVAL;
    long result = err ? err : operate(id, ops, (unsigned)nops, deadline);
    if (ops != few)
        kfree(ops);
    return result;
}

long sys_semop(int id, const void __app *ops, size_t nops)
{
    return sys_semtimedop(id, ops, nops, NULL);
}

/* ---- semctl: about sets --------------------------------------------------------------------------- */

static long limits_get(int command, void __app *buf)
{
    struct abi_seminfo info = {
        .map = SEMMAP,
        .mnu = SEMMNU,
        .msl = (int)READ_ONCE(ipc_settings.sem[0]),
        .mns = (int)READ_ONCE(ipc_settings.sem[1]),
        .opm = (int)READ_ONCE(ipc_settings.sem[2]),
        .mni = (int)READ_ONCE(ipc_settings.sem[3]),
        .ume = SEMUME,
        .usz = SEMUSZ,
        .vmx = ABI_SEMVMX,
        .aem = ABI_SEMVMX,
    };

    long max = ipc_max_index(&sem_table);
    if (command == ABI_SEM_INFO) {
        mutex_lock(&sem_table.lock);
        info.usz = (int)sem_table.nused;
        info.aem = (int)sem_total();
        mutex_unlock(&sem_table.lock);
    }
    return copy_to_app(buf, &info, sizeof(info)) ? -EFAULT : max;
}

/* ---- semctl: about semaphores ---------------------------------------------------------------------- */

static long value_get(struct sem_set *set, unsigned number, int command)
{
    const struct semaphore *member = &set->member[number];
    long result;

    spin_lock(&set->lock);
    if (set->ipc.is_removed)
        result = -EIDRM;
    else if (command == ABI_GETVAL)
        result = member->value;
    else if (command == ABI_GETPID)
        result = member->pid;
    else
        result = sem_count_waiters(set, number, command == ABI_GETZCNT);
    spin_unlock(&set->lock);
    return result;
}

static long values_get(struct sem_set *set, void __app *buf)
{
    uint16_t *values = kmalloc(set->count * sizeof(*values), ALLOC_WAIT);

    if (!values)
        return -ENOMEM;
    spin_lock(&set->lock);
    int err = set->ipc.is_removed ? -EIDRM : 0;
    for (unsigned i = 0; i < set->count; i++)
        values[i] = (uint16_t)set->member[i].value;
    spin_unlock(&set->lock);
    if (!err)
        err = copy_to_app(buf, values, set->count * sizeof(*values));
    kfree(values);
    return err;
}

static long values_set(struct sem_set *set, const void __app *buf)
{
    uint16_t *values = kmalloc(set->count * sizeof(*values), ALLOC_WAIT);

    if (!values)
        return -ENOMEM;
    int err = copy_from_app(values, buf, set->count * sizeof(*values));
    for (unsigned i = 0; i < set->count && !err; i++)
        err = values[i] > ABI_SEMVMX ? -ERANGE : 0;
    if (!err)
        err = sem_set_values(set, 0, set->count, values);
    kfree(values);
    return err;
}

/* GETALL, SETALL, and the commands on one semaphore. */
static long values_control(int id, int number, int command, unsigned long arg)
{
    bool is_change = command == ABI_SETVAL || command == ABI_SETALL;
    bool is_all = command == ABI_GETALL || command == ABI_SETALL;
    struct ipc_object *object;

    mutex_lock(&sem_table.lock);
    int err = ipc_find_locked(&sem_table, id, &object);
    bool is_bad = !err && !is_all && (number < 0 || (unsigned)number >= sem_of_ipc(object)->count);
    if (is_bad && is_change)
        err = -EINVAL; /* before the permission is looked at, as Linux */
    if (!err)
        err = ipc_may_access(object, is_change ? IPC_WRITE : IPC_READ);
    if (!err && is_bad)
        err = -EINVAL;
    if (!err)
        ipc_get(object);
    mutex_unlock(&sem_table.lock);
    if (err)
        return err;

    struct sem_set *set = sem_of_ipc(object);
    uint16_t value = (uint16_t)arg;
    long result;
    if (command == ABI_GETALL)
        result = values_get(set, (void __app *)arg);
    else if (command == ABI_SETALL)
        result = values_set(set, (const void __app *)arg);
    else if (command == ABI_SETVAL)
        result = sem_set_values(set, (unsigned)number, 1, &value);
    else
        result = value_get(set, (unsigned)number, command);
    ipc_put(object);
    return result;
}

long sys_semctl(int id, int number, int command, unsigned long arg)
{
    void __app *buf = (void __app *)arg;

    if (id < 0)
        return -EINVAL;
    switch (command) {
    case ABI_IPC_INFO:
    case ABI_SEM_INFO:
        return limits_get(command, buf);
    case ABI_SEM_STAT:
    case ABI_SEM_STAT_ANY:
        return ipc_stat_index(&sem_table, id, command == ABI_SEM_STAT_ANY, buf);
    case ABI_SETVAL:
        if ((int)arg < 0 || (int)arg > ABI_SEMVMX)
            return -ERANGE;
        return values_control(id, number, command, arg);
    case ABI_GETALL:
    case ABI_SETALL:
    case ABI_GETVAL:
    case ABI_GETPID:
    case ABI_GETNCNT:
    case ABI_GETZCNT:
        return values_control(id, number, command, arg);
    default:
        return ipc_control(&sem_table, id, command, buf);
    }
}
