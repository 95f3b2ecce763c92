// SPDX-License-Identifier: MIT
#pragma once
/*
 * O_ASYNC: a file tells its owner by a signal that it became ready (fcntl(2), F_SETSIG).
 */
#include "lib/compiler.h"

struct file;

/* F_SETFL and FIOASYNC by descriptor fd, which the signal will name.  -ENOTTY: this kind of file does not do it;
 * -ENOMEM. */
int file_async_set(struct file *file, int fd, bool on) __must_check;
/* F_NOTIFY: something happened in the directory.  Any context. */
void file_async_message(struct file *file, int fd);
/* The last reference is gone. */
void file_async_release(struct file *file);
