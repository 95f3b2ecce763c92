// SPDX-License-Identifier: MIT
/*
 * Listing a folder.  Positions are the server's, "." and ".." its entries; what did not fit into the caller's buffer is
 * asked for again.
 */
#include "abi/fcntl.h"
#include "fs/ninep/ninep.h"
#include "kernel/mm/heap.h"

#define LISTING_SIZE (32u << 10) /* glibc's buffer is as large */

/* Emits the entries; false: no more fit. */
static int emit_entries(struct dir_context *context, const void *data, size_t len, bool *fits)
{
    struct ninep_reader reader = { .at = data, .left = len };
    struct ninep_dirent entry;
    int more;

    while ((more = ninep_get_dirent(&reader, &entry)) > 0) {
        int64_t next = (int64_t)entry.offset;
        if (next == context->pos)
            return -EIO; /* it would never end */
        *fits = context->emit(context, entry.name, entry.len, entry.qid.path, entry.type, next);
        if (!*fits)
            return 0;
        context->pos = next;
    }
    return more;
}

static int dir_iterate(struct file *file, struct dir_context *context)
{
    const struct ninep_file *nfile = file->private;
    void *data = kmalloc(LISTING_SIZE, ALLOC_WAIT);
    bool fits = true;
    long n = 1;

    if (!data)
        return -ENOMEM;
    while (fits && n > 0) {
        n = ninep_readdir(nfile->fid, (uint64_t)context->pos, data, LISTING_SIZE);
        if (n > 0) {
            int err = emit_entries(context, data, (size_t)n, &fits);
            n = err ? err : n;
        }
    }
    kfree(data);
    return n < 0 ? (int)n : 0;
}

static long dir_read(struct file *file, struct io *io, int64_t *pos)
{
    return -EISDIR;
}

static int64_t dir_seek(struct file *file, int64_t offset, int whence)
{
    if (whence != ABI_SEEK_SET && whence != ABI_SEEK_CUR)
        return -EINVAL;
    return file_seek_in(file, offset, whence, 0);
}

static int dir_fsync(struct file *file, bool data_only)
{
    const struct ninep_file *nfile = file->private;

    return ninep_fsync(nfile->fid, data_only);
}

const struct file_ops ninep_dir_ops = {
    .open = ninep_open,
    .release = ninep_release,
    .read = dir_read,
    .seek = dir_seek,
    .iterate = dir_iterate,
    .fsync = dir_fsync,
};
