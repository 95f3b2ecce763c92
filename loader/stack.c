// SPDX-License-Identifier: MIT
/*
 * The stack that a program finds (System V ABI, AMD64 supplement, 3.4.1), downwards from its top:
 *
 *     8 zero bytes; the file's name; envp's strings; argv's strings
 *     "x86_64"; 16 random bytes (AT_RANDOM)
 *     the auxiliary vector; envp's pointers, NULL; argv's pointers, NULL; argc   <- sp, 16-byte aligned
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/entropy.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"
#include "kernel/usercopy.h"
#include "loader/exec.h"

#define STACK_RANDOM_BITS 22            /* 16 GiB */
#define STACK_SLACK       (128UL << 10) /* mapped below what is filled; it grows from there */
#define CLOCK_TICKS       100
#define AUXV_MAX          32

/* Words written one after the other through a small buffer. */
struct word_writer {
    struct vmspace *vm;
    uintptr_t address;
    size_t n;
    int err;
    uint64_t word[64];
};

static void words_flush(struct word_writer *writer)
{
    size_t size = writer->n * sizeof(writer->word[0]);
    if (!writer->err && size) {
        long n = vmspace_write(writer->vm, writer->address, writer->word, size);
        if (n != (long)size)
            writer->err = n < 0 ? (int)n : -EFAULT;
    }
    writer->address += size;
    writer->n = 0;
}

static void word_put(struct word_writer *writer, uint64_t word)
{
    if (writer->n == ARRAY_SIZE(writer->word))
        words_flush(writer);
    writer->word[writer->n++] = word;
}

/* ---- The auxiliary vector ------------------------------------------------------------- */

static unsigned auxv_add(struct exec *exec, unsigned n, uintptr_t type, uintptr_t value)
{
    if (n + 1 < AUXV_MAX) {
        uintptr_t *entry = exec->auxv + 2 * (size_t)n;
        entry[0] = type;
        entry[1] = value;
        n++;
    }
    return n;
}

/* How many pairs, the final AT_NULL included. */
static unsigned auxv_fill(struct exec *exec, uintptr_t vdso, uintptr_t random, uintptr_t platform,
                          uintptr_t name)
{
    const struct credentials *creds = &process_current()->creds;
    const struct program *program = &exec->program;
    const struct elf_image *image = &program->image;
    unsigned n = 0;
    memset(exec->auxv, 0, sizeof(exec->auxv));
    if (vdso)
        n = auxv_add(exec, n, ABI_AT_SYSINFO_EHDR, vdso);
    if (arch_call_entry())
        n = auxv_add(exec, n, ABI_AT_SYSINFO, arch_call_entry());
    n = auxv_add(exec, n, ABI_AT_MINSIGSTKSZ, arch_signal_frame_size());
    n = auxv_add(exec, n, ABI_AT_HWCAP, arch_hwcap());
    n = auxv_add(exec, n, ABI_AT_PAGESZ, PAGE_SIZE);
    n = auxv_add(exec, n, ABI_AT_CLKTCK, CLOCK_TICKS);
    n = auxv_add(exec, n, ABI_AT_PHDR, image->phdr_vaddr ? image->phdr_vaddr + program->bias : 0);
    n = auxv_add(exec, n, ABI_AT_PHENT, sizeof(struct abi_elf_segment));
    n = auxv_add(exec, n, ABI_AT_PHNUM, image->phnum);
    n = auxv_add(exec, n, ABI_AT_BASE, exec->interpreter.file ? exec->interpreter.bias : 0);
    n = auxv_add(exec, n, ABI_AT_FLAGS, 0);
    n = auxv_add(exec, n, ABI_AT_ENTRY, image->entry + program->bias);
    n = auxv_add(exec, n, ABI_AT_UID, creds->uid);
    n = auxv_add(exec, n, ABI_AT_EUID, exec->euid);
    n = auxv_add(exec, n, ABI_AT_GID, creds->gid);
    n = auxv_add(exec, n, ABI_AT_EGID, exec->egid);
    n = auxv_add(exec, n, ABI_AT_SECURE, exec->is_secure);
    n = auxv_add(exec, n, ABI_AT_RANDOM, random);
    n = auxv_add(exec, n, ABI_AT_HWCAP2, arch_hwcap2());
    n = auxv_add(exec, n, ABI_AT_EXECFN, name);
    n = auxv_add(exec, n, ABI_AT_PLATFORM, platform);
    return n + 1;
}

/* ---- The whole --------------------------------------------------------------------------- */

static int stack_map(struct exec *exec, uintptr_t top, size_t filled)
{
    const struct elf_image *image = &exec->program.image;
    size_t size = ALIGN_UP(filled, PAGE_SIZE) + STACK_SLACK;
    /* As Linux on x86-64: without PT_GNU_STACK the stack is not executable either. */
    unsigned exec_prot = image->wants_executable_stack ? ABI_PROT_EXEC : 0;
    uintptr_t where;
    return vmspace_map(exec->vm,
                       &(struct vmspace_map_args){
                           .address = top - size,
                           .length = size,
                           .prot = ABI_PROT_READ | ABI_PROT_WRITE | exec_prot,
                           .flags = ABI_MAP_PRIVATE | ABI_MAP_ANONYMOUS | ABI_MAP_GROWSDOWN |
                                    ABI_MAP_STACK | ABI_MAP_FIXED_NOREPLACE,
                           .name = "[stack]",
                       },
                       &where);
}

static uintptr_t pointers_put(struct word_writer *writer, struct strings_cursor *cursor,
                              size_t count, uintptr_t address)
{
    for (size_t i = 0; i < count; i++) {
        word_put(writer, address);
        address += strings_next(cursor);
    }
    word_put(writer, 0);
    return address;
}

static int bytes_write(struct exec *exec, uintptr_t address, const void *from, size_t len)
{
    long n = vmspace_write(exec->vm, address, from, len);
    if (n < 0)
        return (int)n;
    return (size_t)n == len ? 0 : -EFAULT;
}

static int words_write(struct exec *exec, unsigned nauxv)
{
    struct word_writer writer = { .vm = exec->vm, .address = exec->sp };
    struct strings_cursor cursor;
    size_t argc = strings_argc(&exec->strings);
    strings_cursor_init(&cursor, &exec->strings);
    word_put(&writer, argc);
    uintptr_t at = pointers_put(&writer, &cursor, argc, exec->arg_start);
    pointers_put(&writer, &cursor, exec->strings.envc, at);
    for (unsigned i = 0; i < 2 * nauxv; i++)
        word_put(&writer, exec->auxv[i]);
    words_flush(&writer);
    return writer.err;
}

int stack_build(struct exec *exec, uintptr_t vdso)
{
    static const char platform[] = "x86_64";
    uint8_t seed[16];
    size_t argc = strings_argc(&exec->strings);
    uintptr_t top = APP_MAX - random_pages(exec, STACK_RANDOM_BITS);
    size_t strings = strings_size(&exec->strings);

    exec->arg_start = top - 8 - strings;
    exec->arg_end = exec->arg_start + strings_args_size(&exec->strings);
    exec->env_start = exec->arg_end;
    exec->env_end = top - 8 - (strlen(exec->path) + 1);
    uintptr_t name_at = exec->env_end;
    uintptr_t platform_at = exec->arg_start - sizeof(platform);
    uintptr_t random_at = ALIGN_DOWN(platform_at - sizeof(seed), 16);
    unsigned nauxv = auxv_fill(exec, vdso, random_at, platform_at, name_at);
    size_t words = 1 + argc + 1 + exec->strings.envc + 1 + 2 * (size_t)nauxv;
    exec->sp = ALIGN_DOWN(random_at - words * sizeof(uint64_t), 16);

    int err = stack_map(exec, top, top - exec->sp);
    random_bytes(seed, sizeof(seed));
    if (!err)
        err = strings_write(&exec->strings, exec->vm, exec->arg_start);
    if (!err)
        err = bytes_write(exec, platform_at, platform, sizeof(platform));
    if (!err)
        err = bytes_write(exec, random_at, seed, sizeof(seed));
    return err ? err : words_write(exec, nauxv);
}
