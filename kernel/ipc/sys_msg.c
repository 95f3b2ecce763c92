// SPDX-License-Identifier: MIT
/*
 * msgget(2), msgsnd(2), msgrcv(2), msgctl(2): the checks, in Linux's order; the work is in msg.c.
 */
#include "kernel/ipc/msg.h"
#include "kernel/syscall.h"
#include "kernel/usercopy.h"

/* What only IPC_INFO of old systems has a use for (uapi/linux/msg.h). */
#define MSGPOOL 512000
#define MSGMAP  16384
#define MSGTQL  16384
#define MSGSSZ  16
#define MSGSEG  0xffff

long sys_msgget(int key, unsigned flags)
{
    const struct ipc_request request = { .key = key, .flags = flags };

    return ipc_get_id(&msg_table, &request);
}

/* ---- msgsnd -------------------------------------------------------------------------------- */

static long message_send(int id, struct msg *message, unsigned flags)
{
    struct ipc_object *object;

    int err = ipc_find(&msg_table, id, IPC_WRITE, &object);
    if (err)
        return err;
    do
        err = msg_send(msg_of_ipc(object), message, !(flags & ABI_IPC_NOWAIT));
    while (err == MSG_RETRY && (err = ipc_check(object, IPC_WRITE)) == 0);
    ipc_put(object);
    return err;
}

long sys_msgsnd(int id, const void __app *from, size_t size, unsigned flags)
{
    long type;

    if (copy_from_app(&type, from, sizeof(type)))
        return -EFAULT;
    if (size > READ_ONCE(ipc_settings.msgmax) || id < 0 || type < 1)
        return -EINVAL;
    struct msg *message = msg_create(size);
    if (!message)
        return -ENOMEM;
    message->type = type;
    long err = copy_from_app(message->text, (const char __app *)from + sizeof(type), size);
    if (!err)
        err = message_send(id, message, flags);
    if (err)
        msg_free(message);
    return err;
}

/* ---- msgrcv -------------------------------------------------------------------------------- */

static void wish_set_type(struct msg_wish *wish, long type, unsigned flags)
{
    wish->type = type;
    if (flags & ABI_MSG_COPY) {
        wish->match = MSG_NUMBER;
    } else if (type == 0) {
        wish->match = MSG_ANY;
    } else if (type < 0) {
        wish->match = MSG_AT_MOST;
        wish->type = type == INT64_MIN ? INT64_MAX : -type;
    } else {
        wish->match = flags & ABI_MSG_EXCEPT ? MSG_NOT_EQUAL : MSG_EQUAL;
    }
}

static int message_receive(int id, const struct msg_wish *wish, struct msg **out)
{
    struct ipc_object *object;

    int err = ipc_find(&msg_table, id, IPC_READ, &object);
    if (err)
        return err;
    do
        err = msg_receive(msg_of_ipc(object), wish, out);
    while (err == MSG_RETRY && (err = ipc_check(object, IPC_READ)) == 0);
    ipc_put(object);
    return err;
}

static long message_to_app(const struct msg *message, void __app *to, size_t size)
{
    size_t count = MIN(message->size, size);

    if (copy_to_app(to, &message->type, sizeof(message->type)) ||
        copy_to_app((char __app *)to + sizeof(message->type), message->text, count))
        return -EFAULT;
    return (long)count;
}

/* For MSG_COPY; Linux begins by reading the buffer, too. */
static int copy_create(const void __app *buf, size_t size, unsigned flags, struct msg **out)
{
    if (flags & ABI_MSG_EXCEPT || !(flags & ABI_IPC_NOWAIT))
        return -EINVAL;
    struct msg *copy = msg_create(MIN(size, READ_ONCE(ipc_settings.msgmax)));
    if (!copy)
        return -ENOMEM;
    if (copy_from_app(copy->text, buf, copy->size)) {
        msg_free(copy);
        return -EFAULT;
    }
    *out = copy;
    return 0;
}

long sys_msgrcv(int id, void __app *to, size_t size, long type, unsigned flags)
{
    struct msg_wish wish = {
        .size = size,
        .may_truncate = flags & ABI_MSG_NOERROR,
        .may_wait = !(flags & ABI_IPC_NOWAIT),
    };
    struct msg *message;

    if (id < 0 || (long)size < 0)
        return -EINVAL;
    int err = flags & ABI_MSG_COPY ? copy_create(to, size, flags, &wish.copy) : 0;
    if (err)
        return err;
    wish_set_type(&wish, type, flags);
    err = message_receive(id, &wish, &message);
    if (err) {
        msg_free(wish.copy);
        return err;
    }
    /* A message that cannot be stored is lost, as on Linux. */
    long result = message_to_app(message, to, size);
    msg_free(message);
    return result;
}

/* ---- msgctl -------------------------------------------------------------------------------- */

static long limits_get(int command, void __app *buf)
{
    struct abi_msginfo info = {
        .pool = MSGPOOL,
        .map = MSGMAP,
        .max = (int)READ_ONCE(ipc_settings.msgmax),
        .mnb = (int)READ_ONCE(ipc_settings.msgmnb),
        .mni = (int)READ_ONCE(ipc_settings.msgmni),
        .ssz = MSGSSZ,
        .tql = MSGTQL,
        .seg = MSGSEG,
    };

    long max = ipc_max_index(&msg_table);
    if (command == ABI_MSG_INFO) {
        info.pool = (int)READ_ONCE(msg_table.nused);
        info.map = READ_ONCE(msg_totals.messages);
        info.tql = READ_ONCE(msg_totals.bytes);
    }
    return copy_to_app(buf, &info, sizeof(info)) ? -EFAULT : max;
}

long sys_msgctl(int id, int command, void __app *buf)
{
    if (id < 0 || command < 0)
        return -EINVAL;
    switch (command) {
    case ABI_IPC_INFO:
    case ABI_MSG_INFO:
        return limits_get(command, buf);
    case ABI_MSG_STAT:
    case ABI_MSG_STAT_ANY:
        return ipc_stat_index(&msg_table, id, command == ABI_MSG_STAT_ANY, buf);
    default:
        return ipc_control(&msg_table, id, command, buf);
    }
}
