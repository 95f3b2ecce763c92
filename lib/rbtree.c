// SPDX-License-Identifier: MIT
/*
 * Red-black trees after Cormen et al., chapter 13, with NULL instead of a sentinel leaf.
 *
 * The mirrored cases of the book are one case here: a side is 0 (left) or 1 (right), and
 * !side is the other one.  Removal exchanges a node with two children for its successor by
 * relinking, never by copying, because the nodes live inside their owners.
 */
#include "lib/rbtree.h"

static bool rb_is_red(const struct rb_node *node)
{
    return node && node->is_red;
}

/* Which child of its parent node is. */
static int rb_side(const struct rb_node *node)
{
    return node->parent->child[1] == node;
}

/* Puts replacement (or nothing) where node hangs. */
static void rb_replace(struct rb_tree *tree, struct rb_node *node, struct rb_node *replacement)
{
    if (!node->parent)
        tree->root = replacement;
    else
        node->parent->child[rb_side(node)] = replacement;
    if (replacement)
        replacement->parent = node->parent;
}

/* Moves node down to the given side; its child on the other side takes its place. */
static void rb_rotate(struct rb_tree *tree, struct rb_node *node, int side)
{
    struct rb_node *up = node->child[!side];

    rb_replace(tree, node, up);
    node->child[!side] = up->child[side];
    if (node->child[!side])
        node->child[!side]->parent = node;
    up->child[side] = node;
    node->parent = up;
}

void rb_insert_fixup(struct rb_tree *tree, struct rb_node *node)
{
    /* The root is black, so a red parent has a parent of its own. */
    while (rb_is_red(node->parent)) {
        struct rb_node *parent = node->parent;
        struct rb_node *grandparent = parent->parent;
        int side = rb_side(parent);
        struct rb_node *uncle = grandparent->child[!side];

        if (rb_is_red(uncle)) {
            parent->is_red = false;
            uncle->is_red = false;
            grandparent->is_red = true;
            node = grandparent;
            continue;
        }
        if (rb_side(node) != side) {
            rb_rotate(tree, parent, side);
            parent = node;
        }
        parent->is_red = false;
        grandparent->is_red = true;
        rb_rotate(tree, grandparent, !side);
        break;
    }
    tree->root->is_red = false;
}

/* One black too few on the given side of parent, whose child there (red or NULL or black) is
 * already in place. */
static void rb_remove_fixup(struct rb_tree *tree, struct rb_node *parent, int side)
{
    for (;;) {
        struct rb_node *sibling = parent->child[!side];

        if (sibling->is_red) {
            sibling->is_red = false;
            parent->is_red = true;
            rb_rotate(tree, parent, side);
            sibling = parent->child[!side];
        }
        if (!rb_is_red(sibling->child[0]) && !rb_is_red(sibling->child[1])) {
            sibling->is_red = true;
            if (parent->is_red || !parent->parent) {
                parent->is_red = false;
                return;
            }
            side = rb_side(parent);
            parent = parent->parent;
            continue;
        }
        if (!rb_is_red(sibling->child[!side])) {
            sibling->child[side]->is_red = false;
            sibling->is_red = true;
            rb_rotate(tree, sibling, !side);
            sibling = parent->child[!side];
        }
        sibling->is_red = parent->is_red;
        parent->is_red = false;
        sibling->child[!side]->is_red = false;
        rb_rotate(tree, parent, side);
        return;
    }
}

/* node has two children: its successor, which has no left one, and node change places. */
static void rb_exchange_with_successor(struct rb_tree *tree, struct rb_node *node)
{
    struct rb_node *next = node->child[1];
    while (next->child[0])
        next = next->child[0];

    struct rb_node *below = next->child[1];
    struct rb_node *next_parent = next->parent;
    bool next_is_red = next->is_red;

    rb_replace(tree, node, next);
    next->is_red = node->is_red;
    next->child[0] = node->child[0];
    next->child[0]->parent = next;
    if (next_parent == node) {
        next->child[1] = node;
        node->parent = next;
    } else {
        next->child[1] = node->child[1];
        next->child[1]->parent = next;
        next_parent->child[0] = node;
        node->parent = next_parent;
    }
    node->is_red = next_is_red;
    node->child[0] = NULL;
    node->child[1] = below;
    if (below)
        below->parent = node;
}

void rb_remove(struct rb_tree *tree, struct rb_node *node)
{
    if (node->child[0] && node->child[1])
        rb_exchange_with_successor(tree, node);

    struct rb_node *child = node->child[0] ? node->child[0] : node->child[1];
    struct rb_node *parent = node->parent;
    int side = parent ? rb_side(node) : 0;

    rb_replace(tree, node, child);
    if (child)
        child->is_red = false; /* an only child is red, and node above it black */
    else if (!node->is_red && parent)
        rb_remove_fixup(tree, parent, side);
}

static struct rb_node *rb_outermost(struct rb_node *node, int side)
{
    while (node && node->child[side])
        node = node->child[side];
    return node;
}

struct rb_node *rb_first(const struct rb_tree *tree)
{
    return rb_outermost(tree->root, 0);
}

struct rb_node *rb_last(const struct rb_tree *tree)
{
    return rb_outermost(tree->root, 1);
}

/* The neighbour in order on the given side. */
static struct rb_node *rb_step(const struct rb_node *node, int side)
{
    if (node->child[side])
        return rb_outermost(node->child[side], !side);
    while (node->parent && rb_side(node) == side)
        node = node->parent;
    return node->parent;
}

struct rb_node *rb_next(const struct rb_node *node)
{
    return rb_step(node, 1);
}

struct rb_node *rb_prev(const struct rb_node *node)
{
    return rb_step(node, 0);
}
