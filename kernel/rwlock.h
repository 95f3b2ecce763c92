// SPDX-License-Identifier: MIT
#pragma once
/*
 * Reader-writer sleeping locks, writers preferred.  Same context rules as a mutex.
 */
#include "kernel/spinlock.h"
#include "lib/list.h"

struct thread;

struct rwlock {
    struct spinlock lock; /* guards the rest */
    unsigned nreaders;
    unsigned nwaiting_writers;
    struct thread *writer;
    struct list waiters;
    uint16_t rank;
};

void rwlock_init(struct rwlock *lock, enum lock_rank rank);
void read_lock(struct rwlock *lock);
void read_unlock(struct rwlock *lock);
void write_lock(struct rwlock *lock);
void write_unlock(struct rwlock *lock);
void write_downgrade(struct rwlock *lock);         /* writer becomes a reader, without a gap */
bool rwlock_is_written(const struct rwlock *lock); /* by the running thread */
