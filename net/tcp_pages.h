// SPDX-License-Identifier: MIT
#pragma once
/*
 * Segments whose data lies in page frames that somebody else owns (a file's page cache): a pbuf for the headers, and
 * behind it pbufs that refer to the frames and hold references to them.
 */
#include <stddef.h>
#include <stdint.h>

#include "lib/compiler.h"

struct io;
struct pbuf;

/* The most pbufs in a segment: with the device's own header they fit into one indirect table of virtio. */
#define TCP_PAGES_PIECES_MAX 19u

void tcp_pages_init(void);
/* An empty pbuf with room for all headers, and behind it references to the first len bytes of io (io->is_pages),
 * which is advanced.  NULL: no memory, or too many pieces; io is as it was. */
struct pbuf *tcp_pages_wrap(struct io *io, uint16_t len) __must_check;
/* Takes what lies behind the first n bytes off p, as a chain of its own that begins with an empty pbuf for headers.
 * NULL: no memory; p is as it was. */
struct pbuf *tcp_pages_split(struct pbuf *p, uint16_t n) __must_check;
