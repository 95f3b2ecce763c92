// SPDX-License-Identifier: MIT
#pragma once
/*
 * Intrusive red-black trees (Cormen et al., chapter 13).  The caller descends to
 * find the place, links the node there and calls rb_insert_fixup(); so the order
 * is the caller's and costs no callback.  The caller locks.
 */
#include "lib/compiler.h"

struct rb_node {
    struct rb_node *parent;
    struct rb_node *child[2]; /* left, right */
    bool is_red;
};

struct rb_tree {
    struct rb_node *root;
};

#define rb_entry(node, type, member) container_of(node, type, member)

/* Places node, as a red leaf, in *link below parent; rb_insert_fixup() must follow. */
static inline void rb_link(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
    node->parent = parent;
    node->child[0] = NULL;
    node->child[1] = NULL;
    node->is_red = true;
    *link = node;
}

void rb_insert_fixup(struct rb_tree *tree, struct rb_node *node);
void rb_remove(struct rb_tree *tree, struct rb_node *node);

/* All NULL when there is none. */
struct rb_node *rb_first(const struct rb_tree *tree);
struct rb_node *rb_last(const struct rb_tree *tree);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
