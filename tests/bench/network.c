// SPDX-License-Identifier: MIT
/*
 * Latencies and connection rates of the network, between a guest and the host.
 *
 *     network serve                          in the guest: answers at PORT (TCP and UDP) and PORT + 1
 *     network tcp HOST SECONDS               a byte there and back on one connection
 *     network udp HOST SECONDS               the same with datagrams
 *     network connect HOST SECONDS [COUNT]   short connections, eight at a time, until the time is over or COUNT made
 *     network idle HOST COUNT                short connections while none, and then COUNT idle ones exist
 *     network load HOST PORT SECONDS CONNECTIONS REQUEST ANSWER_SIZE
 *                                            asks REQUEST (\r and \n spelled so) on each connection, again and again
 *
 * The server ends a short connection, as HTTP's do.  Each client prints "NAME NUMBER": medians and 99th percentiles in
 * nanoseconds, rates per second.
 */
#define _GNU_SOURCE
#include "measure.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT        7000
#define WORKERS     8
#define SAMPLES     (1 << 20)
#define EVENTS      256
#define BUFFER      4096
#define IDLE_TURNS  200
#define DESCRIPTORS 20000

static struct sockaddr_in peer;

static void raise_limit(void)
{
    struct rlimit limit = { DESCRIPTORS, DESCRIPTORS };

    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        return;
    check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
}

/* ---- The server ------------------------------------------------------------------------------ */

static int bind_to(int type, int port)
{
    struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    int fd = socket(AF_INET, type, 0), one = 1;

    check(fd >= 0, "socket");
    check(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0, "SO_REUSEADDR");
    check(bind(fd, (void *)&any, sizeof(any)) == 0, "bind");
    check(type != SOCK_STREAM || listen(fd, 1024) == 0, "listen");
    return fd;
}

static void *serve_datagrams(void *arg)
{
    char data[BUFFER];
    struct sockaddr_in from;
    int fd = *(int *)arg;

    for (;;) {
        socklen_t size = sizeof(from);
        ssize_t n = recvfrom(fd, data, sizeof(data), 0, (void *)&from, &size);
        if (n >= 0)
            sendto(fd, data, (size_t)n, 0, (void *)&from, size);
    }
    return NULL;
}

static void *serve_short(void *arg)
{
    char byte;
    int listener = *(int *)arg;

    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        if (read(fd, &byte, 1) == 1)
            (void)!write(fd, &byte, 1);
        close(fd);
    }
    return NULL;
}

static void echo(int fd)
{
    char data[BUFFER];
    ssize_t n = read(fd, data, sizeof(data));

    if (n <= 0 || write(fd, data, (size_t)n) != n)
        close(fd);
}

static void welcome(int listener, int poller)
{
    int one = 1;
    int fd = accept(listener, NULL, NULL);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    check(epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
}

static void serve(void)
{
    static int datagrams, brief;
    pthread_t thread;
    struct epoll_event events[EVENTS];
    int listener = bind_to(SOCK_STREAM, PORT), poller = epoll_create1(0);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = listener };

    datagrams = bind_to(SOCK_DGRAM, PORT);
    brief = bind_to(SOCK_STREAM, PORT + 1);
    check(poller >= 0 && epoll_ctl(poller, EPOLL_CTL_ADD, listener, &event) == 0, "epoll");
    check(pthread_create(&thread, NULL, serve_datagrams, &datagrams) == 0, "pthread_create");
    check(pthread_create(&thread, NULL, serve_short, &brief) == 0, "pthread_create");
    printf("ready 1\n");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener)
                welcome(listener, poller);
            else
                echo(events[i].data.fd);
        }
    }
}

/* ---- Samples ---------------------------------------------------------------------------------- */

static float *samples;
static atomic_uint nsamples;
static atomic_ullong longest;

static void add_sample(double ns)
{
    unsigned i = atomic_fetch_add(&nsamples, 1);
    unsigned long long now = (unsigned long long)ns, before = atomic_load(&longest);

    samples[i % SAMPLES] = (float)ns;
    while (before < now && !atomic_compare_exchange_weak(&longest, &before, now))
        ;
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, double elapsed_ns)
{
    unsigned n = nsamples < SAMPLES ? nsamples : SAMPLES;

    check(n > 0, "no answers");
    qsort(samples, n, sizeof(*samples), compare);
    printf("%s %.0f\n%s_p99 %.0f\n%s_longest %llu\n%s_count %u\n", name, (double)samples[n / 2],
           name, (double)samples[n - 1 - n / 100], name, (unsigned long long)longest, name,
           nsamples);
    if (elapsed_ns > 0)
        printf("%s_rate %.0f\n", name, nsamples / elapsed_ns * 1e9);
    nsamples = 0;
    longest = 0;
}

/* ---- Clients ---------------------------------------------------------------------------------- */

static int connect_to(int type, int port)
{
    int fd = socket(AF_INET, type, 0), one = 1;
    struct timeval patience = { .tv_sec = 10 };
    struct sockaddr_in to = peer;

    check(fd >= 0, "socket");
    to.sin_port = htons((uint16_t)port);
    check(connect(fd, (void *)&to, sizeof(to)) == 0, "connect");
    check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) == 0, "SO_RCVTIMEO");
    if (type == SOCK_STREAM)
        check(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0, "TCP_NODELAY");
    return fd;
}

static void ask_byte(int fd)
{
    char byte = 'x';
    check(send(fd, &byte, 1, 0) == 1 && recv(fd, &byte, 1, 0) == 1, "an answer");
}

static void ask_and_answer(const char *name, int type, double seconds)
{
    int fd = connect_to(type, PORT);
    double begin = now_ns(), start = begin;

    for (int i = 0; i < 1000; i++) /* the emulator translates */
        ask_byte(fd);
    for (begin = start = now_ns(); start - begin < seconds * 1e9;) {
        ask_byte(fd);
        double end = now_ns();
        add_sample(end - start);
        start = end;
    }
    print_samples(name, start - begin);
    close(fd);
}

static void connect_once(void)
{
    char byte;
    double start = now_ns();
    int fd = connect_to(SOCK_STREAM, PORT + 1);

    ask_byte(fd);
    check(recv(fd, &byte, 1, 0) == 0, "the end of a short connection");
    close(fd);
    add_sample(now_ns() - start);
}

static double deadline_ns;
static atomic_long left;

static void *connect_often(void *arg)
{
    while (atomic_fetch_sub(&left, 1) > 0 && now_ns() < deadline_ns)
        connect_once();
    return NULL;
}

static void run_workers(void *(*work)(void *))
{
    pthread_t thread[WORKERS];

    for (int i = 0; i < WORKERS; i++)
        check(pthread_create(&thread[i], NULL, work, NULL) == 0, "pthread_create");
    for (int i = 0; i < WORKERS; i++)
        pthread_join(thread[i], NULL);
}

static void connect_many(double seconds, long count)
{
    double begin = now_ns();

    left = count;
    deadline_ns = begin + seconds * 1e9;
    run_workers(connect_often);
    print_samples("connect", now_ns() - begin);
}

static void connect_beside_idle(int count)
{
    int *fds = calloc((size_t)count, sizeof(*fds));

    check(fds != NULL, "calloc");
    for (int i = 0; i < 2 * IDLE_TURNS; i++) {
        if (i == IDLE_TURNS)
            nsamples = 0; /* the first translate */
        connect_once();
    }
    print_samples("alone", 0);
    for (int i = 0; i < count; i++)
        fds[i] = connect_to(SOCK_STREAM, PORT);
    for (int i = 0; i < count; i += 100) /* they are all there */
        ask_byte(fds[i]);
    for (int i = 0; i < IDLE_TURNS; i++)
        connect_once();
    print_samples("beside", 0);
    for (int i = 0; i < count; i++)
        close(fds[i]);
}

/* ---- Requests --------------------------------------------------------------------------------- */

static char request[BUFFER];
static size_t request_size, answer_size;
static int load_port;

static void set_request(const char *text)
{
    for (; *text && request_size < sizeof(request); text++) {
        char c = *text;
        if (c == '\\' && (text[1] == 'r' || text[1] == 'n'))
            c = *++text == 'r' ? '\r' : '\n';
        request[request_size++] = c;
    }
}

static void ask(int fd)
{
    char data[BUFFER];

    check(send(fd, request, request_size, 0) == (ssize_t)request_size, "send");
    for (size_t got = 0; got < answer_size;) {
        ssize_t n = recv(fd, data, sizeof(data), 0);
        check(n > 0, "recv");
        got += (size_t)n;
    }
}

static void *ask_often(void *arg)
{
    int fd = connect_to(SOCK_STREAM, load_port);
    double start, end = now_ns();

    do {
        start = end;
        ask(fd);
        end = now_ns();
        add_sample(end - start);
    } while (end < deadline_ns);
    close(fd);
    return NULL;
}

static void load(double seconds, int connections)
{
    pthread_t *thread = calloc((size_t)connections, sizeof(*thread));
    double begin = now_ns();

    check(thread != NULL, "calloc");
    deadline_ns = begin + seconds * 1e9;
    for (int i = 0; i < connections; i++)
        check(pthread_create(&thread[i], NULL, ask_often, NULL) == 0, "pthread_create");
    for (int i = 0; i < connections; i++)
        pthread_join(thread[i], NULL);
    print_samples("load", now_ns() - begin);
}

static bool run_client(int argc, char **argv)
{
    const char *name = argv[1];
    double seconds = atof(argv[3]);

    if (strcmp(name, "tcp") == 0) {
        ask_and_answer("tcp", SOCK_STREAM, seconds);
    } else if (strcmp(name, "udp") == 0) {
        ask_and_answer("udp", SOCK_DGRAM, seconds);
    } else if (strcmp(name, "connect") == 0) {
        connect_many(seconds, argc > 4 ? atol(argv[4]) : LONG_MAX);
    } else if (strcmp(name, "idle") == 0) {
        connect_beside_idle(atoi(argv[3]));
    } else if (strcmp(name, "load") == 0 && argc == 8) {
        load_port = atoi(argv[3]);
        set_request(argv[6]);
        answer_size = (size_t)atol(argv[7]);
        load(atof(argv[4]), atoi(argv[5]));
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    raise_limit();
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        serve();
    samples = calloc(SAMPLES, sizeof(*samples));
    check(samples != NULL, "calloc");
    peer.sin_family = AF_INET;
    if (argc < 4 || inet_pton(AF_INET, argv[2], &peer.sin_addr) != 1 || !run_client(argc, argv)) {
        fprintf(stderr, "usage: network serve | tcp|udp|connect|idle|load HOST ...\n");
        return 2;
    }
    return 0;
}
