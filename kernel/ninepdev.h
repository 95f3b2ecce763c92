// SPDX-License-Identifier: MIT
#pragma once
/*
 * Devices that carry 9P messages to a server on the host, as drivers offer them and fs/ninep uses them: requests with
 * room for their answers go in and come back in any order.
 */
#include "kernel/wait.h"
#include "lib/compiler.h"
#include "lib/list.h"

struct ninepdev_piece {
    void *data; /* heap or frames: the device reads or writes it */
    uint32_t len;
};

struct ninepdev_request {
    struct ninepdev_piece out[2], in[2]; /* the message, and where the answer goes */
    unsigned nout, nin;
    uint32_t received; /* bytes of in that the device wrote; 0: it gave up */
    bool is_done;      /* [a] the device is through with the memory */
    struct list node;  /* the driver's */
};

#define NINEPDEV_TAG_MAX      63
#define NINEPDEV_REQUESTS     24 /* under way at a time, besides a Tflush for each */
#define NINEPDEV_PIECES       3  /* of a request: message, data, answer */
#define NINEPDEV_FLUSH_PIECES 2

struct ninepdev {
    struct list node;
    char tag[NINEPDEV_TAG_MAX + 1]; /* by which mount(2) names it */
    bool is_mounted;                /* [a] a device has one session */
    /* Hands a request over; done is woken when it comes back.  -ENOSPC: after some other has come back, which does not
     * happen up to NINEPDEV_REQUESTS if the device has a ring of common size; -EIO. */
    int (*submit)(struct ninepdev *dev, struct ninepdev_request *request);
    void *driver;
    struct wait_queue done;
};

/* fs/ninep/device.c; called by drivers. */
void ninepdev_register(struct ninepdev *dev);
