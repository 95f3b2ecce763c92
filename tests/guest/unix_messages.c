// SPDX-License-Identifier: MIT
/*
 * Descriptors, credentials and urgent bytes in messages of UNIX sockets: limits, truncation, peeking, sockets that only
 * a message holds, forged identities.
 * test: cpus=2 timeout=30
 */
#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define MANY 300

static const char *const type_names[] = {
    [SOCK_STREAM] = "stream", [SOCK_DGRAM] = "datagram", [SOCK_SEQPACKET] = "seqpacket"
};

static const char *result_name(long result)
{
    static char text[32];

    if (result < 0)
        return strerrorname_np(errno);
    snprintf(text, sizeof(text), "%ld", result);
    return text;
}

/* How many descriptors are open, the one of the folder not counted. */
static int open_count(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    NEED(folder);
    while (readdir(folder))
        count++;
    closedir(folder);
    return count - 3;
}

/* ---- Sending and receiving -------------------------------------------------------------------- */

struct control {
    union {
        char bytes[CMSG_SPACE(MANY * sizeof(int)) + 256];
        struct cmsghdr align;
    };
};

static long send_files(int sock, const char *data, const int *fds, unsigned count, int flags)
{
    struct control control = { 0 };
    struct iovec part = { (void *)data, strlen(data) };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes };
    struct cmsghdr *header = &control.align;

    message.msg_controllen = CMSG_SPACE(count * sizeof(int));
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    return sendmsg(sock, &message, flags);
}

/* Receives and prints what came; up to max descriptors go to fds. */
static int receive(int sock, size_t control_room, int flags, int *fds, const char *title)
{
    struct control control;
    char data[256];
    struct iovec part = { data, sizeof(data) };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = control_room };
    int count = 0;
    long n = recvmsg(sock, &message, flags);

    printf("%s: %s, control %zu, flags %#x", title, result_name(n),
           n < 0 ? 0 : (size_t)message.msg_controllen, n < 0 ? 0 : (unsigned)message.msg_flags);
    for (struct cmsghdr *header = n < 0 ? NULL : CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        printf(" [level %d type %d len %zu]", header->cmsg_level, header->cmsg_type,
               (size_t)header->cmsg_len);
        if (header->cmsg_type != SCM_RIGHTS)
            continue;
        int got = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        memcpy(fds, CMSG_DATA(header), (size_t)got * sizeof(int));
        count = got;
        printf(" cloexec %d", fcntl(fds[0], F_GETFD));
    }
    printf("\n");
    return count;
}

static void close_all(const int *fds, int count)
{
    for (int i = 0; i < count; i++)
        CHECK(close(fds[i]) == 0);
}

/* ---- SCM_RIGHTS --------------------------------------------------------------------------------- */

static void limits(int type)
{
    int pair[2], fds[MANY], got[MANY];
    int before = open_count();

    printf("-- %s\n", type_names[type]);
    NEED(socketpair(AF_UNIX, type, 0, pair) == 0);
    for (int i = 0; i < MANY; i++)
        fds[i] = pair[0];
    printf("253: %s\n", result_name(send_files(pair[0], "a", fds, 253, 0)));
    printf("254: %s\n", result_name(send_files(pair[0], "a", fds, 254, 0)));
    printf("none: %s\n", result_name(send_files(pair[0], "b", fds, 0, 0)));
    fds[1] = 999;
    printf("a bad one: %s\n", result_name(send_files(pair[0], "a", fds, 3, 0)));
    fds[1] = open("/", O_PATH);
    printf("O_PATH: %s\n", result_name(send_files(pair[0], "c", fds, 2, 0)));
    close(fds[1]);
    printf("no data: %s\n", result_name(send_files(pair[0], "", fds, 1, MSG_DONTWAIT)));
    int count = receive(pair[1], sizeof(struct control), 0, got, "all");
    CHECK(count == 253);
    close_all(got, count);
    count = receive(pair[1], sizeof(struct control), 0, got, "next");
    close_all(got, count);
    count = receive(pair[1], sizeof(struct control), MSG_DONTWAIT | MSG_CMSG_CLOEXEC, got, "last");
    close_all(got, count);
    count = receive(pair[1], sizeof(struct control), MSG_DONTWAIT, got, "empty");
    close_all(got, count);
    close(pair[0]);
    close(pair[1]);
    CHECK(open_count() == before);
}

static void truncated(int type)
{
    static const size_t rooms[] = { 0, 8, 15, 16, 19, 20, 23, 24, 27, 28, 32 };
    int pair[2], got[MANY], fds[3];
    int before = open_count();

    printf("-- truncated %s\n", type_names[type]);
    NEED(socketpair(AF_UNIX, type, 0, pair) == 0);
    fds[0] = fds[1] = fds[2] = pair[0];
    for (size_t i = 0; i < sizeof(rooms) / sizeof(rooms[0]); i++) {
        char title[32];
        snprintf(title, sizeof(title), "room %zu", rooms[i]);
        CHECK(send_files(pair[0], "abc", fds, 3, 0) == 3);
        close_all(got, receive(pair[1], rooms[i], 0, got, title));
    }
    CHECK(send_files(pair[0], "abc", fds, 3, 0) == 3);
    char byte[4];
    CHECK(read(pair[1], byte, 4) == 3);
    close(pair[0]);
    close(pair[1]);
    CHECK(open_count() == before);
}

static void peeked(int type)
{
    int pair[2], got[MANY];
    int before = open_count();

    printf("-- peeked %s\n", type_names[type]);
    NEED(socketpair(AF_UNIX, type, 0, pair) == 0);
    CHECK(send_files(pair[0], "abc", pair, 2, 0) == 3);
    CHECK(send_files(pair[0], "def", pair, 1, 0) == 3);
    close_all(got, receive(pair[1], sizeof(struct control), MSG_PEEK, got, "first"));
    close_all(got, receive(pair[1], sizeof(struct control), MSG_PEEK, got, "again"));
    close_all(got, receive(pair[1], sizeof(struct control), 0, got, "taken"));
    close_all(got, receive(pair[1], sizeof(struct control), 0, got, "second"));
    close(pair[0]);
    close(pair[1]);
    CHECK(open_count() == before);
}

/* Descriptors divide the bytes of a stream. */
static void divided(void)
{
    int pair[2], got[MANY];

    printf("-- divided\n");
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    CHECK(write(pair[0], "ab", 2) == 2);
    CHECK(send_files(pair[0], "cd", pair, 1, 0) == 2);
    CHECK(write(pair[0], "ef", 2) == 2);
    CHECK(send_files(pair[0], "gh", pair, 1, 0) == 2);
    CHECK(send_files(pair[0], "ij", pair, 1, 0) == 2);
    for (int i = 0; i < 4; i++)
        close_all(got, receive(pair[1], sizeof(struct control), MSG_DONTWAIT, got, "part"));
    close(pair[0]);
    close(pair[1]);
}

static void no_room_for_descriptors(void)
{
    int pair[2], got[MANY];
    struct rlimit old, low;

    printf("-- RLIMIT_NOFILE\n");
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    int fds[4] = { pair[0], pair[0], pair[0], pair[0] };
    CHECK(send_files(pair[0], "ab", fds, 4, 0) == 2);
    getrlimit(RLIMIT_NOFILE, &old);
    low = old;
    low.rlim_cur = (rlim_t)pair[1] + 3;
    setrlimit(RLIMIT_NOFILE, &low);
    int count = receive(pair[1], sizeof(struct control), 0, got, "two");
    setrlimit(RLIMIT_NOFILE, &old);
    close_all(got, count);
    CHECK(count == 2);
    close(pair[0]);
    close(pair[1]);
}

/* ---- What only messages hold ---------------------------------------------------------------------- */

/* Whether the last descriptor of the pipe's writing end is closed in a while. */
static bool ends(int reader)
{
    char byte;

    for (int tries = 0; tries < 500; tries++) {
        long n = read(reader, &byte, 1);
        if (n == 0)
            return true;
        /* Linux collects sockets in flight when another one is closed. */
        close(socket(AF_UNIX, SOCK_DGRAM, 0));
        sleep_ms(10);
    }
    return false;
}

static void nested(void)
{
    int pipes[2], inner[2], outer[2];

    NEED(pipe2(pipes, O_NONBLOCK) == 0);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, inner) == 0);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, outer) == 0);
    CHECK(send_files(inner[0], "x", &pipes[1], 1, 0) == 1);
    close(pipes[1]);
    CHECK(send_files(outer[0], "y", inner, 2, 0) == 1);
    close(inner[0]);
    close(inner[1]);
    char byte;
    CHECK_ERRNO(read(pipes[0], &byte, 1), EAGAIN);
    close(outer[0]);
    CHECK_ERRNO(read(pipes[0], &byte, 1), EAGAIN);
    close(outer[1]);
    printf("nested: %d\n", ends(pipes[0]));
    close(pipes[0]);
}

/* A socket that waits in its own queue. */
static void own_queue(int type)
{
    int pipes[2], pair[2];

    NEED(pipe2(pipes, O_NONBLOCK) == 0);
    NEED(socketpair(AF_UNIX, type, 0, pair) == 0);
    int fds[] = { pair[1], pipes[1] };
    CHECK(send_files(pair[0], "x", fds, 2, 0) == 1);
    close(pipes[1]);
    close(pair[0]);
    close(pair[1]);
    printf("own queue, %s: %d\n", type_names[type], ends(pipes[0]));
    close(pipes[0]);
}

#define RING 12

/* Sockets in each other's queues. */
static void ring(void)
{
    int pipes[2], pair[RING][2], got[MANY];

    NEED(pipe2(pipes, O_NONBLOCK) == 0);
    for (int i = 0; i < RING; i++)
        NEED(socketpair(AF_UNIX, i % 2 ? SOCK_STREAM : SOCK_SEQPACKET, 0, pair[i]) == 0);
    for (int i = 0; i < RING; i++) {
        int fds[] = { pair[(i + 1) % RING][0], pair[(i + 1) % RING][1], pipes[1] };
        CHECK(send_files(pair[i][0], "x", fds, 3, 0) == 1);
    }
    close(pipes[1]);
    int kept = dup(pair[3][1]);
    for (int i = 0; i < RING; i++) {
        close(pair[i][0]);
        close(pair[i][1]);
    }
    char byte;
    close(socket(AF_UNIX, SOCK_DGRAM, 0));
    sleep_ms(50);
    CHECK_ERRNO(read(pipes[0], &byte, 1), EAGAIN);
    int count = receive(kept, sizeof(struct control), 0, got, "still there");
    CHECK(count == 3);
    /* All others hang on the first two, which go into their own queue; the third is the pipe's. */
    close(got[2]);
    CHECK(send_files(got[0], "z", got, 2, 0) == 1);
    CHECK_ERRNO(read(pipes[0], &byte, 1), EAGAIN);
    close_all(got, 2);
    printf("ring: %d\n", ends(pipes[0]));
    close(kept);
    close(pipes[0]);
}

/* A connection that nobody accepted holds the descriptors that were sent over it. */
static void unaccepted(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0unix_messages" };
    socklen_t len = sizeof(sa_family_t) + 14;
    int pipes[2];
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int client = socket(AF_UNIX, SOCK_STREAM, 0);

    NEED(pipe2(pipes, O_NONBLOCK) == 0);
    NEED(bind(listener, (struct sockaddr *)&name, len) == 0 && listen(listener, 5) == 0);
    NEED(connect(client, (struct sockaddr *)&name, len) == 0);
    int fds[] = { listener, pipes[1] };
    CHECK(send_files(client, "x", fds, 2, 0) == 1);
    close(pipes[1]);
    close(listener);
    char byte;
    CHECK_ERRNO(read(pipes[0], &byte, 1), EAGAIN);
    close(client);
    printf("unaccepted: %d\n", ends(pipes[0]));
    close(pipes[0]);
}

static void deep(void)
{
    int pipes[2], last[2], next[2];

    NEED(pipe2(pipes, O_NONBLOCK) == 0);
    NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, last) == 0);
    CHECK(send_files(last[0], "x", &pipes[1], 1, 0) == 1);
    close(pipes[1]);
    for (int i = 0; i < 300; i++) {
        NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, next) == 0);
        if (send_files(next[0], "x", &last[1], 1, 0) != 1)
            break;
        close(last[0]);
        close(last[1]);
        memcpy(last, next, sizeof(last));
    }
    close(last[0]);
    close(last[1]);
    printf("deep: %d\n", ends(pipes[0]));
    close(pipes[0]);
}

/* An unprivileged user may have as many in flight as descriptors open. */
static void too_many(void)
{
    int pair[2];

    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit limit = { 64, 64 };
        NEED(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
        NEED(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        NEED(setresgid(54321, 54321, 54321) == 0 && setresuid(54321, 54321, 54321) == 0);
        int fds[8] = { pair[0], pair[0], pair[0], pair[0], pair[0], pair[0], pair[0], pair[0] };
        int sent = 0;
        while (sent < 30 && send_files(pair[0], "x", fds, 8, MSG_DONTWAIT) == 1)
            sent++;
        printf("too many: %s after %d\n", strerrorname_np(errno), sent);
        int got[MANY];
        int count = receive(pair[1], sizeof(struct control), 0, got, "one taken");
        printf("then: %s\n", result_name(send_files(pair[0], "x", fds, 8, MSG_DONTWAIT)));
        close_all(got, count);
        fflush(stdout);
        _exit(check_failures != 0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* ---- Credentials -------------------------------------------------------------------------------------- */

static long send_identity(int sock, struct ucred claim)
{
    struct control control = { 0 };
    struct iovec part = { "i", 1 };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = CMSG_SPACE(sizeof(claim)) };
    struct cmsghdr *header = &control.align;

    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_CREDENTIALS;
    header->cmsg_len = CMSG_LEN(sizeof(claim));
    memcpy(CMSG_DATA(header), &claim, sizeof(claim));
    return sendmsg(sock, &message, 0);
}

static void receive_identity(int sock, const char *title)
{
    struct control control;
    char data[16];
    struct iovec part = { data, sizeof(data) };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.bytes,
                              .msg_controllen = sizeof(control) };
    long n = recvmsg(sock, &message, MSG_DONTWAIT);
    struct cmsghdr *header = n < 0 ? NULL : CMSG_FIRSTHDR(&message);

    printf("%s: %s", title, result_name(n));
    for (; header; header = CMSG_NXTHDR(&message, header)) {
        struct ucred identity;
        printf(" [type %d len %zu]", header->cmsg_type, (size_t)header->cmsg_len);
        if (header->cmsg_type != SCM_CREDENTIALS)
            continue;
        memcpy(&identity, CMSG_DATA(header), sizeof(identity));
        printf(" pid %s uid %u gid %u",
               identity.pid == getpid() ? "mine"
               : identity.pid == 0      ? "0"
                                        : "other",
               identity.uid, identity.gid);
    }
    printf("\n");
}

static void as_other_user(int sock)
{
    const uint32_t me = 54321;

    NEED(setresgid(me, me + 1, me) == 0 && setresuid(me, me + 1, me) == 0);
    printf("own real ids: %s\n",
           result_name(send_identity(sock, (struct ucred){ getpid(), me, me })));
    printf("own effective ids: %s\n",
           result_name(send_identity(sock, (struct ucred){ getpid(), me + 1, me + 1 })));
    printf("root: %s\n", result_name(send_identity(sock, (struct ucred){ getpid(), 0, me })));
    printf("group of root: %s\n",
           result_name(send_identity(sock, (struct ucred){ getpid(), me, 0 })));
    printf("the parent: %s\n",
           result_name(send_identity(sock, (struct ucred){ getppid(), me, me })));
    printf("nobody: %s\n", result_name(send_identity(sock, (struct ucred){ getpid(), -1u, me })));
    fflush(stdout);
    _exit(0);
}

static void identities(int type)
{
    int pair[2], on = 1;

    printf("-- identities, %s\n", type_names[type]);
    NEED(socketpair(AF_UNIX, type, 0, pair) == 0);
    CHECK(write(pair[0], "a", 1) == 1);
    receive_identity(pair[1], "not asked for");
    CHECK(write(pair[0], "a", 1) == 1);
    CHECK(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
    receive_identity(pair[1], "asked for later");
    CHECK(write(pair[0], "a", 1) == 1);
    receive_identity(pair[1], "plain");
    printf("a process that does not exist: %s\n",
           result_name(send_identity(pair[0], (struct ucred){ 99999999, 0, 0 })));
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    printf("claimed: %s\n", result_name(send_identity(pair[0], (struct ucred){ pid, 7, 8 })));
    receive_identity(pair[1], "claimed");
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    fflush(stdout);
    pid = fork();
    if (pid == 0)
        as_other_user(pair[0]);
    CHECK(waitpid(pid, NULL, 0) == pid);
    receive_identity(pair[1], "real");
    receive_identity(pair[1], "effective");
    receive_identity(pair[1], "nothing");
    close(pair[0]);
    receive_identity(pair[1], "the end");
    close(pair[1]);
}

static void print_peer(int sock, const char *title, pid_t child)
{
    struct ucred peer = { 0 };
    socklen_t len = sizeof(peer);

    printf("%s: %s", title, result_name(getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &peer, &len)));
    printf(" pid %s uid %d\n",
           peer.pid == getpid() ? "mine"
           : peer.pid == 0      ? "0"
           : peer.pid == child  ? "child's"
                                : "other",
           (int)peer.uid);
}

/* SO_PEERCRED is who made the connection, whoever has it now. */
static void peers(void)
{
    struct sockaddr_un name = { .sun_family = AF_UNIX, .sun_path = "\0unix_peers" };
    socklen_t len = sizeof(sa_family_t) + 11;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);
    int pair[2];

    printf("-- peers\n");
    NEED(bind(listener, (struct sockaddr *)&name, len) == 0 && listen(listener, 5) == 0);
    print_peer(listener, "listening", 0);
    pair[0] = socket(AF_UNIX, SOCK_STREAM, 0);
    print_peer(pair[0], "not connected", 0);
    close(pair[0]);
    NEED(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        CHECK(connect(client, (struct sockaddr *)&name, len) == 0);
        struct ucred peer;
        socklen_t size = sizeof(peer);
        CHECK(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
              peer.pid == getppid());
        size = sizeof(peer);
        CHECK(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
              peer.pid == getppid());
        fflush(stdout);
        pause();
    }
    int conn = accept(listener, NULL, NULL);
    print_peer(conn, "accepted", pid);
    print_peer(pair[0], "of a pair", pid);
    kill(pid, SIGKILL);
    CHECK(waitpid(pid, NULL, 0) == pid);
    print_peer(conn, "after its end", pid);
    int udp = socket(AF_INET, SOCK_DGRAM, 0);
    print_peer(udp, "of a UDP socket", 0);
    close(udp);
    close(conn);
    close(listener);
    close(pair[0]);
    close(pair[1]);
}

int main(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET };

    signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 3; i++) {
        limits(types[i]);
        truncated(types[i]);
        peeked(types[i]);
        own_queue(types[i]);
        identities(types[i]);
    }
    divided();
    no_room_for_descriptors();
    nested();
    ring();
    unaccepted();
    deep();
    too_many();
    peers();
    return check_end();
}
