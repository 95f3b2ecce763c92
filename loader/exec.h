// SPDX-License-Identifier: MIT
#pragma once
/*
 * Starting programs: exec_open() finds the file, exec_prepare() builds the whole new address space without
 * touching the process, so every ordinary failure leaves it as it was; exec_commit() makes the switch, and
 * can only fail because the process is being ended meanwhile.
 */
#include "lib/elf_image.h"
#include "loader/strings.h"

struct file;
struct regs;

/* A file to be mapped. */
struct program {
    struct file *file;
    struct elf_image image;
    uintptr_t bias; /* what is added to its addresses */
};

struct exec {
    const char *name; /* what to open */
    const char *path; /* what the program and people are told: AT_EXECFN, comm */
    char *fd_path;    /* "/dev/fd/N/name" of execveat; kmalloc'ed */
    struct exec_strings strings;
    struct program program;
    struct program interpreter; /* file NULL: none */
    struct vmspace *vm;
    uintptr_t entry, sp;
    uintptr_t arg_start, arg_end, env_start, env_end;
    uintptr_t auxv[2 * 32];
    bool is_secure;      /* a set-user-id program: AT_SECURE */
    bool is_randomized;  /* the places of what is mapped vary */
    uint32_t euid, egid; /* that the program will have */
    char problem[256];   /* the sentence for people, when it cannot be started */
};

/* NULL: no memory.  Fill name and path before exec_open(), strings before exec_prepare(). */
struct exec *exec_create(void);
void exec_destroy(struct exec *exec);
/* Opens the file to run, a script perhaps; as on Linux its errors come before those of argv and envp.
 * flags: ABI_AT_EMPTY_PATH, ABI_AT_SYMLINK_NOFOLLOW.  -errno as execve(2). */
int exec_open(struct exec *exec, int dirfd, unsigned flags) __must_check;
int exec_prepare(struct exec *exec) __must_check;
/* The running process becomes the program; fills regs for arch_enter_app().  -EINTR. */
int exec_commit(struct exec *exec, struct regs *regs) __must_check;

/* ---- Between the files of loader/ ---- */

/* loader/program.c: goes from the opened file by its scripts to an ELF file, and opens its interpreter. */
int program_follow(struct exec *exec) __must_check;
/* loader/image.c: maps the program and its interpreter into exec->vm. */
int image_map(struct exec *exec) __must_check;
/* loader/stack.c: maps the stack and fills it. */
int stack_build(struct exec *exec, uintptr_t vdso) __must_check;
/* loader/vdso.c: makes the pages, once, before the first program; then maps them.  *base is the vDSO's
 * ELF header, or 0 if there is none. */
void vdso_init(void);
int vdso_map(struct vmspace *vm, uintptr_t *base) __must_check;
/* A random number of pages below 1 << bits, in bytes; 0 if nothing is random: exec->is_randomized. */
uintptr_t random_pages(const struct exec *exec, unsigned bits);
/* Notes why exec fails, once, and returns err. */
int exec_fail(struct exec *exec, int err, const char *format, ...) __printf(3, 4);
