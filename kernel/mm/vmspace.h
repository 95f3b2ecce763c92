// SPDX-License-Identifier: MIT
#pragma once
/*
 * Address spaces: a tree of mappings and a page table.
 *
 * vmspace->lock (rwlock, RANK_VMSPACE): faults read it, changes write it.  Page-table entries change
 * under vmspace->table_lock.  Kernel threads never dereference application addresses; another
 * address space is reached by vmspace_read, vmspace_write and vmspace_pin.
 *
 * prot and flags are those of mmap(2) (abi/mman.h).
 */
#include "abi/mman.h"
#include "arch/arch.h"
#include "kernel/mm/pagecache.h"
#include "kernel/rwlock.h"
#include "lib/rbtree.h"

struct file;
struct map_object;

/* [v] vmspace->lock  [p] cache->lock  [vp] both to change, either to read */
struct mapping {
    struct rb_node node;    /* [v] vmspace->mappings by start */
    struct list cache_node; /* [p] cache->mappings */
    struct vmspace *vmspace;
    uintptr_t start, end; /* [vp] [start, end), page aligned */
    unsigned prot;        /* [v] ABI_PROT_* */
    unsigned max_prot;    /* what mprotect may set */
    unsigned
        flags; /* [v] ABI_MAP_SHARED | PRIVATE | GROWSDOWN | STACK | NORESERVE ...; MAPPING_* */
    struct pagecache *cache;   /* NULL: anonymous private */
    uint64_t offset;           /* [vp] bytes into cache, of start */
    struct file *file;         /* for /proc/PID/maps; NULL if none */
    struct map_object *object; /* [i] counts its mappings: kernel/mm/map_object.h; NULL if none */
    const char *name;          /* "[heap]", "[stack]", "[vdso]": static text, or NULL */
    unsigned nfaults;          /* [a] about: for the choice of page size */
};

#define MAPPING_DONTFORK (1u << 28)
#define MAPPING_WIPEFORK (1u << 29)
#define MAPPING_DONTDUMP (1u << 30)
#define MAPPING_NOHUGE   (1u << 31)
#define MAPPING_FLAGS    (MAPPING_DONTFORK | MAPPING_WIPEFORK | MAPPING_DONTDUMP | MAPPING_NOHUGE)

struct vmspace;

/* Something of a higher layer that lives and dies with an address space. */
struct vmspace_attachment {
    /* The last reference is gone; the mappings are still there. */
    void (*release)(struct vmspace_attachment *attachment);
};

struct vmspace {
    unsigned refcount; /* [a] users of the memory */
    unsigned nholders; /* [a] of the struct alone; all users together are one */
    struct rwlock lock;
    struct rb_tree mappings; /* [v] */
    unsigned nmappings;      /* [v] */
    struct mutex table_lock; /* RANK_VMSPACE_TABLE */
    struct arch_pagetable table;
    uint64_t loaded_cpus; /* [a] bit n: CPU n has the table loaded */
    uint64_t active_cpus; /* [a] and runs a thread of it: TLB flushes interrupt it */
    uint64_t flushes_begun, flushes_done; /* [a] for the CPUs that do not: vmspace_rest() */
    uintptr_t mmap_top;                   /* [i] where the search for room begins, downwards */
    uintptr_t brk_start, brk_end;         /* [v] */
    uint64_t mapped_bytes;                /* [v] RLIMIT_AS */
    uint64_t locked_bytes;                /* [v] mlock */
    uint64_t resident_pages;              /* [a] */
    uint64_t peak_resident_pages;
    uint64_t data_bytes, stack_bytes, exec_bytes, shared_bytes; /* [v] for /proc */
    uint64_t peak_mapped_bytes;                                 /* [v] */
    uintptr_t search_from;          /* [v] no room of more than search_skipped bytes from here up */
    size_t search_skipped;          /* [v] */
    unsigned lock_future;           /* [v] ABI_MCL_* of mlockall for mappings to come */
    unsigned membarrier;            /* [a] registered commands (membarrier(2)) */
    struct vmspace_attachment *aio; /* [a] set once: fs/aio.c */
    struct arch_vmspace arch;       /* [v] */
};

extern unsigned long vmspace_mappings_max; /* [a] Linux's vm.max_map_count */

/* is_randomized: a random mmap_top (ASLR). */
int vmspace_create(bool is_randomized, struct vmspace **out) __must_check;
/* fork: copy-on-write of everything but MAPPING_DONTFORK. */
int vmspace_fork(struct vmspace *from, struct vmspace **out) __must_check;
struct vmspace *vmspace_get(struct vmspace *vm);
void vmspace_put(struct vmspace *vm);
/* For those who may outlive the memory: what is held is only the struct, for vmspace_try_get(). */
struct vmspace *vmspace_hold(struct vmspace *vm);
void vmspace_drop(struct vmspace *vm);
/* A reference; false: the memory is gone. */
bool vmspace_try_get(struct vmspace *vm) __must_check;
/* Loads the table on this CPU if it is not (NULL: the kernel's).  Scheduler only, for every switch to
 * a thread that has a vmspace. */
void vmspace_activate(struct vmspace *vm);
/* The other switches: the table stays loaded, but flushes pass this CPU by until the next
 * vmspace_activate() catches up. */
void vmspace_rest(void);

struct vmspace_map_args {
    uintptr_t address; /* hint, or the place with ABI_MAP_FIXED */
    uintptr_t below;   /* not 0: instead, the highest room in the GiB below it */
    size_t length;     /* rounded up to pages */
    unsigned prot, flags;
    unsigned max_prot; /* 0: everything */
    struct pagecache
        *cache;        /* a reference is taken; NULL: anonymous (shared ones get a cache here) */
    struct file *file; /* a reference is taken */
    uint64_t offset;
    const char *name;
    struct map_object *object;
};
/* The address in *out.  -EINVAL, -ENOMEM, -EEXIST (MAP_FIXED_NOREPLACE), -EPERM, -EOVERFLOW. */
int vmspace_map(struct vmspace *vm, const struct vmspace_map_args *wanted,
                uintptr_t *out) __must_check;
int vmspace_unmap(struct vmspace *vm, uintptr_t address, size_t length) __must_check;
int vmspace_protect(struct vmspace *vm, uintptr_t address, size_t length,
                    unsigned prot) __must_check;

/* mremap(2): *address is the old place, then the new one.  Lengths in whole pages.  -errno as there. */
int vmspace_remap(struct vmspace *vm, uintptr_t *address, size_t old_length, size_t new_length,
                  unsigned flags, uintptr_t new_address) __must_check;
/* brk(2): the end of the heap as it is then.  The loader sets brk_start and brk_end. */
uintptr_t vmspace_brk(struct vmspace *vm, uintptr_t wanted);

/* A page fault.  access: PT_READ, PT_WRITE or PT_EXEC.  0: resolved, try again.  Else a
 * signal: fills signo and code. -EFAULT.  Out of memory: the process has been sent SIGKILL (kernel/mm/oom.c)
 * and signo is that too.  Counts the fault for the running process. */
struct fault_result {
    int signo;
    int code;
};
int vmspace_fault(struct vmspace *vm, uintptr_t address, unsigned access,
                  struct fault_result *result) __must_check;

/* Copies between the kernel and any address space (current or not); bytes copied or -EFAULT. */
long vmspace_read(struct vmspace *vm, uintptr_t address, void *buf, size_t len);
long vmspace_write(struct vmspace *vm, uintptr_t address, const void *buf, size_t len);
/* The same for a debugger: also where the application itself must not read, and into its private text. */
long vmspace_force(struct vmspace *vm, uintptr_t address, void *buf, size_t len, bool write);
/* Brings in the page of address and takes a reference on its frame.  -EFAULT, -ENOMEM. */
int vmspace_pin(struct vmspace *vm, uintptr_t address, bool write, struct frame **out) __must_check;
/* Puts n bytes in place of the expected ones in the text of a private file mapping, whoever may be executing it:
 * another copy of the page takes its place at once.  They must not cross pages.  -EINVAL: that is no such text;
 * -EAGAIN: it is not there, or other bytes are; -ENOMEM. */
int vmspace_patch(struct vmspace *vm, uintptr_t address, const void *expected, const void *bytes,
                  size_t n) __must_check;
/* For futexes on shared memory: (cache, page index) if the mapping at address is shared, with a
 * reference on cache; 0 with *cache NULL if private.  -EFAULT. */
int vmspace_shared_key(struct vmspace *vm, uintptr_t address, struct pagecache **cache,
                       uint64_t *index) __must_check;
/* Called by the page cache with cache->lock held: unmap pages [first, end) of cache everywhere, and
 * what private mappings made of them if copies_too. */
void vmspace_unmap_cache(struct pagecache *cache, uint64_t first, uint64_t end, bool copies_too);
/* The same for reclaim, of one page: false if a lock is not free (it may be the caller's own). */
bool vmspace_try_unmap_page(struct pagecache *cache, uint64_t index) __must_check;
/* Whether a page table says that the page was used since the last such question, or cannot be looked at now.  A
 * processor goes on using what its TLB has without saying so: the caller flushes those of *cpus, which are added to. */
bool vmspace_test_young_page(struct pagecache *cache, uint64_t index, uint64_t *cpus);
/* Makes one page of cache read-only everywhere, so that the next store faults. */
void vmspace_clean_cache(struct pagecache *cache, uint64_t index);

/* Visits the mappings in order of address, lock held for reading; stops on false (/proc/PID/maps). */
void vmspace_for_each(struct vmspace *vm, bool (*visit)(const struct mapping *mapping, void *arg),
                      void *arg);
/* Whether all of [start, end) is mapped: 0 or -ENOMEM. */
int vmspace_check_mapped(struct vmspace *vm, uintptr_t start, uintptr_t end) __must_check;
/* Resident pages of a range, for /proc: the next of [*address, end), up to max of them, in order.  How many; *address
 * is where to go on, and end or more when there is nothing left. */
struct vmspace_page {
    uintptr_t address;
    size_t size; /* bytes from address on */
    paddr_t paddr;
    unsigned nsharers; /* page tables that have it, at least 1 */
    bool has_cache;    /* of a file, or shared */
    bool is_dirty, is_accessed;
};
unsigned vmspace_look(struct vmspace *vm, uintptr_t *address, uintptr_t end,
                      struct vmspace_page *pages, unsigned max);
/* Whether there are any. */
bool vmspace_has_resident(struct vmspace *vm, uintptr_t start, uintptr_t end);
