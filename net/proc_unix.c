// SPDX-License-Identifier: MIT
/*
 * /proc/net/unix (proc(5)): UNIX sockets, as netstat and lsof read them.
 */
#include <string.h>

#include "fs/procfs.h"
#include "kernel/mm/heap.h"
#include "net/proc_net.h"
#include "net/unix_list.h"

#define PATH_OFFSET offsetof(struct abi_sockaddr_un, sun_path)
#define ACCEPTS     0x10000u /* __SO_ACCEPTCON of Linux */

/* SS_* of Linux: what the socket is, with a file and without. */
enum { UNCONNECTED = 1, CONNECTING, CONNECTED, DISCONNECTING };

static unsigned state_of(const struct unix_row *row)
{
    if (row->has_file)
        return row->is_connected ? CONNECTED : UNCONNECTED;
    return row->is_connected ? CONNECTING : DISCONNECTING;
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
    struct unix_row *rows;
    size_t count;

    int err = unix_list_collect(&rows, &count);
    if (err)
        return err;
    text_printf(text, "Num       RefCount Protocol Flags    Type St Inode Path\n");
    for (size_t i = 0; i < count; i++) {
        const struct unix_row *row = &rows[i];
        /* Linux shows a number for the socket's address that does not tell it. */
        text_printf(text, "%016llx: %08X 00000000 %08X %04X %02X %5llu",
                    (unsigned long long)(row->id * 0x9e3779b97f4a7c15ULL), row->refcount,
                    row->is_listening ? ACCEPTS : 0, (unsigned)row->type, state_of(row),
                    row->has_file ? (unsigned long long)row->id : 0);
        if (row->name.len > PATH_OFFSET)
            show_name(text, &row->name);
        text_printf(text, "\n");
    }
    kfree(rows);
    return 0;
}
