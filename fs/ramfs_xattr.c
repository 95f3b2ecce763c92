// SPDX-License-Identifier: MIT
/*
 * Extended attributes of the RAM file system: a list hanging on the inode.
 *
 * Locking: inode->lock, held by the caller (fs/sys_xattr.c).
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/xattr.h"
#include "fs/ramfs.h"
#include "kernel/mm/heap.h"

struct xattr {
    struct list node;
    char *name;
    size_t size;
    unsigned char value[];
};

/* inode->xattrs. */
struct xattr_list {
    struct list entries;
};

static struct xattr *xattr_find(const struct inode *inode, const char *name)
{
    struct xattr_list *list = inode->xattrs;
    struct xattr *xattr;

    if (!list)
        return NULL;
    list_for_each (xattr, &list->entries, node) {
        if (strcmp(xattr->name, name) == 0)
            return xattr;
    }
    return NULL;
}

static void xattr_free(struct xattr *xattr)
{
    list_remove(&xattr->node);
    kfree(xattr->name);
    kfree(xattr);
}

static struct xattr *xattr_create(const char *name, const void *value, size_t size)
{
    struct xattr *xattr = kmalloc(sizeof(*xattr) + size, ALLOC_WAIT);

    if (!xattr)
        return NULL;
    xattr->name = kstrdup(name, ALLOC_WAIT);
    if (!xattr->name) {
        kfree(xattr);
        return NULL;
    }
    list_init(&xattr->node);
    xattr->size = size;
    if (size)
        memcpy(xattr->value, value, size);
    return xattr;
}

long ramfs_getxattr(struct inode *inode, const char *name, void *buf, size_t size)
{
    const struct xattr *xattr = xattr_find(inode, name);

    if (!xattr)
        return -ENODATA;
    if (size == 0)
        return (long)xattr->size;
    if (size < xattr->size)
        return -ERANGE;
    memcpy(buf, xattr->value, xattr->size);
    return (long)xattr->size;
}

static int list_make(struct inode *inode)
{
    struct xattr_list *list = inode->xattrs;

    if (list)
        return 0;
    list = kmalloc(sizeof(*list), ALLOC_WAIT);
    if (!list)
        return -ENOMEM;
    list_init(&list->entries);
    inode->xattrs = list;
    return 0;
}

int ramfs_setxattr(struct inode *inode, const char *name, const void *buf, size_t size, int flags)
{
    struct xattr *old = xattr_find(inode, name);
    struct xattr_list *list;

    if (old && flags & ABI_XATTR_CREATE)
        return -EEXIST;
    if (!old && (flags & ABI_XATTR_REPLACE || !buf))
        return -ENODATA;
    if (!buf) { /* removexattr */
        xattr_free(old);
        return 0;
    }
    int err = list_make(inode);
    if (err)
        return err;
    struct xattr *xattr = xattr_create(name, buf, size);
    if (!xattr)
        return -ENOMEM;
    if (old)
        xattr_free(old);
    list = inode->xattrs;
    list_push_back(&list->entries, &xattr->node);
    return 0;
}

long ramfs_listxattr(struct inode *inode, char *buf, size_t size)
{
    const struct xattr_list *list = inode->xattrs;
    const struct xattr *xattr;
    size_t used = 0;

    if (!list)
        return 0;
    list_for_each (xattr, &list->entries, node) {
        size_t len = strlen(xattr->name) + 1;
        if (size != 0) {
            if (len > size - used)
                return -ERANGE;
            memcpy(buf + used, xattr->name, len);
        }
        used += len;
    }
    return (long)used;
}

void ramfs_free_xattrs(struct inode *inode)
{
    struct xattr_list *list = inode->xattrs;
    struct xattr *xattr;
    struct xattr *following;

    if (!list)
        return;
    list_for_each_safe (xattr, following, &list->entries, node)
        xattr_free(xattr);
    kfree(list);
    inode->xattrs = NULL;
}
