// SPDX-License-Identifier: MIT
#include "tests/host/fs_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "abi/errno.h"
#include "fs/devfs.h"
#include "fs/epoll.h"
#include "fs/inotify.h"
#include "fs/memfd.h"
#include "fs/pipe.h"
#include "fs/vfs.h"
#include "kernel/boot_info.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/percpu.h"
#include "kernel/rlimit.h"
#include "kernel/thread.h"

#define MAP_ANON_PRIVATE 0x4022 /* the host's MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE */
#define BAD_BELOW        65536

/* Gives way to the real thing in a test that links it. */
#define REPLACEABLE __attribute__((weak))

struct percpu percpu_area[CPUS_MAX];
struct process world_process = { .pid = 1, .comm = "test", .nthreads = 1 };
uint64_t world_limit[16];
unsigned world_signals;
char world_control[1024];
REPLACEABLE unsigned inotify_nwatches;
REPLACEABLE unsigned long pipe_max_size;
static struct thread thread;
static char *ram;
static uint64_t ram_size;
static bool irq_enabled = true;
static unsigned held_ranks[32], nheld;

void world_init(uint64_t ram_bytes)
{
    static struct boot_info boot;

    ram_size = ram_bytes;
    ram = mmap(NULL, ram_size, 3, MAP_ANON_PRIVATE, -1, 0);
    boot = (struct boot_info){ .nranges = 1, .range = { { 0, ram_bytes, BOOT_RAM } } };
    boot.nmodules = 1;
    boot.module[0] = (struct boot_module){ .start = ram_bytes / 2, .size = ram_bytes / 4 };
    for (unsigned i = 0; i < ARRAY_SIZE(world_limit); i++)
        world_limit[i] = LIMIT_INFINITY;
    world_limit[LIMIT_NOFILE] = 1024;
    frame_init(&boot);
    heap_init();
    vfs_init();
    mutex_init(&world_process.lock, RANK_EXEC);
    world_process.nthreads = 1;
    world_process.creds.cap_effective = ~0ULL;
    world_process.creds.cap_permitted = ~0ULL;
    if (fdtable_create(&world_process.files) || fs_context_create(&world_process.fs))
        panic("no memory");
    thread.process = &world_process;
    thread.vmspace = (struct vmspace *)ram; /* there is one; nothing looks into it */
}

void *world_ram(uint64_t paddr)
{
    return ram + paddr;
}

void world_check_idle(void)
{
    if (nheld > 0 || !irq_enabled)
        panic("a lock of rank %u is still held", held_ranks[nheld - 1]);
}

/* ---- The machine ------------------------------------------------------------------------ */

void *arch_direct_map(paddr_t paddr)
{
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

void arch_pause(void)
{
}

/* Strings are read in blocks, beyond their end, as the real one does; so not under ASan's eyes. */
__attribute__((no_sanitize("address"))) size_t arch_app_copy(void *to, const void *from, size_t n)
{
    volatile char *target = to;
    const volatile char *source = from;

    if (nheld > 0 && held_ranks[nheld - 1] >= RANK_VMSPACE)
        panic("application memory touched under rank %u", held_ranks[nheld - 1]);
    if ((uintptr_t)to < BAD_BELOW || (uintptr_t)from < BAD_BELOW)
        return n;
    for (size_t i = 0; i < n; i++)
        target[i] = source[i];
    return 0;
}

size_t arch_app_zero(void *to, size_t n)
{
    if ((uintptr_t)to < BAD_BELOW)
        return n;
    memset(to, 0, n);
    return 0;
}

int arch_app_load32(uint32_t *value, const uint32_t *address)
{
    return arch_app_copy(value, address, sizeof(*value)) ? -EFAULT : 0;
}

int arch_app_cmpxchg32(uint32_t *address, uint32_t expected, uint32_t desired, uint32_t *seen)
{
    return -EFAULT;
}

/* ---- Locks ---------------------------------------------------------------------------------- */

static void rank_push(unsigned rank)
{
    unsigned top = nheld > 0 ? held_ranks[nheld - 1] : 0;

    if (nheld > 0 && (top > rank || (top == rank && rank != RANK_INODE)))
        panic("lock of rank %u taken under rank %u", rank, top);
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
    rank_push(lock->rank);
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
    if (mutex->owner)
        panic("mutex of rank %u taken twice", mutex->rank);
    rank_push(mutex->rank);
    mutex->owner = &thread;
}

bool mutex_try_lock(struct mutex *mutex)
{
    if (mutex->owner)
        return false;
    mutex_lock(mutex);
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
    rank_push(lock->rank);
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
    rank_push(lock->rank);
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

/* ---- Waiting: nobody else would wake us ---------------------------------------------------------- */

void wait_queue_init(struct wait_queue *queue)
{
    *queue = (struct wait_queue)WAIT_QUEUE_INIT(*queue);
}

void wake_all(struct wait_queue *queue)
{
}

void wake_one(struct wait_queue *queue)
{
}

void wait_begin(struct wait_queue *queue, struct waiter *waiter)
{
}

int wait_sleep(struct waiter *waiter, nsec_t deadline, enum wait_ends ends)
{
    world_check_idle();
    return -EINTR;
}

void wait_end(struct wait_queue *queue, struct waiter *waiter)
{
}

REPLACEABLE void poll_watch(struct poll_head *head, struct poll_watcher *watcher)
{
}

REPLACEABLE void poll_unwatch(struct poll_watcher *watcher)
{
}

/* ---- The rest of the kernel ----------------------------------------------------------------------- */

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

REPLACEABLE void console_control(const char *format, ...)
{
    size_t len = strlen(world_control);
    va_list args;

    va_start(args, format);
    int added = vsnprintf(world_control + len, sizeof(world_control) - len - 1, format, args);
    va_end(args);
    if (added > 0)
        strcat(world_control, "\n");
}

REPLACEABLE void control_register(const char *word, bool (*handle)(const char *rest))
{
}

void sched_check(void)
{
}

void sched_yield(void)
{
}

bool option_bool(const char *name, bool otherwise)
{
    return otherwise;
}

uint64_t rlimit_current(int resource)
{
    return world_limit[resource];
}

bool signal_is_fatal_pending(void)
{
    return false;
}

int signal_send_thread(struct thread *target, int signo, const struct abi_siginfo *info)
{
    world_signals++;
    return 0;
}

int signal_send_process(struct process *target, int signo, const struct abi_siginfo *info)
{
    world_signals++;
    return 0;
}

/* There are no other processes here. */
struct process *process_find(int pid)
{
    return NULL;
}

struct process *process_of_tid(int tid)
{
    return NULL;
}

void process_put(struct process *process)
{
    abort();
}

void process_for_each(bool (*visit)(struct process *process, void *arg), void *arg)
{
}

void thread_put(struct thread *other)
{
}

struct thread *thread_find(int tid)
{
    return NULL;
}

__attribute__((weak)) struct thread *thread_create_kernel(const char *name,
                                                          void (*function)(void *), void *arg)
{
    return NULL;
}

REPLACEABLE void thread_start(struct thread *other)
{
    abort();
}

nsec_t clock_realtime(void)
{
    static nsec_t now = 1000000 * NSEC_PER_SEC;

    return now += NSEC_PER_USEC;
}

struct abi_timespec timespec_from_nsec(nsec_t nsec)
{
    return (struct abi_timespec){ .tv_sec = nsec / NSEC_PER_SEC, .tv_nsec = nsec % NSEC_PER_SEC };
}

struct process *process_of_current(void)
{
    return &world_process;
}

void vmspace_unmap_cache(struct pagecache *cache, uint64_t first, uint64_t end, bool copies_too)
{
}

bool vmspace_try_unmap_page(struct pagecache *cache, uint64_t index)
{
    return true;
}

bool vmspace_test_young_page(struct pagecache *cache, uint64_t index, uint64_t *cpus)
{
    return false;
}

void arch_tlb_flush(uint64_t mask, uintptr_t start, uintptr_t end)
{
}

void vmspace_clean_cache(struct pagecache *cache, uint64_t index)
{
}

/* ---- The file objects that are not under test ------------------------------------------------------- */

const struct file_ops *device_file_ops(unsigned mode, uint64_t rdev)
{
    return NULL;
}

REPLACEABLE int fifo_open(struct inode *inode, struct file *file)
{
    return -ENXIO;
}

REPLACEABLE bool file_is_pipe(const struct file *file)
{
    return false;
}

REPLACEABLE long pipe_set_size(struct file *file, unsigned long size)
{
    return -EBADF;
}

REPLACEABLE long pipe_get_size(struct file *file)
{
    return -EBADF;
}

REPLACEABLE void epoll_file_detach(struct file *file)
{
}

REPLACEABLE void inotify_report(struct inode *dir, struct inode *inode, const char *name,
                                unsigned mask, unsigned cookie)
{
}

REPLACEABLE void inotify_report_file(struct file *file, unsigned mask)
{
}

REPLACEABLE void inotify_superblock_ends(struct superblock *sb)
{
}

REPLACEABLE void inotify_report_dentry(struct dentry *dentry, unsigned mask)
{
}

REPLACEABLE long dnotify_set(struct file *file, int fd, const struct fdtable *table,
                             unsigned events)
{
    return -EINVAL;
}

REPLACEABLE void dnotify_end(struct file *file, const struct fdtable *table)
{
}

REPLACEABLE unsigned inotify_next_cookie(void)
{
    return 1;
}

REPLACEABLE int memfd_add_seals(struct file *file, unsigned seals)
{
    return -EINVAL;
}

REPLACEABLE long memfd_get_seals(struct file *file)
{
    return -EINVAL;
}
