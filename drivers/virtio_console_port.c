// SPDX-License-Identifier: MIT
/*
 * Bytes through a port.
 *
 * Output: two buffers.  One is with the device, the other collects what is written meanwhile and goes when
 * the first comes back; so a lone write leaves at once and many small ones travel together.  A
 * writer waits only when both are full, which is how a slow reader on the host holds up the program.
 *
 * Input: a few small buffers.  One is given back to the device when it has been read, so a program that
 * does not read holds up the host.
 *
 * A port that was open and is closed by the host: end of file after what has arrived, and
 * -EPIPE for output.  One that was never open just works: the host opens it when it likes.
 */
#include "drivers/virtio_console_port.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/poll.h"
#include "drivers/dma.h"
#include "kernel/log.h"
#include "kernel/mm/frame.h"
#include "kernel/percpu.h"

#define NOW_SPINS  20000000 /* without any progress, before write_now gives up */
#define LOCK_SPINS 1000000

static bool is_closed(const struct console_port *port)
{
    return READ_ONCE(port->was_open) && !READ_ONCE(port->is_open);
}

void port_init(struct console_port *port, unsigned id, struct spinlock *lock)
{
    port->id = id;
    port->lock = lock;
    wait_queue_init(&port->writers);
    wait_queue_init(&port->readers);
    poll_head_init(&port->poll);
}

int port_make_ready(struct console_port *port)
{
    _Static_assert(PORT_INPUTS * PORT_INPUT_SIZE == PAGE_SIZE, "one frame for the inputs");
    _Static_assert(2 * PORT_OUTPUT_SIZE == PAGE_SIZE << (PORT_OUTPUT_ORDER + 1), "one block");
    struct frame *output = frame_alloc(PORT_OUTPUT_ORDER + 1, ALLOC_ATOMIC);
    struct frame *input = frame_alloc(0, ALLOC_ATOMIC);
    if (!output || !input) {
        if (output)
            frame_put(output);
        if (input)
            frame_put(input);
        return -ENOMEM;
    }
    port->output[0] = frame_address(output);
    port->output[1] = port->output[0] + PORT_OUTPUT_SIZE;
    for (unsigned i = 0; i < PORT_INPUTS; i++)
        port->input[i].data = (char *)frame_address(input) + (size_t)i * PORT_INPUT_SIZE;
    (void)vring_enable_interrupt(&port->transmit->ring); /* nothing was sent yet */
    port->is_ready = true;
    return 0;
}

/* ---- Output ------------------------------------------------------------------------------ */

static void send_filled(struct console_port *port)
{
    if (port->is_sending || port->filled == 0)
        return;
    char *data = port->output[port->filling];
    struct vring_piece piece = { dma_map(data), (uint32_t)port->filled };
    if (vring_push(&port->transmit->ring, &piece, 1, 0, data))
        return; /* a broken ring: is_sending stays false, output is lost */
    port->is_sending = true;
    port->filling ^= 1;
    port->filled = 0;
    virtio_kick(port->transmit);
}

static void collect_sent(struct console_port *port)
{
    uint32_t len;
    bool any = false;
    do {
        while (vring_pop(&port->transmit->ring, &len))
            any = true;
    } while (vring_enable_interrupt(&port->transmit->ring));
    if (!any)
        return;
    port->is_sending = false;
    send_filled(port);
    wake_all(&port->writers);
    poll_wake(&port->poll, ABI_POLLOUT);
}

/* Takes what there is room for; lock held. */
static size_t put(struct console_port *port, const char *buf, size_t len)
{
    size_t n = MIN(len, PORT_OUTPUT_SIZE - port->filled);
    memcpy(port->output[port->filling] + port->filled, buf, n);
    port->filled += n;
    send_filled(port);
    return n;
}

static bool can_write(struct console_port *port)
{
    return READ_ONCE(port->filled) < PORT_OUTPUT_SIZE || is_closed(port) ||
           READ_ONCE(port->transmit->ring.is_broken);
}

static long port_write(void *device, const void *buf, size_t len, bool nonblock)
{
    struct console_port *port = device;
    size_t done = 0;
    while (done < len) {
        unsigned long flags = spin_lock_irq(port->lock);
        bool is_gone = is_closed(port) || port->transmit->ring.is_broken;
        size_t n = is_gone ? 0 : put(port, (const char *)buf + done, len - done);
        spin_unlock_irq(port->lock, flags);
        done += n;
        if (done == len)
            break;
        if (is_gone || (n == 0 && nonblock))
            return done ? (long)done : is_gone ? -EPIPE : -EAGAIN;
        if (nonblock)
            continue;
        int err = wait_on(&port->writers, can_write(port), DEADLINE_NONE);
        if (err)
            return done ? (long)done : err;
    }
    return (long)done;
}

/* ---- Output without interrupts --------------------------------------------------------------- */

/* The lock, unless whoever holds it will never give it back (a CPU that was stopped). */
static bool lock_now(struct console_port *port)
{
    for (unsigned spins = 0; spins < LOCK_SPINS; spins++) {
        if (spin_try_lock(port->lock))
            return true;
        arch_pause();
    }
    return false;
}

static bool is_drained(struct console_port *port)
{
    return (!READ_ONCE(port->is_sending) && READ_ONCE(port->filled) == 0) || is_closed(port) ||
           READ_ONCE(port->transmit->ring.is_broken);
}

static void port_write_now(void *device, const void *buf, size_t len)
{
    struct console_port *port = device;
    unsigned long flags = arch_irq_save();
    bool is_locked = lock_now(port);
    size_t done = 0;
    for (unsigned spins = 0; spins < NOW_SPINS && !is_closed(port); spins++) {
        collect_sent(port);
        size_t n = put(port, (const char *)buf + done, len - done);
        done += n;
        spins = n ? 0 : spins;
        if (done == len && is_drained(port))
            break;
        arch_pause();
    }
    if (is_locked)
        spin_unlock(port->lock);
    arch_irq_restore(flags);
}

static void port_drain(void *device)
{
    struct console_port *port = device;
    if (is_drained(port))
        return;
    if (arch_irq_enabled() && !arch_percpu()->in_interrupt)
        (void)wait_on_always(&port->writers, is_drained(port), DEADLINE_NONE);
    else
        port_write_now(port, "", 0);
}

/* ---- Input ------------------------------------------------------------------------------------- */

static void give_input(struct console_port *port, unsigned i)
{
    struct port_input *input = &port->input[i];
    struct vring_piece piece = { dma_map(input->data), PORT_INPUT_SIZE };
    input->len = 0;
    input->taken = 0;
    if (vring_push(&port->receive->ring, &piece, 0, 1, input))
        log_warning_once("virtio-console: an input queue is broken");
}

void port_start_input(struct console_port *port)
{
    for (unsigned i = 0; i < PORT_INPUTS; i++)
        give_input(port, i);
    virtio_kick(port->receive);
    (void)vring_enable_interrupt(&port->receive->ring);
}

static void collect_received(struct console_port *port)
{
    struct port_input *input;
    uint32_t len;
    bool any = false;
    do {
        while ((input = vring_pop(&port->receive->ring, &len)) != NULL) {
            unsigned i = (unsigned)(input - port->input);
            if (len == 0) {
                give_input(port, i);
                continue;
            }
            input->len = len;
            port->arrived[port->narrived] = (uint8_t)i;
            WRITE_ONCE(port->narrived, port->narrived + 1);
            any = true;
        }
    } while (vring_enable_interrupt(&port->receive->ring));
    if (!any)
        return;
    wake_all(&port->readers);
    poll_wake(&port->poll, ABI_POLLIN);
}

/* Lock held. */
static size_t take(struct console_port *port, char *buf, size_t len)
{
    size_t done = 0;
    while (done < len && port->narrived > 0) {
        unsigned i = port->arrived[0];
        struct port_input *input = &port->input[i];
        size_t n = MIN(len - done, (size_t)(input->len - input->taken));
        memcpy(buf + done, input->data + input->taken, n);
        input->taken += (uint32_t)n;
        done += n;
        if (input->taken < input->len)
            break;
        memmove(port->arrived, port->arrived + 1, PORT_INPUTS - 1);
        WRITE_ONCE(port->narrived, port->narrived - 1);
        give_input(port, i);
    }
    if (done > 0)
        virtio_kick(port->receive);
    return done;
}

static bool can_read(struct console_port *port)
{
    return READ_ONCE(port->narrived) > 0 || is_closed(port) ||
           READ_ONCE(port->receive->ring.is_broken);
}

static long port_read(void *device, void *buf, size_t len, bool nonblock)
{
    struct console_port *port = device;
    if (len == 0)
        return 0;
    for (;;) {
        unsigned long flags = spin_lock_irq(port->lock);
        size_t n = take(port, buf, len);
        bool is_over = is_closed(port) || port->receive->ring.is_broken;
        spin_unlock_irq(port->lock, flags);
        if (n > 0 || is_over)
            return (long)n;
        if (nonblock)
            return -EAGAIN;
        int err = wait_on(&port->readers, can_read(port), DEADLINE_NONE);
        if (err)
            return err;
    }
}

/* ---- Both ---------------------------------------------------------------------------------------- */

static unsigned port_poll(void *device)
{
    struct console_port *port = device;
    return (can_read(port) ? ABI_POLLIN : 0) | (can_write(port) ? ABI_POLLOUT : 0) |
           (is_closed(port) ? ABI_POLLHUP : 0);
}

static struct poll_head *port_poll_head(void *device)
{
    return &((struct console_port *)device)->poll;
}

void port_service(struct console_port *port)
{
    if (!port->is_ready)
        return;
    collect_received(port);
    collect_sent(port);
}

void port_set_open(struct console_port *port, bool is_open)
{
    /* What was sent before the end is here, but perhaps not looked at yet. */
    if (port->is_ready)
        collect_received(port);
    WRITE_ONCE(port->is_open, is_open);
    if (is_open)
        WRITE_ONCE(port->was_open, true);
    wake_all(&port->readers);
    wake_all(&port->writers);
    poll_wake(&port->poll, is_open ? ABI_POLLOUT : ABI_POLLIN | ABI_POLLHUP);
}

const struct console_ops port_console_ops = {
    .write = port_write,
    .read = port_read,
    .poll = port_poll,
    .poll_head = port_poll_head,
    .write_now = port_write_now,
    .drain = port_drain,
};
