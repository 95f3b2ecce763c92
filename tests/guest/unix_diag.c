// SPDX-License-Identifier: MIT
/*
 * NETLINK_SOCK_DIAG of UNIX sockets: each attribute, dumps by state, a single one by its number and cookie.
 */
#include "check.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#define PATH     "/tmp/unix_diag.sock"
#define SHOW_ALL 0x7fu

static int diag;

struct request {
    struct nlmsghdr header;
    struct unix_diag_req body;
};

/* What an answer said: attributes that were not there are NULL. */
struct answer {
    struct unix_diag_msg message;
    const void *attribute[UNIX_DIAG_UID + 1];
    size_t len[UNIX_DIAG_UID + 1];
};

static unsigned inode_of(int fd)
{
    struct stat status;

    NEED(fstat(fd, &status) == 0);
    return (unsigned)status.st_ino;
}

static void ask(struct request *request, int flags, size_t len)
{
    request->header.nlmsg_len = (unsigned)(sizeof(request->header) + len);
    request->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request->header.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
    request->header.nlmsg_seq++;
    CHECK(send(diag, request, request->header.nlmsg_len, 0) == (ssize_t)request->header.nlmsg_len);
}

static void read_attributes(struct nlmsghdr *header, struct answer *answer)
{
    struct unix_diag_msg *message = NLMSG_DATA(header);
    int left = (int)(header->nlmsg_len - NLMSG_LENGTH(sizeof(*message)));

    *answer = (struct answer){ .message = *message };
    for (struct rtattr *attr = (void *)(message + 1); RTA_OK(attr, left);
         attr = RTA_NEXT(attr, left)) {
        NEED(attr->rta_type <= UNIX_DIAG_UID);
        answer->attribute[attr->rta_type] = RTA_DATA(attr);
        answer->len[attr->rta_type] = RTA_PAYLOAD(attr);
    }
}

/* The socket with this inode number; an errno that came instead. */
static int ask_one(unsigned inode, uint32_t show, const uint32_t *cookie, struct answer *answer)
{
    static char buffer[8192];
    struct request request = { .body = { .sdiag_family = AF_UNIX, .udiag_states = ~0U } };
    struct nlmsghdr *header = (void *)buffer;

    request.body.udiag_ino = inode;
    request.body.udiag_show = show;
    request.body.udiag_cookie[0] = cookie ? cookie[0] : ~0U;
    request.body.udiag_cookie[1] = cookie ? cookie[1] : ~0U;
    ask(&request, 0, sizeof(request.body));
    NEED(recv(diag, buffer, sizeof(buffer), 0) > 0);
    if (header->nlmsg_type == NLMSG_ERROR)
        return -((struct nlmsgerr *)NLMSG_DATA(header))->error;
    NEED(header->nlmsg_type == SOCK_DIAG_BY_FAMILY);
    read_attributes(header, answer);
    return 0;
}

/* How often a dump of these states tells of the socket. */
static int count_dumped(int fd, uint32_t states)
{
    static char buffer[65536];
    struct request request = { .body = { .sdiag_family = AF_UNIX, .udiag_states = states } };
    unsigned inode = inode_of(fd);
    int nfound = 0;

    ask(&request, NLM_F_DUMP, sizeof(request.body));
    for (;;) {
        ssize_t n = recv(diag, buffer, sizeof(buffer), 0);
        struct nlmsghdr *header = (void *)buffer;
        NEED(n > 0);
        for (; NLMSG_OK(header, n); header = NLMSG_NEXT(header, n)) {
            if (header->nlmsg_type == NLMSG_DONE)
                return nfound;
            NEED(header->nlmsg_type == SOCK_DIAG_BY_FAMILY);
            struct unix_diag_msg *message = NLMSG_DATA(header);
            CHECK(message->udiag_ino != 0);
            nfound += message->udiag_ino == inode;
        }
    }
}

static uint32_t number(const struct answer *answer, int type, size_t index)
{
    NEED(answer->attribute[type] && answer->len[type] >= (index + 1) * sizeof(uint32_t));
    return ((const uint32_t *)answer->attribute[type])[index];
}

static void show(const char *what, int fd)
{
    struct answer answer;

    NEED(ask_one(inode_of(fd), SHOW_ALL, NULL, &answer) == 0);
    printf("%s: family %d type %d state %d shutdown %d user %u", what, answer.message.udiag_family,
           answer.message.udiag_type, answer.message.udiag_state,
           *(const uint8_t *)answer.attribute[UNIX_DIAG_SHUTDOWN],
           number(&answer, UNIX_DIAG_UID, 0));
    printf(" read %u write %d", number(&answer, UNIX_DIAG_RQLEN, 0),
           number(&answer, UNIX_DIAG_RQLEN, 1) != 0);
    printf(" buffers %u %u memory %d", number(&answer, UNIX_DIAG_MEMINFO, SK_MEMINFO_RCVBUF),
           number(&answer, UNIX_DIAG_MEMINFO, SK_MEMINFO_SNDBUF),
           number(&answer, UNIX_DIAG_MEMINFO, SK_MEMINFO_WMEM_ALLOC) != 0);
    printf(" meminfo %zu", answer.len[UNIX_DIAG_MEMINFO]);
    printf(" peer %s", !answer.attribute[UNIX_DIAG_PEER]    ? "none"
                       : number(&answer, UNIX_DIAG_PEER, 0) ? "open"
                                                            : "closed");
    if (answer.attribute[UNIX_DIAG_ICONS])
        printf(" waiting %zu", answer.len[UNIX_DIAG_ICONS] / sizeof(uint32_t));
    printf(" vfs %d name ", answer.attribute[UNIX_DIAG_VFS] != NULL);
    const char *name = answer.attribute[UNIX_DIAG_NAME];
    for (size_t i = 0; i < answer.len[UNIX_DIAG_NAME]; i++)
        putchar(name[i] ? name[i] : '@');
    putchar('\n');
}

static socklen_t set_name(struct sockaddr_un *address, const char *path, bool is_abstract)
{
    memset(address, 0, sizeof(*address));
    address->sun_family = AF_UNIX;
    strcpy(address->sun_path + is_abstract, path);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + 1);
}

static void test_place(int fd)
{
    struct answer answer;
    struct stat status;

    NEED(stat(PATH, &status) == 0);
    NEED(ask_one(inode_of(fd), UDIAG_SHOW_VFS, NULL, &answer) == 0);
    CHECK(number(&answer, UNIX_DIAG_VFS, 0) == (uint32_t)status.st_ino);
    CHECK(number(&answer, UNIX_DIAG_VFS, 1) == (major(status.st_dev) << 20 | minor(status.st_dev)));
    CHECK(!answer.attribute[UNIX_DIAG_NAME] && !answer.attribute[UNIX_DIAG_RQLEN] &&
          !answer.attribute[UNIX_DIAG_UID]);
}

static void test_stream(void)
{
    struct sockaddr_un address;
    struct answer answer;
    socklen_t len = set_name(&address, PATH, false);
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    int other = socket(AF_UNIX, SOCK_STREAM, 0);

    unlink(PATH);
    show("fresh", listener);
    NEED(!bind(listener, (struct sockaddr *)&address, len));
    show("bound", listener);
    test_place(listener);
    NEED(!listen(listener, 3));
    NEED(!connect(client, (struct sockaddr *)&address, len));
    NEED(!connect(other, (struct sockaddr *)&address, len));
    show("listening", listener);
    NEED(ask_one(inode_of(listener), UDIAG_SHOW_ICONS, NULL, &answer) == 0);
    CHECK(number(&answer, UNIX_DIAG_ICONS, 0) == inode_of(client));
    CHECK(number(&answer, UNIX_DIAG_ICONS, 1) == inode_of(other));
    show("not accepted", client);
    int server = accept(listener, NULL, NULL);
    NEED(server >= 0 && write(client, "hello", 5) == 5);
    show("client", client);
    show("server", server);
    test_place(server);
    NEED(ask_one(inode_of(server), UDIAG_SHOW_PEER, NULL, &answer) == 0);
    CHECK(number(&answer, UNIX_DIAG_PEER, 0) == inode_of(client));
    CHECK(shutdown(client, SHUT_WR) == 0);
    show("shut", server);
    CHECK(count_dumped(listener, 1U << 10) == 1 && count_dumped(listener, 1U << 1) == 0);
    CHECK(count_dumped(server, 1U << 1) == 1 && count_dumped(server, ~0U) == 1);
    CHECK(count_dumped(server, 1U << 10) == 0);
    close(client);
    show("left", server);
    close(server);
    close(other);
    close(listener);
    unlink(PATH);
}

static void test_messages(void)
{
    struct sockaddr_un address;
    socklen_t len = set_name(&address, "unix_diag", true);
    int receiver = socket(AF_UNIX, SOCK_DGRAM, 0), sender = socket(AF_UNIX, SOCK_DGRAM, 0);
    int pair[2], n;

    NEED(!bind(receiver, (struct sockaddr *)&address, len));
    show("datagram", receiver);
    NEED(!connect(sender, (struct sockaddr *)&address, len));
    show("target", receiver);
    show("sender", sender);
    NEED(send(sender, "abc", 3, 0) == 3 && send(sender, "defgh", 5, 0) == 5);
    show("two datagrams", receiver);
    CHECK(ioctl(receiver, FIONREAD, &n) == 0 && n == 3);
    close(receiver);
    show("target gone", sender);
    CHECK_ERRNO(send(sender, "abc", 3, 0), ECONNREFUSED);
    show("told so", sender);
    close(sender);
    NEED(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair));
    NEED(send(pair[0], "abc", 3, 0) == 3 && send(pair[0], "defgh", 5, 0) == 5);
    show("packets", pair[1]);
    CHECK(ioctl(pair[1], FIONREAD, &n) == 0 && n == 8);
    address.sun_family = AF_UNSPEC;
    close(pair[0]);
    close(pair[1]);
    NEED(!socketpair(AF_UNIX, SOCK_DGRAM, 0, pair));
    show("pair", pair[0]);
    NEED(!connect(pair[0], (struct sockaddr *)&address, sizeof(sa_family_t)));
    show("disconnected", pair[0]);
    close(pair[0]);
    close(pair[1]);
}

static void test_errors(void)
{
    struct request request = { .body = { .sdiag_family = AF_UNIX } };
    const uint32_t wrong[2] = { 1, 1 };
    struct answer answer;
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    CHECK(ask_one(inode_of(fd), 0, NULL, &answer) == 0);
    CHECK(ask_one(inode_of(fd), 0, answer.message.udiag_cookie, &answer) == 0);
    printf("no number: %s\n", strerror(ask_one(0, 0, NULL, &answer)));
    printf("no such socket: %s\n", strerror(ask_one(~1U, 0, NULL, &answer)));
    printf("wrong cookie: %s\n", strerror(ask_one(inode_of(fd), 0, wrong, &answer)));
    for (size_t len = 1; len <= sizeof(request.body); len++) {
        struct {
            struct nlmsghdr header;
            struct nlmsgerr error;
        } reply;
        ask(&request, 0, len);
        NEED(recv(diag, &reply, sizeof(reply), 0) > 0 && reply.header.nlmsg_type == NLMSG_ERROR);
        CHECK(reply.error.error == -EINVAL);
    }
    close(fd);
}

int main(void)
{
    diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    NEED(diag >= 0);
    test_stream();
    test_messages();
    test_errors();
    return check_end();
}
