// SPDX-License-Identifier: MIT
#pragma once
/*
 * A session of 9P2000.L: requests with their tags, and fids, the server's handles for files.
 *
 * [i] set at creation  [s] client->lock (RANK_NINEP)  [a] atomic
 */
#include "abi/stat.h"
#include "kernel/ninepdev.h"
#include "kernel/spinlock.h"
#include "lib/bitmap.h"
#include "lib/ninep.h"

#define NINEP_TAGS ((unsigned)NINEPDEV_REQUESTS)
#define NINEP_FIDS 65536u
#define NINEP_DATA (128u << 10) /* of one Tread or Twrite, if the server agrees */

/* Two numbers of users or groups of which each stands for the other: the server's own user is the program's here. */
struct ninep_swap {
    uint32_t server, local;
};

struct ninep_client {
    struct ninepdev *dev;
    struct ninep_swap users, groups; /* [i] from the mount's options; equal numbers: none */
    uint32_t data_max; /* [i] the bytes of one Tread or Twrite, and of what Rreaddir brings */
    struct spinlock lock;
    uint64_t tags[BITMAP_WORDS(NINEP_TAGS)]; /* [s] in use */
    uint64_t fids[BITMAP_WORDS(NINEP_FIDS)]; /* [s] in use */
};

static inline uint32_t ninep_swap_id(const struct ninep_swap *swap, uint32_t id)
{
    return id == swap->server ? swap->local : id == swap->local ? swap->server : id;
}

struct ninep_fid {
    unsigned refcount; /* [a] */
    uint32_t number;   /* [i] */
    struct ninep_client *client;
};

/* A request and its answer.  Between ninep_call_create() and ninep_call_run() out takes the fields, from then on in
 * has those of the answer. */
struct ninep_call {
    struct ninep_client *client;
    struct ninepdev_request request;
    struct ninep_writer out;
    struct ninep_reader in;
    void *data; /* of a Twrite, or where that of a Rread or Rreaddir goes; in the direct map */
    uint32_t data_len;
    bool is_data_out;
    uint8_t type;
    uint16_t tag;
    uint16_t in_size;
    uint8_t bytes[] __aligned(8);
};

/* Only a fatal signal ends a call that may be ended; -EINTR then. */
#define NINEP_KILLABLE true

struct ninepdev *ninepdev_find(const char *tag);
/* Agrees on version and size.  -ENOENT: no such tag; -EBUSY: it is mounted; -EPROTO: the server speaks otherwise. */
int ninep_client_create(const char *tag, struct ninep_client **out) __must_check;
void ninep_client_destroy(struct ninep_client *client); /* its fids are gone */

/* Room for nout bytes of fields and nin of the answer's.  NULL: no memory. */
struct ninep_call *ninep_call_create(struct ninep_client *client, enum ninep_type type, size_t nout,
                                     size_t nin) __must_check;
/* 0, or the server's error; -EIO: no answer or a senseless one. */
int ninep_call_run(struct ninep_call *call, bool is_killable) __must_check;
void ninep_call_destroy(struct ninep_call *call);

/* A number that the next call is to give a meaning.  -ENFILE, -ENOMEM. */
int ninep_fid_create(struct ninep_client *client, struct ninep_fid **out) __must_check;
struct ninep_fid *ninep_fid_get(struct ninep_fid *fid);
void ninep_fid_put(struct ninep_fid *fid); /* the last one tells the server */
/* The same for the only reference, with what the server says to it. */
int ninep_fid_clunk(struct ninep_fid *fid) __must_check;
/* After the call that was to give it a meaning: *out, or none if err. */
void ninep_fid_settle(struct ninep_fid *fid, int err, struct ninep_fid **out);

/* ---- fs/ninep/calls.c: a function a message; names are those of one directory entry, owners the local ones ---- */

int ninep_attach(struct ninep_client *client, struct ninep_fid **out) __must_check;
/* name NULL: another fid of the same file. */
int ninep_walk(struct ninep_fid *dir, const char *name, struct ninep_fid **out) __must_check;
int ninep_getattr(struct ninep_fid *fid, struct ninep_stat *stat) __must_check;
int ninep_lopen(struct ninep_fid *fid, unsigned flags) __must_check;
int ninep_statfs(struct ninep_fid *fid, struct abi_statfs *out) __must_check;
long ninep_readlink(struct ninep_fid *fid, char *buf, size_t size);
int ninep_fsync(struct ninep_fid *fid, bool data_only) __must_check;
/* Up to len bytes, at most data_max; how many.  buf is heap or frames. */
long ninep_read(struct ninep_fid *fid, uint64_t offset, void *buf, size_t len, bool is_killable);
/* The entries from a position on, for ninep_get_dirent(). */
long ninep_readdir(struct ninep_fid *fid, uint64_t offset, void *buf, size_t len);

/* ---- fs/ninep/changes.c ---- */

struct ninep_setattr {
    unsigned valid; /* NINEP_SET_* */
    uint32_t mode, uid, gid;
    uint64_t size;
    struct abi_timespec atime, mtime;
};

/* fid, of a directory, becomes the new file's, open. */
int ninep_lcreate(struct ninep_fid *fid, const char *name, unsigned flags, unsigned mode,
                  uint32_t gid) __must_check;
int ninep_mkdir(struct ninep_fid *dir, const char *name, unsigned mode, uint32_t gid) __must_check;
int ninep_mknod(struct ninep_fid *dir, const char *name, unsigned mode, uint64_t rdev,
                uint32_t gid) __must_check;
int ninep_symlink(struct ninep_fid *dir, const char *name, const char *target,
                  uint32_t gid) __must_check;
int ninep_link(struct ninep_fid *dir, struct ninep_fid *fid, const char *name) __must_check;
int ninep_renameat(struct ninep_fid *from_dir, const char *from, struct ninep_fid *to_dir,
                   const char *to) __must_check;
int ninep_unlinkat(struct ninep_fid *dir, const char *name, bool is_dir) __must_check;
int ninep_setattr(struct ninep_fid *fid, const struct ninep_setattr *change) __must_check;
/* Bytes taken, at most data_max.  buf is heap or frames. */
long ninep_write(struct ninep_fid *fid, uint64_t offset, const void *buf, size_t len,
                 bool is_killable);
/* A fid to read an attribute's value from, or with name "" the names; *size: how long it is. */
int ninep_xattrwalk(struct ninep_fid *fid, const char *name, struct ninep_fid **out,
                    uint64_t *size) __must_check;
/* What is written to fid becomes the value when it is clunked; size 0 removes the attribute. */
int ninep_xattrcreate(struct ninep_fid *fid, const char *name, size_t size, int flags) __must_check;
