// SPDX-License-Identifier: MIT
#pragma once
/*
 * THE CONTRACT: every function that generic code may ask of a machine.
 *
 * arch/x86_64 implements it for the guest, arch/host inside a Linux process for
 * the unit tests.  What has to be inline stands in the machine's own
 * arch_inline.h, found by the include path of the build (the one exception to
 * "one include root"):
 *
 *   struct regs                     the application's registers, as saved at entry
 *   struct arch_thread              the machine's part of a thread
 *   unsigned long arch_irq_save(void)         interrupts off; returns the state before
 *   void arch_irq_restore(unsigned long)
 *   void arch_irq_enable(void), arch_irq_disable(void)
 *   bool arch_irq_enabled(void)
 *   void arch_pause(void)                     a spin loop's body
 *   struct thread *arch_current(void)         the running thread
 *   struct percpu *arch_percpu(void)          valid only with interrupts off or while
 *                                             the kernel runs (it is not preempted),
 *                                             until the next sleep
 */
#include "arch_inline.h"
#include "lib/compiler.h"

struct boot_info;
struct firmware_info;
struct percpu;
struct thread;
struct vmspace;

#define PAGE_SHIFT 12
#undef PAGE_SIZE /* <limits.h> has one without a type */
#define PAGE_SIZE       4096UL
#define LARGE_PAGE_SIZE 0x200000UL

/* Application half: [APP_MIN, APP_MAX).  Page 0 and the last page are never mapped. */
#define APP_MIN 0x1000UL
#define APP_MAX 0x7ffffffff000UL

/* ---- Start and stop ------------------------------------------------------ */

/* Descriptor tables, CPU features, the boot CPU's per-CPU area.  No allocation. */
void arch_init_early(void);
/* Interrupt controllers and clocks, once memory works. */
void arch_init(const struct boot_info *boot);
/* Starts the other CPUs; each enters cpu_start_secondary() of kernel/smp.c. */
void arch_smp_start(void);
/* Ends the machine; status goes to whatever channel the machine has for it. */
__noreturn void arch_power_off(int status);
__noreturn void arch_reset(void);
/* Stops this CPU for good, interrupts off. */
__noreturn void arch_halt(void);
/* panic() only: asks all other CPUs to stop for good (NMI), whatever they do; does not wait. */
void arch_stop_other_cpus(void);

/* ---- CPUs ---------------------------------------------------------------- */

unsigned arch_cpu_count(void); /* CPUs that have come up */
/* Interrupts on and halted until the next one, atomically; returns with them off. */
void arch_idle(void);
/* Makes cpu look at its need_resched flag. */
void arch_send_reschedule(unsigned cpu);
/* Runs function(arg) with interrupts off on each CPU of mask (bit n: CPU n), the
 * caller's own included, and returns when all have.  Interrupts must be on. */
void arch_call_on_cpus(uint64_t mask, void (*function)(void *), void *arg);

/* ---- Time ---------------------------------------------------------------- */

nsec_t arch_clock_ns(void);         /* monotonic, since boot, the same on all CPUs */
const char *arch_clock_name(void);  /* as Linux names such a clock */
nsec_t arch_realtime_at_boot(void); /* CLOCK_REALTIME minus arch_clock_ns() */
/* One timer_interrupt() (kernel/timer.c) on this CPU at deadline; DEADLINE_NONE cancels. */
void arch_timer_set(nsec_t deadline);

/* ---- Interrupts of devices ----------------------------------------------- */

typedef void (*irq_handler)(void *arg); /* interrupt level: must not sleep */
/* A message-signalled interrupt to cpu: fills what the device must write.  Vector or -errno. */
int arch_msi_alloc(unsigned cpu, irq_handler handler, void *arg, uint64_t *address, uint32_t *data);
uint64_t arch_msi_address(unsigned cpu); /* the address alone: for another CPU than before */
void arch_msi_free(int vector);
/* A wired interrupt (ACPI global system interrupt number), shared with others if need be.  0 or
 * -errno (-ENODEV: no such line).  A level-triggered one must be silenced by its handler. */
int arch_irq_connect(unsigned gsi, bool level, bool active_low, irq_handler handler,
                     void *arg) __must_check;
/* The global system interrupt behind an ISA interrupt line, and its electrical nature. */
/* The rows of /proc/interrupts: the devices' vectors, then what processors send themselves and each other.  False:
 * there are no more.  An empty label: this one is not in use. */
struct arch_irq_row {
    char label[8];
    const char *description;
};
bool arch_irq_row(unsigned row, struct arch_irq_row *out) __must_check;
uint64_t arch_irq_count(unsigned row, unsigned cpu);
unsigned arch_isa_irq(unsigned irq, bool *level, bool *active_low);

/* What the firmware's tables say about the machine (lib/firmware_info.h); after arch_init(). */
const struct firmware_info *arch_firmware(void);

/* ---- Threads ------------------------------------------------------------- */

/* A kernel thread that begins in function(arg) on thread's own kernel stack, with
 * interrupts off and the run queue of the CPU as arch_switch() left it. */
void arch_thread_init(struct thread *thread, void (*function)(void *), void *arg);
/* Vector state and TLS of an application thread; copies parent's unless it is NULL.  -ENOMEM. */
int arch_thread_init_app(struct thread *thread, const struct thread *parent) __must_check;
void arch_thread_fini(struct thread *thread);
/* Saves the running thread and continues next; returns when somebody switches
 * back.  Returns the thread that ran before (it is off the CPU now).  Interrupts off. */
struct thread *arch_switch(struct thread *previous, struct thread *next);
/* Goes to the application with regs; never returns.  Used once a thread, and by execve.
 * Looks for signals and rescheduling first, as every return to the application does. */
__noreturn void arch_enter_app(const struct regs *regs);
/* Vector state to its initial value, TLS to 0 (execve). */
void arch_thread_reset_app(struct thread *thread);
/* The registers a thread entered the kernel with; NULL for kernel threads. */
struct regs *arch_thread_regs(struct thread *thread);
uintptr_t arch_tls_get(struct thread *thread);
void arch_tls_set(struct thread *thread, uintptr_t base);

/* ---- The application's registers ------------------------------------------ */

/* A fresh program: everything zero but the program counter and the stack pointer. */
void arch_regs_init(struct regs *regs, uintptr_t pc, uintptr_t sp);
uintptr_t arch_regs_pc(const struct regs *regs);
void arch_regs_set_pc(struct regs *regs, uintptr_t pc);
uintptr_t arch_regs_sp(const struct regs *regs);
uintptr_t arch_regs_fp(const struct regs *regs); /* the frame pointer, if it is one */
void arch_regs_set_sp(struct regs *regs, uintptr_t sp);
long arch_regs_result(const struct regs *regs);
void arch_regs_set_result(struct regs *regs, long result);
/* The system call these registers are inside of, or -1 (a fault or interrupt). */
long arch_regs_syscall(const struct regs *regs);
void arch_regs_syscall_args(const struct regs *regs, unsigned long args[6]);
/* These registers are no longer inside a system call: no restart any more. */
void arch_regs_forget_syscall(struct regs *regs);
/* Back to the instruction that made the call; nr replaces the call's number if >= 0. */
void arch_regs_restart_syscall(struct regs *regs, long nr);
/* Writes "rip=... rsp=..." lines and a backtrace to the log. */
void arch_regs_print(const struct regs *regs);

/* ---- Tracing (ptrace) ------------------------------------------------------ */

/* Around a stop of the running thread: in between its registers are in memory, for its tracer. */
void arch_trace_begin(struct thread *thread);
void arch_trace_end(struct thread *thread);
/* Of a stopped thread: it traps after one instruction.  Its next stop takes that back. */
void arch_trace_step(struct thread *thread, bool on);
bool arch_trace_is_stepping(const struct thread *thread);
/* A word of struct user_regs_struct (ABI_USER_*) of a stopped thread.  -EIO: it cannot go on with such a value. */
uint64_t arch_trace_reg_get(struct thread *thread, unsigned word);
int arch_trace_reg_set(struct thread *thread, unsigned word, uint64_t value) __must_check;
/* Debug register number (0-7) of a stopped thread.  -EINVAL, -EIO, -ENOMEM. */
uint64_t arch_trace_debug_get(const struct thread *thread, unsigned number);
int arch_trace_debug_set(struct thread *thread, unsigned number, uint64_t value) __must_check;
/* Its vector state, as FXSAVE or, whole, as XSAVE lays it out.  -EINVAL. */
size_t arch_trace_vector_size(bool whole);
void arch_trace_vector_get(struct thread *thread, bool whole, void *buf);
int arch_trace_vector_set(struct thread *thread, bool whole, void *buf) __must_check;

/* ---- Signal frames --------------------------------------------------------- */

struct abi_siginfo;
struct abi_sigaction;
struct abi_stack;
/* Builds Linux's rt_sigframe for info->si_signo at sp_top (the alternate stack's top, or 0: below the
 * red zone of regs) and points regs at the handler.  -EFAULT if the stack is bad. */
int arch_signal_push(struct regs *regs, const struct abi_siginfo *info,
                     const struct abi_sigaction *action, uint64_t blocked,
                     const struct abi_stack *altstack, uintptr_t sp_top) __must_check;
/* rt_sigreturn: regs from the frame on the stack; the mask and alternate stack it held.  -EFAULT. */
int arch_signal_pop(struct regs *regs, uint64_t *blocked, struct abi_stack *altstack) __must_check;
size_t arch_signal_frame_size(void); /* AT_MINSIGSTKSZ */

/* ---- Address spaces ----------------------------------------------------------- */

/* struct arch_vmspace: the machine's part of one, all zero in a new one.  Fork copies it with vm->lock of both
 * held; the last reference's end releases it. */
void arch_vmspace_copy(const struct vmspace *from, struct vmspace *child);
void arch_vmspace_release(struct vmspace *vm);

/* ---- Page tables ------------------------------------------------------------ */

/* Protection of a page. */
#define PT_READ    1u
#define PT_WRITE   2u
#define PT_EXEC    4u
#define PT_SPECIAL 8u  /* software bit: the page behind it has no struct frame to count */
#define PT_DEVICE  16u /* uncached */

struct arch_pagetable {
    paddr_t root;
};

/* What a page-table entry says; size is PAGE_SIZE or LARGE_PAGE_SIZE, 0: nothing there. */
struct arch_pte {
    paddr_t paddr; /* of the page that the address is in, offset not added */
    size_t size;
    unsigned prot;
    bool is_dirty;
    bool is_accessed;
};

/* A table with the shared kernel half and an empty application half.  -ENOMEM. */
int arch_pt_create(struct arch_pagetable *pt) __must_check;
/* Frees the tables of the application half; its pages must be unmapped. */
void arch_pt_destroy(struct arch_pagetable *pt);
/* Enters one page; replaces what is there (an empty lower table is freed for a large
 * page; a non-empty one is -EEXIST).  No TLB flush.  -ENOMEM for a table page. */
int arch_pt_map(struct arch_pagetable *pt, uintptr_t address, paddr_t paddr, size_t size,
                unsigned prot) __must_check;
struct arch_pte arch_pt_lookup(struct arch_pagetable *pt, uintptr_t address);
/* Clears the entry of address and returns what it was, as the CPU last left it. */
struct arch_pte arch_pt_clear(struct arch_pagetable *pt, uintptr_t address);

/* A page that an entry maps: the part of it from address on. */
struct arch_pt_page {
    uintptr_t address;
    struct arch_pte pte;
};
enum arch_pt_scan {
    PT_SCAN_LOOK,
    PT_SCAN_CLEAR, /* as arch_pt_clear(), but not a large page that reaches out of the range: the scan ends there */
    PT_SCAN_PROTECT, /* takes PT_WRITE away; pte says what was */
};
/* The next entries of [*address, end) in order, up to max of them; holes cost next to nothing.  How many;
 * *address is where to go on, and end or more when there is nothing left. */
unsigned arch_pt_scan(struct arch_pagetable *pt, uintptr_t *address, uintptr_t end,
                      enum arch_pt_scan how, struct arch_pt_page *pages, unsigned max);
/* arch_pt_map() of pages in order of address, until one fails: how many were entered. */
unsigned arch_pt_map_pages(struct arch_pagetable *pt, const struct arch_pt_page *pages,
                           unsigned npages) __must_check;
/* Changes the protection of the entry of address; keeps dirty and accessed.  Without PT_READ
 * (here and in arch_pt_map) the entry keeps its page, lookup and clear still return it with its size
 * and prot 0, but every access faults: mprotect(PROT_NONE) must not lose what the page holds. */
void arch_pt_protect(struct arch_pagetable *pt, uintptr_t address, unsigned prot);
/* Clears the accessed and/or dirty flag of the entry. */
void arch_pt_clear_flags(struct arch_pagetable *pt, uintptr_t address, bool accessed, bool dirty);
/* Splits a large page into 512 small ones of the same protection.  -ENOMEM. */
int arch_pt_split(struct arch_pagetable *pt, uintptr_t address) __must_check;
/* Frees lower tables that are empty in [start, end).  After the TLB flush only. */
void arch_pt_trim(struct arch_pagetable *pt, uintptr_t start, uintptr_t end);
/* The table of this CPU. */
void arch_pt_activate(struct arch_pagetable *pt);
struct arch_pagetable *arch_pt_kernel(void); /* the kernel's own: no application half */
/* Invalidates [start, end) in the TLBs of the CPUs of mask; returns when done. */
void arch_tlb_flush(uint64_t mask, uintptr_t start, uintptr_t end);

/* ---- Memory ------------------------------------------------------------------ */

/* Direct map: valid for all RAM in boot_info once arch_map_ram() ran. */
void *arch_direct_map(paddr_t paddr);
paddr_t arch_direct_paddr(const void *pointer); /* inverse; direct-map pointers only */
/* Enters [start, start + size) into the direct map with the largest pages. */
int arch_map_ram(paddr_t start, uint64_t size) __must_check;
/* A window on device registers, uncached; never unmapped.  NULL: no room or memory. */
void *arch_map_device(paddr_t paddr, size_t size);
/* Kernel stacks: [bottom, bottom + size) backed by frames with an unmapped guard page
 * below, in the kernel half shared by all page tables.  May reclaim and sleep.  NULL: no memory. */
void *arch_kernel_stack_alloc(size_t size);
void arch_kernel_stack_free(void *bottom, size_t size);

/* ---- Application memory (kernel/usercopy.h is the door; these are its hinges) --- */

/* Copy, with the application's page faults handled on the way; the number of bytes
 * that could not be copied.  The range has been checked to lie in the application half. */
size_t arch_app_copy(void *to, const void *from, size_t n);
size_t arch_app_zero(void *to, size_t n);
/* Atomic compare and exchange; *seen is the value found.  0 or -EFAULT. */
int arch_app_cmpxchg32(uint32_t *address, uint32_t expected, uint32_t desired,
                       uint32_t *seen) __must_check;
/* One aligned 32-bit load (futex words; the page may be read-only).  0 or -EFAULT. */
int arch_app_load32(uint32_t *value, const uint32_t *address) __must_check;

/* ---- Ports of the PC (drivers of legacy devices) --------------------------------- */

uint8_t arch_port_read8(uint16_t port);
uint16_t arch_port_read16(uint16_t port);
uint32_t arch_port_read32(uint16_t port);
void arch_port_write8(uint16_t port, uint8_t value);
void arch_port_write16(uint16_t port, uint16_t value);
void arch_port_write32(uint16_t port, uint32_t value);

/* ---- Odds and ends --------------------------------------------------------------- */

/* 64 random bits of the CPU's own generator; false if it has none. */
bool arch_random64(uint64_t *value);
uint64_t arch_cycles(void); /* a fast counter, for entropy and tracing */
/* Return addresses of the current stack, newest first; how many were written. */
size_t arch_backtrace(uintptr_t *addresses, size_t max);
/* The same of the code that was interrupted with regs, in the running thread: first where it was, then its callers. */
size_t arch_backtrace_of(const struct regs *regs, uintptr_t *addresses, size_t max);
/* Whether the 8 bytes before an address end in a call instruction: it may be a return address. */
bool arch_follows_call(const uint8_t before[8]);
/* AT_HWCAP and AT_HWCAP2 as Linux would give them, less what ring 0 cannot hold. */
unsigned long arch_hwcap(void);
unsigned long arch_hwcap2(void);
/* AT_SYSINFO: where a program may jump instead of a syscall instruction (libc/musl); 0: nowhere (sysinfo=off). */
uintptr_t arch_call_entry(void);
/* The text of /proc/cpuinfo for one CPU; the length, as format_string() counts. */
int arch_cpuinfo(unsigned cpu, char *buf, size_t size);
/* A processor's cache, in the order that Linux numbers them; false: there is none of this index. */
struct arch_cache {
    unsigned level;
    char kind; /* 'D'ata, 'I'nstruction, 'U'nified */
    unsigned line_size, npartitions, nways, nsets;
};
bool arch_cpu_cache(unsigned index, struct arch_cache *cache) __must_check;
/* arch_prctl(2): 0 or -errno; what ring 0 cannot give is refused by name. */
long arch_prctl(int code, unsigned long address);
/* iopl, modify_ldt and the like have no place here. */
