// SPDX-License-Identifier: MIT
#pragma once
/*
 * A radix tree from page numbers to pointers, 64 ways a level and only as high as its largest index
 * needs; a tree that holds index 0 alone has no node at all.  The caller locks.
 */
#include "lib/compiler.h"

struct pagetree {
    void *root; /* height 0: the item of index 0; else a node */
    unsigned height;
};

void *pagetree_get(const struct pagetree *tree, uint64_t index); /* NULL: nothing there */
/* Puts item (not NULL) where nothing is.  -ENOMEM. */
int pagetree_set(struct pagetree *tree, uint64_t index, void *item) __must_check;
void *pagetree_remove(struct pagetree *tree, uint64_t index); /* what was there */
/* The first item at or after *index, which is set to its place; NULL: none. */
void *pagetree_next(const struct pagetree *tree, uint64_t *index);
