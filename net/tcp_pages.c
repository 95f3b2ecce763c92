// SPDX-License-Identifier: MIT
/*
 * A reference lasts until the last pbuf that has it is freed: when the peer has acknowledged the bytes and the device
 * is done with the packet.  A page that leaves its file meanwhile (truncation, reclaim) lives on until then.
 *
 * Frames that follow each other in memory, as those of a file of the boot archive do, share one pbuf.
 */
#include "net/tcp_pages.h"

#include <string.h>

#include "fs/file.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/panic.h"
#include "lwip/pbuf.h"
#include "net/net.h"

struct pages_pbuf {
    struct pbuf_custom custom;
    char *data; /* what the references are for; lwIP moves the pbuf's payload */
    size_t len;
};

static struct slab_cache *cache;

void tcp_pages_init(void)
{
    cache = slab_cache_create("pages_pbuf", sizeof(struct pages_pbuf), 16);
    if (!cache)
        panic("no memory for the network");
}

static void each_frame(const struct pages_pbuf *pages, bool is_get)
{
    const char *end = pages->data + pages->len;

    for (const char *at = pages->data; at < end; at += PAGE_SIZE - (uintptr_t)at % PAGE_SIZE) {
        struct frame *frame = frame_of(arch_direct_paddr(at));
        if (is_get)
            frame_get(frame);
        else
            frame_put(frame);
    }
}

static void free_pages_pbuf(struct pbuf *p)
{
    struct pages_pbuf *pages = container_of(p, struct pages_pbuf, custom.pbuf);

    each_frame(pages, false);
    slab_free(cache, pages);
}

/* PBUF_ROM: whoever queues the packet need not copy it. */
static struct pbuf *refer(void *data, size_t len)
{
    struct pages_pbuf *pages =
        slab_alloc(cache, mutex_is_held(&net_lock) ? ALLOC_ATOMIC : ALLOC_WAIT);

    if (!pages)
        return NULL;
    pages->data = data;
    pages->len = len;
    pages->custom.custom_free_function = free_pages_pbuf;
    each_frame(pages, true);
    return pbuf_alloced_custom(PBUF_RAW, (u16_t)len, PBUF_ROM, &pages->custom, data, (u16_t)len);
}

/* How many of the first len bytes of io from skip on lie in one stretch of memory; *data: where. */
static size_t stretch(const struct io *io, size_t skip, size_t len, void **data)
{
    const struct abi_iovec *piece = io->piece;
    const struct abi_iovec *last = piece + io->npieces;

    for (; skip >= piece->len; piece++)
        skip -= piece->len;
    *data = (void *)(uintptr_t)(piece->base + skip);
    size_t n = piece->len - skip;
    for (; n < len && piece + 1 < last && piece->base + piece->len == piece[1].base; piece++)
        n += piece[1].len;
    return MIN(n, len);
}

struct pbuf *tcp_pages_wrap(struct io *io, uint16_t len)
{
    struct pbuf *head = pbuf_alloc(PBUF_TRANSPORT, 0, PBUF_RAM);
    struct pbuf *last = head;
    unsigned npieces = 1;
    size_t done = 0;

    while (last && done < len) {
        void *data;
        size_t n = stretch(io, done, len - done, &data);
        struct pbuf *p = npieces++ < TCP_PAGES_PIECES_MAX ? refer(data, n) : NULL;
        if (p) {
            p->tot_len = (u16_t)(len - done);
            last->next = p;
            done += n;
        } else {
            pbuf_free(head);
        }
        last = p;
    }
    if (!last)
        return NULL;
    head->tot_len = len;
    io_advance(io, len);
    return head;
}

/* The second part of a pbuf; p becomes shorter. */
static struct pbuf *halve(struct pbuf *p, uint16_t n)
{
    uint16_t left = (uint16_t)(p->len - n);
    struct pbuf *rest;

    if (p->flags & PBUF_FLAG_IS_CUSTOM) {
        rest = refer((char *)p->payload + n, left);
    } else {
        rest = pbuf_alloc(PBUF_RAW, left, PBUF_RAM);
        if (rest)
            memcpy(rest->payload, (char *)p->payload + n, left);
    }
    if (rest) {
        rest->next = p->next;
        rest->tot_len = (u16_t)(p->tot_len - n);
        p->next = rest;
        p->len = n;
    }
    return rest;
}

struct pbuf *tcp_pages_split(struct pbuf *p, uint16_t n)
{
    struct pbuf *head = pbuf_alloc(PBUF_TRANSPORT, 0, PBUF_RAM);
    struct pbuf *last = p;
    uint16_t left = (uint16_t)(p->tot_len - n);
    uint16_t before = 0;

    while (before + last->len < n) {
        before = (uint16_t)(before + last->len);
        last = last->next;
    }
    if (!head)
        return NULL;
    if (before + last->len > n && !halve(last, (uint16_t)(n - before))) {
        pbuf_free(head);
        return NULL;
    }
    head->next = last->next;
    head->tot_len = left;
    last->next = NULL;
    for (struct pbuf *q = p; q; q = q->next)
        q->tot_len = (u16_t)(q->tot_len - left);
    return head;
}
