// SPDX-License-Identifier: MIT
/*
 * System calls with random hostile arguments, drawn from kernel/syscalls.def; the kernel must survive.
 *
 * The parent forks one child after another, two at a time; a child makes some calls with arguments from small
 * pools that suit their kind (open descriptors of every sort, paths, good and wild addresses, odd sizes) or do not,
 * in two threads that share all of it, and is killed when it takes too long.  What must hold:
 * the machine goes on, every child can be killed, and at the end as much memory is free as after the first
 * round.  A child is given by the seed and its number: "fuzz_calls SECONDS SEED CHILD" makes that one again.
 *
 * The program runs in ring 0 and could damage the kernel by itself; so a child jumps nowhere but to its own code,
 * and addresses that it hands out as places are never the kernel's text.  rt_sigreturn is left out for that reason.
 * test: only=guest counts=no cpus=2 memory=256M timeout=90 args=12
 */
#include "check.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>

#include "call_table.h"

#define CALLS_PER_CHILD 120
#define CHILD_MS        400
#define ARENA_SIZE      (64 << 10)
#define SLACK_KIB       2048

#define ANY(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

static char *arena; /* the children's memory: what pointers point at */
static char *wall;  /* the last page before an unmapped one ends here */

/* ---- Random numbers: xorshift64*, a state for each thread ------------------------------ */

static __thread uint64_t state = 1;

static uint64_t next_random(void)
{
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return state * 0x2545f4914f6cdd1dULL;
}

static uint64_t below(uint64_t limit)
{
    return (next_random() >> 16) % limit;
}

/* ---- Arguments ------------------------------------------------------------------------- */

static const long numbers[] = {
    0,           1,
    2,           3,
    4,           5,
    6,           7,
    8,           9,
    10,          11,
    12,          13,
    14,          15,
    16,          17,
    20,          24,
    31,          32,
    33,          40,
    41,          63,
    64,          65,
    100,         127,
    128,         255,
    256,         511,
    512,         1000,
    1023,        1024,
    1025,        4095,
    4096,        4097,
    8192,        65535,
    65536,       1 << 20,
    1 << 30,     INT_MAX,
    -1,          -2,
    -100,        INT_MIN,
    0x80000000,  0xffffffff,
    0x100000000, LONG_MAX,
    LONG_MIN,    0x7ffffffff000,
    -4096,
};
static const long commands[] = {
    TCGETS,  TCSETS,   TIOCSCTTY, TIOCGPGRP, TIOCSPGRP, TIOCGWINSZ, TIOCSWINSZ, FIONREAD,
    FIONBIO, FIOASYNC, TIOCNOTTY, TIOCSETD,  TIOCGSID,  0x5430,     0x80045430, 0x40045431,
    0x5441,  0x8901,   0x8905,    0x8910,    0x8912,    0x8913,     0x8914,     0x8915,
    0x8927,  0x8933,   0x5450,    0x5451,    TIOCSTI,   TCFLSH,     TCXONC,     TCSBRK,
};
static const char *const paths[] = {
    "file",
    "dir",
    "link",
    "fifo",
    "dir/file",
    "dir/sub",
    ".",
    "..",
    "",
    "loop",
    "none",
    "none/below",
    "file/below",
    "/dev/null",
    "/dev/zero",
    "/dev/urandom",
    "/dev/ptmx",
    "/dev/full",
    "/proc/self/mem",
    "/proc/self/maps",
    "/proc/self/fd",
    "/proc/self/status",
    "/proc/self/environ",
    "/proc/stat",
    "/proc/1/stat",
    "/proc/self/task",
    "/proc/meminfo",
    "/proc/self/exe",
    "/proc/self/cwd",
    "/sys",
    "socket",
    "/proc/self/comm",
    "/proc/self/oom_score_adj",
    "/proc/mounts",
    "/proc/net/tcp",
    "/dev/shm/x",
    "dir/../file",
    "dir//./sub/",
    "/proc/self/fd/3",
    "/proc/sys/kernel/hostname",
    "tmpfs",
};
static const char *const strings[] = {
    "user.a", "user.b", "trusted.x", "tmpfs", "name", "", "system.posix_acl_access"
};

static long random_bits(void)
{
    long bits = 0;

    for (uint64_t i = below(4); i > 0; i--)
        bits |= 1L << below(below(4) ? 20 : 32);
    return bits;
}

static long number(void)
{
    switch (below(4)) {
    case 0:
        return random_bits();
    case 1:
        return (long)below(70);
    default:
        return ANY(numbers);
    }
}

/* Never the kernel's text: see above. */
static long wild_address(void)
{
    static const unsigned long wild[] = {
        0,
        8,
        4095,
        0xffff800000001000,
        0xffff8000000ffff8,
        0x800000000000,
        0x7ffffffff000,
        0x8000000000000000,
        0xfffffffffffffff8,
        0xffffc00000000000,
        0xffffd00000000000,
    };
    return (long)ANY(wild);
}

static long place(void)
{
    switch (below(10)) {
    case 0:
        return wild_address();
    case 1:
        return (long)(wall - below(64)); /* runs into nothing */
    case 2:
        return (long)(arena + below(ARENA_SIZE / 4096) * 4096);
    default:
        return (long)(arena + below(ARENA_SIZE / 8) * 8);
    }
}

static long path(void)
{
    if (!below(12))
        return place();
    return (long)ANY(paths);
}

static long descriptor(void)
{
    if (!below(10))
        return number();
    return (long)below(40);
}

/* Ourselves, our group, somebody who is not there; never the parent or everybody. */
static long process(void)
{
    const long choice[] = { 0, getpid(), gettid(), -getpid(), 999999, -999999, INT_MIN, INT_MAX };

    return ANY(choice);
}

static long argument(const struct call *call, int i)
{
    const char *name = call->argument[i];

    if (!strcmp(call->name, "ioctl") && i == 1 && below(4))
        return ANY(commands);
    switch (call->kind[i]) {
    case KIND_FD:
        return descriptor();
    case KIND_ATFD:
        return below(3) ? AT_FDCWD : descriptor();
    case KIND_PATH:
        return path();
    case KIND_STRING:
        return below(8) ? (long)ANY(strings) : place();
    case KIND_PID:
        return process();
    case KIND_IN:
    case KIND_OUT:
    case KIND_PTR:
    case KIND_CPTR:
        return below(8) ? place() : 0;
    case KIND_ADDR:
        return below(4) ? place() : number();
    case KIND_SIGNO:
        return (long)below(68) - 1;
    case KIND_SIZE:
        if (!strcmp(name, "set_size") || !strcmp(name, "mask_size"))
            return below(8) ? 8 : number();
        return below(2) ? (long)below(5000) : number();
    default:
        return number();
    }
}

/* ---- Calls -------------------------------------------------------------------------------- */

/* In a new process or thread (rax 0 after such a call) nothing runs but exit. */
static long call_raw(long nr, const long *args, bool can_split)
{
    register long r10 __asm__("r10") = args[3];
    register long r8 __asm__("r8") = args[4];
    register long r9 __asm__("r9") = args[5];
    register long split __asm__("rbx") = can_split;
    long result;

    __asm__ volatile("syscall\n\t"
                     "test %%rbx, %%rbx\n\t"
                     "jz 1f\n\t"
                     "test %%rax, %%rax\n\t"
                     "jnz 1f\n\t"
                     "mov $60, %%eax\n\t"
                     "xor %%edi, %%edi\n\t"
                     "syscall\n\t"
                     "ud2\n\t"
                     "1:"
                     : "=a"(result)
                     : "a"(nr), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8),
                       "r"(r9), "r"(split)
                     : "rcx", "r11", "memory");
    return result;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(*names, name))
            return true;
    return false;
}

/* What ends the child or the machine, or takes the parent along: not drawn at all. */
static bool is_left_out(const char *name)
{
    static const char *const names[] = { "exit",   "exit_group", "rt_sigreturn",
                                         "reboot", "pivot_root", NULL };

    return is_one_of(name, names);
}

static bool is_splitting(const char *name)
{
    static const char *const names[] = { "fork", "vfork", "clone", "clone3", NULL };

    return is_one_of(name, names);
}

/* A mount over "/" or a signal to the parent is not the kernel's mistake. */
static bool harms_parent(const struct call *call, const long args[6])
{
    if (!strcmp(call->name, "mount") || !strcmp(call->name, "umount2") ||
        !strcmp(call->name, "chroot"))
        return below(8) != 0;
    if (!strcmp(call->name, "fcntl") && args[1] == F_SETOWN)
        return true;
    for (int i = 0; i < call->nargs; i++)
        if ((call->kind[i] == KIND_PID || !strcmp(call->argument[i], "id")) &&
            ((int)args[i] == 1 || (int)args[i] == -1))
            return true;
    return false;
}

static void fill_arena(void)
{
    long *word = (long *)arena;

    for (size_t i = 0; i < ARENA_SIZE / sizeof(long); i++) {
        switch (below(6)) {
        case 0:
            word[i] = place();
            break;
        case 1:
            word[i] = number();
            break;
        case 2:
            word[i] = (long)(below(64) | below(64) << 32);
            break;
        default:
            word[i] = 0;
        }
    }
}

static void make_calls(int count)
{
    for (int i = 0; i < count; i++) {
        const struct call *call = &calls[below((uint64_t)NCALLS)];
        long args[6] = { 0 };

        if (is_left_out(call->name))
            continue;
        for (int j = 0; j < call->nargs; j++)
            args[j] = argument(call, j);
        if (!harms_parent(call, args))
            call_raw(call->number, args, is_splitting(call->name));
    }
}

/* ---- Children ------------------------------------------------------------------------------ */

static void ignore(int number)
{
    (void)number;
}

static void pair_of_sockets(int family, int type)
{
    int fds[2];

    if (socketpair(family, type | SOCK_NONBLOCK, 0, fds) < 0)
        return;
}

/* Descriptors 3 to about 36, of every sort. */
static void open_all(void)
{
    int fds[2];
    sigset_t set;

    sigfillset(&set);
    for (size_t i = 0; i < 6; i++)
        (void)!open(ANY(paths), O_RDWR | O_NONBLOCK | O_NOCTTY);
    (void)!open("file", O_RDWR | O_CREAT, 0666);
    (void)!open(".", O_RDONLY | O_DIRECTORY);
    (void)!open("dir", O_PATH);
    (void)!pipe(fds);
    (void)!pipe2(fds, O_NONBLOCK);
    pair_of_sockets(AF_UNIX, SOCK_STREAM);
    pair_of_sockets(AF_UNIX, SOCK_DGRAM);
    pair_of_sockets(AF_UNIX, SOCK_SEQPACKET);
    for (int type = SOCK_STREAM; type <= SOCK_RAW; type++) {
        socket(AF_INET, type, 0);
        socket(AF_INET6, type, 0);
    }
    listen(socket(AF_INET, SOCK_STREAM, 0), 3);
    socket(AF_NETLINK, SOCK_RAW, 0);
    epoll_create1(0);
    epoll_create1(0);
    eventfd(1, 0);
    timerfd_create(CLOCK_MONOTONIC, 0);
    signalfd(-1, &set, SFD_NONBLOCK);
    inotify_init1(IN_NONBLOCK);
    (void)!memfd_create("memory", MFD_ALLOW_SEALING);
    (void)!open("/dev/ptmx", O_RDWR | O_NOCTTY);
    syscall(SYS_pidfd_open, getpid(), 0);
}

static uint64_t seed;
static int null; /* opened before anybody can remove it */

static void *second_thread(void *seed)
{
    state = (uint64_t)seed;
    make_calls(CALLS_PER_CHILD);
    return NULL;
}

static uint64_t seed_of(uint64_t from, unsigned child)
{
    uint64_t mixed = (from + child) * 0x9e3779b97f4a7c15ULL;

    return (mixed ^ mixed >> 29) | 1;
}

static void child_run(uint64_t start)
{
    struct itimerval often = { { 0, 20000 }, { 0, 20000 } };
    struct sigaction action = { .sa_handler = ignore };
    struct rlimit no_core = { 0, 0 };
    pthread_t thread;

    state = start;
    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    close(null);
    setsid();
    setrlimit(RLIMIT_CORE, &no_core);
    (void)!chdir("/tmp/fuzz");
    fill_arena();
    open_all();
    sigaction(SIGALRM, &action, NULL); /* a call that waits is interrupted soon */
    setitimer(ITIMER_REAL, &often, NULL);
    if (!below(3) && setresuid(65534, 65534, 65534))
        _exit(1);
    if (below(2))
        pthread_create(&thread, NULL, second_thread, (void *)seed_of(start, 77));
    make_calls(CALLS_PER_CHILD);
    syscall(SYS_exit_group, 0);
}

static int remove_one(const char *name, const struct stat *status, int kind, struct FTW *where)
{
    (void)status, (void)kind, (void)where;
    return remove(name) && 0;
}

/* A child that is root may have put a file in the place of a device, which then keeps what others write. */
static int remove_file(const char *name, const struct stat *status, int kind, struct FTW *where)
{
    (void)kind, (void)where;
    return S_ISREG(status->st_mode) && remove(name) && 0;
}

static void prepare_files(void)
{
    nftw("/dev", remove_file, 8, FTW_MOUNT | FTW_PHYS);
    nftw("/tmp/fuzz", remove_one, 8, FTW_DEPTH | FTW_PHYS);
    nftw("/dev/shm", remove_one, 8, FTW_DEPTH | FTW_PHYS);
    mkdir("/tmp/fuzz", 0777);
    chmod("/tmp/fuzz", 0777);
    NEED(!chdir("/tmp/fuzz"));
    close(open("file", O_RDWR | O_CREAT, 0666));
    mkdir("dir", 0777);
    close(open("dir/file", O_RDWR | O_CREAT, 0666));
    mkdir("dir/sub", 0777);
    CHECK(!symlink("file", "link") && !symlink("loop", "loop"));
    mkfifo("fifo", 0666);
    NEED(!chdir("/"));
}

/* ---- The parent ---------------------------------------------------------------------------- */

struct slot {
    pid_t pid;
    unsigned number;
    int64_t until;
    bool is_killed;
};

static unsigned nchildren;

static void slot_start(struct slot *slot)
{
    *slot = (struct slot){ .number = nchildren++, .until = now_ns() + CHILD_MS * 1000000LL };
    slot->pid = fork();
    NEED(slot->pid >= 0);
    if (slot->pid == 0)
        child_run(seed_of(seed, slot->number));
}

/* Reaps whoever has ended, orphans included; kills who takes too long. */
static void slots_look(struct slot *slots, int count)
{
    pid_t pid;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        for (int i = 0; i < count; i++)
            if (slots[i].pid == pid)
                slots[i].pid = 0;
    for (int i = 0; i < count; i++) {
        struct slot *slot = &slots[i];
        if (!slot->pid || now_ns() < slot->until)
            continue;
        if (slot->is_killed) {
            fprintf(stderr, "child %u of seed %lu, pid %d, does not die\n", slot->number,
                    (unsigned long)seed, slot->pid);
            for (;;)
                pause(); /* whoever runs the test looks inside when its time is over */
        }
        kill(slot->pid, SIGKILL);
        slot->is_killed = true;
        slot->until = now_ns() + 10000 * 1000000LL;
    }
}

static void round_run(int64_t until)
{
    struct slot slots[2] = { 0 };
    bool is_over = false;

    while (!is_over || slots[0].pid || slots[1].pid) {
        for (int i = 0; i < 2 && !is_over; i++)
            if (!slots[i].pid)
                slot_start(&slots[i]);
        slots_look(slots, 2);
        is_over = is_over || now_ns() > until;
        sleep_ms(1);
    }
    /* Grandchildren that are left, stopped ones among them. */
    for (int64_t end = now_ns() + 5000 * 1000000LL; now_ns() < end;) {
        pid_t pid = waitpid(-1, NULL, WNOHANG);
        if (pid < 0)
            break;
        if (pid == 0) {
            kill(-1, SIGKILL);
            sleep_ms(5);
        }
    }
    prepare_files();
}

static long free_kib(void)
{
    struct sysinfo info;

    sysinfo(&info);
    return (long)(info.freeram * info.mem_unit >> 10);
}

static void measure(int seconds)
{
    round_run(now_ns() + seconds * 250000000LL);
    sleep_ms(200);
    long before = free_kib();
    unsigned first = nchildren;
    round_run(now_ns() + seconds * 750000000LL);
    sleep_ms(200);
    long lost = before - free_kib();

    fprintf(stderr, "seed %lu: %u children; %ld KiB less are free after the last %u\n",
            (unsigned long)seed, nchildren, lost, nchildren - first);
    CHECK(nchildren > 10 && lost < SLACK_KIB);
}

int main(int argc, char **argv)
{
    if (getpid() != 1) /* it would be a child of itself, started by execve */
        return 0;
    seed = argc > 2 ? strtoul(argv[2], NULL, 0) : (uint64_t)now_ns() ^ (uint64_t)time(NULL) << 20;
    seed &= 0xffffffff;
    fprintf(stderr, "seed %lu\n", (unsigned long)seed);
    arena =
        mmap(NULL, ARENA_SIZE + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    NEED(arena != MAP_FAILED && !munmap(arena + ARENA_SIZE, 4096));
    wall = arena + ARENA_SIZE;
    NEED((null = open("/dev/null", O_RDWR)) >= 0);
    prepare_files();
    if (argc > 3) {
        nchildren = (unsigned)atoi(argv[3]);
        struct slot slot;
        slot_start(&slot);
        waitpid(slot.pid, NULL, 0);
    } else {
        measure(argc > 1 ? atoi(argv[1]) : 10);
    }
    return check_end();
}
