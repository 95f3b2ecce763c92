// SPDX-License-Identifier: MIT
/* lib/rbtree.c: random insertions and removals; after each, the red-black rules and the order. */
#include "lib/rbtree.h"

#include "tests/host/check.h"

#define NKEYS 512

struct item {
    struct rb_node node;
    unsigned key;
    bool is_in;
};

static struct item items[NKEYS];
static struct rb_tree tree;

static void item_insert(struct item *item)
{
    struct rb_node **link = &tree.root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = &parent->child[item->key > rb_entry(parent, struct item, node)->key];
    }
    rb_link(&item->node, parent, link);
    rb_insert_fixup(&tree, &item->node);
    item->is_in = true;
}

static void item_remove(struct item *item)
{
    rb_remove(&tree, &item->node);
    item->is_in = false;
}

/* The black height of a subtree; checks colours and parent links on the way. */
static unsigned check_subtree(const struct rb_node *node)
{
    if (!node)
        return 1;
    for (int side = 0; side < 2; side++) {
        const struct rb_node *child = node->child[side];
        if (child) {
            CHECK(child->parent == node);
            CHECK(!(node->is_red && child->is_red));
        }
    }
    unsigned height = check_subtree(node->child[0]);
    CHECK(height == check_subtree(node->child[1]));
    return height + !node->is_red;
}

static void check_tree(void)
{
    CHECK(!tree.root || (!tree.root->is_red && !tree.root->parent));
    check_subtree(tree.root);

    struct rb_node *node = rb_first(&tree);
    for (unsigned key = 0; key < NKEYS; key++) {
        if (!items[key].is_in)
            continue;
        CHECK(node == &items[key].node);
        node = rb_next(node);
    }
    CHECK(!node);

    node = rb_last(&tree);
    for (unsigned key = NKEYS; key-- > 0;) {
        if (!items[key].is_in)
            continue;
        CHECK(node == &items[key].node);
        node = rb_prev(node);
    }
    CHECK(!node);
}

int main(void)
{
    srandom(1);
    for (unsigned key = 0; key < NKEYS; key++)
        items[key].key = key;
    check_tree();
    for (unsigned round = 0; round < 20000; round++) {
        struct item *item = &items[(unsigned long)random() % NKEYS];
        if (item->is_in)
            item_remove(item);
        else
            item_insert(item);
        if (round % 16 == 0 || round < 2000)
            check_tree();
    }
    for (unsigned key = 0; key < NKEYS; key++) {
        if (items[key].is_in)
            item_remove(&items[key]);
        check_tree();
    }
    CHECK(!tree.root);
    return 0;
}
