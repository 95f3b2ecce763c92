// SPDX-License-Identifier: MIT
/*
 * The messages that ask: a function each, from the fields to the answer's.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/mount.h"
#include "fs/ninep/client.h"

#define QID_SIZE  13
#define STAT_SIZE 153 /* Rgetattr */

/* For calls whose answer holds nothing that is needed. */
static int run_and_destroy(struct ninep_call *call)
{
    int err = ninep_call_run(call, NINEP_KILLABLE);

    ninep_call_destroy(call);
    return err;
}

/* For calls that give *fid a meaning. */
static int run_for_fid(struct ninep_call *call, struct ninep_fid *fid, struct ninep_fid **out)
{
    int err = call ? run_and_destroy(call) : -ENOMEM;

    ninep_fid_settle(fid, err, out);
    return err;
}

int ninep_attach(struct ninep_client *client, struct ninep_fid **out)
{
    struct ninep_fid *fid;
    int err = ninep_fid_create(client, &fid);

    if (err)
        return err;
    struct ninep_call *call = ninep_call_create(client, NINEP_ATTACH, 16, QID_SIZE);
    if (call) {
        ninep_put32(&call->out, fid->number);
        ninep_put32(&call->out, NINEP_NOFID); /* no authentication */
        ninep_put_string(&call->out, "", 0);  /* user and tree: the numbers and the tag say it */
        ninep_put_string(&call->out, "", 0);
        ninep_put32(&call->out, 0); /* root: who may do what is checked here, by mode and owner */
    }
    return run_for_fid(call, fid, out);
}

int ninep_walk(struct ninep_fid *dir, const char *name, struct ninep_fid **out)
{
    struct ninep_fid *fid;
    size_t len = name ? strlen(name) : 0;
    int err = ninep_fid_create(dir->client, &fid);

    if (err)
        return err;
    struct ninep_call *call =
        ninep_call_create(dir->client, NINEP_WALK, 4 + 4 + 2 + 2 + len, 2 + QID_SIZE);
    if (call) {
        ninep_put32(&call->out, dir->number);
        ninep_put32(&call->out, fid->number);
        ninep_put16(&call->out, name ? 1 : 0);
        if (name)
            ninep_put_string(&call->out, name, len);
    }
    return run_for_fid(call, fid, out);
}

int ninep_getattr(struct ninep_fid *fid, struct ninep_stat *stat)
{
    struct ninep_call *call = ninep_call_create(fid->client, NINEP_GETATTR, 12, STAT_SIZE);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, fid->number);
    ninep_put64(&call->out, NINEP_GETATTR_ALL);
    int err = ninep_call_run(call, NINEP_KILLABLE);
    if (!err)
        err = ninep_get_stat(&call->in, stat);
    if (!err) {
        stat->uid = ninep_swap_id(&fid->client->users, stat->uid);
        stat->gid = ninep_swap_id(&fid->client->groups, stat->gid);
    }
    ninep_call_destroy(call);
    return err;
}

int ninep_lopen(struct ninep_fid *fid, unsigned flags)
{
    struct ninep_call *call = ninep_call_create(fid->client, NINEP_LOPEN, 8, QID_SIZE + 4);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, fid->number);
    ninep_put32(&call->out, flags);
    return run_and_destroy(call);
}

int ninep_fsync(struct ninep_fid *fid, bool data_only)
{
    struct ninep_call *call = ninep_call_create(fid->client, NINEP_FSYNC, 8, 0);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, fid->number);
    ninep_put32(&call->out, data_only);
    return run_and_destroy(call);
}

int ninep_statfs(struct ninep_fid *fid, struct abi_statfs *out)
{
    struct ninep_call *call = ninep_call_create(fid->client, NINEP_STATFS, 4, 60);

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, fid->number);
    int err = ninep_call_run(call, NINEP_KILLABLE);
    (void)ninep_get32(&call->in); /* the type of what lies below */
    out->f_type = ABI_V9FS_MAGIC;
    out->f_bsize = ninep_get32(&call->in);
    out->f_frsize = out->f_bsize;
    out->f_blocks = ninep_get64(&call->in);
    out->f_bfree = ninep_get64(&call->in);
    out->f_bavail = ninep_get64(&call->in);
    out->f_files = ninep_get64(&call->in);
    out->f_ffree = ninep_get64(&call->in);
    uint64_t id = ninep_get64(&call->in);
    out->f_fsid[0] = (int32_t)id;
    out->f_fsid[1] = (int32_t)(id >> 32);
    out->f_namelen = MIN(ninep_get32(&call->in), NINEP_NAME_MAX);
    if (!err && (call->in.failed || out->f_bsize == 0))
        err = -EIO;
    ninep_call_destroy(call);
    return err;
}

long ninep_readlink(struct ninep_fid *fid, char *buf, size_t size)
{
    struct ninep_call *call = ninep_call_create(fid->client, NINEP_READLINK, 4, 2 + ABI_PATH_MAX);
    size_t len;

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, fid->number);
    int err = ninep_call_run(call, NINEP_KILLABLE);
    const char *text = ninep_get_string(&call->in, &len);
    if (!err && (!text || len == 0 || memchr(text, '\0', len)))
        err = -EIO;
    len = MIN(len, size);
    if (!err)
        memcpy(buf, text, len);
    ninep_call_destroy(call);
    return err ? err : (long)len;
}

/* Tread and Treaddir: count[4], and that many bytes in buf. */
static long read_data(struct ninep_fid *fid, enum ninep_type type, uint64_t offset, void *buf,
                      size_t len, bool is_killable)
{
    struct ninep_call *call = ninep_call_create(fid->client, type, 16, 4);

    if (!call)
        return -ENOMEM;
    call->data = buf;
    call->data_len = (uint32_t)MIN(len, (size_t)fid->client->data_max);
    ninep_put32(&call->out, fid->number);
    ninep_put64(&call->out, offset);
    ninep_put32(&call->out, call->data_len);
    int err = ninep_call_run(call, is_killable);
    uint32_t count = ninep_get32(&call->in);
    if (!err && (call->in.failed || count > call->data_len ||
                 call->request.received < NINEP_IO_HEAD + count))
        err = -EIO;
    ninep_call_destroy(call);
    return err ? err : (long)count;
}

long ninep_read(struct ninep_fid *fid, uint64_t offset, void *buf, size_t len, bool is_killable)
{
    return read_data(fid, NINEP_READ, offset, buf, len, is_killable);
}

long ninep_readdir(struct ninep_fid *fid, uint64_t offset, void *buf, size_t len)
{
    return read_data(fid, NINEP_READDIR, offset, buf, len, NINEP_KILLABLE);
}
