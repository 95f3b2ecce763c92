// SPDX-License-Identifier: MIT
#pragma once
/*
 * Processes.  A process is an address space, descriptors, a file-system context, signal handlers
 * and credentials, each counted for itself because clone's flags share them one by one.
 * The program is pid 1; its exit ends the machine.  Nothing assumes that there is only one.
 *
 * [i] set at creation  [t] process table lock  [a] atomic  [l] process->lock
 * [ts] changed with the table lock and signals.lock held, so either is enough for reading
 */
#include "kernel/mutex.h"
#include "kernel/process_files.h"
#include "kernel/process_time.h"
#include "kernel/rlimit.h"
#include "kernel/rwlock.h"
#include "kernel/signal.h"
#include "kernel/wait.h"
#include "lib/list.h"
#include "lib/rbtree.h"

struct thread;
struct vmspace;

#define NGROUPS 32

#define OOM_SCORE_ADJ_MIN (-1000) /* never killed for want of memory */
#define OOM_SCORE_ADJ_MAX 1000

struct credentials {
    uint32_t uid, euid, suid, fsuid;
    uint32_t gid, egid, sgid, fsgid;
    unsigned ngroups;
    uint32_t groups[NGROUPS];
    uint64_t cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
    bool no_new_privs;
    unsigned securebits;
};

struct thread;

/* What a higher layer runs for a process (io_uring): ends before its address space and descriptors do. */
struct process_attachment {
    /* The process ends or executes a new program; the running thread is the last.  May sleep. */
    void (*release)(struct process_attachment *attachment);
};

enum process_state { PROCESS_ALIVE, PROCESS_ZOMBIE, PROCESS_REAPED };

#define COREDUMP_FILTER_DEFAULT 0x33u
#define COREDUMP_FILTER_MASK    0x1ffu

struct process {
    unsigned refcount;        /* [a] */
    int pid;                  /* [i] */
    enum process_state state; /* [t] */
    int exit_status;          /* [t] as wait4 reports it */
    bool is_exiting;          /* [a] exit_group began: every thread leaves */
    struct process *parent;   /* [t] */
    struct list children;     /* [t] */
    struct list tracees;      /* [t] threads that threads of this process trace: trace.node */
    int creator_tid;          /* [i] the thread of the parent that made it */
    struct list sibling_node; /* [t] */
    struct list threads;      /* [ts] thread->process_node */
    unsigned nthreads;        /* [ts] */
    unsigned nown_files;      /* [s] of them that do not use files: kernel/thread_files.c */
    struct thread
        *leader; /* [s] the thread with tid == pid; a reference until reaped keeps the number */
    struct thread *exec_thread; /* [a] it runs execve: all others leave */
    bool is_vfork_child;        /* [a] the parent sleeps on thread_event until exec or exit */
    bool has_execed;            /* [t] setpgid by the parent is over */
    struct rb_node pid_node;    /* [t] */
    int pgid, sid;              /* [t] */
    uint64_t tty_claim;         /* [a] the claim of a terminal that made it its own: fs/tty_job.c */
    int exit_signal;            /* [i] sent to the parent: SIGCHLD mostly */
    struct wait_queue child_event;  /* wait4 and waitid sleep here */
    struct wait_queue thread_event; /* execve and exit wait for other threads */

    struct poll_head exit_poll; /* pidfd: woken with POLLIN when the process becomes a zombie */

    struct vmspace *vmspace;          /* [l] other processes use process_vmspace() and so on */
    struct fdtable *files;            /* [l] NULL too if every thread has its own */
    struct fs_context *fs;            /* [l] */
    struct signal_handlers *handlers; /* changed under [l] and signals.lock; NULL: it is dead */
    struct signal_shared signals;
    struct credentials creds;   /* [l] */
    struct rlimit_table limits; /* [l] */
    struct mutex lock;          /* RANK_EXEC */

    char comm[16];
    void *exe; /* [l] struct file of the program, with a reference: /proc/PID/exe */
    uintptr_t arg_start, arg_end, env_start, env_end; /* /proc/PID/cmdline, environ */
    uintptr_t auxv[2 * 32];                           /* /proc/PID/auxv */
    nsec_t start_time;
    struct usage dead;                /* [ts] of threads that have ended */
    struct usage children_usage;      /* [t] of reaped children and theirs */
    struct process_attachment *uring; /* [a] set once, NULL again after release: fs/uring */
    struct timer_set *timers;         /* POSIX timers and itimers; NULL until used */
    bool is_dumpable;
    bool is_subreaper;
    bool is_thp_disabled;
    bool was_over_limit; /* [a] it became a user with more than RLIMIT_NPROC: execve looks again */
    int pdeath_signal;
    unsigned personality;
    unsigned
        coredump_filter; /* [a] /proc/PID/coredump_filter: kept, as by a Linux without ELF_CORE */
    unsigned login_uid, session_id; /* [a] /proc/PID/loginuid and sessionid; UINT32_MAX: none */
    int oom_score_adj,
        oom_score_adj_min; /* [a] /proc/PID/oom_score_adj; how far down without CAP_SYS_RESOURCE */
    nsec_t oom_killed_at;  /* [a] 0: it is not a victim (kernel/mm/oom.c) */
    uint64_t peak_resident_pages; /* [t] the largest of the vmspaces that are gone */
    uint64_t children_peak_pages; /* [t] the largest of the reaped children */
};

/* The pid table, parents and children, groups and sessions, thread lists.  Sleeping: threads only. */
extern struct rwlock process_table_lock;

void process_init(void);
extern struct process
    *process_first; /* pid 1: the program; for its exit and for signals from outside */

static inline struct process *process_current(void)
{
    return process_of_current();
}

/* A new process with what it inherits from model (NULL: the first) and one not yet started thread; it has no
 * vmspace, files, fs or handlers yet.  -ENOMEM, -EAGAIN (pid limit). */
int process_create(struct process *model, int pid, struct process **out) __must_check;
/* Enters it into the table as a child of parent (NULL: the first), with its leader: signals and wait4 find it
 * from now on.  -EAGAIN: parent is ending. */
int process_publish(struct process *process, struct process *parent) __must_check;
struct process *process_get(struct process *process);
void process_put(struct process *process);
struct process *process_find(int pid); /* with a reference, or NULL */
/* The process that a thread number belongs to, 0 for the running one; with a reference, or NULL. */
struct process *process_of_tid(int tid);
/* Calls visit for each live process with the table locked for reading; stops when it returns false. */
void process_for_each(bool (*visit)(struct process *process, void *arg), void *arg);

/* Counted references to what another process owns; NULL when it is dead (a zombie). */
struct vmspace *process_vmspace(struct process *process);
struct file *process_exe(struct process *process);
/* A thread of process, not yet listed or started, with the reference that it holds on process for its
 * life.  -ENOMEM; -EAGAIN: no number left. */
int process_create_thread(struct process *process, int tid, struct thread **out) __must_check;
/* Enters a new thread into process->threads.  -EAGAIN: the process is ending or in execve. */
int process_add_thread(struct process *process, struct thread *thread) __must_check;
/* Counts a thread that has left process->threads.  [ts] held. */
void process_thread_gone(struct process *process, const struct thread *thread);
/* Undoes process_create() for a process that was never published. */
void process_discard(struct process *process);
/* The running process's user has more threads than RLIMIT_NPROC says, its own counted or not. */
bool process_user_has_too_many(bool others_only);
unsigned process_count(void);                   /* processes, zombies included */
unsigned process_thread_count(void);            /* threads of all processes */
unsigned long long process_total_created(void); /* processes and threads since boot */
void process_set_comm(struct process *process, const char *name);
/* Whether the running process has CAP_number in its effective set; true in kernel threads. */
bool process_is_capable(int capability);
/* Whether the places of what a program has mapped vary: not with personality(2)'s ADDR_NO_RANDOMIZE, which does not
 * count for a set-user-id program, nor with the option aslr=off. */
bool process_is_randomized(bool is_secure);
/* The process's lock is held.  A process that became somebody else is no longer for those who could look at it before:
 * it is not dumpable, and its parent's death sends it nothing. */
void process_set_creds(struct process *process, const struct credentials *creds);
/* Whether group is one of creds' supplementary groups or own, its effective or file-system group. */
static inline bool creds_is_in_group(const struct credentials *creds, uint32_t own, uint32_t group)
{
    bool found = own == group;
    for (unsigned i = 0; !found && i < creds->ngroups; i++)
        found = creds->groups[i] == group;
    return found;
}
/* CPU time of all threads, those that have ended included.  Table lock held for reading or not at all:
 * the function takes signals.lock. */
nsec_t process_cpu_time(struct process *process);
/* Reaping, in two steps: out of the table (held for writing), then the references. */
void process_unlink(struct process *process);
void process_release(struct process *process);
/* The vfork child does not use its parent's memory any more: the parent goes on. */
void process_end_vfork(struct process *process);
/* The thread that made the process, or another one of the parent's if it is gone; or NULL.  [t] held. */
struct thread *process_creator(const struct process *process);
/* Tells the parent that process is a zombie; true if nobody will wait for it.  [t] held for writing. */
bool process_tell_parent_exit(struct process *process);
/* True if no process of the group has a parent in another group of the same session. [t] held */
bool process_group_is_orphaned(int pgid);
/* SIGHUP and SIGCONT to a group that has just become orphaned, if a member is stopped. [t] held */
void process_group_continue(int pgid);

/* exit_group: status as wait4 reports it (code << 8, or the signal, | 0x80 for a core). */
__noreturn void process_exit(int wait_status);
/* exit: the running thread only; the last one ends the process with its status. */
__noreturn void thread_exit(int code);
__noreturn void thread_exit_by(int signo); /* the same, as killed by a signal */
/* Ends what is attached to the process, or to the running thread.  The latter's end, or execve. */
void process_release_attachments(struct process *process);
void thread_release_attachments(struct thread *thread);
/* Ends all threads but the running one and waits until they are gone (execve).
 * -EINTR: the process itself is being ended. */
int process_kill_other_threads(void) __must_check;
/* Ends the machine with a status of the program; called when pid 1 is gone. */
__noreturn void process_end_machine(int wait_status);
