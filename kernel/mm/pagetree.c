// SPDX-License-Identifier: MIT
/*
 * The radix tree of the page cache.  A node is exactly 512 bytes, one kmalloc class, so it has no room
 * for a count: removal looks through the node's slots instead.
 */
#include "kernel/mm/pagetree.h"

#include "abi/errno.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"

#define BITS       6
#define SLOTS      (1u << BITS)
#define HEIGHT_MAX 11 /* 64-bit indices */
/* No reclaim from inside a change: it may take pages out of this tree. */
#define NODE_FLAGS ALLOC_NORECLAIM

struct node {
    void *slot[SLOTS];
};

static unsigned slot_of(uint64_t index, unsigned level)
{
    return index >> (BITS * level) & (SLOTS - 1);
}

/* Whether a tree of this height has a place for index. */
static bool height_holds(unsigned height, uint64_t index)
{
    return height >= HEIGHT_MAX || index >> (BITS * height) == 0;
}

void *pagetree_get(const struct pagetree *tree, uint64_t index)
{
    void *item = tree->root;

    if (!height_holds(tree->height, index))
        return NULL;
    for (unsigned level = tree->height; item && level-- > 0;)
        item = ((struct node *)item)->slot[slot_of(index, level)];
    return item;
}

/* Adds levels on top until index fits. */
static int pagetree_grow(struct pagetree *tree, uint64_t index)
{
    while (!height_holds(tree->height, index)) {
        if (tree->root) {
            struct node *node = kzalloc(sizeof(*node), NODE_FLAGS);
            if (!node)
                return -ENOMEM;
            node->slot[0] = tree->root;
            tree->root = node;
        }
        tree->height++;
    }
    return 0;
}

static bool node_is_empty(const struct node *node)
{
    for (unsigned i = 0; i < SLOTS; i++)
        if (node->slot[i])
            return false;
    return true;
}

/* Frees the empty nodes on the way to index. */
static void pagetree_prune(struct pagetree *tree, uint64_t index)
{
    void **path[HEIGHT_MAX + 1]; /* path[n]: the slot that refers to the node of level n - 1 */
    void **slot = &tree->root;
    unsigned level = tree->height;

    for (; level > 0 && *slot; level--) {
        path[level] = slot;
        slot = &((struct node *)*slot)->slot[slot_of(index, level - 1)];
    }
    while (++level <= tree->height && node_is_empty(*path[level])) {
        kfree(*path[level]);
        *path[level] = NULL;
    }
    if (!tree->root)
        tree->height = 0;
}

int pagetree_set(struct pagetree *tree, uint64_t index, void *item)
{
    int err = pagetree_grow(tree, index);
    if (err)
        return err;

    void **slot = &tree->root;
    for (unsigned level = tree->height; level-- > 0;) {
        if (!*slot && !(*slot = kzalloc(sizeof(struct node), NODE_FLAGS))) {
            pagetree_prune(tree, index);
            return -ENOMEM;
        }
        slot = &((struct node *)*slot)->slot[slot_of(index, level)];
    }
    debug_assert(!*slot);
    *slot = item;
    return 0;
}

void *pagetree_remove(struct pagetree *tree, uint64_t index)
{
    void **slot = &tree->root;

    if (!height_holds(tree->height, index))
        return NULL;
    for (unsigned level = tree->height; *slot && level-- > 0;)
        slot = &((struct node *)*slot)->slot[slot_of(index, level)];
    void *item = *slot;
    if (item) {
        *slot = NULL;
        pagetree_prune(tree, index);
    }
    return item;
}

/* The first item at or after *index below node, whose slots are of the given level; *index becomes its
 * place, or the first index behind the node. */
static void *node_next(const struct node *node, unsigned level, uint64_t *index)
{
    for (unsigned i = slot_of(*index, level); i < SLOTS; i++) {
        void *item = node->slot[i];
        if (item && level > 0)
            item = node_next(item, level - 1, index);
        if (item)
            return item;
        /* The start of the next slot; what is in lower digits is behind us. */
        *index = ((*index >> (BITS * level)) + (node->slot[i] && level > 0 ? 0 : 1))
                 << (BITS * level);
    }
    return NULL;
}

void *pagetree_next(const struct pagetree *tree, uint64_t *index)
{
    if (!tree->root || !height_holds(tree->height, *index))
        return NULL;
    if (tree->height == 0)
        return tree->root;
    return node_next(tree->root, tree->height - 1, index);
}
