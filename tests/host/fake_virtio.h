// SPDX-License-Identifier: MIT
#pragma once
/*
 * The device's side of a virtqueue, in memory; it can lie.  Addresses are plain pointers here.
 */
#include "drivers/vring.h"

#define FAKE_PIECES_MAX 24

struct fake_device {
    struct vring *ring;   /* only its layout is used */
    uint16_t avail_index; /* chains taken, ever */
    uint16_t used_index;  /* chains returned, ever */
};

struct fake_chain {
    uint16_t head;
    unsigned npieces;
    unsigned nwritable; /* the last ones */
    struct vring_piece piece[FAKE_PIECES_MAX];
};

void fake_init(struct fake_device *device, struct vring *ring);
/* The next chain; false: there is none. */
bool fake_take(struct fake_device *device, struct fake_chain *chain);
/* Returns a chain, honestly or not: id and len are stored as they are. */
void fake_return(struct fake_device *device, uint32_t id, uint32_t len);
/* Moves the used index without having written anything. */
void fake_skip(struct fake_device *device, uint16_t n);
/* Whether the driver would want an interrupt for what was returned since `before`. */
bool fake_wants_interrupt(const struct fake_device *device, uint16_t before);
/* "Tell me when there are chains after index" (event index), or "do not tell me" (flag). */
void fake_set_avail_event(struct fake_device *device, uint16_t index);
void fake_set_no_notify(struct fake_device *device, bool no_notify);
