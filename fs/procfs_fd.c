// SPDX-License-Identifier: MIT
/*
 * /proc/PID/fd and fdinfo, and the links that are places: exe, cwd, root.
 */
#include "abi/fcntl.h"
#include "fs/procfs_internal.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/map_source.h"
#include "kernel/process.h"
#include "kernel/thread_files.h"
#include "kernel/thread_fs.h"

#define PATH_BYTES 4096

/* ---- Places ------------------------------------------------------------------------- */

/* The text of a file's place, or of what it is instead of one. */
static int text_of_file(struct file *file, struct text *text)
{
    char *path = kmalloc(PATH_BYTES, ALLOC_WAIT);
    if (!path)
        return -ENOMEM;
    long len = map_source_path(file, path, PATH_BYTES);
    if (len >= 0)
        text_append(text, path, MIN((size_t)len, (size_t)PATH_BYTES - 1));
    kfree(path);
    return len < 0 ? (int)len : 0;
}

static int text_of_place(const struct path *place, struct text *text)
{
    char *path = kmalloc(PATH_BYTES, ALLOC_WAIT);
    if (!path)
        return -ENOMEM;
    long len = path_text(place, path, PATH_BYTES);
    if (len >= 0)
        text_append(text, path, (size_t)len);
    kfree(path);
    return len < 0 ? (int)len : 0;
}

int proc_link_exe(const struct pseudo_ref *ref, struct text *text)
{
    struct file *file = process_exe(ref->process);
    if (!file)
        return -ENOENT;
    int err = text_of_file(file, text);
    file_put(file);
    return err;
}

int proc_follow_exe(const struct pseudo_ref *ref, struct path *out)
{
    struct file *file = process_exe(ref->process);
    if (!file)
        return -ENOENT;
    int err = file_place(file, out);
    file_put(file);
    return err;
}

/* cwd or root of the process, with references.  -ENOENT: it is dead. */
static int context_place(const struct pseudo_ref *ref, bool is_root, struct path *out)
{
    struct thread *thread = proc_thread_of(ref);
    struct fs_context *fs = fs_of_thread(ref->process, thread);
    if (thread)
        thread_put(thread);
    if (!fs)
        return -ENOENT;
    spin_lock(&fs->lock);
    *out = is_root ? fs->root : fs->cwd;
    path_get(out);
    spin_unlock(&fs->lock);
    fs_context_put(fs);
    return 0;
}

static int context_text(const struct pseudo_ref *ref, bool is_root, struct text *text)
{
    struct path place;
    int err = context_place(ref, is_root, &place);
    if (err)
        return err;
    err = text_of_place(&place, text);
    path_put(&place);
    return err;
}

int proc_link_cwd(const struct pseudo_ref *ref, struct text *text)
{
    return context_text(ref, false, text);
}

int proc_follow_cwd(const struct pseudo_ref *ref, struct path *out)
{
    return context_place(ref, false, out);
}

int proc_link_root(const struct pseudo_ref *ref, struct text *text)
{
    return context_text(ref, true, text);
}

int proc_follow_root(const struct pseudo_ref *ref, struct path *out)
{
    return context_place(ref, true, out);
}

/* ---- Descriptors ------------------------------------------------------------------------ */

/* Of the thread whose directory has that number, with a reference; NULL: it is dead. */
static struct fdtable *files_of(struct process *process, long number)
{
    struct pseudo_ref directory = { .process = process, .number = number };
    struct thread *thread = proc_thread_of(&directory);
    struct fdtable *files = files_of_thread(process, thread);
    if (thread)
        thread_put(thread);
    return files;
}

/* The open file behind the entry, with a reference; NULL: it was closed. */
static struct file *fd_file(const struct pseudo_ref *ref)
{
    struct fdtable *files = files_of(ref->process, ref->thread);
    if (!files)
        return NULL;
    struct file *file = fdtable_file(files, (int)ref->number);
    fdtable_put(files);
    return file;
}

static int fd_link(const struct pseudo_ref *ref, struct text *text)
{
    struct file *file = fd_file(ref);
    if (!file)
        return -ENOENT;
    int err = text_of_file(file, text);
    file_put(file);
    return err;
}

static int fd_follow(const struct pseudo_ref *ref, struct path *out)
{
    struct file *file = fd_file(ref);
    if (!file)
        return -ENOENT;
    int err = file_place(file, out);
    file_put(file);
    return err;
}

static int fdinfo_show(const struct pseudo_ref *ref, struct text *text)
{
    struct file *file = fd_file(ref);
    if (!file)
        return -ENOENT;
    text_printf(text, "pos:\t%lld\nflags:\t0%o\nmnt_id:\t%d\nino:\t%llu\n",
                file->ops->seek ? (long long)file->position : 0LL, file->flags,
                file->path.mount ? file->path.mount->id : 0, (unsigned long long)file->inode->ino);
    if (file->ops->info)
        file->ops->info(file, text);
    struct fdtable *files = files_of(ref->process, ref->thread);
    int err = proc_locks_held(file, files, text);
    if (files)
        fdtable_put(files);
    file_put(file);
    return err;
}

static const struct pseudo_entry fd_entry = { .mode = ABI_S_IFLNK | 0700,
                                              .show = fd_link,
                                              .follow = fd_follow };
static const struct pseudo_entry fdinfo_entry = { .mode = PROC_FILE, .show = fdinfo_show };

static int find(const struct pseudo_ref *dir, const struct pseudo_entry *entry, const char *name,
                size_t len, struct pseudo_ref *child)
{
    long fd = pseudo_number(name, len);
    if (fd < 0 || fd > INT32_MAX)
        return -ENOENT;
    *child = (struct pseudo_ref){
        .entry = entry, .process = dir->process, .number = fd, .thread = dir->number
    };
    struct file *file = fd_file(child);
    if (!file)
        return -ENOENT;
    file_put(file);
    process_get(dir->process);
    return 0;
}

int proc_fd_find(const struct pseudo_ref *dir, const char *name, size_t len,
                 struct pseudo_ref *child)
{
    return find(dir, &fd_entry, name, len, child);
}

int proc_fdinfo_find(const struct pseudo_ref *dir, const char *name, size_t len,
                     struct pseudo_ref *child)
{
    return find(dir, &fdinfo_entry, name, len, child);
}

struct fd_search {
    long from, found;
};

static bool fd_visit(int fd, struct file *file, void *arg)
{
    struct fd_search *search = arg;
    if (fd < search->from)
        return true;
    search->found = fd;
    return false;
}

static long next(const struct pseudo_ref *dir, long from)
{
    struct fd_search search = { .from = from, .found = -1 };
    struct fdtable *files = files_of(dir->process, dir->number);
    if (!files)
        return -1;
    fdtable_for_each(files, fd_visit, &search);
    fdtable_put(files);
    return search.found;
}

long proc_fd_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry)
{
    *entry = &fd_entry;
    return next(dir, from);
}

long proc_fdinfo_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry)
{
    *entry = &fdinfo_entry;
    return next(dir, from);
}
