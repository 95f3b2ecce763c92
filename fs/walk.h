// SPDX-License-Identifier: MIT
#pragma once
/*
 * The walk along a path, step by step, for the calls that need more than path_walk(): open with
 * O_CREAT and the calls that make and remove names.
 */
#include "fs/dcache.h"

#define WALK_LINKS_MAX 40

/* What the last part of a path is; only WALK_NORMAL names something in the directory. */
enum walk_kind { WALK_NORMAL, WALK_DOT, WALK_DOTDOT, WALK_ROOT };

/* A text that is still to be walked after the one in use is done. */
struct walk_text {
    const char *next;
    struct inode *inode; /* whose ->link it is, with a reference */
    char *buffer;        /* or a buffer */
};

struct walk {
    struct path path; /* where we are, with references */
    struct path root; /* with references; mount NULL until it is needed */
    struct walk_text text;
    unsigned flags;
    unsigned nlinks; /* symbolic links followed */
    unsigned depth;  /* texts waiting */
    unsigned moves;  /* of a walk that has to stay below its root: dcache_moves() at its begin */
    bool has_trailing_slash;
    enum walk_kind kind; /* of the last part: */
    const char *name;
    size_t len;
    uint32_t hash;
    struct walk_text waiting[WALK_LINKS_MAX];
};

/* start NULL: from dirfd.  On success walk_end() must follow; text is used in place. */
int walk_begin(struct walk *walk, int dirfd, const struct path *start, const char *text,
               unsigned flags) __must_check;
void walk_end(struct walk *walk);
/* To the end of the path: walk->path. */
int walk_to_end(struct walk *walk) __must_check;
/* To the directory of the last part: walk->path, kind, name. */
int walk_to_parent(struct walk *walk) __must_check;
/* walk->path is the directory: looks its last part up without making a dentry for nothing.
 * -ENOENT if it is not there. */
int walk_find_last(struct walk *walk, struct path *out) __must_check;
/* The last part is the symbolic link place: walks on to the parent of where it points. */
int walk_follow_to_parent(struct walk *walk, const struct path *place) __must_check;
