// SPDX-License-Identifier: MIT
/*
 * System calls that jump.
 *
 * The syscall instruction looks up an MSR, reloads segments and flags, and ends what an emulator could have
 * translated in one piece.  A program in ring 0 needs none of that: it can jump.  A call site that is used
 * often is changed, once:
 *
 *     site:  b8 27 00 00 00   mov $39, %eax          site:  e9 ...   jmp stub
 *            0f 05            syscall                       0f 05    syscall
 *            ...                                            ...
 *
 *     stub:  mov $39, %eax                     the instructions of the site, as they are
 *            lea site's next(%rip), %rcx       what the syscall instruction would leave there
 *            mov $patched_entry, %r11
 *            jmp *%r11                         trap_entry.S; it comes back by a jump to rcx
 *
 * Only the instruction that loads the number is replaced, which is at least as long as the jump, so every other
 * one is still where it was and may be jumped to; a restarted call goes on at the syscall instruction itself.
 * Never a call: it would push onto the application's red zone.
 *
 * Nobody sees the stub.  Until its lea it is the site's instructions byte by byte, so an interrupt at offset n
 * found the application at site + n (call_patch_settle(), before anything looks at the frame).  Behind that nothing
 * has happened but rcx and r11 being lost, as the syscall instruction does it, so there it found it right before
 * that.  Signal frames, restarts and single steps know only the site.
 *
 * A single step over the jump itself is one that the program does not make: it goes on to the next one.
 *
 * What is no such site: text that is not a private mapping of a file (JITs write theirs), an immediate that is not
 * the number that the call came with, or the tail of a longer instruction.  The flags are lost in a patched call:
 * the status flags, which no compiler keeps over one, and DF, which the ABI has clear.
 *
 * Stubs live in pages of the application half within reach of their sites, mapped read-only and shared by fork, so
 * the parent's and the child's take different places in them.  A place is never given back.  Those of the program are
 * right below its heap, where there is a gap (brk is random): profilers take the first mapping as the program, and
 * the heap must be able to grow.  Those of a library are above what mmap() gives: a page that the program has
 * unmapped must not be there again.  Only where that is out of reach they are below the library.
 */
#include "arch/x86_64/call_patch.h"

#include <string.h>

#include "abi/syscall_nr.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/options.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"
#include "lib/x86_length.h"

#define STUB_SIZE   32
#define NSTUBS      (PAGE_SIZE / STUB_SIZE)
#define TAIL_SIZE   17 /* lea, mov, jmp */
#define PREFIX_MAX  (STUB_SIZE - TAIL_SIZE)
#define JUMP_SIZE   5
#define BEFORE_MAX  3 /* bytes looked at before a site */
#define USUAL_AFTER 256

#define LOAD_SHORT      0xb8 /* mov $, %eax; the long form is mov $, %rax */
#define LOAD_SHORT_SIZE 5
#define LOAD_LONG_SIZE  7

struct stub_page {
    unsigned refcount; /* [a] address spaces that have it */
    unsigned nused;    /* [a] places given out, or more */
    uintptr_t start;   /* [i] where all of them have it mapped */
    struct pagecache *cache;
    struct frame *frame;
    struct {
        uintptr_t start;
        size_t size;
    } site[NSTUBS]; /* set before the site jumps there; as in struct call_site */
};

/* The bytes before a call's syscall instruction. */
struct call_site {
    uintptr_t start;           /* of the instruction that is replaced */
    size_t size;               /* from there to the syscall instruction */
    uintptr_t operand, branch; /* of is_tested_read(), else 0 */
    uintptr_t entry;           /* where the site's code in the page of stubs jumps to */
    uint8_t code[PREFIX_MAX];
};

struct call_count call_counts[CPUS_MAX][1 << CALL_COUNT_BITS];
uint32_t call_patch_limit = USUAL_AFTER * CALL_COUNT_HIT;
static bool is_off;

void call_patch_init(void)
{
    uint64_t after = option_number("patch_calls", USUAL_AFTER);
    is_off = !option_bool("patch_calls", true);
    call_patch_limit = (uint32_t)MIN(after, UINT32_MAX / CALL_COUNT_HIT / 2) * CALL_COUNT_HIT;
}

/* ---- What a site looks like ------------------------------------------------------------- */

static bool is_rip_relative(uint8_t modrm)
{
    return (modrm & 0xc7) == 0x05;
}

/* Whether an instruction means the same at another place, and is of the kind that prepares a call. */
static bool is_movable(const uint8_t *code, size_t n)
{
    uint8_t rex = (code[0] & 0xf0) == 0x40 ? code[0] : 0;
    if (rex) {
        code++;
        n--;
    }
    if ((code[0] & 0xf8) == 0xb8)
        return code[0] != 0xb8 || rex & 1; /* mov $, but not to rax */
    switch (code[0]) {
    case 0x31: /* xor */
    case 0x33:
    case 0x63: /* movsxd */
    case 0x80: /* and, or, xor ... $ */
    case 0x81:
    case 0x83:
    case 0x89: /* mov */
    case 0x8b:
    case 0x8d: /* lea */
        return n > 1 && !is_rip_relative(code[1]);
    default:
        return false;
    }
}

/* Whether an opcode is followed by ModRM and 32 bits of immediate: mov, add and its like, imul. */
static bool takes_value(uint8_t opcode)
{
    return opcode == 0xc7 || opcode == 0x81 || opcode == 0x69;
}

/* Whether the b8 at code may belong to the bytes before it: mov to r8d or ax, or an 8-bit displacement. */
static bool may_be_tail(const uint8_t *code)
{
    const uint8_t *before = code - BEFORE_MAX;
    bool is_prefixed = (before[2] & 0xf0) == 0x40 || before[2] == 0x66;
    bool is_displacement = takes_value(before[1]) && (before[2] & 0xc0) == 0x40;
    bool is_behind_sib = takes_value(before[0]) && (before[1] & 0xc7) == 0x44;
    return is_prefixed || is_displacement || is_behind_sib;
}

/* The length of mov $nr, %eax or mov $nr, %rax at code, or 0. */
static size_t number_load(const uint8_t *code, uint64_t nr)
{
    static const uint8_t long_form[] = { 0x48, 0xc7, 0xc0 };
    uint32_t value = (uint32_t)nr;
    if (code[0] == LOAD_SHORT && memcmp(code + 1, &value, 4) == 0 && !may_be_tail(code))
        return LOAD_SHORT_SIZE;
    if (memcmp(code, long_form, 3) == 0 && memcmp(code + 3, &value, 4) == 0)
        return LOAD_LONG_SIZE;
    return 0;
}

/* Whether the n bytes at code are whole instructions that can be moved. */
static bool are_movable(const uint8_t *code, size_t n)
{
    while (n > 0) {
        size_t length = x86_length(code, n);
        if (length == 0 || length > n || !is_movable(code, length))
            return false;
        code += length;
        n -= length;
    }
    return true;
}

/*
 * glibc's read() has its number by xor %eax, %eax, which is too short for a jump, in two places.  In one the jump
 * takes the place of mov 0x10(%rsp), %rsi, and what follows is moved; in the other that of
 * cmpb $0, __libc_single_threaded(%rip), so the stub has this and the je behind it in longer forms.
 */
static const uint8_t restored_read[] = { 0x48, 0x8b, 0x74, 0x24, 0x10, 0x41, 0x89,
                                         0xc0, 0x8b, 0x7c, 0x24, 0x08, 0x31, 0xc0 };
#define TESTED_READ_SIZE 11
#define TESTED_READ_STUB 15
#define TEST_SIZE        7
#define BRANCH_SIZE      2
#define BRANCH_STUB_SIZE 6

static bool is_tested_read(const uint8_t *code)
{
    return code[0] == 0x80 && code[1] == 0x3d && code[6] == 0 && code[7] == 0x74 &&
           code[9] == 0x31 && code[10] == 0xc0;
}

static size_t read_site(const uint8_t *end, uintptr_t instruction, struct call_site *site)
{
    const uint8_t *code = end - TESTED_READ_SIZE;
    int32_t distance;
    if (memcmp(end - sizeof(restored_read), restored_read, sizeof(restored_read)) == 0)
        return sizeof(restored_read);
    if (!is_tested_read(code))
        return 0;
    memcpy(&distance, code + 2, sizeof(distance));
    uintptr_t behind = instruction - TESTED_READ_SIZE + TEST_SIZE;
    site->operand = behind + (uintptr_t)(intptr_t)distance;
    site->branch = behind + BRANCH_SIZE + (uintptr_t)(intptr_t)(int8_t)code[TEST_SIZE + 1];
    return TESTED_READ_SIZE;
}

/* How many bytes before the syscall instruction make up the site, or 0. */
static size_t site_size(const uint8_t *end, uint64_t nr)
{
    for (size_t size = JUMP_SIZE; size <= PREFIX_MAX; size++) {
        size_t load = number_load(end - size, nr);
        if (load > 0 && load <= size && are_movable(end - size + load, size - load))
            return size;
    }
    return 0;
}

/*
 * Wrappers for any call get its number in a register.  In two of them the last instruction before the call is as
 * long as the jump: mov 8(%rsp), %r9 in glibc's syscall(3), and mov %r11, 8(%rsp) in musl's cancellation points.
 */
static size_t wrapper_size(const uint8_t *end)
{
    static const uint8_t glibc[] = { 0x4d, 0x89, 0xc8, 0x4c, 0x8b, 0x4c, 0x24, 0x08 },
                         musl[] = { 0x4c, 0x8b, 0x4c, 0x24, 0x10, 0x4c, 0x89, 0x5c, 0x24, 0x08 };
    bool is_one = memcmp(end - sizeof(glibc), glibc, sizeof(glibc)) == 0 ||
                  memcmp(end - sizeof(musl), musl, sizeof(musl)) == 0;
    return is_one ? JUMP_SIZE : 0;
}

/* The call that came with number nr by the instruction at `instruction`. */
static bool site_find(uintptr_t instruction, uint64_t nr, struct call_site *site)
{
    uint8_t code[BEFORE_MAX + PREFIX_MAX];
    const void *from = (const void *)(instruction - sizeof(code));
    if (instruction < APP_MIN + sizeof(code) || arch_app_copy(code, from, sizeof(code)) != 0)
        return false;
    const uint8_t *end = code + sizeof(code);
    *site = (struct call_site){ .entry = call_entry(nr) };
    size_t size = site_size(end, nr);
    if (size == 0 && nr == SYS_read)
        size = read_site(end, instruction, site);
    if (size == 0) {
        size = wrapper_size(end);
        site->entry = call_entry(SYSCALL_MAX);
    }
    site->start = instruction - size;
    site->size = size;
    memcpy(site->code, end - size, size);
    return size > 0 && site->start / PAGE_SIZE == (site->start + JUMP_SIZE - 1) / PAGE_SIZE;
}

/* ---- Stubs -------------------------------------------------------------------------------- */

static uint8_t *stub_code(const struct stub_page *page, size_t i)
{
    return (uint8_t *)frame_address(page->frame) + i * STUB_SIZE;
}

static void page_put(struct stub_page *page)
{
    if (__atomic_sub_fetch(&page->refcount, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    if (page->frame)
        frame_put(page->frame);
    if (page->cache)
        pagecache_put(page->cache);
    kfree(page);
}

static int page_map(struct vmspace *vm, struct stub_page *page, uintptr_t below)
{
    int err = pagecache_create(NULL, NULL, &page->cache);
    if (err)
        return err;
    pagecache_set_size(page->cache, PAGE_SIZE);
    err = pagecache_page(page->cache, 0, true, &page->frame);
    if (err)
        return err;
    return vmspace_map(vm,
                       &(struct vmspace_map_args){
                           .below = below,
                           .length = PAGE_SIZE,
                           .prot = ABI_PROT_READ | ABI_PROT_EXEC,
                           .max_prot = ABI_PROT_READ | ABI_PROT_EXEC,
                           .flags = ABI_MAP_PRIVATE,
                           .cache = page->cache,
                           .name = "[stubs]",
                       },
                       &page->start);
}

/* A new page of stubs below address in the given place of the list, or whoever's was there first. */
static struct stub_page *page_make(struct vmspace *vm, struct stub_page **place, uintptr_t address)
{
    struct stub_page *page = kzalloc(sizeof(*page), ALLOC_WAIT);
    if (!page)
        return NULL;
    page->refcount = 1;
    struct stub_page *found = NULL;
    if (page_map(vm, page, address) == 0 &&
        __atomic_compare_exchange_n(place, &found, page, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return page;
    if (page->start)
        (void)!vmspace_unmap(vm, page->start, PAGE_SIZE);
    page_put(page);
    return found;
}

static bool is_within_reach(uintptr_t a, uintptr_t b)
{
    int64_t distance = (int64_t)(a - b);
    return distance == (int32_t)distance;
}

static size_t copy_value(uint8_t *to, int64_t value)
{
    int32_t narrow = (int32_t)value;
    memcpy(to, &narrow, sizeof(narrow));
    return sizeof(narrow);
}

/* What stands before the tail; its size. */
static size_t prefix_write(uint8_t *code, uintptr_t stub, const struct call_site *site)
{
    memcpy(code, site->code, site->size);
    if (!site->operand)
        return site->size;
    copy_value(code + 2, (int64_t)(site->operand - (stub + TEST_SIZE)));
    code[TEST_SIZE] = 0x0f;
    code[TEST_SIZE + 1] = 0x84;
    copy_value(code + TEST_SIZE + 2,
               (int64_t)(site->branch - (stub + TEST_SIZE + BRANCH_STUB_SIZE)));
    memcpy(code + TEST_SIZE + BRANCH_STUB_SIZE, site->code + TEST_SIZE + BRANCH_SIZE,
           site->size - TEST_SIZE - BRANCH_SIZE);
    return TESTED_READ_STUB;
}

static void stub_write(uint8_t code[STUB_SIZE], uintptr_t stub, const struct call_site *site)
{
    static const uint8_t lea[] = { 0x48, 0x8d, 0x0d }, mov[] = { 0x49, 0xc7, 0xc3 },
                         jmp[] = { 0x41, 0xff, 0xe3 };
    memset(code, 0xcc, STUB_SIZE);
    size_t at = prefix_write(code, stub, site);
    memcpy(code + at, lea, sizeof(lea));
    at += sizeof(lea) + 4;
    copy_value(code + at - 4, (int64_t)(site->start + site->size + 2 - (stub + at)));
    memcpy(code + at, mov, sizeof(mov));
    at += sizeof(mov);
    at += copy_value(code + at, (int64_t)site->entry);
    memcpy(code + at, jmp, sizeof(jmp));
}

/* The stub for site in page: one that is there already, or a new one.  0: the page is full, or too far away. */
static uintptr_t stub_in(struct stub_page *page, const struct call_site *site)
{
    uint8_t code[STUB_SIZE];
    size_t nused = MIN(__atomic_load_n(&page->nused, __ATOMIC_ACQUIRE), NSTUBS);
    uintptr_t far = site->operand ? site->operand : site->start;
    if (!is_within_reach(page->start, site->start) || !is_within_reach(page->start, far) ||
        !is_within_reach(page->start + PAGE_SIZE, site->start))
        return 0;
    for (size_t i = 0; i < nused; i++) {
        stub_write(code, page->start + i * STUB_SIZE, site);
        if (memcmp(code, stub_code(page, i), STUB_SIZE) == 0)
            return page->start + i * STUB_SIZE;
    }
    size_t i = nused < NSTUBS ? __atomic_fetch_add(&page->nused, 1, __ATOMIC_ACQ_REL) : NSTUBS;
    if (i >= NSTUBS)
        return 0;
    page->site[i].start = site->start;
    page->site[i].size = site->size;
    stub_write(stub_code(page, i), page->start + i * STUB_SIZE, site);
    return page->start + i * STUB_SIZE;
}

/* The stub that pc is in, or NULL.  The application may have mapped something of its own there. */
static const uint8_t *stub_find(const struct stub_page *page, uintptr_t pc)
{
    size_t i = (pc - page->start) / STUB_SIZE;
    uint8_t there[STUB_SIZE];
    const uint8_t *code = stub_code(page, i);
    bool is_it = i < __atomic_load_n(&page->nused, __ATOMIC_ACQUIRE) &&
                 arch_app_copy(there, (const void *)(pc - pc % STUB_SIZE), STUB_SIZE) == 0 &&
                 memcmp(there, code, STUB_SIZE) == 0;
    return is_it ? code : NULL;
}

/* What the stubs for a site are to be below. */
static uintptr_t stub_limit(const struct vmspace *vm, uintptr_t site)
{
    uintptr_t limits[] = { ALIGN_DOWN(vm->brk_start, PAGE_SIZE),
                           vm->mmap_top + ARRAY_SIZE(vm->arch.stubs) * PAGE_SIZE };
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        if (site < limits[i] && is_within_reach(limits[i], site))
            return limits[i];
    return ALIGN_DOWN(site, PAGE_SIZE);
}

static uintptr_t stub_make(struct vmspace *vm, const struct call_site *site)
{
    uintptr_t stub = 0;
    for (size_t i = 0; i < ARRAY_SIZE(vm->arch.stubs) && !stub; i++) {
        struct stub_page **place = &vm->arch.stubs[i];
        struct stub_page *page = __atomic_load_n(place, __ATOMIC_ACQUIRE);
        if (!page)
            page = page_make(vm, place, stub_limit(vm, site->start));
        if (!page)
            break;
        stub = stub_in(page, site);
        if (stub && !stub_find(page, stub))
            return 0; /* it has unmapped the page */
    }
    return stub;
}

void arch_vmspace_copy(const struct vmspace *from, struct vmspace *child)
{
    for (size_t i = 0; i < ARRAY_SIZE(from->arch.stubs); i++) {
        struct stub_page *page = __atomic_load_n(&from->arch.stubs[i], __ATOMIC_ACQUIRE);
        if (page)
            __atomic_fetch_add(&page->refcount, 1, __ATOMIC_RELAXED);
        child->arch.stubs[i] = page;
    }
}

void arch_vmspace_release(struct vmspace *vm)
{
    for (size_t i = 0; i < ARRAY_SIZE(vm->arch.stubs); i++)
        if (vm->arch.stubs[i])
            page_put(vm->arch.stubs[i]);
}

/* ---- Patching ------------------------------------------------------------------------------ */

void call_patch(const struct regs *regs)
{
    struct vmspace *vm = thread_current()->vmspace;
    uint64_t nr = regs->orig_rax;
    struct call_site site;
    /* Unwinders know a signal's frame by the bytes of its restorer. */
    if (is_off || nr >= SYSCALL_MAX || !syscalls[nr].call || nr == SYS_rt_sigreturn ||
        !site_find(regs->rip - 2, nr, &site))
        return;
    uintptr_t stub = stub_make(vm, &site);
    if (!stub)
        return;
    uint8_t jump[JUMP_SIZE] = { 0xe9 };
    copy_value(jump + 1, (int64_t)(stub - (site.start + JUMP_SIZE)));
    /* Whatever keeps it from being patched, the call works as it is. */
    (void)!vmspace_patch(vm, site.start, site.code, jump, JUMP_SIZE);
}

/* Where in the site it is that far into the stub. */
static size_t offset_in_site(const uint8_t *code, size_t offset, size_t size)
{
    if (code[0] != 0x80) /* not is_tested_read(): the bytes are the site's */
        return MIN(offset, size);
    if (offset >= TESTED_READ_STUB)
        return size;
    return offset > TEST_SIZE ? offset - (BRANCH_STUB_SIZE - BRANCH_SIZE) : offset;
}

static bool settle_in(const struct stub_page *page, struct regs *regs, bool is_step)
{
    const uint8_t *code = stub_find(page, regs->rip);
    size_t offset = regs->rip % STUB_SIZE, i = (regs->rip - page->start) / STUB_SIZE;
    if (!code)
        return true;
    if (offset == 0 && is_step)
        return false;
    regs->rip = page->site[i].start + offset_in_site(code, offset, page->site[i].size);
    return true;
}

bool call_patch_settle(struct regs *regs, bool is_step)
{
    const struct vmspace *vm = thread_current()->vmspace;
    for (size_t i = 0; i < ARRAY_SIZE(vm->arch.stubs); i++) {
        const struct stub_page *page = __atomic_load_n(&vm->arch.stubs[i], __ATOMIC_ACQUIRE);
        if (!page)
            break;
        if (regs->rip - page->start < PAGE_SIZE)
            return settle_in(page, regs, is_step);
    }
    return true;
}
