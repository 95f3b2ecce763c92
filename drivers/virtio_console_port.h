// SPDX-License-Identifier: MIT
#pragma once
/*
 * One port of a virtio-console: a channel to the host in both directions.
 *
 * [i] set at creation  [c] console's lock
 */
#include "drivers/virtio.h"
#include "kernel/console.h"

#define PORT_OUTPUT_SIZE  8192UL /* each of the two output buffers */
#define PORT_OUTPUT_ORDER 1
#define PORT_INPUTS       4
#define PORT_INPUT_SIZE   1024UL

struct port_input {
    char *data;     /* [i] */
    uint32_t len;   /* [c] received */
    uint32_t taken; /* [c] read by us */
};

struct console_port {
    struct spinlock *lock;                   /* [i] the console's: RANK_DRIVER, irq */
    struct virtio_queue *receive, *transmit; /* [i] */
    unsigned id;                             /* [i] */
    bool is_added;                           /* [c] the host has announced it */
    bool is_named;                           /* [c] ... and said what it is */
    bool is_ready;                           /* [c] buffers are there, it is registered */
    bool is_open;                            /* [c] by the host */
    bool was_open;                           /* [c] ever */

    char *output[2];  /* [i] once is_ready */
    unsigned filling; /* [c] the one that takes what is written; the other is the device's */
    size_t filled;    /* [c] bytes in it */
    bool is_sending;  /* [c] the device has the other */
    struct wait_queue writers;

    struct port_input input[PORT_INPUTS];
    uint8_t arrived[PORT_INPUTS]; /* [c] inputs in order of arrival */
    unsigned narrived;            /* [c] */
    struct wait_queue readers;
    struct poll_head poll;
};

void port_init(struct console_port *port, unsigned id, struct spinlock *lock);
/* Buffers; and receives if it is an input.  -ENOMEM.  lock held. */
int port_make_ready(struct console_port *port) __must_check;
void port_start_input(struct console_port *port);
/* The interrupt's work.  lock held. */
void port_service(struct console_port *port);
void port_set_open(struct console_port *port, bool is_open);

extern const struct console_ops port_console_ops;
