// SPDX-License-Identifier: MIT
/*
 * ioprio_get(2), ioprio_set(2): kept for those who set and read them; blocks are served in order here.
 */
#include "abi/capability.h"
#include "abi/errno.h"
#include "kernel/process.h"
#include "kernel/syscall.h"
#include "kernel/thread.h"

#define CLASS_SHIFT 13
#define LEVELS      8
enum { CLASS_NONE, CLASS_RT, CLASS_BE, CLASS_IDLE };
enum { WHO_PROCESS = 1, WHO_PGRP, WHO_USER };

struct ioprio_walk {
    int which, who;
    bool sets;
    uint16_t value; /* to set; the most urgent one that was found */
    int result;     /* -ESRCH until one is found */
};

/* The order of urgency: none of its own counts as the middle of best effort. */
static unsigned urgency(uint16_t value)
{
    return value ? value : CLASS_BE << CLASS_SHIFT | LEVELS / 2;
}

static void visit(struct ioprio_walk *walk, struct thread *thread)
{
    const struct credentials *own = &process_current()->creds;
    uint32_t uid = thread->process->creds.uid;
    uint16_t value = READ_ONCE(thread->sched.ioprio);

    if (!walk->sets) {
        if (walk->result || urgency(value) < urgency(walk->value))
            walk->value = value;
        walk->result = 0;
        return;
    }
    walk->result = 0;
    if (uid != own->euid && uid != own->uid && !process_is_capable(ABI_CAP_SYS_NICE))
        walk->result = -EPERM;
    else
        WRITE_ONCE(thread->sched.ioprio, walk->value);
}

static bool visit_process(struct process *process, void *arg)
{
    struct ioprio_walk *walk = arg;
    struct thread *thread;
    bool matches =
        walk->which == WHO_PGRP ? process->pgid == walk->who : (int)process->creds.uid == walk->who;

    if (matches)
        list_for_each (thread, &process->threads, process_node)
            visit(walk, thread);
    return true;
}

static int walk_run(struct ioprio_walk *walk)
{
    walk->result = -ESRCH;
    if (walk->which == WHO_PROCESS) {
        struct thread *thread = walk->who ? thread_find(walk->who) : thread_get(thread_current());
        if (!thread)
            return -ESRCH;
        visit(walk, thread);
        thread_put(thread);
        return walk->result;
    }
    if (walk->which != WHO_PGRP && walk->which != WHO_USER)
        return -EINVAL;
    if (walk->which == WHO_PGRP && walk->who == 0)
        walk->who = process_current()->pgid;
    else if (walk->who == 0)
        walk->who = (int)process_current()->creds.uid;
    process_for_each(visit_process, walk);
    return walk->result;
}

static int check(int value)
{
    int class = value >> CLASS_SHIFT, level = value & (LEVELS - 1);

    switch (class) {
    case CLASS_NONE:
        return level ? -EINVAL : 0;
    case CLASS_RT:
        return process_is_capable(ABI_CAP_SYS_ADMIN) || process_is_capable(ABI_CAP_SYS_NICE)
                   ? 0
                   : -EPERM;
    case CLASS_BE:
    case CLASS_IDLE:
        return 0;
    default:
        return -EINVAL;
    }
}

long sys_ioprio_set(int which, int who, int value)
{
    struct ioprio_walk walk = {
        .which = which, .who = who, .sets = true, .value = (uint16_t)value
    };
    int err = check(value);

    return err ? err : walk_run(&walk);
}

long sys_ioprio_get(int which, int who)
{
    struct ioprio_walk walk = { .which = which, .who = who };
    int err = walk_run(&walk);

    return err ? err : walk.value;
}
