// SPDX-License-Identifier: MIT
/*
 * The messages that change something: a function each.
 */
#include <string.h>

#include "abi/errno.h"
#include "fs/ninep/client.h"

#define QID_SIZE 13

/* One with the fid and a name first, as most begin; extra: bytes of the other fields. */
static struct ninep_call *begin(struct ninep_fid *fid, enum ninep_type type, const char *name,
                                size_t extra)
{
    size_t len = strlen(name);
    struct ninep_call *call =
        ninep_call_create(fid->client, type, 4 + 2 + len + extra, QID_SIZE + 4);

    if (call) {
        ninep_put32(&call->out, fid->number);
        ninep_put_string(&call->out, name, len);
    }
    return call;
}

static void put_group(struct ninep_call *call, uint32_t gid)
{
    ninep_put32(&call->out, ninep_swap_id(&call->client->groups, gid));
}

static int run(struct ninep_call *call)
{
    int err = ninep_call_run(call, NINEP_KILLABLE);

    ninep_call_destroy(call);
    return err;
}

int ninep_lcreate(struct ninep_fid *fid, const char *name, unsigned flags, unsigned mode,
                  uint32_t gid)
{
    struct ninep_call *call = begin(fid, NINEP_LCREATE, name, 12);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, flags);
    ninep_put32(&call->out, mode);
    put_group(call, gid);
    return run(call);
}

int ninep_mkdir(struct ninep_fid *dir, const char *name, unsigned mode, uint32_t gid)
{
    struct ninep_call *call = begin(dir, NINEP_MKDIR, name, 8);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, mode);
    put_group(call, gid);
    return run(call);
}

int ninep_mknod(struct ninep_fid *dir, const char *name, unsigned mode, uint64_t rdev, uint32_t gid)
{
    struct ninep_call *call = begin(dir, NINEP_MKNOD, name, 16);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, mode);
    ninep_put32(&call->out, (uint32_t)(rdev >> 8 & 0xfff));
    ninep_put32(&call->out, (uint32_t)((rdev & 0xff) | (rdev >> 12 & ~0xffULL)));
    put_group(call, gid);
    return run(call);
}

int ninep_symlink(struct ninep_fid *dir, const char *name, const char *target, uint32_t gid)
{
    size_t len = strlen(target);
    struct ninep_call *call = begin(dir, NINEP_SYMLINK, name, 2 + len + 4);

    if (!call)
        return -ENOMEM;
    ninep_put_string(&call->out, target, len);
    put_group(call, gid);
    return run(call);
}

int ninep_link(struct ninep_fid *dir, struct ninep_fid *fid, const char *name)
{
    size_t len = strlen(name);
    struct ninep_call *call = ninep_call_create(dir->client, NINEP_LINK, 4 + 4 + 2 + len, 0);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, dir->number);
    ninep_put32(&call->out, fid->number);
    ninep_put_string(&call->out, name, len);
    return run(call);
}

int ninep_renameat(struct ninep_fid *from_dir, const char *from, struct ninep_fid *to_dir,
                   const char *to)
{
    size_t len = strlen(to);
    struct ninep_call *call = begin(from_dir, NINEP_RENAMEAT, from, 4 + 2 + len);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, to_dir->number);
    ninep_put_string(&call->out, to, len);
    return run(call);
}

int ninep_unlinkat(struct ninep_fid *dir, const char *name, bool is_dir)
{
    struct ninep_call *call = begin(dir, NINEP_UNLINKAT, name, 4);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, is_dir ? NINEP_REMOVEDIR : 0);
    return run(call);
}

static void put_time(struct ninep_writer *out, const struct abi_timespec *time)
{
    ninep_put64(out, (uint64_t)time->tv_sec);
    ninep_put64(out, (uint64_t)time->tv_nsec);
}

int ninep_setattr(struct ninep_fid *fid, const struct ninep_setattr *change)
{
    struct ninep_call *call = ninep_call_create(fid->client, NINEP_SETATTR, 60, 0);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, fid->number);
    ninep_put32(&call->out, change->valid);
    ninep_put32(&call->out, change->mode);
    ninep_put32(&call->out, ninep_swap_id(&call->client->users, change->uid));
    put_group(call, change->gid);
    ninep_put64(&call->out, change->size);
    put_time(&call->out, &change->atime);
    put_time(&call->out, &change->mtime);
    return run(call);
}

long ninep_write(struct ninep_fid *fid, uint64_t offset, const void *buf, size_t len,
                 bool is_killable)
{
    struct ninep_call *call = ninep_call_create(fid->client, NINEP_WRITE, 16, 4);

    if (!call)
        return -ENOMEM;
    call->data = (void *)(uintptr_t)buf;
    call->data_len = (uint32_t)MIN(len, (size_t)fid->client->data_max);
    call->is_data_out = true;
    ninep_put32(&call->out, fid->number);
    ninep_put64(&call->out, offset);
    ninep_put32(&call->out, call->data_len);
    int err = ninep_call_run(call, is_killable);
    uint32_t count = ninep_get32(&call->in);
    if (!err && (call->in.failed || count > call->data_len || count == 0))
        err = -EIO;
    ninep_call_destroy(call);
    return err ? err : (long)count;
}

int ninep_xattrwalk(struct ninep_fid *fid, const char *name, struct ninep_fid **out, uint64_t *size)
{
    size_t len = strlen(name);
    struct ninep_fid *value;
    int err = ninep_fid_create(fid->client, &value);

    if (err)
        return err;
    struct ninep_call *call = ninep_call_create(fid->client, NINEP_XATTRWALK, 4 + 4 + 2 + len, 8);
    err = -ENOMEM;
    if (call) {
        ninep_put32(&call->out, fid->number);
        ninep_put32(&call->out, value->number);
        ninep_put_string(&call->out, name, len);
        err = ninep_call_run(call, false);
        *size = ninep_get64(&call->in);
        if (!err && call->in.failed)
            err = -EIO;
        ninep_call_destroy(call);
    }
    ninep_fid_settle(value, err, out);
    return err;
}

int ninep_xattrcreate(struct ninep_fid *fid, const char *name, size_t size, int flags)
{
    struct ninep_call *call = begin(fid, NINEP_XATTRCREATE, name, 12);

    if (!call)
        return -ENOMEM;
    ninep_put64(&call->out, size);
    ninep_put32(&call->out, (uint32_t)flags);
    return run(call);
}
