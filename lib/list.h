// SPDX-License-Identifier: MIT
#pragma once
/*
 * Doubly linked, circular, intrusive lists.  A list is a struct list that is its
 * own neighbour when empty; a node that is in no list must be initialised or
 * never be asked.  The caller locks.
 */
#include "lib/compiler.h"

struct list {
    struct list *next;
    struct list *prev;
};

#define LIST_INIT(name)                                                                            \
    {                                                                                              \
        &(name), &(name)                                                                           \
    }

static inline void list_init(struct list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_insert_after(struct list *where, struct list *node)
{
    node->next = where->next;
    node->prev = where;
    where->next->prev = node;
    where->next = node;
}

/* At the head of the list. */
static inline void list_push_front(struct list *list, struct list *node)
{
    list_insert_after(list, node);
}

/* At the tail of the list. */
static inline void list_push_back(struct list *list, struct list *node)
{
    list_insert_after(list->prev, node);
}

/* The node is left as an empty list of its own, so a second removal is harmless. */
static inline void list_remove(struct list *node)
{
    node->next->prev = node->prev;
    node->prev->next = node->next;
    list_init(node);
}

/* Moves all nodes of from to the tail of to; from is empty afterwards. */
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define list_entry(node, type, member) container_of(node, type, member)
#define list_first(list, type, member) list_entry((list)->next, type, member)
#define list_last(list, type, member)  list_entry((list)->prev, type, member)

/* NOLINTBEGIN(bugprone-macro-parentheses): item and following are names of variables */
#define list_for_each(item, list, member)                                                          \
    for (item = list_entry((list)->next, __typeof__(*item), member); &item->member != (list);      \
         item = list_entry(item->member.next, __typeof__(*item), member))

/* The body may remove item, and only item. */
#define list_for_each_safe(item, following, list, member)                                          \
    for (item = list_entry((list)->next, __typeof__(*item), member),                               \
        following = list_entry(item->member.next, __typeof__(*item), member);                      \
         &item->member != (list);                                                                  \
         item = following, following = list_entry(item->member.next, __typeof__(*item), member))
/* NOLINTEND(bugprone-macro-parentheses) */
