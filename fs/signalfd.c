// SPDX-License-Identifier: MIT
/*
 * signalfd(2): takes pending signals by read().
 *
 * The signals are those of the thread that reads, as on Linux.  Readiness is told by the process that
 * begins to watch, until its end, whoever made the descriptor: an epoll's is the one that added it.
 */
#include "abi/signalfd.h"
#include "abi/fcntl.h"
#include "abi/poll.h"
#include "fs/event_objects.h"
#include "kernel/mm/heap.h"
#include "kernel/process.h"
#include "kernel/thread.h"

struct signalfd {
    uint64_t mask; /* [a] */
};

#define NEVER_TAKEN (SIGNAL_BIT(ABI_SIGKILL) | SIGNAL_BIT(ABI_SIGSTOP))

/* What of mask is pending for the running thread. */
static uint64_t pending_for_current(uint64_t mask)
{
    struct thread *thread = thread_current();
    if (!thread->process)
        return 0;
    struct signal_shared *shared = &thread->process->signals;
    unsigned long flags = spin_lock_irq(&shared->lock);
    uint64_t pending = thread->signals.pending.set | shared->pending.set;
    spin_unlock_irq(&shared->lock, flags);
    return pending & mask;
}

#define FAULTS                                                                                     \
    (SIGNAL_BIT(ABI_SIGILL) | SIGNAL_BIT(ABI_SIGFPE) | SIGNAL_BIT(ABI_SIGSEGV) |                   \
     SIGNAL_BIT(ABI_SIGBUS) | SIGNAL_BIT(ABI_SIGTRAP))

/* What a signal from the kernel with a code of its own tells. */
static void reason_convert(const struct abi_siginfo *info, struct abi_signalfd_siginfo *out)
{
    if (info->si_signo == ABI_SIGCHLD) {
        out->ssi_pid = (uint32_t)info->si_pid;
        out->ssi_uid = info->si_uid;
        out->ssi_status = info->chld.si_status;
        out->ssi_utime = (uint64_t)info->chld.si_utime;
        out->ssi_stime = (uint64_t)info->chld.si_stime;
    } else if (SIGNAL_BIT(info->si_signo) & FAULTS) {
        out->ssi_addr = info->fault.si_addr;
        out->ssi_addr_lsb = (uint16_t)info->fault.si_addr_lsb;
    } else if (info->si_signo != ABI_SIGSYS) {
        out->ssi_band = (uint32_t)info->poll.si_band;
        out->ssi_fd = info->poll.si_fd;
    }
}

static void info_convert(const struct abi_siginfo *info, struct abi_signalfd_siginfo *out)
{
    *out = (struct abi_signalfd_siginfo){ .ssi_signo = (uint32_t)info->si_signo,
                                          .ssi_errno = info->si_errno,
                                          .ssi_code = info->si_code };
    if (info->si_code == ABI_SI_TIMER) {
        out->ssi_tid = (uint32_t)info->timer.si_tid;
        out->ssi_overrun = (uint32_t)info->timer.si_overrun;
        out->ssi_ptr = info->timer.si_value;
        out->ssi_int = (int32_t)info->timer.si_value;
    } else if (info->si_code == ABI_SI_SIGIO) {
        out->ssi_band = (uint32_t)info->poll.si_band;
        out->ssi_fd = info->poll.si_fd;
    } else if (info->si_code > 0 && info->si_code < ABI_SI_KERNEL) {
        reason_convert(info, out);
    } else {
        out->ssi_pid = (uint32_t)info->si_pid;
        out->ssi_uid = info->si_uid;
        if (info->si_code < 0) {
            out->ssi_ptr = info->si_value;
            out->ssi_int = (int32_t)info->si_value;
        }
    }
}

static long signalfd_read(struct file *file, struct io *io, int64_t *pos)
{
    struct signalfd *signalfd = file->private;
    struct abi_signalfd_siginfo out;
    if (io->remaining < sizeof(out))
        return -EINVAL;
    struct process *process = process_current();
    if (!process)
        return -EINVAL;
    long total = 0;
    while (io->remaining >= sizeof(out)) {
        uint64_t mask = READ_ONCE(signalfd->mask);
        struct abi_siginfo info;
        if (signal_dequeue(mask, &info)) {
            info_convert(&info, &out);
            if (io_write_to(io, &out, sizeof(out)) != (long)sizeof(out))
                return total ? total : -EFAULT;
            total += sizeof(out);
            continue;
        }
        if (total)
            return total;
        if (io->nonblock)
            return -EAGAIN;
        if (wait_on(&process->signals.arrived, pending_for_current(READ_ONCE(signalfd->mask)) != 0,
                    DEADLINE_NONE) != 0)
            return -ERESTARTSYS;
    }
    return total;
}

static unsigned signalfd_poll(struct file *file)
{
    struct signalfd *signalfd = file->private;
    return pending_for_current(READ_ONCE(signalfd->mask)) ? ABI_POLLIN : 0;
}

static void signalfd_release(struct file *file)
{
    kfree(file->private);
}

/* NULL: a kernel thread has no signals. */
static struct poll_head *signalfd_poll_head(void)
{
    struct process *process = process_current();
    return process ? &process->signals.poll : NULL;
}

static const struct file_ops signalfd_ops = {
    .read = signalfd_read,
    .poll = signalfd_poll,
    .release = signalfd_release,
    .own_poll_head = signalfd_poll_head,
    .kind = "signalfd",
};

bool file_is_signalfd(const struct file *file)
{
    return file->ops == &signalfd_ops;
}

int signalfd_create(uint64_t mask, unsigned flags, struct file **out)
{
    struct signalfd *signalfd = kzalloc(sizeof(*signalfd), ALLOC_WAIT);
    if (!signalfd)
        return -ENOMEM;
    signalfd->mask = mask & ~NEVER_TAKEN;
    int err = file_create(&signalfd_ops, signalfd, ABI_O_RDWR | flags, out);
    if (err)
        kfree(signalfd);
    return err;
}

void signalfd_set_mask(struct file *file, uint64_t mask)
{
    struct signalfd *signalfd = file->private;
    WRITE_ONCE(signalfd->mask, mask & ~NEVER_TAKEN);
    /* What was pending may count now. */
    wake_all(&process_current()->signals.arrived);
    poll_wake(&process_current()->signals.poll, ABI_POLLIN);
}
