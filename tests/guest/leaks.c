// SPDX-License-Identifier: MIT
/*
 * After a thousand processes of all kinds, many of them killed in the middle, the machine has what it had before:
 * memory, kernel objects by cache, open files, locks, processes.
 * test: flags=-pthread cpus=2 memory=256M timeout=60 only=guest
 */
#include "check.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>

#define WARM_UP 120
#define ROUNDS  1000
#define CACHES  64

/* ---- What there is ------------------------------------------------------------------------------ */

struct cache {
    char name[32];
    long active;
};

struct census {
    struct cache cache[CACHES];
    int ncaches;
    long free_kib, files, threads, locks;
};

static long number_in(const char *path, const char *format)
{
    char line[256];
    long value = -1;
    FILE *file = fopen(path, "r");

    NEED(file);
    while (value < 0 && fgets(line, sizeof(line), file))
        (void)sscanf(line, format, &value);
    fclose(file);
    NEED(value >= 0);
    return value;
}

static long count_lines(const char *path)
{
    FILE *file = fopen(path, "r");
    long count = 0;
    int c;

    NEED(file);
    while ((c = fgetc(file)) != EOF)
        count += c == '\n';
    fclose(file);
    return count;
}

static void take(struct census *census)
{
    char line[256];
    FILE *file = fopen("/proc/slabinfo", "r");

    NEED(file);
    memset(census, 0, sizeof(*census));
    while (fgets(line, sizeof(line), file) && census->ncaches < CACHES) {
        struct cache *cache = &census->cache[census->ncaches];
        if (*line != '#' && sscanf(line, "%31s %ld", cache->name, &cache->active) == 2)
            census->ncaches++;
    }
    fclose(file);
    CHECK(census->ncaches > 10);
    census->free_kib = number_in("/proc/meminfo", "MemFree: %ld");
    census->files = number_in("/proc/sys/fs/file-nr", "%ld");
    census->threads = number_in("/proc/loadavg", "%*s %*s %*s %*d/%ld");
    census->locks = count_lines("/proc/locks");
}

/* One object per ten processes would be a leak; fewer are caches that fill. */
static bool is_same(const struct census *before, const struct census *now, bool tells)
{
    bool same = now->files == before->files && now->threads == before->threads &&
                now->locks == before->locks && before->free_kib - now->free_kib < 4096;

    for (int i = 0; i < now->ncaches; i++) {
        long more = now->cache[i].active - before->cache[i].active;
        if (more >= ROUNDS / 10)
            same = false;
        if (tells && (more > 20 || more < -20))
            printf("%s: %ld, was %ld\n", now->cache[i].name, now->cache[i].active,
                   before->cache[i].active);
    }
    if (tells)
        printf("free KiB %ld, was %ld; files %ld, %ld; threads %ld, %ld; locks %ld, %ld\n",
               now->free_kib, before->free_kib, now->files, before->files, now->threads,
               before->threads, now->locks, before->locks);
    return same;
}

/* ---- The kinds: what a child does before it exits or waits to be killed ---------------------------- */

static void *sleeper(void *arg)
{
    (void)arg;
    for (;;)
        pause();
    return NULL;
}

static void threads(void)
{
    pthread_t thread;

    for (int i = 0; i < 4; i++)
        pthread_create(&thread, NULL, sleeper, NULL);
}

static void send_rights(int sock, const int *fds, unsigned count)
{
    union {
        char bytes[CMSG_SPACE(4 * sizeof(int))];
        struct cmsghdr align;
    } control = { 0 };
    struct iovec part = { "x", 1 };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = CMSG_SPACE(count * sizeof(int)) };

    control.align = (struct cmsghdr){ CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
    memcpy(CMSG_DATA(&control.align), fds, count * sizeof(int));
    (void)!sendmsg(sock, &message, 0);
}

static void unix_sockets(void)
{
    int pair[2];
    struct sockaddr_un name = { .sun_family = AF_UNIX };

    (void)!socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    send_rights(pair[0], pair, 2);
    send_rights(pair[1], pair, 2);
    snprintf(name.sun_path + 1, 20, "leaks%d", getpid());
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);
    (void)!bind(listener, (struct sockaddr *)&name, sizeof(sa_family_t) + 12);
    (void)!listen(listener, 3);
    (void)!connect(client, (struct sockaddr *)&name, sizeof(sa_family_t) + 12);
    (void)!write(client, "unread", 6);
}

static void tcp_sockets(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t len = sizeof(address);
    struct linger linger = { 1, 0 };
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);

    (void)!bind(listener, (struct sockaddr *)&address, len);
    (void)!listen(listener, 3);
    (void)!getsockname(listener, (struct sockaddr *)&address, &len);
    (void)!connect(client, (struct sockaddr *)&address, len);
    /* No TIME-WAIT, which would last longer than the test. */
    setsockopt(client, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    int conn = accept(listener, NULL, NULL);
    setsockopt(conn, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
    (void)!write(client, "unread", 6);
    (void)!bind(udp, (struct sockaddr *)&address, len);
    (void)!sendto(udp, "unread", 6, 0, (struct sockaddr *)&address, len);
}

static void shared_memory(void)
{
    int id = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600);
    char *memory = shmat(id, NULL, 0);
    int set = semget(IPC_PRIVATE, 2, IPC_CREAT | 0600);
    struct sembuf up = { 0, 1, SEM_UNDO };

    shmctl(id, IPC_RMID, NULL);
    memset(memory, 1, 65536);
    (void)!semop(set, &up, 1);
    semctl(set, 0, IPC_RMID);
    memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(memory, 1, 65536);
    int fd = memfd_create("leaks", 0);
    (void)!ftruncate(fd, 65536);
    memory = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    memset(memory, 1, 65536);
}

static void terminals(void)
{
    char path[32];
    int master = posix_openpt(O_RDWR | O_NOCTTY);

    grantpt(master);
    unlockpt(master);
    setsid();
    (void)!ptsname_r(master, path, sizeof(path));
    int slave = open(path, O_RDWR);
    (void)!write(slave, "unread", 6);
}

static void events(void)
{
    sigset_t set;
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    struct itimerspec soon = { { 0, 1000000 }, { 0, 1000000 } };
    timer_t timer;
    int pipes[2];
    int inner = epoll_create1(0);
    int outer = epoll_create1(0);
    int timer_fd = timerfd_create(CLOCK_MONOTONIC, 0);
    int count = eventfd(3, 0);
    int watch = inotify_init();

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int signals = signalfd(-1, &set, 0);
    (void)!pipe(pipes);
    (void)!write(pipes[1], "unread", 6);
    timerfd_settime(timer_fd, 0, &soon, NULL);
    struct sigevent how = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
    timer_create(CLOCK_MONOTONIC, &how, &timer);
    timer_settime(timer, 0, &soon, NULL);
    for (int fd = 3; fd < 40; fd++)
        epoll_ctl(inner, EPOLL_CTL_ADD, fd, &event);
    epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event);
    inotify_add_watch(watch, "/tmp", IN_ALL_EVENTS);
    sigqueue(getpid(), SIGUSR1, (union sigval){ .sival_int = 1 });
    (void)count;
    (void)signals;
}

static void locks(void)
{
    struct flock lock = { .l_type = F_WRLCK, .l_start = getpid(), .l_len = 1 };
    int fd = open("/tmp/leaks", O_RDWR | O_CREAT, 0600);

    for (int i = 0; i < 5; i++) {
        lock.l_start += 1000;
        fcntl(fd, F_SETLK, &lock);
    }
    lock.l_len = 0;
    fcntl(fd, F_OFD_SETLK, &lock);
    flock(fd, LOCK_SH);
    (void)!write(fd, "x", 1);
}

static void children(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        alarm(1); /* it outlives its parent */
        pause();
    }
    pid = fork();
    if (pid == 0)
        _exit(0); /* a zombie that init has to reap */
}

static void sockets_waiting(void)
{
    int pair[2];
    char byte;
    pthread_t thread;

    (void)!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    pthread_create(&thread, NULL, sleeper, NULL);
    (void)!read(pair[0], &byte, 1);
}

static void nothing(void)
{
}

static void (*const kinds[])(void) = { nothing,       threads,        unix_sockets, tcp_sockets,
                                       shared_memory, terminals,      events,       locks,
                                       children,      sockets_waiting };
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* ---- The rounds --------------------------------------------------------------------------------------- */

static void reap_all(void)
{
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
}

/* A child of this kind; how: 0 exits, 1 is killed in the middle, 2 is killed at once, 3 becomes another program. */
static void run_child(unsigned kind, unsigned how)
{
    pid_t pid = fork();

    NEED(pid >= 0);
    if (pid == 0) {
        if (how == 0)
            alarm(1); /* one that waits for ever */
        kinds[kind]();
        if (how == 3)
            execl("/proc/self/exe", "leaks", "nothing", NULL);
        if (how)
            pause();
        _exit(0);
    }
    if (how == 1)
        usleep(3000);
    if (how == 1 || how == 2)
        kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
}

static void run_spawned(void)
{
    char *arguments[] = { "leaks", "nothing", NULL };
    pid_t pid = vfork();

    if (pid == 0) {
        execv("/proc/self/exe", arguments);
        _exit(1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void rounds(unsigned from, unsigned count)
{
    for (unsigned i = from; i < from + count; i++) {
        unsigned kind = i % KINDS;
        unsigned how = i / KINDS % 4;
        if (i % 16 == 0)
            run_spawned();
        else if (kinds[kind] == sockets_waiting)
            run_child(kind, how == 2 ? 2 : 1);
        else
            run_child(kind, how);
        reap_all();
    }
}

/* Orphans end in a while, and threads are freed a little after their end. */
static void await_threads(long threads)
{
    int64_t end = now_ns() + 5000000000LL;

    do {
        reap_all();
        sleep_ms(20);
    } while (number_in("/proc/loadavg", "%*s %*s %*s %*d/%ld") != threads && now_ns() < end);
}

int main(int argc, char **argv)
{
    struct census before, after;

    (void)argv;
    if (argc > 1)
        return 0;
    long threads = number_in("/proc/loadavg", "%*s %*s %*s %*d/%ld");
    rounds(0, WARM_UP);
    await_threads(threads);
    take(&before);
    take(&before); /* what looking itself needs is there */
    rounds(0, ROUNDS);
    await_threads(threads);
    take(&after);
    if (!is_same(&before, &after, false)) {
        is_same(&before, &after, true);
        CHECK(!"the machine has what it had before");
    }
    return check_end();
}
