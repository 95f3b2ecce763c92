// SPDX-License-Identifier: MIT
/*
 * What the log says when a signal kills a program that did not expect it: Linux's line ("node[1]:
 * segfault at 0 ip ... sp ... in libc.so.6[...]"), the registers, and where each file is mapped, so that
 * the tool can turn the addresses into names.
 */
#include <string.h>

#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/map_source.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"
#include "lib/format.h"

#define MODULES_MAX 64
#define STACK_WORDS 512 /* looked at for return addresses */
#define CALLERS_MAX 24

struct module {
    uintptr_t start, end;
    struct file *file;
};

/* The files mapped, each with the span of its mappings, in order of address.  The files stay: the
 * process is here, and a mapping that another thread removes now keeps its struct file until the
 * reference taken in modules_collect() is put. */
struct modules {
    unsigned count;
    struct module module[MODULES_MAX];
};

static bool module_add(const struct mapping *mapping, void *arg)
{
    struct modules *modules = arg;
    if (!mapping->file)
        return true;
    struct module *last = modules->count ? &modules->module[modules->count - 1] : NULL;
    if (last && last->file == mapping->file) {
        last->end = mapping->end;
        return true;
    }
    if (modules->count == MODULES_MAX)
        return false;
    modules->module[modules->count++] = (struct module){
        .start = mapping->start - mapping->offset,
        .end = mapping->end,
        .file = file_get(mapping->file),
    };
    return true;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *signal_words(int signo)
{
    switch (signo) {
    case ABI_SIGSEGV:
        return "segfault";
    case ABI_SIGBUS:
        return "bus error";
    case ABI_SIGILL:
        return "trap invalid opcode";
    case ABI_SIGFPE:
        return "trap divide error";
    case ABI_SIGTRAP:
        return "trap int3";
    case ABI_SIGABRT:
        return "aborted";
    case ABI_SIGSYS:
        return "bad system call";
    default:
        return "killed by a signal";
    }
}

/* " in libc.so.6[7f..+195000]", or "". */
static void place_text(const struct modules *modules, uintptr_t pc, char *buf, size_t size)
{
    char path[128];
    buf[0] = '\0';
    for (unsigned i = 0; i < modules->count; i++) {
        const struct module *module = &modules->module[i];
        if (pc < module->start || pc >= module->end)
            continue;
        if (map_source_path(module->file, path, sizeof(path)) < 0)
            return;
        format_string(buf, size, " in %s[%lx+%lx]", base_name(path), module->start,
                      module->end - module->start);
        return;
    }
}

static void modules_print(const struct modules *modules)
{
    char path[256];
    for (unsigned i = 0; i < modules->count; i++) {
        const struct module *module = &modules->module[i];
        if (map_source_path(module->file, path, sizeof(path)) >= 0)
            log_error("module %lx-%lx %s", module->start, module->end, path);
    }
}

static bool is_in_module(const struct modules *modules, uintptr_t address)
{
    for (unsigned i = 0; i < modules->count; i++) {
        if (address >= modules->module[i].start + 8 && address < modules->module[i].end)
            return true;
    }
    return false;
}

/* Programs have no frame pointers to follow: what on the stack looks like a return address is shown. */
static void callers_print(const struct modules *modules, uintptr_t sp)
{
    unsigned nshown = 0;
    for (unsigned i = 0; i < STACK_WORDS && nshown < CALLERS_MAX; i++) {
        uintptr_t word;
        uint8_t before[8];
        if (copy_from_app(&word, (const void __app *)(sp + i * sizeof(word)), sizeof(word)))
            return;
        if (!is_in_module(modules, word) ||
            copy_from_app(before, (const void __app *)(word - sizeof(before)), sizeof(before)) ||
            !arch_follows_call(before))
            continue;
        log_error("called from %016lx", word);
        nshown++;
    }
}

static void modules_free(struct modules *modules)
{
    for (unsigned i = 0; i < modules->count; i++)
        file_put(modules->module[i].file);
    kfree(modules);
}

/* Raised by the program's own fault or abort(), not by somebody's kill. */
static bool is_a_crash(int signo, const struct abi_siginfo *info)
{
    return signo == ABI_SIGABRT || info->si_code > 0;
}

void signal_report_crash(int signo, const struct abi_siginfo *info, const struct regs *regs)
{
    static const struct modules none;
    struct thread *thread = thread_current();
    char place[160];
    if (!is_a_crash(signo, info))
        return;
    struct modules *modules = kzalloc(sizeof(*modules), ALLOC_WAIT);
    if (modules && thread->vmspace)
        vmspace_for_each(thread->vmspace, module_add, modules);
    place_text(modules ? modules : &none, arch_regs_pc(regs), place, sizeof(place));
    log_error("%s[%d]: %s at %lx ip %016lx sp %016lx signal %d%s", thread->name, thread->tid,
              signal_words(signo), signo == ABI_SIGABRT ? 0UL : (unsigned long)info->fault.si_addr,
              arch_regs_pc(regs), arch_regs_sp(regs), signo, place);
    arch_regs_print(regs);
    if (!modules)
        return;
    callers_print(modules, arch_regs_sp(regs));
    modules_print(modules);
    modules_free(modules);
}
