// SPDX-License-Identifier: MIT
/*
 * System V message queues: types, sizes, sleepers, removal, signals, permissions, limits, errors.
 * test: cpus=2 timeout=60
 */
#include "asleep.h"

#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define KEY    0x53544f51
#define NOBODY 65534
#define BAD    ((void *)8)

#ifndef MSG_COPY
#define MSG_COPY 040000
#endif
#ifndef MSG_STAT_ANY
#define MSG_STAT_ANY 13
#endif

struct message {
    long type;
    char text[10000];
};
static struct message buf;

static int make(void)
{
    int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

    NEED(id >= 0);
    return id;
}

static int drop(int id)
{
    return msgctl(id, IPC_RMID, NULL);
}

static int put(int id, long type, const char *text, int flags)
{
    struct message message = { .type = type };

    strcpy(message.text, text);
    return msgsnd(id, &message, strlen(text), flags);
}

/* The text of the message that comes, or the name of the error. */
static const char *get(int id, size_t size, long type, int flags)
{
    memset(&buf, 0, sizeof(buf));
    long n = msgrcv(id, &buf, size, type, flags);
    return n < 0 ? strerrorname_np(errno) : buf.text;
}

static bool gets_it(int id, long type, int flags, const char *text)
{
    return !strcmp(get(id, 100, type, flags), text);
}

static struct msqid_ds stat_of(int id)
{
    struct msqid_ds status;

    memset(&status, 0x55, sizeof(status));
    CHECK(msgctl(id, IPC_STAT, &status) == 0);
    return status;
}

static void set_qbytes(int id, unsigned long qbytes)
{
    struct msqid_ds status = stat_of(id);

    status.msg_qbytes = qbytes;
    NEED(msgctl(id, IPC_SET, &status) == 0 && stat_of(id).msg_qbytes == qbytes);
}

static int status_of(pid_t pid)
{
    int status = -1;

    CHECK(waitpid(pid, &status, 0) == pid);
    return status;
}

static void test_get(void)
{
    int id = msgget(KEY, IPC_CREAT | IPC_EXCL | 0640);
    NEED(id >= 0);
    CHECK(msgget(KEY, 0) == id && msgget(KEY, IPC_CREAT | 0600) == id);
    CHECK_ERRNO(msgget(KEY, IPC_CREAT | IPC_EXCL), EEXIST);
    CHECK_ERRNO(msgget(KEY + 1, 0), ENOENT);
    struct msqid_ds status = stat_of(id);
    CHECK(status.msg_perm.mode == 0640 && status.msg_perm.__key == KEY);
    CHECK(status.msg_qnum == 0 && status.msg_qbytes == 16384 && status.msg_stime == 0 &&
          status.msg_rtime == 0 && status.msg_lspid == 0 && status.msg_lrpid == 0);
    CHECK(labs(status.msg_ctime - time(NULL)) <= 60);
    CHECK(put(id, 3, "abc", 0) == 0);
    status = stat_of(id);
    CHECK(status.msg_qnum == 1 && status.msg_cbytes == 3 && status.msg_lspid == getpid() &&
          status.msg_lrpid == 0 && labs(status.msg_stime - time(NULL)) <= 60);
    CHECK(gets_it(id, 0, 0, "abc") && buf.type == 3);
    status = stat_of(id);
    CHECK(status.msg_qnum == 0 && status.msg_cbytes == 0 && status.msg_lrpid == getpid() &&
          labs(status.msg_rtime - time(NULL)) <= 60);
    CHECK(drop(id) == 0);
    CHECK_ERRNO(drop(id), EINVAL);
    CHECK_ERRNO(put(id, 1, "", 0), EINVAL);
    CHECK(!strcmp(get(id, 1, 0, 0), "EINVAL"));
}

static void test_types(void)
{
    int id = make();

    CHECK(put(id, 5, "five", 0) == 0 && put(id, 2, "two", 0) == 0 && put(id, 9, "nine", 0) == 0 &&
          put(id, 2, "two again", 0) == 0 && put(id, LONG_MAX, "most", 0) == 0);
    CHECK(gets_it(id, 9, 0, "nine") && buf.type == 9);
    CHECK(gets_it(id, 9, IPC_NOWAIT, "ENOMSG"));
    CHECK(gets_it(id, 5, MSG_EXCEPT, "two"));
    CHECK(gets_it(id, -1, IPC_NOWAIT, "ENOMSG"));
    CHECK(gets_it(id, -5, 0, "two again") && gets_it(id, -5, 0, "five"));
    CHECK(put(id, 1, "one", 0) == 0);
    CHECK(gets_it(id, LONG_MIN, 0, "one") && gets_it(id, LONG_MIN, 0, "most"));
    CHECK(gets_it(id, 0, IPC_NOWAIT, "ENOMSG"));
    CHECK(put(id, 1, "", 0) == 0 && gets_it(id, 0, 0, ""));

    /* MSG_COPY: by number, and it stays. */
    CHECK(put(id, 7, "first", 0) == 0 && put(id, 8, "second", 0) == 0);
    CHECK(gets_it(id, 1, MSG_COPY | IPC_NOWAIT, "second") && buf.type == 8);
    CHECK(gets_it(id, 0, MSG_COPY | IPC_NOWAIT, "first"));
    CHECK(gets_it(id, 2, MSG_COPY | IPC_NOWAIT, "ENOMSG"));
    CHECK(gets_it(id, -1, MSG_COPY | IPC_NOWAIT, "ENOMSG"));
    CHECK(gets_it(id, 0, MSG_COPY, "EINVAL"));
    CHECK(gets_it(id, 0, MSG_COPY | IPC_NOWAIT | MSG_EXCEPT, "EINVAL"));
    CHECK(!strcmp(get(id, 2, 0, MSG_COPY | IPC_NOWAIT), "E2BIG"));
    CHECK(!strcmp(get(id, 2, 0, MSG_COPY | IPC_NOWAIT | MSG_NOERROR), "EINVAL"));
    CHECK_ERRNO(msgrcv(id, BAD, 10, 0, MSG_COPY | IPC_NOWAIT), EFAULT);
    CHECK(stat_of(id).msg_qnum == 2 && drop(id) == 0);
}

static void test_sizes(void)
{
    int id = make();

    buf.type = 1;
    CHECK_ERRNO(msgsnd(id, &buf, 8193, 0), EINVAL);
    CHECK_ERRNO(msgsnd(id, &buf, -1, 0), EINVAL);
    CHECK(msgsnd(id, &buf, 8192, 0) == 0 && msgsnd(id, &buf, 8192, 0) == 0);
    CHECK_ERRNO(put(id, 1, "x", IPC_NOWAIT), EAGAIN);
    CHECK(put(id, 1, "", IPC_NOWAIT) == 0);
    CHECK(msgrcv(id, &buf, sizeof(buf.text), 0, 0) == 8192 && buf.type == 1);
    CHECK_ERRNO(msgrcv(id, &buf, 100, 0, 0), E2BIG);
    CHECK(msgrcv(id, &buf, 100, 0, MSG_NOERROR) == 100);
    CHECK(msgrcv(id, &buf, 100, 0, MSG_NOERROR) == 0 && stat_of(id).msg_qnum == 0);

    /* The number of messages is limited, too, even of empty ones. */
    set_qbytes(id, 3);
    for (int i = 0; i < 3; i++)
        CHECK(put(id, 1, "", IPC_NOWAIT) == 0);
    CHECK_ERRNO(put(id, 1, "", IPC_NOWAIT), EAGAIN);
    CHECK(drop(id) == 0);
}

static void test_errors(void)
{
    int id = make();
    struct msqid_ds status = stat_of(id);

    CHECK_ERRNO(put(id, 0, "", 0), EINVAL);
    CHECK_ERRNO(put(id, -1, "", 0), EINVAL);
    CHECK_ERRNO(put(-1, 1, "", 0), EINVAL);
    CHECK_ERRNO(msgsnd(id, BAD, 1, 0), EFAULT);
    CHECK_ERRNO(msgsnd(-1, BAD, 1, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_msgrcv, id, &buf, -1L, 0L, 0), EINVAL);
    CHECK_ERRNO(msgrcv(-1, &buf, 1, 0, 0), EINVAL);
    CHECK(put(id, 1, "lost", 0) == 0);
    CHECK_ERRNO(msgrcv(id, BAD, 10, 0, 0), EFAULT);
    CHECK(gets_it(id, 0, IPC_NOWAIT, "ENOMSG"));
    CHECK_ERRNO(msgctl(id, IPC_STAT, BAD), EFAULT);
    CHECK_ERRNO(msgctl(id, IPC_SET, BAD), EFAULT);
    CHECK_ERRNO(msgctl(id, IPC_INFO, BAD), EFAULT);
    CHECK_ERRNO(msgctl(id, MSG_INFO, BAD), EFAULT);
    CHECK_ERRNO(msgctl(id, 99, &status), EINVAL);
    CHECK_ERRNO(msgctl(id, -1, &status), EINVAL);
    CHECK_ERRNO(msgctl(-1, IPC_STAT, &status), EINVAL);
    CHECK_ERRNO(msgctl(30000, MSG_STAT, &status), EINVAL);
    status.msg_perm.uid = -1;
    CHECK_ERRNO(msgctl(id, IPC_SET, &status), EINVAL);
    CHECK(drop(id) == 0);
}

/* ---- Sleepers ------------------------------------------------------------------------------ */

/* A child that receives: its status is 0 if the text came, else the errno. */
static pid_t receiver(int id, long type, int flags, const char *text)
{
    pid_t pid = fork();

    if (pid == 0) {
        const char *got = get(id, 10, type, flags);
        _exit(!strcmp(got, text) ? 0 : errno ? errno : 99);
    }
    wait_asleep(pid);
    return pid;
}

static pid_t sender(int id, long type, size_t size)
{
    pid_t pid = fork();

    if (pid == 0) {
        buf.type = type;
        _exit(msgsnd(id, &buf, size, 0) ? errno : 0);
    }
    wait_asleep(pid);
    return pid;
}

static void test_receivers(void)
{
    int id = make();
    pid_t any = receiver(id, 0, 0, "any"), four = receiver(id, 4, 0, "four");
    pid_t low = receiver(id, -3, 0, "low"), other = receiver(id, 9, MSG_EXCEPT, "other");

    CHECK(put(id, 9, "any", 0) == 0 && status_of(any) == 0); /* the oldest whom it suits */
    CHECK(put(id, 9, "nobody's", 0) == 0 && stat_of(id).msg_qnum == 1);
    CHECK(put(id, 4, "four", 0) == 0 && status_of(four) == 0);
    CHECK(put(id, 3, "low", 0) == 0 && status_of(low) == 0);
    CHECK(put(id, 3, "other", 0) == 0 && status_of(other) == 0);
    CHECK(stat_of(id).msg_lrpid == other && stat_of(id).msg_qnum == 1);

    /* One whose buffer is too small gets an error, the next one the message. */
    any = receiver(id, 1, 0, "E2BIG");
    other = receiver(id, 1, MSG_NOERROR, "long, long");
    CHECK(put(id, 1, "long, long, long", 0) == 0);
    CHECK(status_of(any) == 0 && status_of(other) == 0);
    any = receiver(id, 1, 0, "EIDRM");
    CHECK(drop(id) == 0 && status_of(any) == 0);
}

static void test_senders(void)
{
    int id = make();

    buf.type = 1;
    set_qbytes(id, 10000);
    CHECK(msgsnd(id, &buf, 8192, 0) == 0 && msgsnd(id, &buf, 1000, 0) == 0);
    pid_t big = sender(id, 2, 8192), small = sender(id, 3, 1000);
    CHECK(stat_of(id).msg_qnum == 2);
    set_qbytes(id, 11000); /* room for the small one, which came later */
    CHECK(status_of(small) == 0 && stat_of(id).msg_lspid == small);
    CHECK(msgrcv(id, &buf, 8192, 1, 0) == 8192);
    CHECK(status_of(big) == 0 && stat_of(id).msg_lspid == big);
    CHECK(msgrcv(id, &buf, 8192, 3, 0) == 1000);
    big = sender(id, 2, 8192);
    kill(big, SIGKILL);
    CHECK(WTERMSIG(status_of(big)) == SIGKILL);
    big = sender(id, 2, 8192);
    CHECK(drop(id) == 0 && WEXITSTATUS(status_of(big)) == EIDRM);
}

static void on_signal(int signo)
{
    (void)signo;
}

static void test_signals(void)
{
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    int id = make();

    sigaction(SIGUSR1, &action, NULL);
    buf.type = 1;
    pid_t pid = receiver(id, 0, 0, "EINTR"); /* never restarted */
    kill(pid, SIGUSR1);
    CHECK(status_of(pid) == 0);
    CHECK(msgsnd(id, &buf, 8192, 0) == 0 && msgsnd(id, &buf, 8192, 0) == 0);
    pid = sender(id, 1, 1);
    kill(pid, SIGUSR1);
    CHECK(WEXITSTATUS(status_of(pid)) == EINTR);
    CHECK(drop(id) == 0);

    /* Stopped and continued it sleeps on. */
    id = make();
    pid = receiver(id, 0, 0, "on");
    kill(pid, SIGSTOP);
    CHECK(waitpid(pid, NULL, WUNTRACED) == pid);
    kill(pid, SIGCONT);
    wait_asleep(pid);
    CHECK(put(id, 1, "on", 0) == 0 && status_of(pid) == 0);
    CHECK(drop(id) == 0);
}

/* Two that answer each other, and many that send to many. */
static void test_load(void)
{
    int id = make(), status;

    for (int i = 0; i < 6; i++) {
        if (fork() == 0) {
            struct message message = { .type = 1 + i % 3 };
            for (int n = 0; n < 400; n++) {
                long got = i < 3 ? msgsnd(id, &message, 1000, 0)
                                 : msgrcv(id, &message, 1000, 1 + i % 3, 0) - 1000;
                if (got != 0)
                    _exit(1);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < 6; i++)
        CHECK(wait(&status) > 0 && status == 0);
    CHECK(stat_of(id).msg_qnum == 0 && stat_of(id).msg_cbytes == 0 && drop(id) == 0);
}

/* ---- Rights and limits --------------------------------------------------------------------- */

static void become_nobody(void)
{
    if (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) ||
        setresuid(NOBODY, NOBODY, NOBODY))
        _exit(99);
}

static void test_permissions(void)
{
    int id = msgget(KEY, IPC_CREAT | IPC_EXCL | 0604);
    struct msqid_ds info = stat_of(id);

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        become_nobody();
        CHECK_ERRNO(put(id, 1, "x", 0), EACCES);
        CHECK(gets_it(id, 0, IPC_NOWAIT, "ENOMSG"));
        CHECK_ERRNO(drop(id), EPERM);
        CHECK_ERRNO(msgget(KEY, 0600), EACCES);
        CHECK(msgctl(id, IPC_STAT, &info) == 0);
        CHECK_ERRNO(msgctl(id, IPC_SET, &info), EPERM);
        /* Its own queue can be made smaller, and not larger than the limit. */
        int own = make();
        info = stat_of(own);
        info.msg_qbytes = 100;
        CHECK(msgctl(own, IPC_SET, &info) == 0);
        info.msg_qbytes = 16385;
        CHECK_ERRNO(msgctl(own, IPC_SET, &info), EPERM);
        CHECK(drop(own) == 0);
        fflush(stdout);
        _exit(check_failures);
    }
    CHECK(status_of(pid) == 0);

    /* Who sleeps loses the right to. */
    pid = fork();
    if (pid == 0) {
        become_nobody();
        _exit(gets_it(id, 0, 0, "EACCES") ? 0 : 1);
    }
    wait_asleep(pid);
    info.msg_perm.mode = 0600;
    CHECK(msgctl(id, IPC_SET, &info) == 0 && status_of(pid) == 0);
    CHECK_ERRNO(msgctl(id, MSG_STAT_ANY + 50, &info), EINVAL);
    CHECK(drop(id) == 0);
}

static void show_file(const char *path)
{
    char line[256];
    FILE *file = fopen(path, "r");

    NEED(file && fgets(line, sizeof(line), file));
    printf("%s: %s", path, line);
    fclose(file);
}

static void test_information(void)
{
    struct msginfo limits, usage;
    struct msqid_ds status;
    char line[256], want[128];
    bool found = false, any = false;
    int id = msgget(0xbeee, IPC_CREAT | IPC_EXCL | 0600);

    CHECK(put(id, 1, "hello", 0) == 0);
    int max = msgctl(0, IPC_INFO, (void *)&limits);
    CHECK(max >= 0 && msgctl(0, MSG_INFO, (void *)&usage) == max);
    printf("%d %d %d %d %d %d %d %d\n", limits.msgpool, limits.msgmap, limits.msgmax, limits.msgmnb,
           limits.msgmni, limits.msgssz, limits.msgtql, limits.msgseg);
    CHECK(usage.msgpool >= 1 && usage.msgmap >= 1 && usage.msgtql >= 5);
    for (int i = 0; i <= max; i++) {
        found |= msgctl(i, MSG_STAT, &status) == id && status.msg_qnum == 1;
        any |= msgctl(i, MSG_STAT_ANY, &status) == id && status.msg_cbytes == 5;
    }
    CHECK(found && any);
    FILE *file = fopen("/proc/sysvipc/msg", "r");
    NEED(file && fgets(line, sizeof(line), file));
    printf("%s", line);
    snprintf(want, sizeof(want),
             "%10d %10d   600           5          1 %5d     0     0     0     0     0 ", 0xbeee,
             id, getpid());
    for (found = false; !found && fgets(line, sizeof(line), file);)
        found = !strncmp(line, want, strlen(want));
    fclose(file);
    CHECK(found && drop(id) == 0);
    show_file("/proc/sys/kernel/msgmax");
    show_file("/proc/sys/kernel/msgmnb");
    show_file("/proc/sys/kernel/msgmni");
}

int main(void)
{
    test_get();
    test_types();
    test_sizes();
    test_errors();
    test_receivers();
    test_senders();
    test_signals();
    test_load();
    test_permissions();
    test_information();
    return check_end();
}
