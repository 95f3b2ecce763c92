// SPDX-License-Identifier: MIT
/*
 * /proc/net/unix (proc(5)): UNIX sockets, as netstat, ss and lsof read them.
 *
 * The text may have to wait for memory, so what it tells is first collected under unix_lock.
 */
#include <string.h>

#include "abi/errno.h"
#include "fs/procfs.h"
#include "kernel/mm/heap.h"
#include "net/proc_net.h"
#include "net/unix_socket.h"

#define PATH_OFFSET offsetof(struct abi_sockaddr_un, sun_path)
#define ACCEPTS     0x10000u /* __SO_ACCEPTCON of Linux */

/* SS_* of Linux: what the socket is, with a file and without. */
enum { UNCONNECTED = 1, CONNECTING, CONNECTED, DISCONNECTING };

struct row {
    uint64_t id;
    unsigned refcount, flags;
    int type, state;
    bool has_file;
    struct socket_address name;
};

struct rows {
    struct row *rows;
    size_t count, max; /* count goes on beyond max */
};

static void fill(struct row *row, const struct unix_socket *sock)
{
    bool is_connected = sock->state == UNIX_CONNECTED || sock->peer;

    row->id = sock->base.id;
    row->refcount = __atomic_load_n(&sock->base.refcount, __ATOMIC_RELAXED) + 1;
    row->flags = sock->state == UNIX_LISTENING ? ACCEPTS : 0;
    row->type = sock->base.type;
    row->has_file = __atomic_load_n(&sock->base.file, __ATOMIC_RELAXED) && !sock->is_closed;
    if (row->has_file)
        row->state = is_connected ? CONNECTED : UNCONNECTED;
    else
        row->state = is_connected ? CONNECTING : DISCONNECTING;
    row->name = sock->name;
}

static void add(const struct unix_socket *sock, void *arg)
{
    struct rows *rows = arg;

    if (rows->count < rows->max)
        fill(&rows->rows[rows->count], sock);
    rows->count++;
}

static int collect(struct rows *rows)
{
    for (rows->max = 64;; rows->max = rows->count + 64) {
        rows->count = 0;
        rows->rows = kcalloc(rows->max, sizeof(*rows->rows), ALLOC_WAIT);
        if (!rows->rows)
            return -ENOMEM;
        unix_socket_for_each(add, rows);
        if (rows->count <= rows->max)
            return 0;
        kfree(rows->rows);
    }
}

static void show_name(struct text *text, const struct socket_address *name)
{
    const char *path = (const char *)name->bytes + PATH_OFFSET;
    size_t len = name->len - PATH_OFFSET;

    if (path[0])
        len = strnlen(path, len);
    text_printf(text, " ");
    for (size_t i = 0; i < len; i++)
        text_append(text, path[i] ? &path[i] : "@", 1);
}

int proc_net_show_unix(struct text *text)
{
    struct rows rows = { 0 };
    int err = collect(&rows);

    if (err)
        return err;
    text_printf(text, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    for (size_t i = 0; i < rows.count; i++) {
        const struct row *row = &rows.rows[i];
        /* Linux shows a number for the socket's address that does not tell it. */
        text_printf(text, "%016llx: %08X 00000000 %08X %04X %02X %5llu",
                    (unsigned long long)(row->id * 0x9e3779b97f4a7c15ULL), row->refcount,
                    row->flags, (unsigned)row->type, (unsigned)row->state,
                    row->has_file ? (unsigned long long)row->id : 0);
        if (row->name.len > PATH_OFFSET)
            show_name(text, &row->name);
        text_printf(text, "\n");
    }
    kfree(rows.rows);
    return 0;
}
