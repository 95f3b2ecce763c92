// SPDX-License-Identifier: MIT
/*
 * Processes: creation, the table, and access to what another process owns.
 *
 * References.  The table holds one reference on a process from process_publish() until it is
 * reaped; every thread holds one for its whole life (process_create_thread() takes it,
 * thread_signals_fini() drops it when the thread is freed), so thread->process is always valid.
 * The process in turn holds its leader until it is reaped: a thread's number is given back with the
 * thread, and the number of a zombie must not be used again.
 *
 * Locking.  process_table_lock (rwlock) covers the shape: pid tree, parents, children, groups,
 * sessions, thread lists.  The thread list changes with signals.lock held as well, because
 * signals are sent from interrupts.  process->lock covers the pointers to the vmspace, the
 * descriptors and so on: only the process itself changes them, but others look.
 */
#include "kernel/process.h"

#include <string.h>

#include "abi/capability.h"
#include "abi/errno.h"
#include "abi/process.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/options.h"
#include "kernel/panic.h"
#include "kernel/sched.h"
#include "kernel/thread.h"

/* For a thread that is no more to give its number back: something that ends by itself. */
#define NUMBER_PATIENCE (100 * NSEC_PER_MSEC)

struct rwlock process_table_lock;
struct process *process_first;

static struct rb_tree table; /* [t] by pid */
static unsigned nprocesses;  /* [t] */
static unsigned nthreads;    /* [t] of all processes */
static uint64_t ncreated;    /* [t] processes and threads since boot */

void process_init(void)
{
    rwlock_init(&process_table_lock, RANK_PROCESS_TABLE);
}

struct process *process_of_current(void)
{
    struct thread *thread = thread_current();
    return thread ? thread->process : NULL;
}

struct process *process_get(struct process *process)
{
    __atomic_fetch_add(&process->refcount, 1, __ATOMIC_RELAXED);
    return process;
}

void process_put(struct process *process)
{
    if (__atomic_fetch_sub(&process->refcount, 1, __ATOMIC_ACQ_REL) != 1)
        return;
    poll_head_fini(&process->exit_poll);
    kfree(process);
}

/* ---- The table ---------------------------------------------------------- */

static void table_insert(struct process *process)
{
    struct rb_node **link = &table.root;
    struct rb_node *parent = NULL;
    while (*link) {
        parent = *link;
        const struct process *other = rb_entry(parent, struct process, pid_node);
        assert(other->pid != process->pid);
        link = &parent->child[process->pid > other->pid];
    }
    rb_link(&process->pid_node, parent, link);
    rb_insert_fixup(&table, &process->pid_node);
    nprocesses++;
}

struct process *process_find(int pid)
{
    read_lock(&process_table_lock);
    struct rb_node *node = table.root;
    struct process *found = NULL;
    while (node && !found) {
        struct process *process = rb_entry(node, struct process, pid_node);
        if (process->pid == pid)
            found = process_get(process);
        node = node->child[pid > process->pid];
    }
    read_unlock(&process_table_lock);
    return found;
}

struct process *process_of_tid(int tid)
{
    if (tid == 0)
        return process_get(process_current());
    struct process *process = process_find(tid);
    if (process)
        return process;
    struct thread *thread = thread_find(tid);
    if (!thread)
        return NULL;
    process = process_get(thread->process);
    thread_put(thread);
    return process;
}

void process_for_each(bool (*visit)(struct process *process, void *arg), void *arg)
{
    read_lock(&process_table_lock);
    for (struct rb_node *node = rb_first(&table); node; node = rb_next(node)) {
        if (!visit(rb_entry(node, struct process, pid_node), arg))
            break;
    }
    read_unlock(&process_table_lock);
}

unsigned process_count(void)
{
    return READ_ONCE(nprocesses);
}

unsigned process_thread_count(void)
{
    return READ_ONCE(nthreads);
}

unsigned long long process_total_created(void)
{
    return READ_ONCE(ncreated);
}

/* ---- Creation ----------------------------------------------------------- */

static void credentials_init(struct credentials *creds)
{
    creds->cap_effective = ABI_CAP_ALL; /* root; first.c changes the user */
    creds->cap_permitted = ABI_CAP_ALL;
    creds->cap_bounding = ABI_CAP_ALL;
}

void process_set_creds(struct process *process, const struct credentials *creds)
{
    const struct credentials *old = &process->creds;
    bool is_other = creds->euid != old->euid || creds->egid != old->egid ||
                    creds->fsuid != old->fsuid || creds->fsgid != old->fsgid;
    assert_held(&process->lock);
    if (is_other || creds->cap_permitted & ~old->cap_permitted) {
        WRITE_ONCE(process->is_dumpable, false);
        process->pdeath_signal = 0;
        __atomic_thread_fence(__ATOMIC_RELEASE); /* before anybody sees who it is now */
    }
    process->creds = *creds;
}

static void process_inherit(struct process *process, struct process *parent)
{
    mutex_lock(&parent->lock);
    process->creds = parent->creds;
    process->limits = parent->limits;
    process->exe = parent->exe ? file_get(parent->exe) : NULL;
    process->arg_start = parent->arg_start;
    process->arg_end = parent->arg_end;
    process->env_start = parent->env_start;
    process->env_end = parent->env_end;
    memcpy(process->auxv, parent->auxv, sizeof(process->auxv));
    memcpy(process->comm, parent->comm, sizeof(process->comm));
    process->is_dumpable = parent->is_dumpable;
    process->personality = parent->personality;
    process->coredump_filter = READ_ONCE(parent->coredump_filter);
    process->login_uid = READ_ONCE(parent->login_uid);
    process->session_id = READ_ONCE(parent->session_id);
    process->oom_score_adj = READ_ONCE(parent->oom_score_adj);
    process->oom_score_adj_min = READ_ONCE(parent->oom_score_adj_min);
    mutex_unlock(&parent->lock);
}

static void process_init_fields(struct process *process)
{
    process->refcount = 1;
    process->exit_signal = ABI_SIGCHLD;
    process->start_time = clock_monotonic();
    list_init(&process->children);
    list_init(&process->sibling_node);
    list_init(&process->threads);
    list_init(&process->tracees);
    wait_queue_init(&process->child_event);
    wait_queue_init(&process->thread_event);
    poll_head_init(&process->exit_poll);
    mutex_init(&process->lock, RANK_EXEC);
    signal_shared_init(&process->signals);
}

static bool is_found(int tid)
{
    struct process *process = process_of_tid(tid);
    if (process)
        process_put(process);
    return process != NULL;
}

int process_create_thread(struct process *process, int tid, struct thread **out)
{
    nsec_t end = tid ? deadline_after(NUMBER_PATIENCE) : 0;
    int err;
    /* A thread that was waited for has its number until it is off its CPU and freed, which creating a thread does. */
    while ((err = thread_create_app(process, process->comm, tid, out)) == -EEXIST &&
           !is_found(tid) && clock_monotonic() < end)
        sched_yield();
    if (!err)
        process_get(process);
    return err;
}

int process_create(struct process *model, int pid, struct process **out)
{
    struct process *process = kzalloc(sizeof(*process), ALLOC_WAIT);
    if (!process)
        return -ENOMEM;
    process_init_fields(process);
    if (model) {
        process_inherit(process, model);
    } else {
        credentials_init(&process->creds);
        rlimit_table_init(&process->limits);
        process->is_dumpable = true;
        process->coredump_filter = COREDUMP_FILTER_DEFAULT;
        process->login_uid = process->session_id = UINT32_MAX;
        memcpy(process->comm, "init", 5);
    }

    struct thread *leader;
    int err = process_create_thread(process, pid, &leader);
    if (err) {
        process_discard(process);
        return err;
    }
    process->leader =
        thread_get(leader); /* besides the running thread's own, which sched_exit() drops */
    process->pid = leader->tid;
    process->pgid = process->pid;
    process->sid = process->pid;
    *out = process;
    return 0;
}

void process_discard(struct process *process)
{
    if (process->vmspace)
        vmspace_put(process->vmspace);
    if (process->files)
        fdtable_put(process->files);
    if (process->fs)
        fs_context_put(process->fs);
    if (process->handlers)
        signal_handlers_put(process->handlers);
    if (process->exe)
        file_put(process->exe);
    if (process->leader) {
        thread_put(process->leader);
        thread_put(process->leader); /* it never ran, so sched_exit() does not drop this one */
    }
    process_put(process);
}

/* [t] and signals.lock held. */
static void thread_list_add(struct process *process, struct thread *thread)
{
    list_push_back(&process->threads, &thread->process_node);
    process->nthreads++;
    process->nown_files += thread->has_own_files;
    nthreads++;
    ncreated++;
    if (process->signals.is_stopping) /* the others were told */
        __atomic_fetch_or(&thread->work, THREAD_WORK_SIGNAL, __ATOMIC_RELAXED);
}

/* A process that is ending makes no children: they would never be adopted. */
static bool may_have_children(const struct process *parent)
{
    return parent->state == PROCESS_ALIVE && !READ_ONCE(parent->is_exiting);
}

/* The threads, and zombies, of a real user.  [t] held. */
static uint64_t user_count(uint32_t uid)
{
    uint64_t count = 0;

    for (struct rb_node *node = rb_first(&table); node; node = rb_next(node)) {
        const struct process *process = rb_entry(node, struct process, pid_node);
        if (process->creds.uid == uid)
            count += MAX(process->nthreads, 1u);
    }
    return count;
}

/*
 * RLIMIT_NPROC, as Linux counts it.  Root and who administers the machine are exempt.  [t] held, so that nobody
 * slips past while others are counted.
 */
static bool has_too_many(const struct process *creator)
{
    uint64_t limit = READ_ONCE(creator->limits.limit[LIMIT_NPROC].cur);
    uint64_t exempt = 1ULL << ABI_CAP_SYS_RESOURCE | 1ULL << ABI_CAP_SYS_ADMIN;
    uint32_t uid = creator->creds.uid;

    if (limit >= TID_MAX || uid == 0 || creator->creds.cap_effective & exempt)
        return false;
    if ((uint64_t)nthreads + nprocesses < limit) /* of all users; zombies count as well */
        return false;
    return user_count(uid) >= limit;
}

bool process_user_has_too_many(bool others_only)
{
    const struct process *process = process_current();
    uint64_t limit = rlimit_current(LIMIT_NPROC);
    uint32_t uid = process->creds.uid;

    if (limit >= TID_MAX || uid == 0)
        return false;
    read_lock(&process_table_lock);
    uint64_t count = user_count(uid) - (others_only ? MAX(process->nthreads, 1u) : 0);
    read_unlock(&process_table_lock);
    return count > limit;
}

int process_publish(struct process *process, struct process *parent)
{
    int err = 0;
    write_lock(&process_table_lock);
    if (parent && has_too_many(process_current()))
        err = -EAGAIN;
    if (parent == process_current() && parent && READ_ONCE(parent->exec_thread))
        err = -EAGAIN;
    if (parent && !may_have_children(parent))
        err = -EAGAIN;
    /* Who kills a group sees all of it: the child that is to come after the creator was hit must not. */
    if (parent && signal_is_fatal_pending())
        err = -ERESTARTNOINTR;
    if (!err) {
        process->parent = parent;
        if (parent) {
            const struct process *creator = process_current(); /* not the parent: CLONE_PARENT */
            process->pgid = creator->pgid;
            process->sid = creator->sid;
            process->tty_claim = READ_ONCE(creator->tty_claim);
            list_push_back(&parent->children, &process->sibling_node);
        }
        unsigned long flags = spin_lock_irq(&process->signals.lock);
        thread_list_add(process, process->leader);
        spin_unlock_irq(&process->signals.lock, flags);
        table_insert(process);
    }
    write_unlock(&process_table_lock);
    return err;
}

int process_add_thread(struct process *process, struct thread *thread)
{
    write_lock(&process_table_lock);
    int err = has_too_many(process) ? -EAGAIN : 0;
    /* Together with the threads that are there: who makes them leave has this lock only. */
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    if (process->is_exiting || process->exec_thread)
        err = -EAGAIN;
    if (!err)
        thread_list_add(process, thread);
    spin_unlock_irq(&process->signals.lock, flags);
    write_unlock(&process_table_lock);
    return err;
}

/* The end of a zombie.  [t] held for writing; the caller drops the table's reference and the
 * leader's with process_release() afterwards. */
void process_unlink(struct process *process)
{
    assert(process->state == PROCESS_ZOMBIE);
    process->state = PROCESS_REAPED;
    list_remove(&process->sibling_node);
    rb_remove(&table, &process->pid_node);
    nprocesses--;
}

void process_release(struct process *process)
{
    thread_put(process->leader);
    process_put(process);
}

/* ---- What another process owns -------------------------------------------- */

struct vmspace *process_vmspace(struct process *process)
{
    mutex_lock(&process->lock);
    struct vmspace *vm = process->vmspace ? vmspace_get(process->vmspace) : NULL;
    mutex_unlock(&process->lock);
    return vm;
}

struct file *process_exe(struct process *process)
{
    mutex_lock(&process->lock);
    struct file *exe = process->exe ? file_get(process->exe) : NULL;
    mutex_unlock(&process->lock);
    return exe;
}

void process_set_comm(struct process *process, const char *name)
{
    mutex_lock(&process->lock);
    memset(process->comm, 0, sizeof(process->comm));
    strncpy(process->comm, name, sizeof(process->comm) - 1);
    mutex_unlock(&process->lock);
}

void process_thread_gone(struct process *process, const struct thread *thread)
{
    process->nthreads--;
    process->nown_files -= thread->has_own_files;
    nthreads--;
}

bool process_is_capable(int capability)
{
    struct process *process = process_current();
    return !process || (READ_ONCE(process->creds.cap_effective) >> capability & 1);
}

bool process_is_randomized(bool is_secure)
{
    const struct process *process = process_current();
    bool is_off = !is_secure && process && process->personality & ABI_ADDR_NO_RANDOMIZE;
    return option_bool("aslr", true) && !is_off;
}

nsec_t process_cpu_time(struct process *process)
{
    unsigned long flags = spin_lock_irq(&process->signals.lock);
    nsec_t total = process->dead.time.user + process->dead.time.system;
    struct thread *thread;
    list_for_each (thread, &process->threads, process_node)
        total += sched_cpu_time(thread);
    spin_unlock_irq(&process->signals.lock, flags);
    return total;
}

void process_end_vfork(struct process *process)
{
    if (!__atomic_exchange_n(&process->is_vfork_child, false, __ATOMIC_ACQ_REL))
        return;
    wake_all(&process->thread_event);
}

bool process_group_is_orphaned(int pgid)
{
    for (struct rb_node *node = rb_first(&table); node; node = rb_next(node)) {
        const struct process *member = rb_entry(node, struct process, pid_node);
        const struct process *parent = member->parent;
        if (member->pgid != pgid || member->state != PROCESS_ALIVE || !parent)
            continue;
        if (parent->pgid != pgid && parent->sid == member->sid)
            return false;
    }
    return true;
}

static bool group_is_stopped(int pgid)
{
    for (struct rb_node *node = rb_first(&table); node; node = rb_next(node)) {
        const struct process *member = rb_entry(node, struct process, pid_node);
        if (member->pgid == pgid && member->state == PROCESS_ALIVE &&
            READ_ONCE(member->signals.is_stopping))
            return true;
    }
    return false;
}

void process_group_continue(int pgid)
{
    if (!group_is_stopped(pgid))
        return;
    for (struct rb_node *node = rb_first(&table); node; node = rb_next(node)) {
        struct process *member = rb_entry(node, struct process, pid_node);
        if (member->pgid != pgid || member->state != PROCESS_ALIVE)
            continue;
        (void)signal_send_process(member, ABI_SIGHUP, NULL);
        (void)signal_send_process(member, ABI_SIGCONT, NULL);
    }
}
