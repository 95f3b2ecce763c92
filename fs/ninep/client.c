// SPDX-License-Identifier: MIT
/*
 * Requests, tags and fids.
 *
 * Any number of threads call at once; each sleeps on dev->done until its own request is back.  A request's memory is
 * the device's until then, so who is killed meanwhile asks the server to give the request up (Tflush) and waits for
 * both to come back: an answer that was on its way counts, an empty one means that it was given up.  A Tflush waits for
 * no tag and no room, since a server that answers nothing else may have all: its tag is that of the request plus
 * NINEP_TAGS, and there are only as many tags as the device has room for with a Tflush for each.
 *
 * A fid's number is free again when Tclunk is through.  If there is no memory for that message the number stays taken.
 */
#include "fs/ninep/client.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/signal.h"

#define VERSION      "9P2000.L"
#define VERSION_SIZE 32 /* fields of Tversion and its answer */

/* ---- Tags ------------------------------------------------------------------------- */

/* Those that have none from here: Tversion, and Tflush, which brings its own. */
static bool is_without_tag(const struct ninep_call *call)
{
    return call->type == NINEP_VERSION || call->type == NINEP_FLUSH;
}

static bool tag_take(struct ninep_call *call)
{
    struct ninep_client *client = call->client;

    if (is_without_tag(call))
        return true;
    spin_lock(&client->lock);
    size_t tag = bitmap_find_clear(client->tags, NINEP_TAGS, 0);
    if (tag < NINEP_TAGS)
        bitmap_set(client->tags, tag);
    spin_unlock(&client->lock);
    if (tag == NINEP_TAGS)
        return false;
    call->tag = (uint16_t)tag;
    return true;
}

static void tag_give(struct ninep_call *call)
{
    struct ninep_client *client = call->client;

    if (call->tag >= NINEP_TAGS)
        return;
    spin_lock(&client->lock);
    bitmap_clear(client->tags, call->tag);
    spin_unlock(&client->lock);
    wake_all(&client->dev->done);
}

/* ---- Calls ------------------------------------------------------------------------ */

struct ninep_call *ninep_call_create(struct ninep_client *client, enum ninep_type type, size_t nout,
                                     size_t nin)
{
    size_t out_size = ALIGN_UP(NINEP_HEADER + nout, (size_t)8);
    struct ninep_call *call = kmalloc(sizeof(*call) + out_size + NINEP_HEADER + nin, ALLOC_WAIT);

    if (!call)
        return NULL;
    memset(call, 0, sizeof(*call));
    call->client = client;
    call->type = (uint8_t)type;
    call->tag = NINEP_NOTAG;
    call->in_size = (uint16_t)(NINEP_HEADER + MAX(nin, (size_t)4)); /* Rlerror has to fit */
    ninep_begin(&call->out, call->bytes, out_size, call->type, 0);
    return call;
}

void ninep_call_destroy(struct ninep_call *call)
{
    kfree(call);
}

static uint8_t *in_bytes(struct ninep_call *call)
{
    return call->bytes + call->out.size;
}

static void request_prepare(struct ninep_call *call)
{
    struct ninepdev_request *request = &call->request;
    struct ninepdev_piece data = { call->data, call->data_len };

    call->bytes[5] = (uint8_t)call->tag;
    call->bytes[6] = (uint8_t)(call->tag >> 8);
    request->out[request->nout++] =
        (struct ninepdev_piece){ call->bytes, (uint32_t)call->out.used };
    request->in[request->nin++] = (struct ninepdev_piece){ in_bytes(call), call->in_size };
    if (call->data_len && call->is_data_out)
        request->out[request->nout++] = data;
    else if (call->data_len)
        request->in[request->nin++] = data;
}

static bool is_done(const struct ninep_call *call)
{
    return __atomic_load_n(&call->request.is_done, __ATOMIC_ACQUIRE);
}

/* Hands it to the device.  -EINTR: killed before that. */
static int request_submit(struct ninep_call *call, bool is_killable)
{
    enum wait_ends ends = is_killable ? WAIT_KILLABLE : WAIT_ALWAYS;
    struct ninepdev *dev = call->client->dev;
    int err = 0;

    if (!tag_take(call))
        (void)WAIT_LOOP(&dev->done, tag_take(call), DEADLINE_NONE, ends);
    if (call->tag == NINEP_NOTAG && !is_without_tag(call))
        return -EINTR;
    request_prepare(call);
    (void)WAIT_LOOP(&dev->done, (err = dev->submit(dev, &call->request)) != -ENOSPC, DEADLINE_NONE,
                    ends);
    return err == -ENOSPC ? -EINTR : err;
}

/* The caller is killed: the server is not to begin or go on with it.  Returns when the memory is ours again. */
static void request_flush(struct ninep_call *call)
{
    struct ninep_call *flush = ninep_call_create(call->client, NINEP_FLUSH, 2, 0);

    if (flush) {
        ninep_put16(&flush->out, call->tag);
        flush->tag = (uint16_t)(call->tag + NINEP_TAGS);
        (void)!ninep_call_run(flush, false);
        ninep_call_destroy(flush);
    }
    (void)wait_on_always(&call->client->dev->done, is_done(call), DEADLINE_NONE);
}

static int request_wait(struct ninep_call *call, bool is_killable)
{
    struct ninepdev_request *request = &call->request;

    (void)WAIT_LOOP(&call->client->dev->done, is_done(call), DEADLINE_NONE,
                    is_killable ? WAIT_KILLABLE : WAIT_ALWAYS);
    bool was_flushed = !is_done(call);
    if (was_flushed)
        request_flush(call);
    if (was_flushed && request->received == 0)
        return -EINTR;
    return ninep_answer(in_bytes(call), MIN(request->received, (uint32_t)call->in_size),
                        request->received, call->type, call->tag, &call->in);
}

int ninep_call_run(struct ninep_call *call, bool is_killable)
{
    if (!ninep_finish(&call->out, call->is_data_out ? call->data_len : 0))
        return -ENAMETOOLONG;
    int err = request_submit(call, is_killable);
    if (!err)
        err = request_wait(call, is_killable);
    tag_give(call);
    return err;
}

/* ---- Fids -------------------------------------------------------------------------- */

static void number_give(struct ninep_client *client, uint32_t number)
{
    spin_lock(&client->lock);
    bitmap_clear(client->fids, number);
    spin_unlock(&client->lock);
}

int ninep_fid_create(struct ninep_client *client, struct ninep_fid **out)
{
    struct ninep_fid *fid = kmalloc(sizeof(*fid), ALLOC_WAIT);

    if (!fid)
        return -ENOMEM;
    spin_lock(&client->lock);
    size_t number = bitmap_find_clear(client->fids, NINEP_FIDS, 0);
    if (number < NINEP_FIDS)
        bitmap_set(client->fids, number);
    spin_unlock(&client->lock);
    if (number == NINEP_FIDS) {
        kfree(fid);
        return -ENFILE;
    }
    *fid = (struct ninep_fid){ .refcount = 1, .number = (uint32_t)number, .client = client };
    *out = fid;
    return 0;
}

struct ninep_fid *ninep_fid_get(struct ninep_fid *fid)
{
    __atomic_fetch_add(&fid->refcount, 1, __ATOMIC_RELAXED);
    return fid;
}

static void fid_forget(struct ninep_fid *fid)
{
    number_give(fid->client, fid->number);
    kfree(fid);
}

int ninep_fid_clunk(struct ninep_fid *fid)
{
    struct ninep_call *call = ninep_call_create(fid->client, NINEP_CLUNK, 4, 0);

    if (!call) {
        kfree(fid); /* the number stays taken */
        return -ENOMEM;
    }
    ninep_put32(&call->out, fid->number);
    int err = ninep_call_run(call, false);
    ninep_call_destroy(call);
    fid_forget(fid); /* the server does so too, whatever it answers */
    return err;
}

void ninep_fid_put(struct ninep_fid *fid)
{
    if (fid && __atomic_sub_fetch(&fid->refcount, 1, __ATOMIC_ACQ_REL) == 0)
        (void)!ninep_fid_clunk(fid);
}

void ninep_fid_settle(struct ninep_fid *fid, int err, struct ninep_fid **out)
{
    if (!err)
        *out = fid;
    else if (err == -EINTR || err == -EIO)
        ninep_fid_put(fid); /* given up, perhaps too late; the server may know it */
    else
        fid_forget(fid);
}

/* ---- Sessions ---------------------------------------------------------------------- */

static int version_agree(struct ninep_client *client)
{
    const uint32_t wanted = NINEP_DATA + NINEP_HEADER + 16;
    struct ninep_call *call = ninep_call_create(client, NINEP_VERSION, VERSION_SIZE, VERSION_SIZE);
    size_t len = 0;

    if (!call)
        return -ENOMEM;
    ninep_put32(&call->out, wanted);
    ninep_put_string(&call->out, VERSION, strlen(VERSION));
    int err = ninep_call_run(call, false);
    uint32_t size = ninep_get32(&call->in);
    const char *version = ninep_get_string(&call->in, &len);
    if (!err && (!version || len != strlen(VERSION) || memcmp(version, VERSION, len) != 0 ||
                 size > wanted || size < 8192))
        err = -EPROTO;
    ninep_call_destroy(call);
    client->data_max = size - NINEP_HEADER - 16;
    return err;
}

int ninep_client_create(const char *tag, struct ninep_client **out)
{
    struct ninepdev *dev = ninepdev_find(tag);

    if (!dev)
        return -ENOENT;
    if (__atomic_exchange_n(&dev->is_mounted, true, __ATOMIC_ACQ_REL))
        return -EBUSY;
    struct ninep_client *client = kzalloc(sizeof(*client), ALLOC_WAIT);
    int err = -ENOMEM;
    if (client) {
        client->dev = dev;
        spin_init(&client->lock, RANK_NINEP);
        err = version_agree(client);
    }
    if (err) {
        kfree(client);
        __atomic_store_n(&dev->is_mounted, false, __ATOMIC_RELEASE);
        return err;
    }
    *out = client;
    return 0;
}

void ninep_client_destroy(struct ninep_client *client)
{
    struct ninepdev *dev = client->dev;

    kfree(client);
    __atomic_store_n(&dev->is_mounted, false, __ATOMIC_RELEASE);
}
