// SPDX-License-Identifier: MIT
/*
 * The names of UNIX sockets: paths in the file system, whose inode points to the socket, and
 * abstract names, which begin with a NUL byte and are in a list.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "fs/dcache.h"
#include "kernel/entropy.h"
#include "kernel/process.h"
#include "kernel/thread_fs.h"
#include "lib/format.h"
#include "net/unix_socket.h"

#define PATH_OFFSET offsetof(struct abi_sockaddr_un, sun_path)

static struct list abstract_names = LIST_INIT(abstract_names); /* [u] */

static bool is_abstract(const struct socket_address *address)
{
    return address->len > PATH_OFFSET && address->bytes[PATH_OFFSET] == '\0';
}

static int check(const struct socket_address *address)
{
    if (address->len < sizeof(address->family) || address->len > sizeof(struct abi_sockaddr_un))
        return -EINVAL;
    return address->family == ABI_AF_UNIX ? 0 : -EINVAL;
}

/* ---- Abstract names ------------------------------------------------------------------ */

static struct unix_socket *find_abstract(const struct socket_address *address, int type)
{
    struct unix_socket *sock;

    assert_held(&unix_lock);
    list_for_each (sock, &abstract_names, name_node) {
        if (sock->name.len == address->len && (type == 0 || sock->base.type == type) &&
            memcmp(sock->name.bytes, address->bytes, address->len) == 0)
            return sock;
    }
    return NULL;
}

static int bind_abstract(struct unix_socket *sock, const struct socket_address *address)
{
    int err = 0;

    spin_lock(&unix_lock);
    if (sock->name.len) {
        err = -EINVAL;
    } else if (find_abstract(address, sock->base.type)) {
        err = -EADDRINUSE;
    } else {
        sock->name = *address;
        list_push_back(&abstract_names, &sock->name_node);
    }
    spin_unlock(&unix_lock);
    return err;
}

int unix_name_autobind(struct unix_socket *sock)
{
    struct socket_address address = { .len = PATH_OFFSET + 6, .family = ABI_AF_UNIX };
    char text[8];

    for (int tries = 0; tries < 1000; tries++) {
        (void)format_string(text, sizeof(text), "%05x", (unsigned)random64() & 0xfffffu);
        memcpy(address.bytes + PATH_OFFSET + 1, text, 5);
        int err = bind_abstract(sock, &address);
        if (err != -EADDRINUSE)
            return sock->name.len ? 0 : err;
    }
    return -ENOSPC;
}

/* ---- Paths ------------------------------------------------------------------------------ */

/* The path of an address; buf has room for a NUL behind the longest. */
static void copy_path(const struct socket_address *address, char *buf)
{
    size_t len = address->len - PATH_OFFSET;

    memcpy(buf, address->bytes + PATH_OFFSET, len);
    buf[len] = '\0';
}

/* A device number as the answers of sock_diag(7) have it. */
static uint32_t packed_device(uint64_t device)
{
    return (uint32_t)((device >> 8 & 0xfff) << 20 | (device & 0xff) | (device >> 12 & 0xfff00));
}

static int bind_path(struct unix_socket *sock, const struct socket_address *address)
{
    char name[ABI_UNIX_PATH_MAX + 1];
    struct path place;

    copy_path(address, name);
    int err = path_make_node(name, ABI_S_IFSOCK | 0777, 0, &place);
    if (err)
        return err == -EEXIST ? -EADDRINUSE : err;
    struct inode *inode = inode_get(place.dentry->inode);
    dentry_put(place.dentry);
    mutex_lock(&inode->lock);
    inode->socket = sock;
    mutex_unlock(&inode->lock);
    spin_lock(&unix_lock);
    sock->inode = inode;
    sock->mount = place.mount;
    sock->place_inode = (uint32_t)inode->ino;
    sock->place_device = packed_device(inode->sb->device);
    sock->name = *address;
    sock->name.len = (unsigned)(PATH_OFFSET + strlen(name) + 1); /* as Linux shows it */
    spin_unlock(&unix_lock);
    return 0;
}

int unix_name_bind(struct socket *base, const struct socket_address *address)
{
    struct unix_socket *sock = unix_of(base);

    int err = check(address);
    if (err)
        return err;
    if (address->len == PATH_OFFSET)
        return sock->name.len ? 0 : unix_name_autobind(sock);
    mutex_lock(&base->write_lock); /* one bind at a time */
    if (sock->name.len)
        err = -EINVAL;
    else
        err = is_abstract(address) ? bind_abstract(sock, address) : bind_path(sock, address);
    mutex_unlock(&base->write_lock);
    return err;
}

void unix_name_release(struct unix_socket *sock)
{
    spin_lock(&unix_lock);
    struct inode *inode = sock->inode;
    struct mount *mount = sock->mount;
    sock->inode = NULL;
    sock->mount = NULL;
    list_remove(&sock->name_node);
    spin_unlock(&unix_lock);
    if (!inode)
        return;
    mutex_lock(&inode->lock);
    if (inode->socket == sock)
        inode->socket = NULL;
    mutex_unlock(&inode->lock);
    inode_put(inode);
    mount_put(mount);
}

/* ---- Finding -------------------------------------------------------------------------------- */

static int find_path(const struct socket_address *address, struct unix_socket **out)
{
    char name[ABI_UNIX_PATH_MAX + 1];
    struct path path;

    copy_path(address, name);
    int err = path_walk(ABI_AT_FDCWD, name, WALK_FOLLOW, &path);
    if (err)
        return err;
    struct inode *inode = path.dentry->inode;
    *out = NULL;
    err = inode_permission(inode, 2);
    if (!err && (inode->mode & ABI_S_IFMT) == ABI_S_IFSOCK) {
        mutex_lock(&inode->lock);
        if (inode->socket)
            *out = unix_of(socket_get(&((struct unix_socket *)inode->socket)->base));
        mutex_unlock(&inode->lock);
    }
    path_put(&path);
    if (err)
        return err;
    return *out ? 0 : -ECONNREFUSED;
}

int unix_name_find(const struct socket_address *address, struct unix_socket **out)
{
    int err = check(address);
    if (err)
        return err;
    if (address->len == PATH_OFFSET)
        return -EINVAL;
    if (!is_abstract(address))
        return find_path(address, out);
    spin_lock(&unix_lock);
    struct unix_socket *sock = find_abstract(address, 0);
    if (sock)
        socket_get(&sock->base);
    spin_unlock(&unix_lock);
    *out = sock;
    return sock ? 0 : -ECONNREFUSED;
}

/* ---- getsockname(2), getpeername(2) --------------------------------------------------------------- */

int unix_name_get(struct socket *base, bool is_peer, struct socket_address *address)
{
    const struct unix_socket *sock = unix_of(base);
    int err = 0;

    spin_lock(&unix_lock);
    if (is_peer)
        sock = sock->peer;
    if (!sock) {
        err = -ENOTCONN;
    } else if (sock->name.len) {
        *address = sock->name;
    } else {
        address->family = ABI_AF_UNIX;
        address->len = sizeof(address->family);
    }
    spin_unlock(&unix_lock);
    return err;
}
