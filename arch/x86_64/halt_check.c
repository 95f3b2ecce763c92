// SPDX-License-Identifier: MIT
/*
 * The application's hlt.
 *
 * In ring 3 hlt faults, and programs use it as a trap: musl's a_crash(), glibc's last resort in abort().  In ring
 * 0 it waits for the next interrupt and goes on.  So when an interrupt finds the application right behind a byte
 * f4, this decides whether that was a hlt: most such bytes end a longer instruction.  Proof is decoding forward
 * from the start of the function, which the module's unwind table (.eh_frame_hdr, LSB 4.1, 11.6) gives.  Who jumps
 * to the instruction behind a hlt is found there as well (glibc's _exit() does), so a function with such a jump
 * proves nothing.  Without a proof nothing happens.
 */
#include "arch/x86_64/halt_check.h"

#include <stddef.h>
#include <string.h>

#include "abi/elf.h"
#include "abi/signal.h"
#include "arch/x86_64/offsets.h"
#include "kernel/mm/vmspace.h"
#include "kernel/signal.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"
#include "lib/x86_length.h"

#define HLT            0xf4
#define FUNCTION_MAX   8192 /* longer functions are not decoded */
#define HEADERS_MAX    64
#define TABLE_ENCODING 0x3b /* DW_EH_PE_datarel | DW_EH_PE_sdata4 */
#define COUNT_ENCODING 0x03 /* DW_EH_PE_udata4 */

struct search {
    uintptr_t pc;
    const struct file *file;
    uintptr_t base; /* where the module's first page is mapped */
    bool is_found;
};

struct unwind_header {
    uint8_t version, pointer_encoding, count_encoding, table_encoding;
    int32_t pointer;
    uint32_t count;
};

struct unwind_entry {
    int32_t start, description;
};

struct unwind_function {
    uint32_t size;
    int32_t common;
    int32_t start;
    uint32_t length;
};

static bool find_file(const struct mapping *mapping, void *arg)
{
    struct search *search = arg;
    if (search->pc < mapping->start || search->pc >= mapping->end)
        return true;
    search->file = mapping->file;
    return false;
}

static bool find_base(const struct mapping *mapping, void *arg)
{
    struct search *search = arg;
    if (mapping->file != search->file || mapping->offset != 0)
        return true;
    search->base = mapping->start;
    search->is_found = true;
    return false;
}

static int read_app(void *to, uintptr_t from, size_t n)
{
    return copy_from_app(to, (const void __app *)from, n);
}

/* The address of the module's .eh_frame_hdr, or 0. */
static uintptr_t unwind_table(uintptr_t base)
{
    struct abi_elf_header header;
    struct abi_elf_segment segment;
    uintptr_t bias = 0, table = 0;
    bool has_bias = false;
    if (read_app(&header, base, sizeof(header)) || header.phentsize != sizeof(segment))
        return 0;
    for (unsigned i = 0; i < header.phnum && i < HEADERS_MAX; i++) {
        if (read_app(&segment, base + header.phoff + i * sizeof(segment), sizeof(segment)))
            return 0;
        if (segment.type == ABI_PT_LOAD && !has_bias) {
            bias = base - ALIGN_DOWN(segment.vaddr, PAGE_SIZE);
            has_bias = true;
        }
        if (segment.type == ABI_PT_GNU_EH_FRAME)
            table = segment.vaddr;
    }
    return table && has_bias ? table + bias : 0;
}

/* The end of the function at start, from its description in .eh_frame (LSB 4.1, 10.6.1.2), or 0.  Only the form
 * in which compilers write it for this machine: 32 bits relative to where they stand. */
static uintptr_t function_end(uintptr_t description, uintptr_t start)
{
    struct unwind_function function;
    if (read_app(&function, description, sizeof(function)))
        return 0;
    uintptr_t at = description + offsetof(struct unwind_function, start);
    bool is_it = at + (uintptr_t)(intptr_t)function.start == start;
    return is_it ? start + function.length : 0;
}

/* The last function at or before pc; its start, or 0. */
static uintptr_t function_find(uintptr_t table, uintptr_t pc, uintptr_t *end)
{
    struct unwind_header header;
    struct unwind_entry entry;
    if (read_app(&header, table, sizeof(header)) || header.version != 1 ||
        header.count_encoding != COUNT_ENCODING || header.table_encoding != TABLE_ENCODING)
        return 0;
    uintptr_t found = 0, description = 0, entries = table + sizeof(header);
    for (uint32_t low = 0, high = header.count; low < high;) {
        uint32_t middle = low + (high - low) / 2;
        if (read_app(&entry, entries + middle * sizeof(entry), sizeof(entry)))
            return 0;
        uintptr_t start = table + (uintptr_t)(intptr_t)entry.start;
        if (start <= pc) {
            found = start;
            description = table + (uintptr_t)(intptr_t)entry.description;
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *end = found ? function_end(description, found) : 0;
    return found;
}

/* Where the n bytes at code, which stand at address, may jump by themselves; 0: they do not. */
static uintptr_t jump_target(const uint8_t *code, size_t n, uintptr_t address)
{
    bool is_near = code[0] == 0xe9 || (code[0] == 0x0f && (code[1] & 0xf0) == 0x80);
    bool is_short = code[0] == 0xeb || (code[0] & 0xf0) == 0x70 || (code[0] & 0xfc) == 0xe0;
    int32_t distance = 0;
    if (is_near)
        memcpy(&distance, code + n - sizeof(distance), sizeof(distance));
    else if (is_short)
        distance = (int8_t)code[n - 1];
    else
        return 0;
    return address + n + (uintptr_t)(intptr_t)distance;
}

/*
 * Decodes from *at until end, in steps, so that the buffer stays small.  False: that cannot be decoded, or an
 * instruction jumps to target.
 */
static bool has_no_jump(uintptr_t *at, uintptr_t end, uintptr_t target)
{
    uint8_t code[X86_LENGTH_MAX];
    while (*at < end) {
        if (read_app(code, *at, sizeof(code)))
            return false;
        size_t n = x86_length(code, sizeof(code));
        if (n == 0 || jump_target(code, n, *at) == target)
            return false;
        *at += n;
    }
    return true;
}

/* Whether a function is seen to reach the hlt at pc, and to come behind it in no other way. */
static bool is_proven(uintptr_t start, uintptr_t pc, uintptr_t end)
{
    uintptr_t at = start;
    return pc < end && end - start <= FUNCTION_MAX && has_no_jump(&at, pc, pc + 1) && at == pc &&
           has_no_jump(&at, end, pc + 1);
}

bool halt_is_suspected(const struct regs *regs)
{
    uint8_t byte = 0;
    if (regs->rip - 1 >= APP_MAX)
        return false;
    return arch_app_copy(&byte, (const void *)(regs->rip - 1), 1) == 0 && byte == HLT;
}

void halt_check(const struct regs *regs)
{
    struct search search = { .pc = regs->rip - 1 };
    struct vmspace *vm = thread_current()->vmspace;
    vmspace_for_each(vm, find_file, &search);
    if (!search.file)
        return;
    vmspace_for_each(vm, find_base, &search);
    uintptr_t table = search.is_found ? unwind_table(search.base) : 0;
    uintptr_t end = 0;
    uintptr_t start = table ? function_find(table, search.pc, &end) : 0;
    if (start == 0 || !is_proven(start, search.pc, end))
        return;
    struct thread *thread = thread_current();
    thread->arch.trap_number = VECTOR_PROTECTION; /* what ring 3 would have raised */
    thread->arch.trap_error = 0;
    signal_force_fault(ABI_SIGSEGV, ABI_SI_KERNEL, 0);
}
