// SPDX-License-Identifier: MIT
#pragma once
/*
 * Between dcache.c, walk.c and mount.c.
 */
#include "fs/dcache.h"

extern struct spinlock dcache_tree_lock; /* parent, name, children, mounted */

/* The hash of a name alone; the walk computes it while it looks for the slash. */
#define NAME_HASH_START      0x811c9dc5u
#define NAME_HASH_STEP(h, c) (((h) ^ (unsigned char)(c)) * 0x01000193u)

static inline uint32_t name_hash(const char *name, size_t len)
{
    uint32_t hash = NAME_HASH_START;

    for (size_t i = 0; i < len; i++)
        hash = NAME_HASH_STEP(hash, name[i]);
    return hash;
}

/* By name_hash(); no lock needed.  With a reference, or NULL. */
struct dentry *dentry_find_hashed(struct dentry *parent, const char *name, size_t len,
                                  uint32_t hash);
/* Around every move of a name or of a mount, with rename_lock written. */
void dcache_move_begin(void);
void dcache_move_end(void);
/* How many there were, odd during one: what ".." means may have changed. */
unsigned dcache_moves(void);
bool dentry_revalidate(struct dentry *dentry);
