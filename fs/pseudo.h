// SPDX-License-Identifier: MIT
#pragma once
/*
 * File systems that are tables: /proc, /sys, /dev/pts.
 *
 * A directory is an array of entries and, if its names come and go (processes, descriptors, terminals),
 * a pair of functions that find and list them.  A file is a function that writes its text.  Nothing
 * is kept: inodes are made by lookup and go with their last user.
 */
#include "fs/file.h"
#include "fs/text.h"

struct process;
struct pseudo_entry;

/* What an inode stands for. */
struct pseudo_ref {
    const struct pseudo_entry *entry;
    struct process *process; /* with a reference, or NULL: not about one */
    long number; /* thread, descriptor, CPU, terminal: what the entry's functions know */
    long thread; /* of a descriptor: the number of the directory that it is in */
    bool is_sealed;
};

struct pseudo_entry {
    const char *name; /* NULL ends an array; the name of a dynamic entry is not looked at */
    unsigned mode;    /* type and permissions */
    /* A file's text (NULL: it is only written); a link's target.  0 or -errno. */
    int (*show)(const struct pseudo_ref *ref, struct text *text);
    /* A write(): all of it, in kernel memory, NUL-terminated. 0 or -errno.  NULL: -EACCES at open by mode. */
    int (*store)(const struct pseudo_ref *ref, char *buf, size_t len);
    /* A link that is a place: see inode_ops.follow.  NULL: show() is its text. */
    int (*follow)(const struct pseudo_ref *ref, struct path *out);
    const struct pseudo_entry *entries; /* a directory's fixed names */
    /* A directory's other names: fills child (its process with a reference of its own).  -ENOENT. */
    int (*find)(const struct pseudo_ref *dir, const char *name, size_t len,
                struct pseudo_ref *child);
    /* The smallest number not less than from that is a name in dir, and the entry it has; -1: none. */
    long (*next)(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry);
    const struct file_ops
        *ops;         /* a file that is not a text: its operations; private is the inode */
    long value;       /* for functions that serve several entries */
    bool is_numbered; /* a directory: value is the number of what is below */
    bool
        is_sealed; /* a directory: what is below without store() is opened for writing by nobody, not even root */
    bool
        is_of_memory; /* a text about a process's memory: for who may trace it, and empty once that is replaced */
    bool is_of_thread; /* below /proc/PID/task its process's own, by whatever user */
    const void *data;
};

/* The root of a new mount of type is entry, a directory. */
int pseudo_mount(const struct file_system *type, const struct pseudo_entry *entry,
                 unsigned long flags, uint64_t magic, struct superblock **out) __must_check;
const struct pseudo_ref *pseudo_ref_of(const struct inode *inode);
/* A decimal number without sign or leading zeros; -1: it is none. */
long pseudo_number(const char *name, size_t len);
