// SPDX-License-Identifier: MIT
/*
 * The newc form: a header of 110 characters (a magic number and 13 fields of 8 hexadecimal digits), the
 * name with its NUL, the data; name and data are each padded to a multiple of 4 bytes from the
 * archive's start.  An entry named "TRAILER!!!" ends an archive.
 */
#include "lib/cpio.h"

#include <string.h>

#define HEADER_SIZE  110
#define MAGIC_SIZE   6
#define FIELD_DIGITS 8

enum field {
    FIELD_INO,
    FIELD_MODE,
    FIELD_UID,
    FIELD_GID,
    FIELD_NLINK,
    FIELD_MTIME,
    FIELD_FILESIZE,
    FIELD_DEV_MAJOR,
    FIELD_DEV_MINOR,
    FIELD_RDEV_MAJOR,
    FIELD_RDEV_MINOR,
    FIELD_NAMESIZE,
    FIELD_CHECK,
    FIELD_COUNT
};

void cpio_init(struct cpio_reader *reader, const void *base, size_t size)
{
    *reader = (struct cpio_reader){ .base = base, .size = size };
}

static int fail(struct cpio_reader *reader, const char *error)
{
    reader->error = error;
    return -1;
}

static size_t remaining(const struct cpio_reader *reader)
{
    return reader->size - reader->pos;
}

static int hex_digit(unsigned char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_fields(const unsigned char *text, uint32_t field[FIELD_COUNT])
{
    for (unsigned i = 0; i < FIELD_COUNT; i++) {
        field[i] = 0;
        for (unsigned digit = 0; digit < FIELD_DIGITS; digit++) {
            int value = hex_digit(*text++);
            if (value < 0)
                return false;
            field[i] = field[i] << 4 | (uint32_t)value;
        }
    }
    return true;
}

static bool has_magic(const unsigned char *at)
{
    return memcmp(at, "07070", 5) == 0 && (at[5] == '1' || at[5] == '2');
}

/* What else people put where an archive belongs. */
static const char *foreign_format(const unsigned char *at, size_t size)
{
    static const struct {
        const char *magic;
        size_t len;
        const char *error;
    } known[] = {
        { "\x1f\x8b", 2, "it is compressed with gzip; it must not be compressed" },
        { "\xfd"
          "7zXZ",
          5, "it is compressed with xz; it must not be compressed" },
        { "\x28\xb5\x2f\xfd", 4, "it is compressed with zstd; it must not be compressed" },
        { "\x04\x22\x4d\x18", 4, "it is compressed with lz4; it must not be compressed" },
        { "070707", 6, "it is a cpio archive of the old portable form; newc is needed" },
        { "\xc7\x71", 2, "it is a cpio archive of the old binary form; newc is needed" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
        if (size >= known[i].len && memcmp(at, known[i].magic, known[i].len) == 0)
            return known[i].error;
    }
    return "there is no cpio header (newc) where one must be";
}

/* "./a", "/a" and "a" are the same name. */
static const char *clean_name(const char *name)
{
    for (;;) {
        while (*name == '/')
            name++;
        if (name[0] != '.' || (name[1] != '/' && name[1] != '\0'))
            return name;
        name++;
    }
}

static bool has_dotdot(const char *name)
{
    while (*name) {
        const char *end = strchr(name, '/');
        size_t len = end ? (size_t)(end - name) : strlen(name);
        if (len == 2 && name[0] == '.' && name[1] == '.')
            return true;
        name += len + (end != NULL);
    }
    return false;
}

/* 070701 has no use for the check field; where it is not 0, it is the size of a file that was compressed. */
static void entry_fill(struct cpio_entry *entry, const uint32_t field[FIELD_COUNT], bool has_check)
{
    entry->ino = field[FIELD_INO];
    entry->mode = field[FIELD_MODE];
    entry->uid = field[FIELD_UID];
    entry->gid = field[FIELD_GID];
    entry->nlink = field[FIELD_NLINK];
    entry->mtime = field[FIELD_MTIME];
    entry->dev_major = field[FIELD_DEV_MAJOR];
    entry->dev_minor = field[FIELD_DEV_MINOR];
    entry->rdev_major = field[FIELD_RDEV_MAJOR];
    entry->rdev_minor = field[FIELD_RDEV_MINOR];
    entry->size = field[FIELD_FILESIZE];
    entry->plain_size = has_check ? 0 : field[FIELD_CHECK];
}

/* The name and data of the entry whose header is at pos; pos goes to the next. */
static int read_body(struct cpio_reader *reader, const uint32_t field[FIELD_COUNT],
                     struct cpio_entry *entry)
{
    size_t namesize = field[FIELD_NAMESIZE];
    const char *name = (const char *)reader->base + reader->pos + HEADER_SIZE;

    if (namesize == 0 || namesize > CPIO_NAME_MAX)
        return fail(reader, "the name's length is impossible");
    if (namesize > remaining(reader) - HEADER_SIZE)
        return fail(reader, "the archive ends inside the name");
    if (name[namesize - 1] != '\0')
        return fail(reader, "the name has no end");
    size_t data = ALIGN_UP(reader->pos + HEADER_SIZE + namesize, (size_t)4);
    if (data > reader->size || entry->size > reader->size - data)
        return fail(reader, "the data reach beyond the end of the archive");
    entry->name = name;
    entry->data = reader->base + data;
    /* The padding behind the very last data may be missing. */
    reader->pos = MIN(ALIGN_UP(data + entry->size, (size_t)4), reader->size);
    return 1;
}

static int read_entry(struct cpio_reader *reader, struct cpio_entry *entry)
{
    const unsigned char *at = reader->base + reader->pos;
    uint32_t field[FIELD_COUNT];

    if (remaining(reader) < MAGIC_SIZE || !has_magic(at))
        return fail(reader, foreign_format(at, remaining(reader)));
    if (remaining(reader) < HEADER_SIZE)
        return fail(reader, "the archive ends inside a header");
    if (!parse_fields(at + MAGIC_SIZE, field))
        return fail(reader, "a number in the header has characters that are no digits");
    entry_fill(entry, field, at[MAGIC_SIZE - 1] == '2');
    return read_body(reader, field, entry);
}

/* Zero bytes between two archives and after the last. */
static void skip_zeros(struct cpio_reader *reader)
{
    while (remaining(reader) > 0 && reader->base[reader->pos] == 0)
        reader->pos++;
}

int cpio_next(struct cpio_reader *reader, struct cpio_entry *entry)
{
    for (;;) {
        size_t start = reader->pos;
        if (!reader->in_archive)
            skip_zeros(reader);
        if (remaining(reader) == 0)
            return reader->in_archive ? fail(reader, "the archive ends without a trailer") : 0;
        if (!reader->in_archive && reader->pos % 4 != 0 && reader->nentries > 0) {
            reader->pos = start;
            return fail(reader, "what follows the trailer is no archive");
        }
        reader->in_archive = true;
        if (read_entry(reader, entry) < 0)
            return -1;
        reader->nentries++;
        if (strcmp(entry->name, "TRAILER!!!") == 0) {
            reader->in_archive = false;
            continue;
        }
        entry->name = clean_name(entry->name);
        if (has_dotdot(entry->name))
            return fail(reader, "the name has a \"..\" in it");
        return 1;
    }
}
