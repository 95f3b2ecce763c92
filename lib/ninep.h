// SPDX-License-Identifier: MIT
#pragma once
/*
 * The messages of 9P2000.L (QEMU's dialect of Plan 9's protocol, as Linux's net/9p speaks it): little-endian,
 * size[4] type[1] tag[2] and then the message's own fields.  Pure: bytes in, bytes out.
 *
 * The other side is not trusted.  A reader that would go behind its end fails, and gives zeros from then on, so
 * that a message is read to its end and checked once.
 */
#include "abi/time.h"
#include "lib/compiler.h"

#define NINEP_HEADER   7u
#define NINEP_IO_HEAD  11u /* Rread, Rreaddir and Rlerror up to the data: header and count[4] */
#define NINEP_NAME_MAX 255u

/* The requests; the answer is one more. */
enum ninep_type {
    NINEP_RLERROR = 7,
    NINEP_STATFS = 8,
    NINEP_LOPEN = 12,
    NINEP_LCREATE = 14,
    NINEP_SYMLINK = 16,
    NINEP_MKNOD = 18,
    NINEP_READLINK = 22,
    NINEP_GETATTR = 24,
    NINEP_SETATTR = 26,
    NINEP_XATTRWALK = 30,
    NINEP_XATTRCREATE = 32,
    NINEP_READDIR = 40,
    NINEP_FSYNC = 50,
    NINEP_LINK = 70,
    NINEP_MKDIR = 72,
    NINEP_RENAMEAT = 74,
    NINEP_UNLINKAT = 76,
    NINEP_VERSION = 100,
    NINEP_ATTACH = 104,
    NINEP_FLUSH = 108,
    NINEP_WALK = 110,
    NINEP_READ = 116,
    NINEP_WRITE = 118,
    NINEP_CLUNK = 120,
};

#define NINEP_NOTAG 0xffffu
#define NINEP_NOFID 0xffffffffu

/* Tgetattr's request mask and Tsetattr's valid. */
#define NINEP_GETATTR_ALL  0x3fffull
#define NINEP_SET_MODE     0x001u
#define NINEP_SET_UID      0x002u
#define NINEP_SET_GID      0x004u
#define NINEP_SET_SIZE     0x008u
#define NINEP_SET_ATIME    0x010u
#define NINEP_SET_MTIME    0x020u
#define NINEP_SET_CTIME    0x040u
#define NINEP_SET_ATIME_TO 0x080u /* to the value in the message; else to now */
#define NINEP_SET_MTIME_TO 0x100u

#define NINEP_REMOVEDIR 0x200u /* Tunlinkat: AT_REMOVEDIR */

struct ninep_writer {
    uint8_t *bytes;
    size_t size, used;
    bool failed; /* it did not fit */
};

struct ninep_reader {
    const uint8_t *at;
    size_t left;
    bool failed; /* it went behind the end */
};

struct ninep_qid {
    uint8_t type; /* the mode's highest bits: 0x80 directory, 0x02 symbolic link */
    uint32_t version;
    uint64_t path;
};

struct ninep_stat {
    struct ninep_qid qid;
    uint32_t mode, uid, gid;
    uint64_t nlink, rdev, size, blksize, blocks;
    struct abi_timespec atime, mtime, ctime, btime;
};

struct ninep_dirent {
    struct ninep_qid qid;
    uint64_t offset; /* of the next one */
    uint8_t type;    /* DT_* */
    const char *name;
    size_t len;
};

void ninep_put8(struct ninep_writer *writer, uint8_t value);
void ninep_put16(struct ninep_writer *writer, uint16_t value);
void ninep_put32(struct ninep_writer *writer, uint32_t value);
void ninep_put64(struct ninep_writer *writer, uint64_t value);
void ninep_put_string(struct ninep_writer *writer, const char *text, size_t len);
/* A message begins; ninep_finish() stores its size, of which nmore bytes follow elsewhere.  False: it did not fit. */
void ninep_begin(struct ninep_writer *writer, void *bytes, size_t size, uint8_t type, uint16_t tag);
bool ninep_finish(struct ninep_writer *writer, size_t nmore) __must_check;

uint8_t ninep_get8(struct ninep_reader *reader);
uint16_t ninep_get16(struct ninep_reader *reader);
uint32_t ninep_get32(struct ninep_reader *reader);
uint64_t ninep_get64(struct ninep_reader *reader);
/* Not NUL-terminated; NULL and 0 if it does not fit. */
const char *ninep_get_string(struct ninep_reader *reader, size_t *len);
void ninep_get_qid(struct ninep_reader *reader, struct ninep_qid *qid);

/* The answer to request type of which size bytes came, nhead of them at bytes: *reader stands behind the header and
 * ends where the message or the head does.  0; the error of Rlerror; -EIO: it is no such answer. */
int ninep_answer(const void *bytes, size_t nhead, size_t size, uint8_t type, uint16_t tag,
                 struct ninep_reader *reader) __must_check;
/* Rgetattr.  -EIO: not whole, or no file can be so. */
int ninep_get_stat(struct ninep_reader *reader, struct ninep_stat *stat) __must_check;
/* One entry of Rreaddir's data.  1; 0: no more; -EIO: not whole, or no name. */
int ninep_get_dirent(struct ninep_reader *reader, struct ninep_dirent *entry) __must_check;
