// SPDX-License-Identifier: MIT
#pragma once
/*
 * What the process layer asks of the file layer, which lies above it; implemented in fs/.
 */
#include "lib/compiler.h"

struct fdtable;
struct fs_context;
struct file;
struct process;

struct process *process_of_current(void);

int fdtable_create(struct fdtable **out) __must_check;
int fdtable_copy(struct fdtable *from, struct fdtable **out) __must_check;
/* To look at it (/proc).  Who will use it as its own takes it by fdtable_share(), or is announced by
 * fdtable_add_user(), before it can. */
struct fdtable *fdtable_get(struct fdtable *files);
struct fdtable *fdtable_share(struct fdtable *files);
void fdtable_add_user(struct fdtable *files);
void fdtable_put(struct fdtable *files);
/* The running thread is the only one of its process, whose table it is: its calls need no references, unless another
 * process uses it too. */
void fdtable_used_alone(struct fdtable *files);
/* Whether another process uses it too (clone with CLONE_FILES). */
bool fdtable_is_shared(const struct fdtable *files);
void fdtable_close_on_exec(struct fdtable *files);

int fs_context_create(struct fs_context **out) __must_check;
int fs_context_copy(struct fs_context *from, struct fs_context **out) __must_check;
struct fs_context *fs_context_get(struct fs_context *fs);
void fs_context_put(struct fs_context *fs);

/* What is dirty in memory goes to where files are kept: sync(2), and the end of the machine. */
void files_sync(void);

struct file *file_get(struct file *file);
void file_put(struct file *file);

/* The process behind a pidfd of the running process: its pid, or -EBADF; and whether it is O_NONBLOCK. */
int pidfd_pid(int fd, bool *is_nonblocking);
/* A new pidfd on process, close-on-exec: its number, -EMFILE or -ENOMEM.  Undone by pidfd_uninstall(). */
int pidfd_install(struct process *process) __must_check;
void pidfd_uninstall(int fd);
/* Whether the descriptor is of the control group: its directory. */
bool cgroup_is_open(int fd);
/* The leader of a session has ended, and with it the session's controlling terminal: SIGHUP and SIGCONT go to the
 * foreground group.  Cheap if there is none. */
void tty_session_ended(const struct process *leader);
