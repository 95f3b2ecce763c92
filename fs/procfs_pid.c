// SPDX-License-Identifier: MIT
/*
 * /proc/PID: the entries of a process and of its threads.
 *
 * ref->process is the process, ref->number the thread: the pid itself in /proc/PID, the tid
 * in the unlisted /proc/TID, and -tid below task/, where also the first thread is only a thread.
 */
#include <string.h>

#include "abi/capability.h"
#include "abi/fcntl.h"
#include "fs/procfs_internal.h"
#include "kernel/clock.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/oom.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/thread.h"

static const struct pseudo_entry pid_entry, tid_entry;

struct thread *proc_thread_of(const struct pseudo_ref *ref)
{
    struct thread *thread = thread_find(proc_tid(ref));
    if (thread && thread->process != ref->process) {
        thread_put(thread); /* the number belongs to somebody else by now */
        return NULL;
    }
    return thread;
}

bool proc_is_thread(const struct pseudo_ref *ref)
{
    return ref->number < 0;
}

int proc_tid(const struct pseudo_ref *ref)
{
    return (int)(ref->number < 0 ? -ref->number : ref->number);
}

/* ---- Memory of the program --------------------------------------------------------------- */

#define ARGUMENTS_MAX (2UL << 20)

/* [start, end) of the process's memory. */
static int memory_append(struct process *process, struct text *text, uintptr_t start, uintptr_t end)
{
    char chunk[256];
    struct vmspace *vm = process_vmspace(process);
    if (!vm)
        return 0;
    end = MIN(end, start + ARGUMENTS_MAX);
    while (start < end) {
        long moved = vmspace_read(vm, start, chunk, MIN(sizeof(chunk), end - start));
        if (moved <= 0)
            break;
        text_append(text, chunk, (size_t)moved);
        start += (uintptr_t)moved;
    }
    vmspace_put(vm);
    return 0;
}

static int pid_cmdline(const struct pseudo_ref *ref, struct text *text)
{
    struct process *process = ref->process;
    mutex_lock(&process->lock);
    uintptr_t arg_start = process->arg_start, arg_end = process->arg_end;
    uintptr_t env_start = process->env_start, env_end = process->env_end;
    mutex_unlock(&process->lock);
    int err = memory_append(process, text, arg_start, arg_end);
    if (err || text->len == 0 || text->buf[text->len - 1] == '\0' || env_start != arg_end)
        return err;
    /* The program wrote a title over its arguments that goes on into the environment. */
    err = memory_append(process, text, env_start, env_end);
    if (!text->failed)
        text->len = strnlen(text->buf, text->len);
    return err;
}

static int pid_environ(const struct pseudo_ref *ref, struct text *text)
{
    return memory_append(ref->process, text, ref->process->env_start, ref->process->env_end);
}

static int pid_auxv(const struct pseudo_ref *ref, struct text *text)
{
    const uintptr_t *auxv = ref->process->auxv;
    size_t count = 0;
    while (count < ARRAY_SIZE(ref->process->auxv) - 2 && auxv[count] != 0)
        count += 2;
    text_append(text, (const char *)auxv, (count + 2) * sizeof(auxv[0]));
    return 0;
}

/* ---- Names and small values ------------------------------------------------------------------ */

static int pid_comm(const struct pseudo_ref *ref, struct text *text)
{
    struct thread *thread = proc_thread_of(ref);
    text_printf(text, "%s\n", thread ? thread->name : ref->process->comm);
    if (thread)
        thread_put(thread);
    return 0;
}

static int pid_comm_store(const struct pseudo_ref *ref, char *buf, size_t len)
{
    if (ref->process != process_current())
        return -EINVAL;
    struct thread *thread = proc_thread_of(ref);
    buf[strcspn(buf, "\n")] = '\0';
    if (thread) {
        thread_set_name(thread, buf);
        thread_put(thread);
    }
    if (!proc_is_thread(ref))
        process_set_comm(ref->process, buf);
    return 0;
}

static int pid_oom_adjust(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%d\n", READ_ONCE(ref->process->oom_score_adj));
    return 0;
}

static int pid_oom_adjust_store(const struct pseudo_ref *ref, char *buf, size_t len)
{
    bool is_negative = buf[0] == '-', is_capable = process_is_capable(ABI_CAP_SYS_RESOURCE);
    size_t digits = strspn(buf + is_negative, "0123456789");
    long number = pseudo_number(buf + is_negative, digits);
    if (number < 0 || number > OOM_SCORE_ADJ_MAX ||
        buf[is_negative + digits + strspn(buf + is_negative + digits, " \n")])
        return -EINVAL;
    int value = (int)(is_negative ? -number : number);
    if (value < READ_ONCE(ref->process->oom_score_adj_min) && !is_capable)
        return -EACCES;
    WRITE_ONCE(ref->process->oom_score_adj, value);
    if (is_capable)
        WRITE_ONCE(ref->process->oom_score_adj_min, value);
    return 0;
}

static int pid_oom_score(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%d\n", oom_score(ref->process));
    return 0;
}

static int pid_coredump_filter(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%08x\n", READ_ONCE(ref->process->coredump_filter));
    return 0;
}

static unsigned digit_of(char c)
{
    return c >= '0' && c <= '9'                 ? (unsigned)(c - '0')
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10)
                                                : UINT32_MAX;
}

static int pid_coredump_filter_store(const struct pseudo_ref *ref, char *buf, size_t len)
{
    bool is_hex = buf[0] == '0' && (buf[1] | 32) == 'x';
    unsigned base = is_hex ? 16 : buf[0] == '0' ? 8 : 10; /* as C */
    const char *at = buf + (is_hex ? 2 : 0);
    unsigned long value = 0;
    for (unsigned digit; (digit = digit_of(*at)) < base && value <= UINT32_MAX; at++)
        value = value * base + digit;
    if (at == buf + (is_hex ? 2 : 0) || (at[0] && strcmp(at, "\n") != 0))
        return -EINVAL;
    if (value > UINT32_MAX)
        return -ERANGE;
    WRITE_ONCE(ref->process->coredump_filter, (unsigned)value & COREDUMP_FILTER_MASK);
    return 0;
}

/* As pam_loginuid sets it; a session begins with that. */
static int pid_login(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%u", READ_ONCE(ref->process->login_uid));
    return 0;
}

static int pid_session(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%u", READ_ONCE(ref->process->session_id));
    return 0;
}

static int pid_login_store(const struct pseudo_ref *ref, char *buf, size_t len)
{
    static unsigned last_session; /* [a] */
    struct process *process = ref->process;
    long uid = pseudo_number(buf, strcspn(buf, "\n"));
    if (process != process_current())
        return -EPERM;
    if (uid < 0 || uid > UINT32_MAX)
        return -EINVAL;
    if (READ_ONCE(process->login_uid) != UINT32_MAX && !process_is_capable(ABI_CAP_AUDIT_CONTROL))
        return -EPERM;
    unsigned session = UINT32_MAX;
    if (uid != UINT32_MAX)
        session = __atomic_add_fetch(&last_session, 1, __ATOMIC_RELAXED);
    WRITE_ONCE(process->session_id, session);
    WRITE_ONCE(process->login_uid, (unsigned)uid);
    return 0;
}

/* Timers are exact all the same: kernel/thread.h. */
static int pid_timer_slack(const struct pseudo_ref *ref, struct text *text)
{
    struct thread *thread = proc_thread_of(ref);
    if (!thread)
        return -ESRCH;
    bool may = ref->process == process_current() || process_is_capable(ABI_CAP_SYS_NICE);
    if (may)
        text_printf(text, "%llu\n", (unsigned long long)READ_ONCE(thread->timer_slack_ns));
    thread_put(thread);
    return may ? 0 : -EPERM;
}

static int pid_timer_slack_store(const struct pseudo_ref *ref, char *buf, size_t len)
{
    long value = pseudo_number(buf, strcspn(buf, "\n"));
    if (value < 0)
        return -EINVAL;
    if (ref->process != process_current() && !process_is_capable(ABI_CAP_SYS_NICE))
        return -EPERM;
    struct thread *thread = proc_thread_of(ref);
    if (!thread)
        return -ESRCH;
    WRITE_ONCE(thread->timer_slack_ns, value ? (uint64_t)value : thread->default_timer_slack_ns);
    thread_put(thread);
    return 0;
}

static int pid_personality(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%08x\n", ref->process->personality);
    return 0;
}

static int pid_schedstat(const struct pseudo_ref *ref, struct text *text)
{
    struct thread *thread = proc_thread_of(ref);
    if (!thread)
        return -ESRCH;
    unsigned long long nslices = thread->sched.nvoluntary + thread->sched.ninvoluntary;
    text_printf(text, "%llu 0 %llu\n", (unsigned long long)sched_cpu_time(thread), nslices);
    thread_put(thread);
    return 0;
}

/* Nothing here is read from or written to a device: the last three are 0. */
static int pid_io(const struct pseudo_ref *ref, struct text *text)
{
    struct thread *thread = proc_is_thread(ref) ? proc_thread_of(ref) : NULL;
    struct usage usage;
    if (thread) {
        thread_usage(thread, &usage);
        thread_put(thread);
    } else {
        process_usage(ref->process, &usage);
        read_lock(&process_table_lock);
        usage_add(&usage, &ref->process->children_usage); /* as Linux */
        read_unlock(&process_table_lock);
    }
    const struct io_counts *io = &usage.io;
    text_printf(text, "rchar: %llu\nwchar: %llu\nsyscr: %llu\nsyscw: %llu\n",
                (unsigned long long)io->read_bytes, (unsigned long long)io->written_bytes,
                (unsigned long long)io->nreads, (unsigned long long)io->nwrites);
    text_printf(text, "read_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
    return 0;
}

static int pid_syscall(const struct pseudo_ref *ref, struct text *text)
{
    struct thread *thread = proc_thread_of(ref);
    if (!thread)
        return -ESRCH;
    struct regs *regs = arch_thread_regs(thread);
    if (READ_ONCE(thread->state) != THREAD_SLEEPING || !regs || arch_regs_syscall(regs) < 0) {
        text_printf(text, "running\n");
    } else {
        unsigned long args[6];
        arch_regs_syscall_args(regs, args);
        text_printf(text, "%ld 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx\n",
                    arch_regs_syscall(regs), args[0], args[1], args[2], args[3], args[4], args[5],
                    arch_regs_sp(regs), arch_regs_pc(regs));
    }
    thread_put(thread);
    return 0;
}

static int pid_namespace(const struct pseudo_ref *ref, struct text *text)
{
    /* One namespace of each kind; Linux's numbers of the first ones. */
    text_printf(text, "%s:[%ld]", ref->entry->name, ref->entry->value);
    return 0;
}

/* ---- Threads and children ----------------------------------------------------------------------- */

/* The smallest tid of the process that is not less than from. */
static long thread_next(struct process *process, long from)
{
    struct thread *thread;
    long found = -1;
    read_lock(&process_table_lock);
    list_for_each (thread, &process->threads, process_node) {
        if (thread->tid >= from && (found < 0 || thread->tid < found))
            found = thread->tid;
    }
    read_unlock(&process_table_lock);
    return found;
}

static int task_find(const struct pseudo_ref *dir, const char *name, size_t len,
                     struct pseudo_ref *child)
{
    long tid = pseudo_number(name, len);
    if (tid <= 0 || thread_next(dir->process, tid) != tid)
        return -ENOENT;
    *child = (struct pseudo_ref){ .entry = &tid_entry,
                                  .process = process_get(dir->process),
                                  .number = -tid };
    return 0;
}

static long task_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry)
{
    *entry = &tid_entry;
    return thread_next(dir->process, from);
}

static int pid_children(const struct pseudo_ref *ref, struct text *text)
{
    struct process *child;
    int pids[64];
    unsigned count = 0;
    read_lock(&process_table_lock);
    list_for_each (child, &ref->process->children, sibling_node) {
        if (count < ARRAY_SIZE(pids))
            pids[count++] = child->pid;
    }
    read_unlock(&process_table_lock);
    for (unsigned i = 0; i < count; i++)
        text_printf(text, "%d ", pids[i]);
    return 0;
}

/* ---- The tables -------------------------------------------------------------------------------------- */

static const struct pseudo_entry namespace_entries[] = {
    { .name = "cgroup", .mode = PROC_LINK, .show = pid_namespace, .value = 4026531835 },
    { .name = "ipc", .mode = PROC_LINK, .show = pid_namespace, .value = 4026531839 },
    { .name = "mnt", .mode = PROC_LINK, .show = pid_namespace, .value = 4026531841 },
    { .name = "net", .mode = PROC_LINK, .show = pid_namespace, .value = 4026531840 },
    { .name = "pid", .mode = PROC_LINK, .show = pid_namespace, .value = 4026531836 },
    { .name = "time", .mode = PROC_LINK, .show = pid_namespace, .value = 4026531834 },
    { .name = "user", .mode = PROC_LINK, .show = pid_namespace, .value = 4026531837 },
    { .name = "uts", .mode = PROC_LINK, .show = pid_namespace, .value = 4026531838 },
    { 0 },
};

static const char id_map[] = "         0          0 4294967295\n";

#define PROCESS_ONLY 3

/* The first entries are a process's alone; the others it has in common with its threads. */
static const struct pseudo_entry pid_entries[] = {
    { .name = "coredump_filter",
      .mode = ABI_S_IFREG | 0644,
      .show = pid_coredump_filter,
      .store = pid_coredump_filter_store },
    { .name = "task", .mode = PROC_DIR, .find = task_find, .next = task_next },
    { .name = "timerslack_ns",
      .mode = ABI_S_IFREG | 0666,
      .show = pid_timer_slack,
      .store = pid_timer_slack_store },
    { .name = "attr", .mode = PROC_DIR },
    { .name = "auxv", .mode = ABI_S_IFREG | 0400, .show = pid_auxv, .is_of_memory = true },
    { .name = "cgroup", .mode = PROC_FILE, .show = proc_fixed_text, .data = "0::/\n" },
    { .name = "cmdline", .mode = PROC_FILE, .show = pid_cmdline },
    { .name = "comm",
      .mode = ABI_S_IFREG | 0644,
      .show = pid_comm,
      .store = pid_comm_store,
      .is_of_thread = true },
    { .name = "cwd", .mode = PROC_LINK, .show = proc_link_cwd, .follow = proc_follow_cwd },
    { .name = "environ", .mode = ABI_S_IFREG | 0400, .show = pid_environ, .is_of_memory = true },
    { .name = "exe", .mode = PROC_LINK, .show = proc_link_exe, .follow = proc_follow_exe },
    { .name = "fd", .mode = ABI_S_IFDIR | 0500, .find = proc_fd_find, .next = proc_fd_next },
    { .name = "fdinfo", .mode = PROC_DIR, .find = proc_fdinfo_find, .next = proc_fdinfo_next },
    { .name = "gid_map", .mode = PROC_FILE, .show = proc_fixed_text, .data = id_map },
    { .name = "io", .mode = ABI_S_IFREG | 0400, .show = pid_io },
    { .name = "limits", .mode = PROC_FILE, .show = proc_pid_limits },
    { .name = "loginuid", .mode = ABI_S_IFREG | 0644, .show = pid_login, .store = pid_login_store },
    { .name = "maps", .mode = PROC_FILE, .show = proc_pid_maps, .is_of_memory = true },
    { .name = "mem", .mode = ABI_S_IFREG | 0600, .ops = &proc_pid_mem_ops },
    { .name = "mountinfo", .mode = PROC_FILE, .show = proc_mountinfo },
    { .name = "mounts", .mode = PROC_FILE, .show = proc_mounts },
    { .name = "net", .mode = PROC_DIR, .entries = proc_net_table, .is_sealed = true },
    { .name = "numa_maps", .mode = PROC_FILE, .show = proc_pid_numa_maps, .is_of_memory = true },
    { .name = "ns", .mode = ABI_S_IFDIR | 0511, .entries = namespace_entries },
    { .name = "oom_score", .mode = PROC_FILE, .show = pid_oom_score },
    { .name = "oom_score_adj",
      .mode = ABI_S_IFREG | 0644,
      .show = pid_oom_adjust,
      .store = pid_oom_adjust_store },
    { .name = "pagemap", .mode = ABI_S_IFREG | 0400, .ops = &proc_pid_pagemap_ops },
    { .name = "personality", .mode = ABI_S_IFREG | 0400, .show = pid_personality },
    { .name = "projid_map", .mode = PROC_FILE, .show = proc_fixed_text, .data = id_map },
    { .name = "root", .mode = PROC_LINK, .show = proc_link_root, .follow = proc_follow_root },
    { .name = "schedstat", .mode = PROC_FILE, .show = pid_schedstat },
    { .name = "sessionid", .mode = PROC_FILE, .show = pid_session },
    { .name = "setgroups", .mode = PROC_FILE, .show = proc_fixed_text, .data = "allow\n" },
    { .name = "smaps", .mode = PROC_FILE, .show = proc_pid_smaps, .is_of_memory = true },
    { .name = "smaps_rollup",
      .mode = PROC_FILE,
      .show = proc_pid_smaps_rollup,
      .is_of_memory = true },
    { .name = "stack", .mode = ABI_S_IFREG | 0400, .show = proc_fixed_text, .data = "" },
    { .name = "stat", .mode = PROC_FILE, .show = proc_pid_stat },
    { .name = "statm", .mode = PROC_FILE, .show = proc_pid_statm },
    { .name = "status", .mode = PROC_FILE, .show = proc_pid_status },
    { .name = "syscall", .mode = ABI_S_IFREG | 0400, .show = pid_syscall },
    { .name = "uid_map", .mode = PROC_FILE, .show = proc_fixed_text, .data = id_map },
    { .name = "wchan", .mode = PROC_FILE, .show = proc_fixed_text, .data = "0" },
    { .name = "children", .mode = PROC_FILE, .show = pid_children },
    { 0 },
};

static const struct pseudo_entry pid_entry = { .mode = PROC_DIR, .entries = pid_entries };
static const struct pseudo_entry tid_entry = { .mode = PROC_DIR,
                                               .entries = pid_entries + PROCESS_ONLY };

struct process *procfs_directory_process(const struct file *file)
{
    if (file->flags & ABI_O_PATH || file->inode->sb->type != &procfs)
        return NULL;
    const struct pseudo_ref *ref = pseudo_ref_of(file->inode);
    return ref->entry == &pid_entry ? ref->process : NULL;
}

/* ---- The root's part ------------------------------------------------------------------------------------ */

int proc_pid_find(const struct pseudo_ref *dir, const char *name, size_t len,
                  struct pseudo_ref *child)
{
    long number = pseudo_number(name, len);
    if (number <= 0 || number > INT32_MAX)
        return -ENOENT;
    struct process *process = process_find((int)number);
    if (!process)
        process = process_of_tid((int)number); /* a thread: there, but not listed */
    if (!process)
        return -ENOENT;
    *child = (struct pseudo_ref){ .entry = &pid_entry, .process = process, .number = number };
    return 0;
}

struct pid_search {
    long from, found;
};

static bool pid_visit(struct process *process, void *arg)
{
    struct pid_search *search = arg;
    if (process->pid >= search->from && (search->found < 0 || process->pid < search->found))
        search->found = process->pid;
    return true;
}

long proc_pid_next(const struct pseudo_ref *dir, long from, const struct pseudo_entry **entry)
{
    struct pid_search search = { .from = from, .found = -1 };
    *entry = &pid_entry;
    process_for_each(pid_visit, &search);
    return search.found;
}
