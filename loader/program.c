// SPDX-License-Identifier: MIT
/*
 * Finding what to run: from the name over its scripts to an ELF file and that file's interpreter.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/fcntl.h"
#include "abi/mount.h"
#include "fs/file.h"
#include "kernel/mm/heap.h"
#include "loader/exec.h"
#include "loader/script.h"

#define SCRIPT_DEPTH_MAX 5
#define MASK_EXECUTE     1

/* ---- Opening ------------------------------------------------------------------------ */

/* What follows a file's name in a sentence. */
static const char *open_problem(int err)
{
    switch (err) {
    case -ENOENT:
        return "is not in the image; bring it with --add, or put it into the folder of --root";
    case -ENOTDIR:
        return "is not in the image: a part of its path is not a folder";
    case -ELOOP:
        return "is a symbolic link that leads nowhere but to symbolic links";
    case -ENAMETOOLONG:
        return "has too long a name";
    case -EACCES:
        return "is in a folder that this user may not enter; change its mode, or give another "
               "--user";
    case -ETXTBSY:
        return "is open for writing; it can run when the writer has closed it";
    case -ENOMEM:
        return "cannot be opened: there is not enough memory; give more with -m";
    default:
        return "cannot be read";
    }
}

/* *problem is set if the answer is not 0. */
static int place_check(const struct path *place, const char **problem)
{
    struct inode *inode = place->dentry->inode;
    unsigned kind = inode->mode & ABI_S_IFMT;
    if (kind != ABI_S_IFREG)
        *problem = kind == ABI_S_IFDIR ? "is a folder, not a program"
                                       : "is not a file but a device, a pipe or a socket";
    else if (place->mount && (place->mount->flags & ABI_MS_NOEXEC))
        *problem = "is on a file system that is mounted noexec; keep programs elsewhere";
    else if (!(inode->mode & 0111))
        *problem = "is not executable; make it so with chmod +x";
    else if (inode_permission(inode, MASK_EXECUTE))
        *problem = "is not executable for this user; change its mode, or give another --user";
    else
        return 0;
    return -EACCES;
}

/* Opens a place to run it: execute permission is what counts, and that nobody writes to it. */
static int place_open(struct path *place, struct file **out, const char **problem)
{
    int err = place_check(place, problem);
    if (!err) {
        err = file_open_path(place, ABI_O_RDONLY, out);
        *problem = open_problem(err);
    }
    path_put(place);
    if (err)
        return err;
    err = file_begin_program(*out);
    if (err) {
        *problem = open_problem(err);
        file_put(*out);
        *out = NULL;
    }
    return err;
}

static int name_open(int dirfd, const char *name, unsigned flags, struct file **out,
                     const char **problem)
{
    struct path place;
    int err = path_walk(dirfd, name, flags & ABI_AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW, &place);
    *problem = open_problem(err);
    if (err)
        return err;
    if ((place.dentry->inode->mode & ABI_S_IFMT) == ABI_S_IFLNK) {
        path_put(&place);
        *problem = open_problem(-ELOOP);
        return -ELOOP;
    }
    return place_open(&place, out, problem);
}

static int descriptor_open(int fd, struct file **out, const char **problem)
{
    struct path place;
    struct file *file = fd_get_raw(fd);
    *problem = "is no open descriptor";
    if (!file)
        return -EBADF;
    int err = file_place(file, &place);
    file_put(file);
    return err ? err : place_open(&place, out, problem);
}

/* ---- Headers ---------------------------------------------------------------------------- */

static int problem_report(struct exec *exec, const char *name, enum elf_problem problem,
                          const struct elf_image *image)
{
    const char *machine = elf_machine_name(image->machine);
    if (problem == ELF_WRONG_MACHINE && machine)
        return exec_fail(exec, -ENOEXEC, "%s is a program for %s; only x86-64 programs can run",
                         name, machine);
    return exec_fail(exec, -ENOEXEC, "%s %s", name, elf_problem_text(problem));
}

/* Parses the ELF headers of program->file, whose first len bytes are in head. */
static int image_read(struct exec *exec, struct program *program, const char *name,
                      const char *head, size_t len)
{
    struct elf_image *image = &program->image;
    enum elf_problem problem = elf_image_parse_header(head, len, image);
    if (problem)
        return problem_report(exec, name, problem, image);
    size_t size = image->phnum * sizeof(struct abi_elf_segment);
    void *headers = kmalloc(size, ALLOC_WAIT);
    if (!headers)
        return -ENOMEM;
    long n = file_read_kernel(program->file, headers, size, (int64_t)image->phoff);
    if (n >= 0)
        problem = elf_image_parse_segments(headers, (size_t)n, program->file->inode->size, image);
    kfree(headers);
    if (n < 0)
        return exec_fail(exec, (int)n, "%s cannot be read", name);
    if (problem)
        return problem_report(exec, name, problem, image);
    if (!program->file->inode->cache)
        return exec_fail(exec, -EACCES, "%s is on a file system that cannot be mapped", name);
    return 0;
}

/* ---- The ELF interpreter ---------------------------------------------------------------------- */

static int interpreter_name(struct exec *exec, char **out)
{
    const struct elf_image *image = &exec->program.image;
    size_t size = image->interpreter_size;
    char *name = kmalloc(size, ALLOC_WAIT);
    if (!name)
        return -ENOMEM;
    long n = file_read_kernel(exec->program.file, name, size, (int64_t)image->interpreter_offset);
    if (n == (long)size && name[size - 1] == '\0') {
        *out = name;
        return 0;
    }
    kfree(name);
    return n < 0 ? (int)n : problem_report(exec, exec->path, ELF_BAD_INTERPRETER, image);
}

static int interpreter_read(struct exec *exec, const char *name)
{
    char head[sizeof(struct abi_elf_header)];
    const char *problem;
    int err = name_open(ABI_AT_FDCWD, name, 0, &exec->interpreter.file, &problem);
    if (err)
        return exec_fail(exec, err, "%s needs %s, which %s", exec->path, name, problem);
    long len = file_read_kernel(exec->interpreter.file, head, sizeof(head), 0);
    if (len < 0)
        return (int)len;
    err = image_read(exec, &exec->interpreter, name, head, (size_t)len);
    return err == -ENOEXEC ? -ELIBBAD : err;
}

static int interpreter_open(struct exec *exec)
{
    char *name = NULL;
    if (!exec->program.image.interpreter_size)
        return 0;
    int err = interpreter_name(exec, &name);
    if (err)
        return err;
    err = interpreter_read(exec, name);
    kfree(name);
    return err;
}

/* ---- Scripts ------------------------------------------------------------------------------------- */

/* The start of exec->program.file in head. */
static int head_read(struct exec *exec, const char *name, char *head, size_t *len)
{
    long n = file_read_kernel(exec->program.file, head, SCRIPT_LINE_MAX - 1, 0);
    if (n < 0)
        return exec_fail(exec, (int)n, "%s cannot be read", name);
    *len = (size_t)n;
    return 0;
}

/* From a script, which exec->program.file is, to its interpreter. */
static int step_open(struct exec *exec, const char *name, char *head, size_t *len)
{
    const char *problem;
    struct file *file;
    int err = name_open(ABI_AT_FDCWD, name, 0, &file, &problem);
    if (err)
        return exec_fail(exec, err, "%s is a script for %s, which %s", exec->path, name, problem);
    file_put(exec->program.file);
    exec->program.file = file;
    return head_read(exec, name, head, len);
}

/* Replaces *name, the script, by its interpreter's name (kmalloc'ed; *owned is freed). */
static int script_follow(struct exec *exec, char *head, size_t len, const char **name, char **owned)
{
    char *interpreter, *argument;
    const char *script = *owned ? *name : exec->path;
    if (script_parse(head, len, &interpreter, &argument))
        return exec_fail(exec, -ENOEXEC, "%s begins with #! but names no interpreter", script);
    int err = strings_prepend(&exec->strings, interpreter, argument, script);
    char *copy = err ? NULL : kstrdup(interpreter, ALLOC_WAIT);
    if (!copy)
        return err ? err : -ENOMEM;
    kfree(*owned);
    *owned = copy;
    *name = copy;
    return 0;
}

static int scripts_follow(struct exec *exec, char **owned)
{
    const char *name = exec->name;
    char head[SCRIPT_LINE_MAX];
    size_t len = 0;
    int err = head_read(exec, exec->path, head, &len);
    if (err)
        return err;
    for (unsigned depth = 0; len >= 2 && head[0] == '#' && head[1] == '!'; depth++) {
        if (depth == SCRIPT_DEPTH_MAX)
            return exec_fail(
                exec, -ELOOP,
                "%s is the last of too many scripts that are each other's interpreters",
                exec->path);
        err = script_follow(exec, head, len, &name, owned);
        if (!err)
            err = step_open(exec, name, head, &len);
        if (err)
            return err;
    }
    return image_read(exec, &exec->program, *owned ? name : exec->path, head, len);
}

int exec_open(struct exec *exec, int dirfd, unsigned flags)
{
    const char *problem;
    int err = flags & ABI_AT_EMPTY_PATH && !*exec->name
                  ? descriptor_open(dirfd, &exec->program.file, &problem)
                  : name_open(dirfd, exec->name, flags, &exec->program.file, &problem);
    return err ? exec_fail(exec, err, "%s %s", exec->path, problem) : 0;
}

int program_follow(struct exec *exec)
{
    char *owned = NULL;
    int err = scripts_follow(exec, &owned);
    kfree(owned);
    return err ? err : interpreter_open(exec);
}
