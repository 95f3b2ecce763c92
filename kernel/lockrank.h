// SPDX-License-Identifier: MIT
#pragma once
/*
 * Every lock has a rank; a CPU or thread takes locks in the order of this list only
 * (outermost first).  Two locks of one rank are taken together only by the functions
 * named here.  docs/locking.md is generated from the comments.
 */
enum lock_rank {
    RANK_URING_SUBMIT, /* fs/uring/submit.c: the submission queue; held while requests are begun (mutex) */
    RANK_URING_TABLES, /* fs/uring: registered files and buffers, groups of buffers (mutex) */
    RANK_PSEUDO_POSITION, /* fs/pseudo.c: RANK_FILE_POSITION of files whose text asks all that follows (mutex) */
    RANK_PSEUDO_FILE, /* fs/pseudo.c: the text of an open file (mutex) */
    RANK_PSEUDO_INODE, /* fs/pseudo.c: RANK_INODE of /proc and /sys: lookup asks the process table (mutex) */
    RANK_PROCESS_TABLE, /* kernel/process.c: pid table, parents, children, groups */
    RANK_EXEC,          /* one execve or thread-group change of a process at a time */
    RANK_EPOLL_NEST,    /* fs/epoll.c: adding epoll to epoll */
    RANK_EPOLL_4,       /* fs/epoll.c: an epoll that watches RANK_EPOLL_3 ones, and so on (mutex) */
    RANK_EPOLL_3,
    RANK_EPOLL_2,
    RANK_EPOLL_1,
    RANK_EPOLL,         /* fs/epoll.c: the interest list (mutex) */
    RANK_SOCKET,        /* net/socket.c: one socket's blocking state (mutex) */
    RANK_RENAME,        /* fs/dcache.c: the shape of the directory tree */
    RANK_FILE_POSITION, /* fs/file.c: a file's offset (mutex; held over read and write) */
    RANK_TTY,           /* fs/tty.c: line discipline (mutex) */
    RANK_TTY_OUTPUT, /* fs/tty.c: the order of output, and its column (mutex; no application memory) */
    RANK_PTY,        /* fs/pty.c: a pair's output ring and its ends (mutex) */
    RANK_INODE,      /* fs/inode.h: data and entries; parent before child (mutex) */
    RANK_PIPE,       /* fs/pipe.c: the ring (mutex; held over user copies) */
    RANK_OBJECT,     /* small file objects: eventfd, timerfd, inotify, memfd (mutex) */
    RANK_VMSPACE,    /* kernel/mm/vmspace.c: the mappings (rwlock; taken by faults) */
    RANK_IPC,        /* kernel/ipc/ipc_table.c: a table of System V objects (mutex) */
    RANK_PAGECACHE,     /* kernel/mm/pagecache.c: pages and mappings of a file (mutex) */
    RANK_PACKED,        /* fs/ramfs_packed.c: the block that was decompressed last (mutex) */
    RANK_VMSPACE_TABLE, /* kernel/mm: page-table pages of a vmspace (mutex) */
    RANK_NET,           /* net/net.c: net_lock, all of lwIP (mutex) */
    RANK_FDTABLE,       /* fs/fdtable.c */
    RANK_DCACHE,        /* fs/dcache.c: names and child lists (spinlock) */
    RANK_FS_CONTEXT,    /* fs: cwd, root, umask */
    RANK_FILE_LOCKS,    /* fs/locks.c: flock and record locks of all inodes (spinlock) */
    RANK_FILE_POOL,     /* fs/file.c: free struct files (spinlock) */
    RANK_NINEP, /* fs/ninep: a session's tags and fids; its inodes and their open files (spinlock) */
    RANK_CONTROL,     /* kernel/control.c: lines to the tool (mutex) */
    RANK_DRIVER,      /* a driver's rings and registers (spinlock) */
    RANK_TTY_LIST,    /* fs/tty_job.c: terminals and their sessions (spinlock) */
    RANK_INOTIFY,     /* fs/inotify.c: watches and queues (spinlock) */
    RANK_POSIX_TIMER, /* kernel/posix_timer.c: a process's timers (irq spinlock) */
    RANK_CLOCK,       /* kernel/clock.c: who wants to know that the clock was set (irq spinlock) */
    RANK_MQUEUE,  /* fs/mqueue.c: a queue's messages and waiters; how many there are (spinlock) */
    RANK_UNIX,    /* net/unix_socket.c: names, peers and queues of all UNIX sockets (spinlock) */
    RANK_NETLINK, /* net/netlink.c: a socket's queue (spinlock) */
    RANK_POLL_DETACH, /* kernel/poll.c: a watcher leaves, or a poll_head goes away (irq spinlock) */
    RANK_POLL,        /* kernel/poll.h: a poll_head's watchers (irq spinlock) */
    RANK_FILE_OWNER,  /* fs/owner.c: whom files send signals (irq spinlock) */
    RANK_POLL_SIGNAL, /* kernel/signal.h: the poll_head of signalfd, woken inside of another (irq spinlock) */
    RANK_POLL_1, /* fs/epoll.c: the poll_head of an epoll; 2 of one that watches such, and so on */
    RANK_POLL_2,
    RANK_POLL_3,
    RANK_POLL_4,
    RANK_POLL_5,
    RANK_EPOLL_FILE,   /* fs/epoll.c: all files' lists of who watches them (spinlock) */
    RANK_EVENT,        /* fs/eventfd.c, fs/timerfd.c: counts (irq spinlock) */
    RANK_AIO,          /* fs/aio.c: a context's counts and requests (spinlock) */
    RANK_AIO_WORK,     /* fs/aio_poll.c: polls to be looked at (irq spinlock) */
    RANK_URING_CQ,     /* fs/uring/completion.c: a completion queue (spinlock) */
    RANK_URING,        /* fs/uring: who owns a request, and what is to be run (irq spinlock) */
    RANK_EPOLL_READY,  /* fs/epoll.c: the ready list (irq spinlock) */
    RANK_FUTEX,        /* kernel/futex.c: a hash bucket (two by address) */
    RANK_FUTEX_PI,     /* kernel/futex_pi.c: who owns and who waits for PI locks */
    RANK_MSG,          /* kernel/ipc/msg.c: a queue's messages and waiters (spinlock) */
    RANK_SEM,          /* kernel/ipc/sem.c: a set's values and waiters (spinlock) */
    RANK_SEM_UNDO,     /* kernel/ipc/sem_undo.c: what a thread has to undo (spinlock) */
    RANK_SIGNAL,       /* kernel/signal.c: handlers and queues (irq spinlock) */
    RANK_SIGNAL_QUOTA, /* kernel/signal_quota.c: counts of queued signals (irq spinlock) */
    RANK_WAIT,         /* kernel/wait.h: a wait queue (irq spinlock) */
    RANK_CPU_ACCOUNT, /* kernel/cpu_account.c: how CPU time was split; load average (irq spinlock) */
    RANK_SCHED,       /* kernel/sched.c: a run queue (irq spinlock; two by CPU number) */
    RANK_TIMER,       /* kernel/timer.c: a CPU's timers (irq spinlock) */
    RANK_THREAD,      /* kernel/thread.c: tids, threads to be freed (irq spinlock) */
    RANK_RECLAIM, /* kernel/mm/pagecache.c: the list of frames that can be reclaimed (irq spinlock) */
    RANK_KERNEL_MAP, /* arch: kernel half of the page tables (irq spinlock) */
    RANK_HEAP,       /* kernel/mm/heap.c: slabs (irq spinlock) */
    RANK_FRAME,      /* kernel/mm/frame.c: the buddy lists (irq spinlock) */
    RANK_IRQ,        /* arch/x86_64/irq.c, ioapic.c: vectors and wired lines (irq spinlock) */
    RANK_IPI,        /* arch: calls on other CPUs */
    RANK_TSC,        /* arch/x86_64/clock.c: refinement of the TSC's rate (irq spinlock, tried) */
    RANK_ENTROPY,    /* kernel/entropy.c */
    RANK_VDSO,       /* kernel/vdso_data.c: the clock page (irq spinlock) */
    RANK_HOSTNAME,   /* kernel/sys_info.c: uname's names (irq spinlock) */
    RANK_LOG,        /* kernel/log.c (irq spinlock) */
    RANK_COUNT
};
