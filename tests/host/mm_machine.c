// SPDX-License-Identifier: MIT
#include "tests/host/mm_machine.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/errno.h"
#include "abi/signal.h"
#include "arch/host/pagetable.h"
#include "kernel/entropy.h"
#include "kernel/log.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/oom.h"
#include "kernel/mutex.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/process.h"
#include "kernel/rlimit.h"
#include "kernel/rwlock.h"
#include "kernel/thread.h"
#include "kernel/wait.h"

#define MAP_ANON_PRIVATE 0x4022 /* the host's MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE */

struct percpu percpu_area[CPUS_MAX];
unsigned machine_kills;
uint64_t machine_limit[16];
static struct thread thread;
static struct process process = { .pid = 1, .comm = "test" };
static bool irq_enabled = true;
static char *ram;
static uint64_t ram_size;

/* ---- The machine -------------------------------------------------------------------- */

void machine_init_map(uint64_t ram_bytes, const struct boot_info *boot)
{
    if (ram)
        munmap(ram, ram_size);
    ram_size = ram_bytes;
    ram = mmap(NULL, ram_size, 3, MAP_ANON_PRIVATE, -1, 0);
    if (ram == MAP_FAILED)
        panic("no address space for %llu bytes of RAM", (unsigned long long)ram_size);
    for (unsigned i = 0; i < ARRAY_SIZE(machine_limit); i++)
        machine_limit[i] = LIMIT_INFINITY;
    machine_limit[LIMIT_STACK] = 8UL << 20;
    thread.process = &process;
    frame_init(boot);
    heap_init();
}

void machine_init(uint64_t ram_bytes)
{
    static struct boot_info boot;

    boot = (struct boot_info){ .nranges = 1, .range = { { 0, ram_bytes, BOOT_RAM } } };
    machine_init_map(ram_bytes, &boot);
}

uint64_t machine_touched(void)
{
    unsigned char *vec = malloc(ram_size / PAGE_SIZE);
    uint64_t bytes = 0;

    if (mincore(ram, ram_size, vec))
        panic("mincore");
    for (uint64_t i = 0; i < ram_size / PAGE_SIZE; i++)
        bytes += vec[i] & 1 ? PAGE_SIZE : 0;
    free(vec);
    return bytes;
}

void machine_use(struct vmspace *vm)
{
    thread.vmspace = vm;
    vmspace_activate(vm);
}

void *arch_direct_map(paddr_t paddr)
{
    if (paddr >= ram_size)
        panic("direct map of %#llx", (unsigned long long)paddr);
    return ram + paddr;
}

paddr_t arch_direct_paddr(const void *pointer)
{
    return (paddr_t)((const char *)pointer - ram);
}

struct thread *arch_current(void)
{
    return &thread;
}

struct percpu *arch_percpu(void)
{
    return &percpu_area[0];
}

unsigned arch_cpu_count(void)
{
    return 1;
}

void arch_call_on_cpus(uint64_t mask, void (*function)(void *), void *arg)
{
    if (!irq_enabled)
        panic("arch_call_on_cpus with interrupts off");
    if (mask & 1)
        function(arg);
}

unsigned long arch_irq_save(void)
{
    bool before = irq_enabled;
    irq_enabled = false;
    return before;
}

void arch_irq_restore(unsigned long flags)
{
    irq_enabled = flags;
}

bool arch_irq_enabled(void)
{
    return irq_enabled;
}

/* ---- Locks: the rank order is checked, nothing ever waits ------------------------------- */

static unsigned held_ranks[16], nheld;

static void rank_push(unsigned rank, bool is_tried)
{
    if (!is_tried && nheld > 0 && held_ranks[nheld - 1] >= rank)
        panic("lock of rank %u taken under rank %u", rank, held_ranks[nheld - 1]);
    held_ranks[nheld++] = rank;
}

static void rank_pop(unsigned rank)
{
    unsigned i = nheld;

    while (i > 0 && held_ranks[i - 1] != rank)
        i--;
    if (i == 0)
        panic("rank %u is not held", rank);
    memmove(&held_ranks[i - 1], &held_ranks[i], (nheld-- - i) * sizeof(held_ranks[0]));
}

void spin_lock(struct spinlock *lock)
{
    if (lock->held)
        panic("spinlock taken twice");
    rank_push(lock->rank, false);
    lock->held = 1;
}

void spin_unlock(struct spinlock *lock)
{
    rank_pop(lock->rank);
    lock->held = 0;
}

bool spin_is_held(const struct spinlock *lock)
{
    return lock->held;
}

void mutex_init(struct mutex *mutex, enum lock_rank rank)
{
    *mutex = (struct mutex){ .rank = rank };
}

void mutex_lock(struct mutex *mutex)
{
    if (mutex->owner || !irq_enabled)
        panic("mutex taken twice, or with interrupts off");
    rank_push(mutex->rank, false);
    mutex->owner = &thread;
}

bool mutex_try_lock(struct mutex *mutex)
{
    if (mutex->owner)
        return false;
    rank_push(mutex->rank, true);
    mutex->owner = &thread;
    return true;
}

void mutex_unlock(struct mutex *mutex)
{
    rank_pop(mutex->rank);
    mutex->owner = NULL;
}

bool mutex_is_held(const struct mutex *mutex)
{
    return mutex->owner == &thread;
}

void rwlock_init(struct rwlock *lock, enum lock_rank rank)
{
    *lock = (struct rwlock){ .rank = rank };
}

void read_lock(struct rwlock *lock)
{
    if (lock->writer || lock->nreaders)
        panic("rwlock taken twice");
    rank_push(lock->rank, false);
    lock->nreaders++;
}

void read_unlock(struct rwlock *lock)
{
    rank_pop(lock->rank);
    lock->nreaders--;
}

void write_lock(struct rwlock *lock)
{
    if (lock->writer || lock->nreaders)
        panic("rwlock taken twice");
    rank_push(lock->rank, false);
    lock->writer = &thread;
}

void write_unlock(struct rwlock *lock)
{
    rank_pop(lock->rank);
    lock->writer = NULL;
}

bool rwlock_is_written(const struct rwlock *lock)
{
    return lock->writer == &thread;
}

/* ---- The application's memory ------------------------------------------------------------ */

static int touch(uintptr_t address, unsigned access, paddr_t *paddr)
{
    struct fault_result result = { 0, 0 };

    if (nheld > 0 && held_ranks[nheld - 1] >= RANK_VMSPACE)
        panic("application memory touched under rank %u", held_ranks[nheld - 1]);
    for (unsigned tries = 0; tries < 4; tries++) {
        if (host_translate(&thread.vmspace->table, address, access | PT_READ, paddr) == 0)
            return 0;
        if (vmspace_fault(thread.vmspace, address, access, &result))
            return result.signo;
    }
    panic("page fault at %#lx is resolved again and again", (unsigned long)address);
}

int machine_read(uintptr_t address, unsigned char *value)
{
    paddr_t paddr;
    int signo = touch(address, PT_READ, &paddr);

    if (!signo)
        *value = *(unsigned char *)arch_direct_map(paddr);
    return signo;
}

int machine_write(uintptr_t address, unsigned char value)
{
    paddr_t paddr;
    int signo = touch(address, PT_WRITE, &paddr);

    if (!signo)
        *(unsigned char *)arch_direct_map(paddr) = value;
    return signo;
}

static bool is_app(const void *address)
{
    /* The tests' application addresses are small; the test's own are not. */
    return (uintptr_t)address < 1UL << 40;
}

size_t arch_app_copy(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char byte;
        const unsigned char *source = (const unsigned char *)from + i;
        unsigned char *target = (unsigned char *)to + i;
        if (is_app(source) ? machine_read((uintptr_t)source, &byte) : (byte = *source, 0))
            return n - i;
        if (is_app(target) ? machine_write((uintptr_t)target, byte) : (*target = byte, 0))
            return n - i;
    }
    return 0;
}

size_t arch_app_zero(void *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (machine_write((uintptr_t)to + i, 0))
            return n - i;
    return 0;
}

int arch_app_load32(uint32_t *value, const uint32_t *address)
{
    return arch_app_copy(value, address, sizeof(*value)) ? -EFAULT : 0;
}

int arch_app_cmpxchg32(uint32_t *address, uint32_t expected, uint32_t desired, uint32_t *seen)
{
    if (arch_app_load32(seen, address))
        return -EFAULT;
    return *seen == expected && arch_app_copy(address, &desired, sizeof(desired)) ? -EFAULT : 0;
}

/* ---- The rest of the kernel ----------------------------------------------------------------- */

void panic(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

void log_write(enum log_level level, const char *format, ...)
{
}

void sched_check(void)
{
    if (nheld > 0 && held_ranks[nheld - 1] > RANK_VMSPACE_TABLE)
        panic("sched_check under a spinlock");
}

/* Nobody else reclaims. */

void wake_all(struct wait_queue *queue)
{
    (void)queue;
}

void wait_begin(struct wait_queue *queue, struct waiter *waiter)
{
    (void)queue, (void)waiter;
    panic("the only thread waits");
}

int wait_sleep(struct waiter *waiter, nsec_t deadline, enum wait_ends ends)
{
    (void)waiter, (void)deadline, (void)ends;
    return -EINTR;
}

void wait_end(struct wait_queue *queue, struct waiter *waiter)
{
    (void)queue, (void)waiter;
}

bool process_is_randomized(bool is_secure)
{
    (void)is_secure;
    return true;
}

uint64_t random64(void)
{
    return ((uint64_t)random() << 32) ^ (uint64_t)random();
}

uint64_t rlimit_current(int resource)
{
    return machine_limit[resource];
}

bool signal_is_fatal_pending(void)
{
    return false;
}

/* There is one process, and it is the victim. */
int oom_wait(void)
{
    machine_kills++;
    return -ENOMEM;
}

void oom_memory_freed(const struct vmspace *vm)
{
}

struct file *file_get(struct file *file)
{
    return file;
}

void file_put(struct file *file)
{
}
