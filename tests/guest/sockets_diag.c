// SPDX-License-Identifier: MIT
/*
 * NETLINK_SOCK_DIAG: TCP and UDP sockets, all of some states and a single one.
 */
#include "check.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int diag;

struct request {
    struct nlmsghdr header;
    struct inet_diag_req_v2 body;
};

static void ask(struct request *request, int flags)
{
    request->header.nlmsg_len = sizeof(*request);
    request->header.nlmsg_type = SOCK_DIAG_BY_FAMILY;
    request->header.nlmsg_flags = (unsigned short)(NLM_F_REQUEST | flags);
    request->header.nlmsg_seq++;
    CHECK(send(diag, request, sizeof(*request), 0) == sizeof(*request));
}

static unsigned long inode_of(int fd)
{
    struct stat status;

    NEED(fstat(fd, &status) == 0);
    return status.st_ino;
}

static in_port_t port_of(int fd)
{
    struct sockaddr_in6 address;
    socklen_t len = sizeof(address);

    NEED(getsockname(fd, (struct sockaddr *)&address, &len) == 0);
    return address.sin6_port;
}

/* The answer about the socket of fd among those of a dump, in *found; how many there are of it. */
static int dump_find(struct request *request, int fd, struct inet_diag_msg *found)
{
    static char buffer[65536];
    unsigned long inode = inode_of(fd);
    int nfound = 0;

    ask(request, NLM_F_DUMP);
    for (;;) {
        ssize_t n = recv(diag, buffer, sizeof(buffer), 0);
        struct nlmsghdr *header = (void *)buffer;
        NEED(n > 0);
        for (; NLMSG_OK(header, n); header = NLMSG_NEXT(header, n)) {
            if (header->nlmsg_type == NLMSG_DONE)
                return nfound;
            NEED(header->nlmsg_type == SOCK_DIAG_BY_FAMILY);
            CHECK(header->nlmsg_flags & NLM_F_MULTI &&
                  header->nlmsg_seq == request->header.nlmsg_seq);
            struct inet_diag_msg *message = NLMSG_DATA(header);
            if (message->idiag_inode == inode) {
                *found = *message;
                nfound++;
            }
        }
    }
}

static int answer_error(void)
{
    struct {
        struct nlmsghdr header;
        struct nlmsgerr error;
        char rest[200];
    } answer;

    NEED(recv(diag, &answer, sizeof(answer), 0) > 0);
    return answer.header.nlmsg_type == NLMSG_ERROR ? -answer.error.error : 0;
}

static int open_bound(int family, int type)
{
    int fd = socket(family, type, 0);
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };

    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    NEED(fd >= 0);
    if (family == AF_INET)
        NEED(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    else
        NEED(bind(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0);
    return fd;
}

static void show(const char *what, const struct inet_diag_msg *message)
{
    printf("%s: family %d state %d queues %u %u user %u %08x %08x\n", what, message->idiag_family,
           message->idiag_state, message->idiag_rqueue, message->idiag_wqueue, message->idiag_uid,
           message->id.idiag_src[0], message->id.idiag_dst[0]);
}

static void test_tcp(void)
{
    struct request request = { .body = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_TCP } };
    struct inet_diag_msg message;
    struct sockaddr_in address;
    socklen_t len = sizeof(address);
    int listener = open_bound(AF_INET, SOCK_STREAM), client = socket(AF_INET, SOCK_STREAM, 0);

    NEED(listen(listener, 5) == 0 && getsockname(listener, (struct sockaddr *)&address, &len) == 0);
    NEED(connect(client, (struct sockaddr *)&address, sizeof(address)) == 0);
    int server = accept(listener, NULL, NULL);
    NEED(server >= 0 && write(client, "hello", 5) == 5);
    request.body.idiag_states = 1 << TCP_LISTEN;
    CHECK(dump_find(&request, listener, &message) == 1);
    show("listener", &message);
    CHECK(message.id.idiag_sport == port_of(listener) && message.id.idiag_dport == 0);
    CHECK(dump_find(&request, server, &message) == 0);
    request.body.idiag_states = 1 << TCP_ESTABLISHED;
    CHECK(dump_find(&request, listener, &message) == 0);
    CHECK(dump_find(&request, server, &message) == 1);
    show("server", &message);
    CHECK(message.id.idiag_sport == port_of(listener) && message.id.idiag_dport == port_of(client));
    /* This one alone, by its addresses and the cookie that came along. */
    request.body.id = message.id;
    ask(&request, 0);
    CHECK(answer_error() == 0);
    request.body.id.idiag_cookie[0] = request.body.id.idiag_cookie[1] = INET_DIAG_NOCOOKIE;
    ask(&request, 0);
    CHECK(answer_error() == 0);
    request.body.id.idiag_dport = 1;
    request.body.id.idiag_src[0] = request.body.id.idiag_dst[0] = htonl(0x7f000009);
    ask(&request, 0);
    printf("nobody: %s\n", strerror(answer_error()));
    close(server);
    close(client);
    close(listener);
}

static void test_others(void)
{
    struct request request = {
        .body = { .sdiag_family = AF_INET, .sdiag_protocol = IPPROTO_UDP, .idiag_states = ~0U }
    };
    struct inet_diag_msg message;
    int udp = open_bound(AF_INET, SOCK_DGRAM), udp6 = open_bound(AF_INET6, SOCK_DGRAM);

    CHECK(dump_find(&request, udp, &message) == 1);
    show("udp", &message);
    CHECK(message.id.idiag_sport == port_of(udp));
    CHECK(dump_find(&request, udp6, &message) == 0);
    request.body.sdiag_family = AF_INET6;
    CHECK(dump_find(&request, udp6, &message) == 1);
    show("udp6", &message);
    CHECK(message.id.idiag_src[3] == htonl(1));
    request.body.sdiag_family = 200;
    ask(&request, NLM_F_DUMP);
    printf("no such family: %s\n", strerror(answer_error()));
    close(udp);
    close(udp6);
}

int main(void)
{
    diag = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
    NEED(diag >= 0);
    test_tcp();
    test_others();
    return check_end();
}
