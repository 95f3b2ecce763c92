// SPDX-License-Identifier: MIT
#pragma once
/*
 * What mmap asks of the file layer, which lies above; implemented in fs/file.c.
 */
#include "lib/compiler.h"

struct file;
struct pagecache;

struct map_source {
    struct file *file;       /* with a reference */
    struct pagecache *cache; /* with a reference; NULL with is_zero */
    unsigned max_prot;       /* ABI_PROT_* that mprotect may set later */
    bool is_zero;            /* /dev/zero: anonymous memory */
    uint64_t offset;         /* in: what was asked for; out: bytes into the cache */
    size_t length;           /* in */
};

/* Checks that descriptor fd may be mapped so.  -EBADF, -EACCES, -ENODEV, -EPERM. */
int map_source_open(int fd, unsigned prot, unsigned flags, struct map_source *source) __must_check;
/* Drops the references. */
void map_source_close(struct map_source *source);
/* "/path (deleted)" of a mapped file for /proc/PID/maps; its length or -errno. */
long map_source_path(struct file *file, char *buf, size_t size);
/* Device and inode numbers, for /proc/PID/maps. */
void map_source_identity(struct file *file, uint64_t *device, uint64_t *inode);
