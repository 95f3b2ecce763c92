// SPDX-License-Identifier: MIT
/*
 * Calls that look into another process: process_vm_readv(2), process_vm_writev(2), kcmp(2), process_madvise(2).
 */
#include "abi/capability.h"
#include "abi/errno.h"
#include "fs/file.h"
#include "kernel/mm/heap.h"
#include "kernel/mm/vmspace.h"
#include "kernel/process.h"
#include "kernel/ptrace.h"
#include "kernel/syscall.h"
#include "kernel/thread_files.h"
#include "kernel/thread_fs.h"
#include "kernel/usercopy.h"

/* ---- process_vm_readv, process_vm_writev ---------------------------------------------------- */

/* One piece of the other process; bytes, short or -EFAULT where something is not there. */
static long move_piece(struct vmspace *vm, const struct abi_iovec *piece, struct io *local,
                       char *page, bool is_write)
{
    size_t len = MIN((size_t)piece->len, local->remaining), done = 0;

    while (done < len) {
        size_t step = MIN(len - done, PAGE_SIZE - (piece->base + done) % PAGE_SIZE);
        uintptr_t at = piece->base + done;
        long n = is_write ? io_read_from(local, page, step) : vmspace_read(vm, at, page, step);
        if (n > 0)
            n = is_write ? vmspace_write(vm, at, page, (size_t)n)
                         : io_write_to(local, page, (size_t)n);
        if (n <= 0)
            return done ? (long)done : -EFAULT;
        done += (size_t)n;
        if ((size_t)n < step)
            break;
    }
    return (long)done;
}

static long move_all(struct vmspace *vm, const struct abi_iovec *piece, unsigned long count,
                     struct io *local, bool is_write)
{
    char *page = kmalloc(PAGE_SIZE, ALLOC_WAIT);
    long done = 0;

    if (!page)
        return -ENOMEM;
    for (unsigned long i = 0; i < count && local->remaining > 0; i++) {
        if (!piece[i].len)
            continue;
        size_t wanted = MIN((size_t)piece[i].len, local->remaining);
        long n = move_piece(vm, &piece[i], local, page, is_write);
        if (n > 0)
            done += n;
        if (n < (long)wanted) {
            done = done ? done : n;
            break;
        }
    }
    kfree(page);
    return done;
}

static long move_between(int pid, const struct abi_iovec *piece, unsigned long count,
                         struct io *local, bool is_write)
{
    struct process *process = pid > 0 ? process_of_tid(pid) : NULL;

    if (!process)
        return -ESRCH;
    struct vmspace *vm = process_vmspace(process);
    long n = !vm ? -ESRCH : !ptrace_may_access(process) ? -EPERM : 0;
    if (!n)
        n = move_all(vm, piece, count, local, is_write);
    if (vm)
        vmspace_put(vm);
    process_put(process);
    return n;
}

static int remote_load(struct abi_iovec **out, const void __app *remote, unsigned long count)
{
    struct abi_iovec *piece = kcalloc(MAX(count, 1UL), sizeof(*piece), ALLOC_WAIT);

    *out = piece;
    if (!piece)
        return -ENOMEM;
    if (copy_from_app(piece, remote, count * sizeof(*piece)))
        return -EFAULT;
    for (unsigned long i = 0; i < count; i++) {
        if (piece[i].len > INT64_MAX)
            return -EINVAL;
    }
    return 0;
}

static long process_vm(int pid, const void __app *local, unsigned long nlocal,
                       const void __app *remote, unsigned long nremote, bool is_write)
{
    struct abi_iovec *piece = NULL;
    struct io io;

    long n = io_init_vector(&io, local, nlocal);
    if (n)
        return n;
    if (io.remaining > 0 && nremote > IOV_MAX_PIECES)
        n = -EINVAL;
    if (!n && io.remaining > 0)
        n = remote_load(&piece, remote, nremote);
    if (!n && io.remaining > 0 && nremote > 0)
        n = move_between(pid, piece, nremote, &io, is_write);
    kfree(piece);
    io_fini(&io);
    return n;
}

long sys_process_vm_readv(int pid, const void __app *local, unsigned long nlocal,
                          const void __app *remote, unsigned long nremote, unsigned long flags)
{
    return flags ? -EINVAL : process_vm(pid, local, nlocal, remote, nremote, false);
}

long sys_process_vm_writev(int pid, const void __app *local, unsigned long nlocal,
                           const void __app *remote, unsigned long nremote, unsigned long flags)
{
    return flags ? -EINVAL : process_vm(pid, local, nlocal, remote, nremote, true);
}

/* ---- kcmp ---------------------------------------------------------------------------------------- */

enum { KCMP_FILE, KCMP_VM, KCMP_FILES, KCMP_FS, KCMP_SIGHAND, KCMP_IO, KCMP_SYSVSEM, KCMP_TYPES };

/* Both without a reference. */
static const void *fs_compared(struct process *process, struct thread *thread)
{
    struct fs_context *fs = fs_of_thread(process, thread);
    if (fs)
        fs_context_put(fs);
    return fs;
}

static const void *files_compared(struct process *process, struct thread *thread)
{
    struct fdtable *files = files_of_thread(process, thread);
    if (files)
        fdtable_put(files);
    return files;
}

static const struct file *file_compared(struct process *process, struct thread *thread,
                                        unsigned long index)
{
    struct fdtable *files = files_of_thread(process, thread);
    struct file *file = files && index <= INT32_MAX ? fdtable_file(files, (int)index) : NULL;
    if (files)
        fdtable_put(files);
    if (file)
        file_put(file);
    return file;
}

/* What is compared, without a reference; false: there is none (a file). */
static bool object_of(struct process *process, int tid, int type, unsigned long index,
                      const void **out)
{
    struct thread *thread = thread_find(tid);
    struct thread *own = thread && thread->process == process ? thread : NULL;

    mutex_lock(&process->lock);
    const void *const objects[KCMP_TYPES] = {
        [KCMP_VM] = process->vmspace,
        [KCMP_SIGHAND] = process->handlers,
        [KCMP_IO] = NULL,
        [KCMP_SYSVSEM] = NULL,
    };
    *out = objects[type];
    mutex_unlock(&process->lock);
    if (type == KCMP_FS)
        *out = fs_compared(process, own);
    else if (type == KCMP_FILES)
        *out = files_compared(process, own);
    else if (type == KCMP_FILE)
        *out = file_compared(process, own, index);
    if (thread)
        thread_put(thread);
    return *out || type != KCMP_FILE;
}

/* An order that does not tell addresses. */
static long compare(const void *a, const void *b)
{
    uintptr_t x = (uintptr_t)a * 0x9e3779b97f4a7c15UL, y = (uintptr_t)b * 0x9e3779b97f4a7c15UL;

    return (x < y) | (x > y) << 1;
}

long sys_kcmp(int pid1, int pid2, int type, unsigned long index1, unsigned long index2)
{
    struct process *first = pid1 > 0 ? process_of_tid(pid1) : NULL;
    struct process *second = pid2 > 0 ? process_of_tid(pid2) : NULL;
    const void *a, *b;
    long result;

    if (!first || !second)
        result = -ESRCH;
    else if (!ptrace_may_access(first) || !ptrace_may_access(second))
        result = -EPERM;
    else if ((unsigned)type >= KCMP_TYPES)
        result = -EINVAL;
    else if (!object_of(first, pid1, type, index1, &a) ||
             !object_of(second, pid2, type, index2, &b))
        result = -EBADF;
    else
        result = compare(a, b);
    if (first)
        process_put(first);
    if (second)
        process_put(second);
    return result;
}

/* ---- process_madvise ------------------------------------------------------------------------------ */

/* What may be advised from outside has no effect here; the range must be there. */
static long advise_vector(struct vmspace *vm, const char __app *vector, unsigned long count)
{
    long done = 0;

    for (unsigned long i = 0; i < count; i++) {
        uint64_t piece[2]; /* struct iovec */
        int err = copy_from_app(piece, vector + i * sizeof(piece), sizeof(piece));
        if (!err && (piece[0] % PAGE_SIZE != 0 || piece[1] > APP_MAX))
            err = -EINVAL;
        if (!err && piece[0] > APP_MAX - piece[1])
            err = -ENOMEM;
        if (!err)
            err = vmspace_check_mapped(vm, piece[0], piece[0] + ALIGN_UP(piece[1], PAGE_SIZE));
        if (err)
            return done ? done : err;
        done += (long)piece[1];
    }
    return done;
}

long sys_process_madvise(int pidfd, const void __app *vector, unsigned long count, int advice,
                         unsigned flags)
{
    if (flags || count > IOV_MAX_PIECES)
        return -EINVAL;
    bool is_nonblocking;
    int pid = pidfd_pid(pidfd, &is_nonblocking);
    if (pid < 0)
        return pid;
    if (advice != ABI_MADV_WILLNEED && advice != ABI_MADV_COLD && advice != ABI_MADV_PAGEOUT)
        return -EINVAL;
    struct process *process = process_find(pid);
    struct vmspace *vm = process ? process_vmspace(process) : NULL;
    long result = vm ? 0 : -ESRCH;
    if (vm && process != process_current() && !process_is_capable(ABI_CAP_SYS_NICE))
        result = -EPERM;
    if (!result)
        result = advise_vector(vm, vector, count);
    if (vm)
        vmspace_put(vm);
    if (process)
        process_put(process);
    return result;
}
