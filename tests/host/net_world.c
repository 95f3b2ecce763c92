// SPDX-License-Identifier: MIT
#include "tests/host/net_world.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "fs/procfs.h"
#include "fs/sysfs.h"
#include "kernel/clock.h"
#include "kernel/console.h"
#include "kernel/control.h"
#include "kernel/entropy.h"
#include "kernel/manifest.h"
#include "kernel/mm/heap.h"
#include "kernel/options.h"
#include "kernel/poll.h"
#include "kernel/process.h"
#include "kernel/sched.h"
#include "kernel/thread.h"
#include "kernel/timer.h"
#include "kernel/wait.h"
#include "lwip/prot/ip.h"
#include "net/net.h"
#include "net/netdev.h"
#include "net/timers.h"

#define FRAMES_MAX 4096

struct frame_copy {
    struct netdev_offload offload;
    size_t len;
    uint8_t data[];
};

struct received {
    struct netdev_buffer buffer;
    uint8_t data[];
};

unsigned net_world_nbuffers;
bool net_world_is_full, net_world_interrupts, net_world_is_contended;
bool net_world_has_signal;
void (*net_world_polled)(void);
unsigned net_world_nkicks;
struct netdev_offload net_world_offload;
static bool was_full; /* and somebody was told so */
static nsec_t now = NSEC_PER_SEC;
static struct frame_copy *sent[FRAMES_MAX];
static size_t first_sent, nsent;
static void (*pending_done)(void *cookie);
static void *pending_cookie;

/* ---- The device ------------------------------------------------------------------------ */

/* The last frame is kept until the next one or a poll, as a ring keeps it. */
static void finish_pending(void)
{
    if (pending_done)
        pending_done(pending_cookie);
    pending_done = NULL;
}

static int fake_transmit(struct netdev *dev, const struct netdev_piece *piece, unsigned npieces,
                         const struct netdev_offload *offload, void (*done)(void *cookie),
                         void *cookie)
{
    size_t len = 0;

    was_full |= net_world_is_full;
    if (net_world_is_full)
        return -ENOSPC;
    for (unsigned i = 0; i < npieces; i++)
        len += piece[i].len;
    finish_pending();
    pending_done = done;
    pending_cookie = cookie;
    if (nsent == FRAMES_MAX)
        return 0;
    struct frame_copy *copy = malloc(sizeof(*copy) + len);
    copy->len = 0;
    copy->offload = *offload;
    for (unsigned i = 0; i < npieces; i++) {
        memcpy(copy->data + copy->len, piece[i].data, piece[i].len);
        copy->len += piece[i].len;
    }
    sent[(first_sent + nsent++) % FRAMES_MAX] = copy;
    return 0;
}

static void fake_kick(struct netdev *dev)
{
    net_world_nkicks++;
}

static struct netdev_buffer *arrived; /* frames that nobody has polled yet, newest first */

static unsigned fake_poll(struct netdev *dev, unsigned budget)
{
    struct netdev_offload offload = { .checksum_ok = true };
    unsigned n = 0;

    net_world_interrupts = false;
    if (net_world_polled)
        net_world_polled();
    finish_pending();
    while (arrived && n < budget) {
        struct netdev_buffer *first = arrived;
        arrived = first->next;
        first->next = NULL;
        netdev_deliver(dev, first, &offload);
        n++;
    }
    if (was_full && !net_world_is_full) {
        was_full = false;
        netdev_tx_ready(dev);
    }
    return n;
}

static bool fake_enable_interrupt(struct netdev *dev)
{
    net_world_interrupts = true;
    return false;
}

static const struct netdev_ops fake_ops = {
    .transmit = fake_transmit,
    .kick = fake_kick,
    .poll = fake_poll,
    .enable_interrupt = fake_enable_interrupt,
};

static struct netdev fake = {
    .mac = { 2, 0, 0, 0, 0, 15 },
    .mtu = 1500,
    .features = NETDEV_TX_CHECKSUM | NETDEV_TX_TSO4 | NETDEV_TX_TSO6,
    .is_link_up = true,
    .ops = &fake_ops,
};

size_t net_world_sent(void *frame, size_t size)
{
    if (nsent == 0)
        return 0;
    struct frame_copy *copy = sent[first_sent];
    size_t len = copy->len;
    memcpy(frame, copy->data, MIN(len, size));
    net_world_offload = copy->offload;
    free(copy);
    first_sent = (first_sent + 1) % FRAMES_MAX;
    nsent--;
    return len;
}

static void release(struct netdev_buffer *buffer)
{
    net_world_nbuffers--;
    free(container_of(buffer, struct received, buffer));
}

static struct netdev_buffer *make_buffer(const uint8_t *data, size_t len)
{
    struct received *received = malloc(sizeof(*received) + len);

    net_world_nbuffers++;
    received->buffer = (struct netdev_buffer){
        .data = received->data,
        .len = len,
        .true_size = 2048,
        .release = release,
    };
    memcpy(received->data, data, len);
    return &received->buffer;
}

void net_world_inject(const void *frame, size_t len, size_t split)
{
    struct netdev_offload offload = { .checksum_ok = true };
    const uint8_t *data = frame;

    split = split ? MIN(split, len) : len;
    struct netdev_buffer *first = make_buffer(data, split);
    if (split < len)
        first->next = make_buffer(data + split, len - split);
    net_begin();
    netdev_deliver(&fake, first, &offload);
    net_end();
    world_check_idle();
}

void net_world_arrive(const void *frame, size_t len)
{
    struct netdev_buffer *buffer = make_buffer(frame, len);

    buffer->next = arrived;
    arrived = buffer;
    if (net_world_interrupts)
        netdev_wake(&fake);
}

/* ---- Time ---------------------------------------------------------------------------------- */

void net_world_advance(nsec_t duration)
{
    nsec_t end = now + duration;

    while (now < end) {
        nsec_t due;
        net_begin();
        due = MAX(timers_deadline(), now + 1);
        net_end();
        now = MIN(due, end);
        while (net_round(&due))
            ;
    }
    world_check_idle();
}

void net_world_pass(nsec_t duration)
{
    now += duration;
}

nsec_t clock_monotonic(void)
{
    return now;
}

nsec_t deadline_after(nsec_t timeout)
{
    return now + timeout;
}

int deadline_from_app(const void __app *timespec, nsec_t *deadline)
{
    *deadline = DEADLINE_NONE;
    return 0;
}

/* ---- The rest of the kernel ------------------------------------------------------------------ */

static struct timer *watch_timer;

void timer_init(struct timer *timer, void (*function)(struct timer *timer))
{
    watch_timer = timer;
    timer->function = function;
    timer->deadline = DEADLINE_NONE;
}

void timer_set(struct timer *timer, nsec_t deadline)
{
    timer->deadline = deadline;
}

bool timer_is_armed(const struct timer *timer)
{
    return timer->deadline != DEADLINE_NONE;
}

nsec_t net_world_watch(void)
{
    return watch_timer->deadline;
}

void (*wait_before_sleep)(const bool *is_woken, nsec_t deadline);

bool sched_is_contended(void)
{
    return net_world_is_contended;
}

uint64_t random64(void)
{
    static uint64_t state = 88172645463325252ULL; /* xorshift: the same in every run */

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

void random_bytes(void *buf, size_t len)
{
    uint8_t *to = buf;

    while (len--)
        *to++ = (uint8_t)random64();
}

/* The network thread is net_world_advance(). */
struct thread *thread_create_kernel(const char *name, void (*function)(void *), void *arg)
{
    static struct thread thread;
    return &thread;
}

void thread_start(struct thread *thread)
{
}

void sched_set_nice(struct thread *thread, int nice)
{
}

bool signal_is_pending(void)
{
    return net_world_has_signal;
}

static int (*show[16])(struct text *text);
static size_t nshow;

int procfs_net_register(const char *name, int (*function)(struct text *text))
{
    if (nshow == ARRAY_SIZE(show))
        return -ENOSPC;
    show[nshow++] = function;
    return 0;
}

static struct {
    const struct pseudo_entry *files;
    int index;
} interfaces[4];
static size_t ninterfaces;

int sysfs_show_fixed(const struct pseudo_ref *ref, struct text *text)
{
    text_printf(text, "%s", (const char *)ref->entry->data);
    return 0;
}

int sysfs_net_register(const char *name, int index, bool is_device,
                       const struct pseudo_entry *files)
{
    if (ninterfaces == ARRAY_SIZE(interfaces))
        return -ENOSPC;
    interfaces[ninterfaces].files = files;
    interfaces[ninterfaces++].index = index;
    return 0;
}

static void show_files(const struct pseudo_entry *entry, int index)
{
    for (; entry->name; entry++) {
        struct pseudo_ref ref = { .entry = entry, .number = index };
        struct text text;
        if (entry->entries) {
            show_files(entry->entries, index);
            continue;
        }
        text_init(&text);
        (void)entry->show(&ref, &text);
        text_fini(&text);
    }
}

void net_world_show_all(void)
{
    for (size_t i = 0; i < nshow; i++) {
        struct text text;
        text_init(&text);
        (void)show[i](&text);
        text_fini(&text);
    }
    for (size_t i = 0; i < ninterfaces; i++)
        show_files(interfaces[i].files, interfaces[i].index);
}

void net_world_init(void)
{
    struct manifest manifest = { .net = "static:10.0.2.15/24:10.0.2.2:10.0.2.3",
                                 .hostname = "test" };

    world_init(64 << 20);
    net_init();
    if (netdev_register(&fake))
        abort();
    net_configure(&manifest);
    world_check_idle();
}

/* ---- The tool, which says nothing here ------------------------------------------------------- */

const char *option_string(const char *name)
{
    (void)name;
    return NULL;
}

bool console_has_device(enum console_channel channel)
{
    (void)channel;
    return false;
}

void control_register(const char *word, bool (*handle)(const char *rest))
{
    (void)word;
    (void)handle;
}

void control_answer(const char *format, ...)
{
    (void)format;
}

/* ---- TCP segments of the peer ------------------------------------------------------------- */

void net_world_send_segment(uint32_t seq, uint32_t ack, unsigned flags, unsigned local,
                            unsigned remote, const void *data, size_t len)
{
    struct net_segment segment = { 0 };
    unsigned words = 5 + (flags & TCP_SYN ? (unsigned)len / 4 : 0);

    memcpy(segment.eth.dest.addr, "\2\0\0\0\0\17", 6);
    memcpy(segment.eth.src.addr, "\2\0\0\0\0\2", 6);
    segment.eth.type = PP_HTONS(ETHTYPE_IP);
    IPH_VHL_SET(&segment.ip, 4, 5);
    IPH_LEN_SET(&segment.ip, lwip_htons((u16_t)(40 + len)));
    IPH_TTL_SET(&segment.ip, 64);
    IPH_PROTO_SET(&segment.ip, IP_PROTO_TCP);
    segment.ip.src.addr = lwip_htonl(WORLD_PEER);
    segment.ip.dest.addr = lwip_htonl(WORLD_ADDRESS);
    IPH_CHKSUM_SET(&segment.ip, (u16_t)~lwip_port_checksum(&segment.ip, 20));
    segment.tcp.src = lwip_htons((u16_t)remote);
    segment.tcp.dest = lwip_htons((u16_t)local);
    segment.tcp.seqno = lwip_htonl(seq);
    segment.tcp.ackno = lwip_htonl(ack);
    TCPH_HDRLEN_FLAGS_SET(&segment.tcp, words, flags);
    segment.tcp.wnd = lwip_htons(30000);
    memcpy(segment.data, data, len);
    net_world_inject(&segment, sizeof(segment) - sizeof(segment.data) + len, 0);
}

bool net_world_next_segment(struct net_segment *segment)
{
    while (net_world_sent(segment, sizeof(*segment)) > 0) {
        if (segment->eth.type == PP_HTONS(ETHTYPE_IP) && IPH_PROTO(&segment->ip) == IP_PROTO_TCP)
            return true;
    }
    return false;
}

void net_world_answer_arp(void)
{
    static const uint8_t reply[42] = { 2,  0, 0, 0, 0, 15, 2, 0, 0, 0,  0,  2, 8, 6,
                                       0,  1, 8, 0, 6, 4,  0, 2, 2, 0,  0,  0, 0, 2,
                                       10, 0, 2, 2, 2, 0,  0, 0, 0, 15, 10, 0, 2, 15 };
    net_world_inject(reply, sizeof(reply), 0);
}
