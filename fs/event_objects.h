// SPDX-License-Identifier: MIT
#pragma once
/*
 * The small file objects behind fs/sys_event.c: eventfd(2), timerfd_create(2), signalfd(2), pidfd_open(2).
 */
#include "abi/time.h"
#include "fs/file.h"

#define ABI_EFD_SEMAPHORE 1u

int eventfd_create(uint64_t count, unsigned flags, bool is_semaphore,
                   struct file **out) __must_check;
bool file_is_eventfd(const struct file *file);
/* Adds one for the kernel, never waiting.  Threads only. */
void eventfd_signal(struct file *file);

#define ABI_TFD_TIMER_ABSTIME       1
#define ABI_TFD_TIMER_CANCEL_ON_SET 2

int timerfd_create_file(int clock, unsigned flags, struct file **out) __must_check;
bool file_is_timerfd(const struct file *file);
int timerfd_set(struct file *file, int flags, const struct abi_itimerspec *spec,
                struct abi_itimerspec *old) __must_check;
void timerfd_get(struct file *file, struct abi_itimerspec *spec);

int signalfd_create(uint64_t mask, unsigned flags, struct file **out) __must_check;
bool file_is_signalfd(const struct file *file);
void signalfd_set_mask(struct file *file, uint64_t mask);

struct process;
int pidfd_create(struct process *process, unsigned flags, struct file **out) __must_check;
/* The process of a pidfd, without a reference of its own; NULL: not a pidfd. */
struct process *pidfd_process(const struct file *file);
