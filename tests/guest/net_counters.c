// SPDX-License-Identifier: MIT
/*
 * /proc/net/{snmp,netstat,sockstat,sockstat6,raw,raw6,packet,netlink}: what is sent and opened here is counted and
 * listed.
 * Others on the machine count as well: so numbers are compared with what this program did at least.
 */
#include "check.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <net/ethernet.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#define SOCKETS 20

static char text[1 << 20];

static void read_file(const char *name)
{
    char path[60];

    snprintf(path, sizeof path, "/proc/net/%s", name);
    FILE *file = fopen(path, "r");
    NEED(file);
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
}

/* The number under a name of a group of two lines; -1: there is none. */
static long counter(const char *file, const char *group, const char *name)
{
    char *names, *numbers, *save_name, *save_number;
    size_t len = strlen(group);

    read_file(file);
    names = strstr(text, group);
    NEED(names && names[len] == ':');
    numbers = strchr(names, '\n');
    NEED(numbers && !strncmp(numbers + 1, group, len));
    *numbers++ = 0;
    *strchr(numbers, '\n') = 0;
    char *key = strtok_r(names, " ", &save_name);
    char *value = strtok_r(numbers, " ", &save_number);
    for (; key && value;
         key = strtok_r(NULL, " ", &save_name), value = strtok_r(NULL, " ", &save_number)) {
        if (!strcmp(key, name))
            return atol(value);
    }
    CHECK(!key && !value); /* as many numbers as names */
    return -1;
}

/* Of the line "TCP: inuse 4 ...", what follows a word. */
static long statistic(const char *file, const char *line, const char *word)
{
    read_file(file);
    char *at = strstr(text, line);
    NEED(at && (at == text || at[-1] == '\n'));
    *strchr(at, '\n') = 0;
    at = strstr(at, word);
    NEED(at);
    return atol(at + strlen(word));
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int bound(int type, struct sockaddr_in *address)
{
    socklen_t len = sizeof *address;
    int fd = socket(AF_INET, type, 0);

    *address = loopback(0);
    NEED(fd >= 0 && !bind(fd, (void *)address, len) && !getsockname(fd, (void *)address, &len));
    return fd;
}

static void test_tcp(void)
{
    static const char *const names[] = { "ActiveOpens", "PassiveOpens", "InSegs", "OutSegs",
                                         "OutRsts" };
    struct sockaddr_in address;
    long before[5];
    char byte = 'x';
    int listener = bound(SOCK_STREAM, &address), refused;

    for (int i = 0; i < 5; i++)
        before[i] = counter("snmp", "Tcp", names[i]);
    CHECK(!listen(listener, 5));
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(!connect(fd, (void *)&address, sizeof address));
    int peer = accept(listener, NULL, NULL);
    CHECK(counter("snmp", "Tcp", "CurrEstab") >= 2);
    CHECK(statistic("sockstat", "TCP:", "inuse ") >= 3 &&
          statistic("sockstat", "TCP:", "alloc ") >= 3);
    CHECK(write(fd, &byte, 1) == 1 && read(peer, &byte, 1) == 1);
    close(listener);
    refused = socket(AF_INET, SOCK_STREAM, 0);
    CHECK_ERRNO(connect(refused, (void *)&address, sizeof address), ECONNREFUSED);
    for (int i = 0; i < 5; i++) {
        long least = (long[]){ 2, 1, 5, 5, 1 }[i];
        CHECK(before[i] >= 0 && counter("snmp", "Tcp", names[i]) >= before[i] + least);
    }
    CHECK(counter("snmp", "Tcp", "RetransSegs") >= 0 && counter("snmp", "Tcp", "MaxConn") == -1);
    CHECK(counter("netstat", "TcpExt", "TCPTimeouts") >= 0 &&
          counter("netstat", "TcpExt", "TCPSynRetrans") >= 0);
    close(fd);
    close(peer);
    close(refused);
}

/* A datagram that arrives, one that nobody waits for, and more than there is room for. */
static void test_udp(void)
{
    static const char *const names[] = { "InDatagrams", "NoPorts", "RcvbufErrors", "OutDatagrams" };
    struct sockaddr_in address, gone;
    int receiver = bound(SOCK_DGRAM, &address), closed = bound(SOCK_DGRAM, &gone);
    int sender = socket(AF_INET, SOCK_DGRAM, 0), small = 1;
    static char data[1000];
    long before[4], errors = counter("snmp", "Udp", "InErrors");
    long unreachable = counter("snmp", "Icmp", "InDestUnreachs");

    close(closed);
    for (int i = 0; i < 4; i++)
        before[i] = counter("snmp", "Udp", names[i]);
    CHECK(!setsockopt(receiver, SOL_SOCKET, SO_RCVBUF, &small, sizeof small));
    for (int i = 0; i < 30; i++)
        CHECK(sendto(sender, data, sizeof data, 0, (void *)&address, sizeof address) ==
              sizeof data);
    CHECK(read(receiver, data, sizeof data) == sizeof data);
    CHECK(sendto(sender, data, 1, 0, (void *)&gone, sizeof gone) == 1);
    for (int i = 0; i < 4; i++)
        CHECK(before[i] >= 0 && counter("snmp", "Udp", names[i]) >= before[i] + (i == 3 ? 31 : 1));
    CHECK(counter("snmp", "Udp", "InErrors") > errors);
    CHECK(counter("snmp", "Icmp", "InDestUnreachs") > unreachable && unreachable >= 0);
    CHECK(counter("snmp", "Ip", "InReceives") >= 30 && counter("snmp", "Ip", "OutRequests") >= 30);
    close(receiver);
    close(sender);
}

static unsigned long inode_of(int fd)
{
    struct stat info;

    CHECK(!fstat(fd, &info));
    return info.st_ino;
}

static bool is_listed(const char *file, int fd)
{
    char inode[30];

    snprintf(inode, sizeof inode, " %lu ", inode_of(fd));
    read_file(file);
    for (char *at = text; (at = strchr(at, '\n'));)
        *at = ' '; /* the inode may be the last of its line */
    return strstr(text, inode);
}

static void test_lists(void)
{
    int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), raw6 = socket(AF_INET6, SOCK_RAW, 200);
    int packet = socket(AF_PACKET, SOCK_RAW, htons(ETH_P_ARP));
    int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

    struct sockaddr_nl any = { .nl_family = AF_NETLINK };

    CHECK(!is_listed("netlink", netlink) && !bind(netlink, (void *)&any, sizeof any));
    CHECK(is_listed("raw", raw) && !is_listed("raw", raw6));
    CHECK(is_listed("raw6", raw6) && !is_listed("raw6", raw));
    CHECK(is_listed("packet", packet) && is_listed("netlink", netlink));
    CHECK(statistic("sockstat", "RAW:", "inuse ") >= 1);
    CHECK(statistic("sockstat6", "RAW6:", "inuse ") >= 1);
    close(raw);
    close(packet);
    close(netlink);
    CHECK(!is_listed("raw", raw6) && is_listed("raw6", raw6));
    close(raw6);
}

static void test_sockstat(void)
{
    struct sockaddr_in address;
    struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
    int fd[SOCKETS], fd6[SOCKETS];

    for (int i = 0; i < SOCKETS; i++) {
        fd[i] = bound(SOCK_DGRAM, &address);
        fd6[i] = socket(AF_INET6, SOCK_DGRAM, 0);
        CHECK(!bind(fd6[i], (void *)&any, sizeof any));
    }
    CHECK(statistic("sockstat", "sockets:", "used ") >= 2 * SOCKETS);
    CHECK(statistic("sockstat", "UDP:", "inuse ") >= SOCKETS);
    CHECK(statistic("sockstat6", "UDP6:", "inuse ") >= SOCKETS);
    CHECK(statistic("sockstat6", "TCP6:", "inuse ") >= 0);
    for (int i = 0; i < SOCKETS; i++) {
        close(fd[i]);
        close(fd6[i]);
    }
}

#define ANSWERS 600
#define PAGES   4 /* of one answer */
#define LIMIT   (ANSWERS * PAGES / 2)

/* What a server has sent and not had acknowledged when it closes is not charged for ever. */
static void test_memory(void)
{
    static char answer[PAGES << 12];
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    long before = statistic("sockstat", "TCP:", "mem ");

    NEED(!bind(listener, (void *)&address, size) && !listen(listener, 5));
    NEED(!getsockname(listener, (void *)&address, &size));
    for (int i = 0; i < ANSWERS; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        NEED(!connect(client, (void *)&address, size));
        int server = accept(listener, NULL, NULL);
        CHECK(send(server, answer, sizeof answer, 0) == sizeof answer);
        close(server);
        CHECK(recv(client, answer, sizeof answer, MSG_WAITALL) == sizeof answer);
        close(client);
    }
    close(listener);
    /* Linux counts some hundred pages in advance, and others' traffic comes and goes. */
    for (int i = 0; i < 100 && statistic("sockstat", "TCP:", "mem ") - before > LIMIT; i++)
        sleep_ms(100);
    CHECK(statistic("sockstat", "TCP:", "mem ") - before <= LIMIT);
}

/* An echo request of a raw socket, and the answer. */
static void test_icmp(void)
{
    static const char *const names[] = { "InMsgs",     "OutMsgs",  "InEchos",
                                         "InEchoReps", "OutEchos", "OutEchoReps" };
    struct sockaddr_in to = loopback(0);
    struct icmphdr echo = { .type = ICMP_ECHO, .checksum = htons(0xf7fe), .un.echo.id = htons(1) };
    long before[6], length;
    char answer[200];
    int fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);

    for (int i = 0; i < 6; i++)
        before[i] = counter("snmp", "Icmp", names[i]);
    CHECK(sendto(fd, &echo, sizeof echo, 0, (void *)&to, sizeof to) == sizeof echo);
    do {
        length = read(fd, answer, sizeof answer);
        NEED(length >= 28); /* others' messages as well */
    } while (length != 28 || answer[20] != ICMP_ECHOREPLY || answer[25] != 1);
    for (int i = 0; i < 6; i++)
        CHECK(before[i] >= 0 && counter("snmp", "Icmp", names[i]) >= before[i] + (i < 2 ? 2 : 1));
    close(fd);
}

int main(void)
{
    test_tcp();
    test_udp();
    test_lists();
    test_sockstat();
    test_memory();
    test_icmp();
    return check_end();
}
