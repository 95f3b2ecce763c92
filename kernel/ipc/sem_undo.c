// SPDX-License-Identifier: MIT
/*
 * SEM_UNDO.
 *
 * A thread that asks for it gets a list, which its clones with CLONE_SYSVSEM share (all threads of a
 * pthread program) and fork does not; execve keeps it.  On it is one struct sem_undo for each set, which
 * is also on the set's list, and whoever of the two goes first takes it off both.
 *
 * Locking: set->lock, then list->lock.  The end of a list has to go the other way: it takes a reference on the set
 * with list->lock held, and looks again once it has both.
 */
#include "kernel/ipc/sem.h"
#include "kernel/ipc/sem_thread.h"
#include "kernel/mm/heap.h"
#include "kernel/thread.h"

static struct sem_undo_list *list_create(void)
{
    struct sem_undo_list *list = kzalloc(sizeof(*list), ALLOC_WAIT);

    if (list) {
        list->refcount = 1;
        spin_init(&list->lock, RANK_SEM_UNDO);
        list_init(&list->undos);
    }
    return list;
}

static int list_ensure(struct thread *thread)
{
    if (!thread->sem_undos)
        thread->sem_undos = list_create();
    return thread->sem_undos ? 0 : -ENOMEM;
}

int sem_undo_share(struct thread *child)
{
    struct thread *self = thread_current();
    int err = list_ensure(self);

    if (!err) {
        __atomic_fetch_add(&self->sem_undos->refcount, 1, __ATOMIC_RELAXED);
        child->sem_undos = self->sem_undos;
    }
    return err;
}

/* ---- Undos ----------------------------------------------------------------------------------- */

/* [s] held. */
static struct sem_undo *undo_lookup(const struct sem_set *set, struct sem_undo_list *list)
{
    struct sem_undo *undo, *found = NULL;

    spin_lock(&list->lock);
    list_for_each (undo, &list->undos, list_node)
        if (undo->set == set)
            found = undo;
    spin_unlock(&list->lock);
    return found;
}

/* Enters it, unless another thread of the list was faster.  [s] held. */
static int undo_enter(struct sem_undo *undo, struct sem_undo **out)
{
    struct sem_set *set = undo->set;

    if (set->ipc.is_removed)
        return -EIDRM;
    *out = undo_lookup(set, undo->list);
    if (!*out) {
        list_push_back(&set->undos, &undo->set_node);
        spin_lock(&undo->list->lock);
        list_push_back(&undo->list->undos, &undo->list_node);
        spin_unlock(&undo->list->lock);
        *out = undo;
    }
    return 0;
}

static void undo_free(struct sem_undo *undo)
{
    ipc_put(&undo->set->ipc);
    kfree(undo);
}

int sem_undo_find(struct sem_set *set, struct sem_undo **out)
{
    struct thread *self = thread_current();

    int err = list_ensure(self);
    if (err)
        return err;
    spin_lock(&set->lock);
    *out = undo_lookup(set, self->sem_undos);
    spin_unlock(&set->lock);
    if (*out)
        return 0;
    struct sem_undo *undo = kzalloc(sizeof(*undo) + set->count * sizeof(int16_t), ALLOC_WAIT);
    if (!undo)
        return -ENOMEM;
    undo->list = self->sem_undos;
    undo->set = sem_of_ipc(ipc_get(&set->ipc));
    spin_lock(&set->lock);
    err = undo_enter(undo, out);
    spin_unlock(&set->lock);
    if (err || *out != undo)
        undo_free(undo);
    return err;
}

/* Off both lists.  [s] held. */
static void undo_unlink(struct sem_undo *undo)
{
    list_remove(&undo->set_node);
    spin_lock(&undo->list->lock);
    list_remove(&undo->list_node);
    spin_unlock(&undo->list->lock);
}

void sem_undo_detach_locked(struct sem_set *set, struct list *dead)
{
    while (!list_is_empty(&set->undos)) {
        struct sem_undo *undo = list_first(&set->undos, struct sem_undo, set_node);
        undo_unlink(undo);
        list_push_back(dead, &undo->set_node);
    }
}

void sem_undo_free(struct list *dead)
{
    while (!list_is_empty(dead)) {
        struct sem_undo *undo = list_first(dead, struct sem_undo, set_node);
        list_remove(&undo->set_node);
        undo_free(undo);
    }
}

/* ---- The end of a list ------------------------------------------------------------------------- */

static void undo_apply(struct sem_set *set, const struct sem_undo *undo)
{
    bool is_changed = false;

    for (unsigned i = 0; i < set->count; i++) {
        if (!undo->adjust[i])
            continue;
        int value = set->member[i].value + undo->adjust[i];
        set->member[i].value = MAX(0, MIN(value, ABI_SEMVMX));
        set->member[i].pid = ipc_current_pid();
        is_changed = true;
    }
    if (is_changed) {
        set->otime = ipc_now();
        sem_update_locked(set);
    }
}

/* The first set on the list, with a reference; NULL: it is empty. */
static struct sem_set *first_set(struct sem_undo_list *list)
{
    struct sem_set *set = NULL;

    spin_lock(&list->lock);
    if (!list_is_empty(&list->undos))
        set = list_first(&list->undos, struct sem_undo, list_node)->set;
    if (set)
        ipc_get(&set->ipc);
    spin_unlock(&list->lock);
    return set;
}

void sem_undo_leave(struct thread *thread)
{
    struct sem_undo_list *list = thread->sem_undos;
    struct sem_set *set;

    thread->sem_undos = NULL;
    if (!list || __atomic_sub_fetch(&list->refcount, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    while ((set = first_set(list))) {
        spin_lock(&set->lock);
        struct sem_undo *undo = undo_lookup(set, list);
        if (undo) {
            undo_unlink(undo);
            undo_apply(set, undo);
        }
        spin_unlock(&set->lock);
        if (undo)
            undo_free(undo);
        ipc_put(&set->ipc);
    }
    kfree(list);
}
