// SPDX-License-Identifier: MIT
#include "lib/ninep.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/stat.h"

#define ERRNO_MAX 133 /* Linux's own; what is above is not for programs */

/* ---- Writing ----------------------------------------------------------------------- */

static void put(struct ninep_writer *writer, uint64_t value, size_t n)
{
    if (writer->failed || n > writer->size - writer->used) {
        writer->failed = true;
        return;
    }
    for (size_t i = 0; i < n; i++)
        writer->bytes[writer->used++] = (uint8_t)(value >> 8 * i);
}

void ninep_put8(struct ninep_writer *writer, uint8_t value)
{
    put(writer, value, sizeof(value));
}

void ninep_put16(struct ninep_writer *writer, uint16_t value)
{
    put(writer, value, sizeof(value));
}

void ninep_put32(struct ninep_writer *writer, uint32_t value)
{
    put(writer, value, sizeof(value));
}

void ninep_put64(struct ninep_writer *writer, uint64_t value)
{
    put(writer, value, sizeof(value));
}

void ninep_put_string(struct ninep_writer *writer, const char *text, size_t len)
{
    if (len > UINT16_MAX)
        writer->failed = true;
    ninep_put16(writer, (uint16_t)len);
    if (writer->failed || len > writer->size - writer->used) {
        writer->failed = true;
        return;
    }
    memcpy(writer->bytes + writer->used, text, len);
    writer->used += len;
}

void ninep_begin(struct ninep_writer *writer, void *bytes, size_t size, uint8_t type, uint16_t tag)
{
    *writer = (struct ninep_writer){ .bytes = bytes, .size = size };
    ninep_put32(writer, 0);
    ninep_put8(writer, type);
    ninep_put16(writer, tag);
}

bool ninep_finish(struct ninep_writer *writer, size_t nmore)
{
    size_t used = writer->used;

    if (writer->failed || used + nmore > UINT32_MAX)
        return false;
    writer->used = 0;
    ninep_put32(writer, (uint32_t)(used + nmore));
    writer->used = used;
    return true;
}

/* ---- Reading ----------------------------------------------------------------------- */

static const uint8_t *take(struct ninep_reader *reader, size_t n)
{
    const uint8_t *at = reader->at;

    if (reader->failed || n > reader->left) {
        reader->failed = true;
        return NULL;
    }
    reader->at += n;
    reader->left -= n;
    return at;
}

static uint64_t get(struct ninep_reader *reader, size_t n)
{
    const uint8_t *at = take(reader, n);
    uint64_t value = 0;

    for (size_t i = 0; at && i < n; i++)
        value |= (uint64_t)at[i] << 8 * i;
    return value;
}

uint8_t ninep_get8(struct ninep_reader *reader)
{
    return (uint8_t)get(reader, sizeof(uint8_t));
}

uint16_t ninep_get16(struct ninep_reader *reader)
{
    return (uint16_t)get(reader, sizeof(uint16_t));
}

uint32_t ninep_get32(struct ninep_reader *reader)
{
    return (uint32_t)get(reader, sizeof(uint32_t));
}

uint64_t ninep_get64(struct ninep_reader *reader)
{
    return get(reader, sizeof(uint64_t));
}

const char *ninep_get_string(struct ninep_reader *reader, size_t *len)
{
    *len = ninep_get16(reader);
    const uint8_t *text = take(reader, *len);
    if (!text)
        *len = 0;
    return (const char *)text;
}

void ninep_get_qid(struct ninep_reader *reader, struct ninep_qid *qid)
{
    qid->type = ninep_get8(reader);
    qid->version = ninep_get32(reader);
    qid->path = ninep_get64(reader);
}

static int error_of(uint32_t number)
{
    return number > 0 && number <= ERRNO_MAX ? -(int)number : -EIO;
}

int ninep_answer(const void *bytes, size_t nhead, size_t size, uint8_t type, uint16_t tag,
                 struct ninep_reader *reader)
{
    *reader = (struct ninep_reader){ .at = bytes, .left = nhead };
    uint32_t message = ninep_get32(reader);
    uint8_t got_type = ninep_get8(reader);
    uint16_t got_tag = ninep_get16(reader);

    if (reader->failed || message < NINEP_HEADER || message > size || got_tag != tag)
        return -EIO;
    reader->left = MIN(reader->left, (size_t)message - NINEP_HEADER);
    if (got_type == NINEP_RLERROR)
        return error_of(ninep_get32(reader));
    return got_type == type + 1 ? 0 : -EIO;
}

static void get_time(struct ninep_reader *reader, struct abi_timespec *time)
{
    time->tv_sec = (int64_t)ninep_get64(reader);
    time->tv_nsec = (int64_t)ninep_get64(reader);
    if (time->tv_nsec < 0 || time->tv_nsec >= 1000000000)
        reader->failed = true;
}

/* Programs divide by the block size, and a file's type cannot be two things. */
static bool is_possible(const struct ninep_stat *stat)
{
    bool is_dir = (stat->mode & ABI_S_IFMT) == ABI_S_IFDIR;

    return stat->size <= INT64_MAX && stat->blksize > 0 && stat->blksize <= INT32_MAX &&
           is_dir == ((stat->qid.type & 0x80) != 0) && (stat->mode & ~0177777u) == 0;
}

int ninep_get_stat(struct ninep_reader *reader, struct ninep_stat *stat)
{
    (void)ninep_get64(reader); /* valid: servers give the basic ones always */
    ninep_get_qid(reader, &stat->qid);
    stat->mode = ninep_get32(reader);
    stat->uid = ninep_get32(reader);
    stat->gid = ninep_get32(reader);
    stat->nlink = ninep_get64(reader);
    stat->rdev = ninep_get64(reader);
    stat->size = ninep_get64(reader);
    stat->blksize = ninep_get64(reader);
    stat->blocks = ninep_get64(reader);
    get_time(reader, &stat->atime);
    get_time(reader, &stat->mtime);
    get_time(reader, &stat->ctime);
    get_time(reader, &stat->btime);
    (void)ninep_get64(reader); /* gen, data_version */
    (void)ninep_get64(reader);
    return reader->failed || !is_possible(stat) ? -EIO : 0;
}

int ninep_get_dirent(struct ninep_reader *reader, struct ninep_dirent *entry)
{
    if (reader->left == 0)
        return 0;
    ninep_get_qid(reader, &entry->qid);
    entry->offset = ninep_get64(reader);
    entry->type = ninep_get8(reader);
    entry->name = ninep_get_string(reader, &entry->len);
    if (reader->failed || entry->len == 0 || entry->len > NINEP_NAME_MAX ||
        memchr(entry->name, '/', entry->len) || memchr(entry->name, '\0', entry->len) ||
        entry->offset > INT64_MAX)
        return -EIO;
    return 1;
}
