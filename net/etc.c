// SPDX-License-Identifier: MIT
/*
 * The files of /etc that tell programs of the network.
 *
 * Other machines of a named network come and go while this one runs (net/net_control.c), so /etc/hosts has a part that
 * is replaced: what follows the line NEIGHBOURS.  What stands before it belongs to the image and its programs.
 */
#include "net/etc.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "fs/file.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "lib/format.h"

#define HOSTS      "/etc/hosts"
#define HOSTS_MAX  (256UL << 10)
#define NEIGHBOURS "# machines of the same network\n"

void etc_make(void)
{
    struct path dir;
    struct dentry *last;

    if (path_walk_parent(ABI_AT_FDCWD, "/etc", 0, &dir, &last))
        return;
    struct inode *inode = dir.dentry->inode;
    if (!last->inode && inode->ops->mkdir && inode->ops->mkdir(inode, last, 0755))
        log_warning("net: /etc could not be made");
    path_end_parent(&dir, last);
}

int etc_write(const char *name, unsigned flags, const char *text, size_t len)
{
    struct file *file;
    struct io io;

    int err = file_open(ABI_AT_FDCWD, name, ABI_O_WRONLY | flags, 0644, &file);
    if (err)
        return err;
    io_init_kernel(&io, text, len);
    long n = file_write(file, &io, NULL);
    io_fini(&io);
    file_put(file);
    return n < 0 ? (int)n : 0;
}

void etc_make_hosts(const char *hostname)
{
    char text[256];
    int len = format_string(text, sizeof(text),
                            "127.0.0.1\tlocalhost\n127.0.1.1\t%s\n"
                            "::1\tlocalhost ip6-localhost ip6-loopback\n",
                            hostname);

    int err = etc_write(HOSTS, ABI_O_CREAT | ABI_O_EXCL, text, MIN((size_t)len, sizeof(text) - 1));
    if (err && err != -EEXIST)
        log_warning("net: " HOSTS " could not be written: %d", err);
}

/* The part of the file that is not ours, with room behind it; its length, or -errno. */
static long read_hosts(size_t room, char **text)
{
    struct file *file;
    int err = file_open(ABI_AT_FDCWD, HOSTS, ABI_O_RDONLY, 0, &file);
    if (err)
        return err;
    size_t size = file->inode->size;
    *text = size <= HOSTS_MAX ? kmalloc(size + room + 1, ALLOC_WAIT) : NULL;
    long len = *text ? file_read_kernel(file, *text, size, 0) : -ENOMEM;
    file_put(file);
    if (len < 0) {
        kfree(*text);
        return len;
    }
    (*text)[len] = '\0';
    const char *ours = strstr(*text, NEIGHBOURS);
    return ours ? ours - *text : len;
}

int etc_set_neighbours(const char *text, size_t len)
{
    static const char head[] = NEIGHBOURS;
    char *whole = NULL;
    long kept = read_hosts(sizeof(head) + len, &whole);
    if (kept < 0)
        return (int)kept;
    size_t size = (size_t)kept;
    if (len > 0) {
        memcpy(whole + size, head, sizeof(head) - 1);
        memcpy(whole + size + sizeof(head) - 1, text, len);
        size += sizeof(head) - 1 + len;
    }
    int err = etc_write(HOSTS, ABI_O_TRUNC, whole, size);
    kfree(whole);
    return err;
}
