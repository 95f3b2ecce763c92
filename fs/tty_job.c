// SPDX-License-Identifier: MIT
/*
 * Terminals and sessions: controlling terminals, foreground groups, job control.
 *
 * A session has at most one controlling terminal, which its leader claims.  Each claim has a number, which the terminal
 * and the leader keep and later children inherit; so a process finds its own terminal by looking for its number
 * among the few there are.  Who gives the terminal up forgets the number; if it is the leader, or the terminal is
 * hung up or stolen, the terminal does, and is nobody's: neither a later claim nor another terminal's brings it back
 * to the other members of the session (as in Linux, where each process has its own pointer).
 */
#include "abi/capability.h"
#include "abi/signal.h"
#include "fs/tty_internal.h"
#include "kernel/process.h"
#include "kernel/thread.h"
#include "kernel/usercopy.h"

static struct spinlock tty_list_lock = SPINLOCK_INIT(RANK_TTY_LIST);
static struct list ttys = LIST_INIT(ttys);
static uint64_t last_claim; /* under tty_list_lock */

void tty_list_add(struct tty *tty)
{
    spin_lock(&tty_list_lock);
    list_push_back(&ttys, &tty->node);
    spin_unlock(&tty_list_lock);
}

void tty_list_remove(struct tty *tty)
{
    spin_lock(&tty_list_lock);
    list_remove(&tty->node);
    spin_unlock(&tty_list_lock);
}

static bool is_own_locked(const struct tty *tty, const struct process *process)
{
    return tty->claim != 0 && tty->claim == READ_ONCE(process->tty_claim);
}

static struct tty *find_locked(const struct process *process)
{
    struct tty *tty;
    list_for_each (tty, &ttys, node) {
        if (is_own_locked(tty, process))
            return tty;
    }
    return NULL;
}

static bool get_unless_dead(struct tty *tty)
{
    unsigned count = __atomic_load_n(&tty->refcount, __ATOMIC_RELAXED);
    while (count != 0) {
        if (__atomic_compare_exchange_n(&tty->refcount, &count, count + 1, true, __ATOMIC_ACQUIRE,
                                        __ATOMIC_RELAXED))
            return true;
    }
    return false;
}

struct tty *tty_of_current(void)
{
    struct process *process = process_current();
    if (!process)
        return NULL;
    spin_lock(&tty_list_lock);
    struct tty *tty = find_locked(process);
    if (tty && !get_unless_dead(tty))
        tty = NULL;
    spin_unlock(&tty_list_lock);
    return tty;
}

unsigned tty_number_of(const struct process *process, int *pgid)
{
    spin_lock(&tty_list_lock);
    struct tty *tty = find_locked(process);
    unsigned number = tty ? (unsigned)tty->rdev : 0;
    *pgid = tty && tty->foreground ? tty->foreground : -1;
    spin_unlock(&tty_list_lock);
    return number;
}

/* ---- Signals ------------------------------------------------------------------------ */

int tty_foreground(struct tty *tty)
{
    spin_lock(&tty_list_lock);
    int pgid = tty->foreground;
    spin_unlock(&tty_list_lock);
    return pgid;
}

void tty_signal_foreground(struct tty *tty, int signo)
{
    int pgid = tty_foreground(tty);
    if (pgid > 0)
        (void)signal_send_group(pgid, signo, NULL); /* an empty group hears nothing */
}

static bool ignores_or_blocks(struct process *process, int signo)
{
    if (thread_current()->signals.blocked & SIGNAL_BIT(signo))
        return true;
    struct signal_handlers *handlers = process->handlers;
    return handlers && READ_ONCE(handlers->action[signo - 1].handler) == ABI_SIG_IGN;
}

static bool group_is_orphaned(int pgid)
{
    read_lock(&process_table_lock);
    bool is_orphaned = process_group_is_orphaned(pgid);
    read_unlock(&process_table_lock);
    return is_orphaned;
}

int tty_check_foreground(struct tty *tty, int signo)
{
    struct process *process = process_current();
    if (!process)
        return 0;
    spin_lock(&tty_list_lock);
    bool is_background =
        is_own_locked(tty, process) && tty->foreground != 0 && tty->foreground != process->pgid;
    spin_unlock(&tty_list_lock);
    if (likely(!is_background))
        return 0;
    if (ignores_or_blocks(process, signo))
        return signo == ABI_SIGTTIN ? -EIO : 0;
    if (group_is_orphaned(process->pgid))
        return -EIO;
    (void)signal_send_group(process->pgid, signo, NULL);
    return -ERESTARTSYS;
}

/* ---- Sessions ----------------------------------------------------------------------------- */

/* Nobody's from now on. */
static void release_locked(struct tty *tty)
{
    tty->claim = 0;
    tty->session = 0;
    tty->foreground = 0;
}

/* The running process, which leads its session, gets tty; 0, or -EPERM if either has another partner. */
static int claim(struct tty *tty, bool may_steal)
{
    struct process *process = process_current();
    int err = 0;
    if (!process || process->pid != process->sid)
        return -EPERM;
    spin_lock(&tty_list_lock);
    struct tty *own = find_locked(process);
    if (own == tty)
        err = 0;
    else if (own || (tty->claim != 0 && !may_steal))
        err = -EPERM;
    else {
        tty->claim = ++last_claim;
        tty->session = process->sid;
        tty->foreground = process->pgid;
        WRITE_ONCE(process->tty_claim, tty->claim);
    }
    spin_unlock(&tty_list_lock);
    return err;
}

void tty_claim_on_open(struct tty *tty)
{
    (void)claim(tty, false); /* who cannot have it just opens it */
}

void tty_leave_session(struct tty *tty)
{
    spin_lock(&tty_list_lock);
    int pgid = tty->foreground, sid = tty->session;
    release_locked(tty);
    spin_unlock(&tty_list_lock);
    if (sid == 0)
        return;
    struct process *leader = process_find(sid);
    if (leader) {
        (void)signal_send_process(leader, ABI_SIGHUP, NULL);
        (void)signal_send_process(leader, ABI_SIGCONT, NULL);
        process_put(leader);
    }
    if (pgid > 0 && pgid != sid) {
        (void)signal_send_group(pgid, ABI_SIGHUP, NULL);
        (void)signal_send_group(pgid, ABI_SIGCONT, NULL);
    }
}

void tty_session_ended(const struct process *leader)
{
    spin_lock(&tty_list_lock);
    struct tty *tty = find_locked(leader);
    int pgid = tty ? tty->foreground : 0;
    if (tty)
        release_locked(tty);
    spin_unlock(&tty_list_lock);
    if (pgid > 0) {
        (void)signal_send_group(pgid, ABI_SIGHUP, NULL);
        (void)signal_send_group(pgid, ABI_SIGCONT, NULL);
    }
}

/* ---- ioctl ------------------------------------------------------------------------------------ */

struct group_search {
    int pgid;
    int sid;
    bool is_found;
};

static bool group_visit(struct process *process, void *arg)
{
    struct group_search *search = arg;
    if (process->pgid != search->pgid)
        return true;
    search->is_found = true;
    search->sid = process->sid;
    return false;
}

static long set_foreground(struct tty *tty, int pgid)
{
    struct process *process = process_current();
    if (pgid < 0)
        return -EINVAL;
    struct group_search search = { .pgid = pgid };
    process_for_each(group_visit, &search);
    if (!search.is_found)
        return -ESRCH;
    if (search.sid != process->sid)
        return -EPERM;
    spin_lock(&tty_list_lock);
    tty->foreground = pgid;
    spin_unlock(&tty_list_lock);
    return 0;
}

static bool is_own(struct tty *tty)
{
    struct process *process = process_current();
    spin_lock(&tty_list_lock);
    bool is_own_tty = process && is_own_locked(tty, process);
    spin_unlock(&tty_list_lock);
    return is_own_tty;
}

static long ioctl_set_foreground(struct tty *tty, unsigned long arg)
{
    int pgid;
    int err = tty_check_foreground(tty, ABI_SIGTTOU);
    if (err)
        return err;
    if (!is_own(tty))
        return -ENOTTY;
    if (copy_from_app(&pgid, (const void __app *)arg, sizeof(pgid)) != 0)
        return -EFAULT;
    return set_foreground(tty, pgid);
}

static long ioctl_leave(struct tty *tty)
{
    struct process *process = process_current();
    if (!is_own(tty))
        return -ENOTTY;
    if (process->pid == process->sid)
        tty_session_ended(process);
    else
        WRITE_ONCE(process->tty_claim, 0);
    return 0;
}

static long put_int(int value, unsigned long arg)
{
    return copy_to_app((void __app *)arg, &value, sizeof(value));
}

long tty_job_ioctl(struct tty *tty, unsigned command, unsigned long arg, bool is_master)
{
    switch (command) {
    case ABI_TIOCSCTTY:
        return claim(tty, arg == 1 && process_is_capable(ABI_CAP_SYS_ADMIN));
    case ABI_TIOCNOTTY:
        return ioctl_leave(tty);
    case ABI_TIOCGPGRP:
        return is_master || is_own(tty) ? put_int(tty_foreground(tty), arg) : -ENOTTY;
    case ABI_TIOCSPGRP:
        return ioctl_set_foreground(tty, arg);
    case ABI_TIOCGSID:
        return (is_master && tty->session) || is_own(tty) ? put_int(tty->session, arg) : -ENOTTY;
    default:
        return -ENOTTY;
    }
}
