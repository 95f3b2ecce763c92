// SPDX-License-Identifier: MIT
/*
 * POSIX message queues: priorities, sleepers, times, notices, poll, the file system, rights, limits, errors.
 * test: cpus=2 timeout=60 flags=-pthread,-lrt
 */
#include "asleep.h"

#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NAME   "/stout test"
#define NOBODY 65534
#define BAD    ((void *)8)

static char buf[8192];
static struct mq_attr small = { .mq_maxmsg = 3, .mq_msgsize = 16 };

static mqd_t make(int flags)
{
    mq_unlink(NAME);
    mqd_t queue = mq_open(NAME, O_RDWR | O_CREAT | O_EXCL | flags, 0600, &small);

    NEED(queue >= 0);
    return queue;
}

static void drop(mqd_t queue)
{
    CHECK(mq_close(queue) == 0 && mq_unlink(NAME) == 0);
}

static int put(mqd_t queue, const char *text, unsigned priority)
{
    return mq_send(queue, text, strlen(text), priority);
}

static bool gets_it(mqd_t queue, const char *text, unsigned priority)
{
    unsigned got = 99999;

    memset(buf, 0, sizeof buf);
    return mq_receive(queue, buf, sizeof buf, &got) == (long)strlen(text) && !strcmp(buf, text) &&
           got == priority;
}

static struct timespec after_ms(int ms)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    time.tv_nsec += ms * 1000000L;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

static int status_of(pid_t pid)
{
    int status = -1;

    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static long curmsgs(mqd_t queue)
{
    struct mq_attr attr;

    CHECK(mq_getattr(queue, &attr) == 0);
    return attr.mq_curmsgs;
}

/* ---- One process ------------------------------------------------------------------------- */

static void test_open(void)
{
    struct mq_attr attr;
    mqd_t queue = make(0), reader;

    CHECK(fcntl(queue, F_GETFD) == FD_CLOEXEC && fcntl(queue, F_GETFL) == O_RDWR);
    CHECK_ERRNO(mq_open(NAME, O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
    CHECK((reader = mq_open(NAME, O_RDONLY | O_NONBLOCK)) >= 0);
    CHECK(mq_getattr(reader, &attr) == 0);
    CHECK(attr.mq_flags == O_NONBLOCK && attr.mq_maxmsg == 3 && attr.mq_msgsize == 16 &&
          attr.mq_curmsgs == 0);
    CHECK_ERRNO(put(reader, "x", 0), EBADF);
    CHECK_ERRNO(mq_receive(reader, buf, 16, NULL), EAGAIN);
    CHECK_ERRNO(mq_receive(reader, buf, 15, NULL), EMSGSIZE);
    CHECK(mq_close(reader) == 0);
    CHECK((reader = mq_open(NAME, O_WRONLY)) >= 0);
    CHECK_ERRNO(mq_receive(reader, buf, 16, NULL), EBADF);
    attr.mq_flags = O_NONBLOCK;
    struct mq_attr old;
    CHECK(mq_setattr(reader, &attr, &old) == 0 && old.mq_flags == 0);
    CHECK(mq_setattr(reader, &old, &attr) == 0 && attr.mq_flags == O_NONBLOCK);
    attr.mq_flags = O_APPEND;
    CHECK_ERRNO(mq_setattr(reader, &attr, NULL), EINVAL);
    CHECK(mq_close(reader) == 0);
    CHECK_ERRNO(mq_close(reader), EBADF);

    /* Unlinked it lives on; its name is free. */
    CHECK(mq_unlink(NAME) == 0 && put(queue, "still", 1) == 0 && gets_it(queue, "still", 1));
    CHECK_ERRNO(mq_unlink(NAME), ENOENT);
    CHECK_ERRNO(mq_open(NAME, O_RDWR), ENOENT);
    CHECK(mq_close(queue) == 0);
    CHECK((queue = mq_open(NAME, O_RDWR | O_CREAT, 0600, NULL)) >= 0);
    CHECK(mq_getattr(queue, &attr) == 0 && attr.mq_maxmsg == 10 && attr.mq_msgsize == 8192);
    drop(queue);
}

static void test_names(void)
{
    static char name[400] = "/";

    CHECK_ERRNO(mq_open("noslash", O_RDWR | O_CREAT, 0600, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_mq_open, "", O_RDWR | O_CREAT, 0600, NULL), ENOENT);
    CHECK_ERRNO(syscall(SYS_mq_open, "/", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_open, ".", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_open, "..", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_open, "a/b", O_RDWR | O_CREAT, 0600, NULL), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_unlink, "a/b"), EACCES);
    CHECK_ERRNO(syscall(SYS_mq_unlink, ""), ENOENT);
    CHECK_ERRNO(syscall(SYS_mq_open, BAD, O_RDWR, 0, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_mq_unlink, BAD), EFAULT);
    CHECK_ERRNO(syscall(SYS_mq_open, "x", O_RDWR | O_CREAT, 0600, BAD), EFAULT);
    memset(name + 1, 'n', 256);
    CHECK_ERRNO(mq_open(name, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
    name[256] = '\0';
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT, 0600, &small);
    CHECK(queue >= 0 && mq_close(queue) == 0 && mq_unlink(name) == 0);

    /* O_CREAT of what exists looks at the flags, not at the attributes. */
    struct mq_attr wrong = { .mq_maxmsg = -1 };
    queue = make(0);
    mqd_t second = mq_open(NAME, O_RDONLY | O_CREAT, 0600, &wrong);
    CHECK(second >= 0 && mq_close(second) == 0);
    CHECK_ERRNO(mq_open(NAME, O_RDWR | O_WRONLY), EINVAL);
    drop(queue);
}

static void test_order(void)
{
    mqd_t queue = make(O_NONBLOCK);

    CHECK(put(queue, "low", 0) == 0 && put(queue, "high", 32767) == 0 &&
          put(queue, "low too", 0) == 0);
    CHECK_ERRNO(put(queue, "no room", 1), EAGAIN);
    CHECK(curmsgs(queue) == 3);
    CHECK(gets_it(queue, "high", 32767) && gets_it(queue, "low", 0));
    CHECK(put(queue, "", 7) == 0 && gets_it(queue, "", 7) && gets_it(queue, "low too", 0));
    CHECK_ERRNO(mq_receive(queue, buf, 16, NULL), EAGAIN);
    CHECK_ERRNO(put(queue, "x", 32768), EINVAL);
    CHECK_ERRNO(put(queue, "seventeen letters", 0), EMSGSIZE);
    CHECK(put(queue, "sixteen letters.", 0) == 0 && gets_it(queue, "sixteen letters.", 0));
    CHECK_ERRNO(mq_send(queue, BAD, 4, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_mq_timedsend, queue, "x", 1, 0, BAD), EFAULT);
    CHECK_ERRNO(syscall(SYS_mq_timedreceive, queue, buf, 16, NULL, BAD), EFAULT);
    CHECK(put(queue, "lost", 0) == 0);
    CHECK_ERRNO(mq_receive(queue, BAD, 16, NULL), EFAULT);
    CHECK_ERRNO(mq_receive(queue, buf, 16, NULL), EAGAIN);
    CHECK_ERRNO(mq_send(0, "x", 1, 0), EBADF);
    CHECK_ERRNO(mq_receive(0, buf, 16, NULL), EBADF);
    CHECK_ERRNO(mq_send(99, "x", 1, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_mq_getsetattr, 99, NULL, NULL), EBADF);
    CHECK_ERRNO(syscall(SYS_mq_getsetattr, queue, BAD, NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_mq_getsetattr, queue, NULL, BAD), EFAULT);
    drop(queue);
}

static void test_times(void)
{
    struct timespec past = { 1, 0 }, wrong = { 1, 1000000000 }, soon;
    mqd_t queue = make(0);
    int64_t start = now_ns();

    soon = after_ms(40);
    CHECK_ERRNO(mq_timedreceive(queue, buf, 16, NULL, &soon), ETIMEDOUT);
    CHECK(now_ns() - start >= 39000000);
    CHECK_ERRNO(mq_timedreceive(queue, buf, 16, NULL, &past), ETIMEDOUT);
    CHECK_ERRNO(mq_timedreceive(queue, buf, 16, NULL, &wrong), EINVAL);
    CHECK_ERRNO(mq_timedsend(queue, "x", 1, 0, &wrong), EINVAL); /* even if there is room */
    for (int i = 0; i < 3; i++)
        CHECK(mq_timedsend(queue, "x", 1, 0, &past) == 0);
    CHECK_ERRNO(mq_timedsend(queue, "x", 1, 0, &past), ETIMEDOUT);
    soon = after_ms(30);
    CHECK_ERRNO(mq_timedsend(queue, "x", 1, 0, &soon), ETIMEDOUT);
    CHECK(curmsgs(queue) == 3 && mq_timedreceive(queue, buf, 16, NULL, &past) == 1);
    drop(queue);
}

/* ---- Sleepers ---------------------------------------------------------------------------- */

static pid_t receiver(mqd_t queue, const char *text)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(gets_it(queue, text, 1) ? 0 : errno ? errno : 99);
    wait_asleep(pid);
    return pid;
}

static pid_t sender(mqd_t queue, const char *text)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(put(queue, text, 1) ? errno : 0);
    wait_asleep(pid);
    return pid;
}

static void on_signal(int signo)
{
    (void)signo;
}

static void test_sleepers(void)
{
    struct sigaction action = { .sa_handler = on_signal };
    mqd_t queue = make(0);

    sigaction(SIGUSR1, &action, NULL);
    pid_t first = receiver(queue, "one"), second = receiver(queue, "two");
    CHECK(put(queue, "one", 1) == 0 && status_of(first) == 0); /* the oldest */
    CHECK(put(queue, "two", 1) == 0 && status_of(second) == 0 && curmsgs(queue) == 0);
    first = receiver(queue, "");
    kill(first, SIGUSR1);
    CHECK(WEXITSTATUS(status_of(first)) == EINTR);
    for (int i = 0; i < 3; i++)
        CHECK(put(queue, "full", 1) == 0);
    first = sender(queue, "third");
    second = sender(queue, "fourth");
    CHECK(gets_it(queue, "full", 1) && status_of(first) == 0 && curmsgs(queue) == 3);
    kill(second, SIGUSR1);
    CHECK(WEXITSTATUS(status_of(second)) == EINTR && curmsgs(queue) == 3);
    second = sender(queue, "killed");
    kill(second, SIGKILL);
    CHECK(WTERMSIG(status_of(second)) == SIGKILL && curmsgs(queue) == 3);

    /* With SA_RESTART it goes on. */
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR1, &action, NULL);
    second = sender(queue, "again");
    kill(second, SIGUSR1);
    wait_asleep(second);
    CHECK(gets_it(queue, "full", 1) && status_of(second) == 0);
    CHECK(gets_it(queue, "full", 1) && gets_it(queue, "third", 1) && gets_it(queue, "again", 1));
    drop(queue);
}

static void test_load(void)
{
    mqd_t queue = make(0);
    int status;

    for (int i = 0; i < 6; i++) {
        if (fork() == 0) {
            for (int n = 0; n < 400; n++)
                if (i % 2 ? put(queue, "0123456789", (unsigned)n % 5)
                          : mq_receive(queue, buf, 16, NULL) != 10)
                    _exit(1);
            _exit(0);
        }
    }
    for (int i = 0; i < 6; i++)
        CHECK(wait(&status) > 0 && status == 0);
    CHECK(curmsgs(queue) == 0);
    drop(queue);
}

static void test_poll(void)
{
    mqd_t queue = make(0);
    struct pollfd entry = { queue, POLLIN | POLLOUT, 0 };
    struct epoll_event event = { .events = EPOLLIN | EPOLLET };
    int epoll = epoll_create1(0);

    CHECK(poll(&entry, 1, 0) == 1 && entry.revents == POLLOUT);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, queue, &event) == 0);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
    CHECK(put(queue, "a", 0) == 0 && epoll_wait(epoll, &event, 1, 1000) == 1);
    CHECK(epoll_wait(epoll, &event, 1, 0) == 0);
    CHECK(put(queue, "b", 0) == 0 && epoll_wait(epoll, &event, 1, 1000) == 1);
    CHECK(poll(&entry, 1, 0) == 1 && entry.revents == (POLLIN | POLLOUT));
    CHECK(put(queue, "c", 0) == 0 && poll(&entry, 1, 0) == 1 && entry.revents == POLLIN);
    entry.events = POLLOUT;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0)
        _exit(poll(&entry, 1, 10000) == 1 && entry.revents == POLLOUT ? 0 : 1);
    wait_asleep(pid);
    CHECK(mq_receive(queue, buf, 16, NULL) == 1 && status_of(pid) == 0);
    close(epoll);
    drop(queue);
}

/* ---- mq_notify --------------------------------------------------------------------------- */

static volatile siginfo_t seen;
static volatile int nseen;

static void on_message(int signo, siginfo_t *info, void *context)
{
    (void)signo;
    (void)context;
    memcpy((void *)&seen, info, sizeof seen);
    nseen++;
}

static void test_signal(void)
{
    struct sigaction action = { .sa_sigaction = on_message, .sa_flags = SA_SIGINFO };
    struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
    char line[100] = "";
    mqd_t queue = make(0);

    sigaction(SIGUSR2, &action, NULL);
    event.sigev_value.sival_int = 4711;
    CHECK(put(queue, "early", 1) == 0 && mq_notify(queue, &event) == 0);
    CHECK_ERRNO(mq_notify(queue, &event), EBUSY);
    CHECK(put(queue, "more", 1) == 0 && nseen == 0); /* it was not empty */
    CHECK(pread(queue, line, sizeof line, 0) > 0);
    snprintf(buf, sizeof buf, "QSIZE:9          NOTIFY:0     SIGNO:%-5d NOTIFY_PID:%-6d\n", SIGUSR2,
             getpid());
    CHECK(!strcmp(line, buf));
    CHECK(gets_it(queue, "early", 1) && gets_it(queue, "more", 1));
    pid_t pid = sender(queue, "third");
    CHECK(status_of(pid) == 0 && nseen == 1 && seen.si_code == SI_MESGQ && seen.si_pid == pid &&
          seen.si_uid == getuid() && seen.si_value.sival_int == 4711);
    CHECK(gets_it(queue, "third", 1) && put(queue, "once", 1) == 0 && nseen == 1);
    CHECK(gets_it(queue, "once", 1) && mq_notify(queue, &event) == 0);
    /* Not if somebody waits for the message. */
    pid = receiver(queue, "mine");
    CHECK(put(queue, "mine", 1) == 0 && status_of(pid) == 0 && nseen == 1);
    CHECK(mq_notify(queue, NULL) == 0 && put(queue, "x", 1) == 0 && nseen == 1);
    CHECK(gets_it(queue, "x", 1) && mq_notify(queue, &event) == 0);
    /* The close of any descriptor ends it; another process may have it then. */
    CHECK(mq_close(mq_open(NAME, O_RDONLY)) == 0 && mq_notify(queue, &event) == 0);
    fflush(stdout);
    if ((pid = fork()) == 0) {
        CHECK_ERRNO(mq_notify(queue, &event), EBUSY);
        CHECK(mq_notify(queue, NULL) == 0); /* which is not its */
        fflush(stdout);
        _exit(check_failures);
    }
    CHECK(status_of(pid) == 0);
    CHECK(mq_notify(queue, NULL) == 0);
    if ((pid = fork()) == 0)
        _exit(mq_notify(queue, &event) ? 1 : 0);
    CHECK(status_of(pid) == 0 && mq_notify(queue, &event) == 0); /* it ended */
    mq_notify(queue, NULL);
    event.sigev_notify = SIGEV_NONE;
    CHECK(mq_notify(queue, &event) == 0);
    CHECK_ERRNO(mq_notify(queue, &event), EBUSY);
    CHECK(put(queue, "x", 1) == 0 && mq_notify(queue, &event) == 0 && nseen == 1);
    mq_notify(queue, NULL);
    event.sigev_notify = 77;
    CHECK_ERRNO(mq_notify(queue, &event), EINVAL);
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = 65;
    CHECK_ERRNO(mq_notify(queue, &event), EINVAL);
    CHECK_ERRNO(syscall(SYS_mq_notify, queue, BAD), EFAULT);
    event.sigev_signo = 0;
    CHECK_ERRNO(mq_notify(99, &event), EBADF);
    CHECK_ERRNO(mq_notify(0, NULL), EBADF);
    drop(queue);
}

static sem_t told;

static void on_thread(union sigval value)
{
    CHECK(value.sival_int == 99);
    sem_post(&told);
}

static void test_thread(void)
{
    struct sigevent event = { .sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread };
    struct timespec late = after_ms(10000);
    mqd_t queue = make(0);

    sem_init(&told, 0, 0);
    event.sigev_value.sival_int = 99;
    CHECK(mq_notify(queue, &event) == 0);
    CHECK(put(queue, "x", 1) == 0 && sem_timedwait(&told, &late) == 0);
    CHECK(gets_it(queue, "x", 1) && mq_notify(queue, &event) == 0);
    CHECK_ERRNO(mq_notify(queue, &event), EBUSY);
    CHECK(mq_notify(queue, NULL) == 0 && put(queue, "x", 1) == 0 && gets_it(queue, "x", 1));
    CHECK(mq_notify(queue, &event) == 0 && put(queue, "x", 1) == 0);
    CHECK(sem_timedwait(&told, &late) == 0 && sem_trywait(&told) == -1);

    /* What glibc makes of it. */
    char cookie[32] = "biscuit", got[40];
    int channel = socket(AF_NETLINK, SOCK_RAW, 0), other = socket(AF_UNIX, SOCK_DGRAM, 0);
    event.sigev_value.sival_ptr = cookie;
    event.sigev_signo = channel;
    CHECK(gets_it(queue, "x", 1) && syscall(SYS_mq_notify, queue, &event) == 0);
    CHECK(put(queue, "x", 1) == 0 && recv(channel, got, sizeof got, MSG_DONTWAIT) == 32);
    CHECK(!memcmp(got, cookie, 31) && got[31] == 1);
    CHECK(syscall(SYS_mq_notify, queue, &event) == 0 && syscall(SYS_mq_notify, queue, NULL) == 0);
    CHECK(recv(channel, got, sizeof got, MSG_DONTWAIT) == 32 && got[31] == 2);
    CHECK_ERRNO(recv(channel, got, sizeof got, MSG_DONTWAIT), EAGAIN);
    event.sigev_signo = other;
    CHECK_ERRNO(syscall(SYS_mq_notify, queue, &event), EINVAL);
    event.sigev_signo = queue;
    CHECK_ERRNO(syscall(SYS_mq_notify, queue, &event), ENOTSOCK);
    event.sigev_signo = 99;
    CHECK_ERRNO(syscall(SYS_mq_notify, queue, &event), EBADF);
    event.sigev_value.sival_ptr = BAD;
    CHECK_ERRNO(syscall(SYS_mq_notify, queue, &event), EFAULT);
    close(channel);
    close(other);
    drop(queue);
}

/* ---- The file system --------------------------------------------------------------------- */

static void test_files(void)
{
    struct statfs fs;
    struct stat status;
    char line[100] = "", link[100] = "";
    mqd_t queue = make(0);

    umask(022);
    NEED(mkdir("queues", 0700) == 0);
    NEED(mount("none", "queues", "mqueue", 0, NULL) == 0);
    CHECK(statfs("queues", &fs) == 0 && fs.f_type == 0x19800202);
    CHECK(stat("queues", &status) == 0 && status.st_mode == (S_IFDIR | 01777));
    CHECK(stat("queues/stout test", &status) == 0);
    CHECK(status.st_mode == (S_IFREG | 0600) && status.st_size == 80 && status.st_nlink == 1);
    CHECK(put(queue, "four", 1) == 0);
    int file = open("queues/stout test", O_RDWR);
    CHECK(file >= 0 && read(file, line, sizeof line) > 0);
    printf("%s", line);
    CHECK(read(file, line, sizeof line) == 0 && lseek(file, 6, SEEK_SET) == 6);
    CHECK(read(file, line, 4) == 4 && !memcmp(line, "4   ", 4));
    CHECK_ERRNO(write(file, "x", 1), EINVAL);
    CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED && errno == ENODEV);
    CHECK(gets_it(file, "four", 1)); /* it is a queue */
    snprintf(link, sizeof link, "/proc/self/fd/%d", queue);
    CHECK(readlink(link, line, sizeof line) > 0);
    printf("%.11s\n", line);
    close(file);

    /* A file that is made here is a queue; nothing else can be made. */
    CHECK((file = open("queues/made", O_RDWR | O_CREAT, 0640)) >= 0);
    CHECK(put(file, "made", 1) == 0 && gets_it(file, "made", 1));
    CHECK_ERRNO(mkdir("queues/dir", 0700), EPERM);
    CHECK_ERRNO(symlink("x", "queues/link"), EPERM);
    CHECK_ERRNO(mknod("queues/fifo", S_IFIFO | 0600, 0), EPERM);
    CHECK_ERRNO(rename("queues/made", "queues/other"), EPERM);
    CHECK_ERRNO(mq_open("/made", O_RDWR | O_CREAT | O_EXCL, 0600, NULL), EEXIST);
    close(file);
    CHECK(unlink("queues/made") == 0);
    CHECK_ERRNO(mq_open("/made", O_RDWR), ENOENT);
    CHECK(chmod("queues/stout test", 0644) == 0 && fstat(queue, &status) == 0);
    CHECK(status.st_mode == (S_IFREG | 0644));
    drop(queue);
    CHECK_ERRNO(stat("queues/stout test", &status), ENOENT);
    CHECK(umount("queues") == 0 && rmdir("queues") == 0);
}

/* ---- Rights and limits ------------------------------------------------------------------- */

static int as_nobody(void (*body)(void))
{
    fflush(stdout);
    pid_t pid = fork();

    if (pid == 0) {
        if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
            setresuid(NOBODY, NOBODY, NOBODY))
            _exit(99);
        body();
        fflush(stdout);
        _exit(check_failures);
    }
    return status_of(pid);
}

static mqd_t open_sized(long maxmsg, long msgsize)
{
    struct mq_attr attr = { .mq_maxmsg = maxmsg, .mq_msgsize = msgsize };

    return mq_open("/of nobody", O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
}

static void nobody(void)
{
    struct rlimit limit;
    mqd_t queue;

    CHECK_ERRNO(mq_open(NAME, O_RDWR), EACCES);
    CHECK_ERRNO(mq_open(NAME, O_WRONLY | O_CREAT, 0600, NULL), EACCES);
    CHECK((queue = mq_open(NAME, O_RDONLY)) >= 0 && mq_close(queue) == 0);
    CHECK_ERRNO(syscall(SYS_mq_unlink, NAME + 1), EPERM);

    CHECK_ERRNO(open_sized(0, 8), EINVAL);
    CHECK_ERRNO(open_sized(8, 0), EINVAL);
    CHECK_ERRNO(open_sized(-1, 8), EINVAL);
    CHECK_ERRNO(open_sized(11, 8), EINVAL);
    CHECK_ERRNO(open_sized(8, 8193), EINVAL);
    CHECK((queue = open_sized(10, 8192)) >= 0 && mq_close(queue) == 0);
    CHECK(mq_unlink("/of nobody") == 0);

    CHECK(getrlimit(RLIMIT_MSGQUEUE, &limit) == 0 && limit.rlim_cur == 819200);
    limit.rlim_cur = 4 * (16 + 48 + 48);
    CHECK(setrlimit(RLIMIT_MSGQUEUE, &limit) == 0);
    CHECK_ERRNO(open_sized(5, 16), EMFILE);
    CHECK((queue = open_sized(4, 16)) >= 0);
    CHECK_ERRNO(mq_open("/second", O_RDWR | O_CREAT, 0600, &small), EMFILE);
    CHECK(mq_unlink("/of nobody") == 0);
    CHECK_ERRNO(mq_open("/second", O_RDWR | O_CREAT, 0600, &small), EMFILE); /* it still lives */
    mq_close(queue);
    CHECK((queue = mq_open("/second", O_RDWR | O_CREAT, 0600, &small)) >= 0);
    CHECK(mq_close(queue) == 0 && mq_unlink("/second") == 0);
}

static void show_setting(const char *name)
{
    char path[100], line[100] = "";

    snprintf(path, sizeof path, "/proc/sys/fs/mqueue/%s", name);
    int fd = open(path, O_RDONLY);
    CHECK(fd >= 0 && read(fd, line, sizeof line - 1) > 0);
    printf("%s %s", name, line);
    close(fd);
}

static void test_rights(void)
{
    mqd_t queue = make(0);

    CHECK(fchmod(queue, 0604) == 0);
    CHECK(as_nobody(nobody) == 0);
    drop(queue);
    show_setting("msg_default");
    show_setting("msg_max");
    show_setting("msgsize_default");
    show_setting("msgsize_max");
    show_setting("queues_max");
}

int main(void)
{
    test_open();
    test_names();
    test_order();
    test_times();
    test_sleepers();
    test_load();
    test_poll();
    test_signal();
    test_thread();
    test_files();
    test_rights();
    return check_end();
}
