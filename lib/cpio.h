// SPDX-License-Identifier: MIT
#pragma once
/*
 * Reads cpio archives in the "newc" form (070701, 070702) from memory.  Nothing in the archive is
 * trusted; nothing is copied: names and data are pointers into it.  Several archives may follow each
 * other, with zero bytes between them, as Linux's initramfs allows.
 */
#include "lib/compiler.h"

#define CPIO_NAME_MAX 4096 /* the name field, NUL and padding included */

struct cpio_reader {
    const unsigned char *base;
    size_t size;
    size_t pos;
    bool in_archive;   /* an archive has begun and its trailer has not come */
    unsigned nentries; /* read so far */
    const char *error; /* after -1: what is wrong, a static sentence without a full stop */
};

struct cpio_entry {
    const char *name; /* ends with NUL, cleaned: no leading "/" or "./"; "" is the root */
    uint32_t ino, mode, uid, gid, nlink, mtime;
    uint32_t dev_major, dev_minor, rdev_major, rdev_minor;
    size_t size;
    size_t
        plain_size; /* 0, or of the file whose compressed form the data are (fs/ramfs_packed.c) */
    const unsigned char *data;
};

void cpio_init(struct cpio_reader *reader, const void *base, size_t size);
/* 1: an entry; 0: the end; -1: the archive is bad at reader->pos, see error. */
int cpio_next(struct cpio_reader *reader, struct cpio_entry *entry) __must_check;
