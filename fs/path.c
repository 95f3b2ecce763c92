// SPDX-License-Identifier: MIT
/*
 * Places and their texts: struct path, path arguments of system calls, the absolute path of a
 * place, and the root and current directory of a process.
 */
#include <string.h>

#include "abi/fcntl.h"
#include "fs/dcache.h"
#include "fs/file.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "kernel/thread_fs.h"
#include "kernel/usercopy.h"

void path_get(const struct path *path)
{
    mount_get(path->mount);
    dentry_get(path->dentry);
}

void path_put(const struct path *path)
{
    dentry_put(path->dentry);
    mount_put(path->mount);
}

/* ---- Path arguments -------------------------------------------------------------- */

int path_name_init(struct path_name *name, const char __app *from)
{
    long len = string_from_app(name->inline_text, from, sizeof(name->inline_text));

    name->text = name->inline_text;
    if (likely(len >= 0))
        return 0;
    if (len != -ENAMETOOLONG)
        return (int)len;
    name->text = kmalloc(ABI_PATH_MAX, ALLOC_WAIT);
    if (!name->text)
        return -ENOMEM;
    len = string_from_app(name->text, from, ABI_PATH_MAX);
    if (len < 0) {
        kfree(name->text);
        return (int)len;
    }
    return 0;
}

void path_name_fini(struct path_name *name)
{
    if (name->text != name->inline_text)
        kfree(name->text);
}

/* ---- The text of a place ------------------------------------------------------------ */

/* Text that grows towards the front of a buffer. */
struct text_builder {
    char *start;
    char *begin;
};

static bool text_prepend(struct text_builder *text, const char *part, size_t len)
{
    if ((size_t)(text->begin - text->start) < len)
        return false;
    text->begin -= len;
    memcpy(text->begin, part, len);
    return true;
}

/* rename_lock held: names and parents stay.  marks: a place that is not below root is "(unreachable)". */
static bool path_prepend(struct text_builder *text, const struct path *path,
                         const struct path *root, bool marks)
{
    const struct mount *mount = path->mount;
    const struct dentry *dentry = path->dentry;
    bool is_empty = true;

    while (mount != root->mount || dentry != root->dentry) {
        if (dentry == mount->root) {
            if (!mount->mountpoint)
                break;
            dentry = mount->mountpoint;
            mount = mount->parent;
            continue;
        }
        if (dentry->parent == dentry)
            break;
        if (!text_prepend(text, dentry->name, dentry->name_len) || !text_prepend(text, "/", 1))
            return false;
        is_empty = false;
        dentry = dentry->parent;
    }
    if (is_empty && !text_prepend(text, "/", 1))
        return false;
    if (marks && (mount != root->mount || dentry != root->dentry)) {
        static const char unreachable[] = "(unreachable)";
        return text_prepend(text, unreachable, sizeof(unreachable) - 1);
    }
    return true;
}

/* A dentry without a tree: O_TMPFILE and anonymous inodes have only a name. */
static bool is_alone(const struct dentry *dentry)
{
    return dentry->parent == dentry && dentry->sb->root != dentry;
}

static long text_make(const struct path *path, char *buf, size_t size, bool marks)
{
    static const char deleted[] = " (deleted)";
    struct text_builder text = { .start = buf, .begin = buf + size };
    struct path root;
    bool fits;

    fs_context_get_root(&root);
    read_lock(&rename_lock);
    fits = text_prepend(&text, "", 1);
    if (path->dentry->is_unlinked || is_alone(path->dentry))
        fits = fits && text_prepend(&text, deleted, sizeof(deleted) - 1);
    if (is_alone(path->dentry))
        fits = fits && text_prepend(&text, path->dentry->name, path->dentry->name_len) &&
               text_prepend(&text, "/", 1);
    else
        fits = fits && path_prepend(&text, path, &root, marks);
    read_unlock(&rename_lock);
    path_put(&root);
    if (!fits)
        return -ENAMETOOLONG;
    size_t len = (size_t)(buf + size - text.begin);
    memmove(buf, text.begin, len);
    return (long)len - 1;
}

long path_text(const struct path *path, char *buf, size_t size)
{
    return text_make(path, buf, size, false);
}

long path_text_marked(const struct path *path, char *buf, size_t size)
{
    return text_make(path, buf, size, true);
}

/* ---- Root, current directory, umask --------------------------------------------------- */

static struct fs_context *fs_context_current(void)
{
    return thread_current()->process ? fs_current() : NULL;
}

static void context_get(const struct path *which, struct fs_context *fs, struct path *out)
{
    spin_lock(&fs->lock);
    *out = *which;
    path_get(out);
    spin_unlock(&fs->lock);
}

void fs_context_get_root(struct path *out)
{
    struct fs_context *fs = fs_context_current();

    if (likely(fs)) {
        context_get(&fs->root, fs, out);
        return;
    }
    *out = root_path;
    path_get(out);
}

void fs_context_get_cwd(struct path *out)
{
    struct fs_context *fs = fs_context_current();

    if (likely(fs)) {
        context_get(&fs->cwd, fs, out);
        return;
    }
    *out = root_path;
    path_get(out);
}

unsigned fs_context_umask(void)
{
    struct fs_context *fs = fs_context_current();

    return fs ? fs->umask : 0;
}

/* to's references are taken over. */
void fs_context_replace(struct path *which, struct fs_context *fs, const struct path *to)
{
    spin_lock(&fs->lock);
    struct path old = *which;
    *which = *to;
    spin_unlock(&fs->lock);
    path_put(&old);
}

static int context_create(const struct path *root, const struct path *cwd, unsigned umask,
                          struct fs_context **out)
{
    struct fs_context *fs = kzalloc(sizeof(*fs), ALLOC_WAIT);

    if (!fs) {
        path_put(root);
        path_put(cwd);
        return -ENOMEM;
    }
    fs->refcount = 1;
    spin_init(&fs->lock, RANK_FS_CONTEXT);
    fs->root = *root;
    fs->cwd = *cwd;
    fs->umask = umask;
    *out = fs;
    return 0;
}

int fs_context_create(struct fs_context **out)
{
    path_get(&root_path);
    path_get(&root_path);
    return context_create(&root_path, &root_path, 022, out);
}

int fs_context_copy(struct fs_context *from, struct fs_context **out)
{
    struct path root;
    struct path cwd;

    context_get(&from->root, from, &root);
    context_get(&from->cwd, from, &cwd);
    return context_create(&root, &cwd, from->umask, out);
}

struct fs_context *fs_context_get(struct fs_context *fs)
{
    __atomic_fetch_add(&fs->refcount, 1, __ATOMIC_RELAXED);
    return fs;
}

void fs_context_put(struct fs_context *fs)
{
    if (__atomic_sub_fetch(&fs->refcount, 1, __ATOMIC_ACQ_REL) != 0)
        return;
    path_put(&fs->root);
    path_put(&fs->cwd);
    kfree(fs);
}
