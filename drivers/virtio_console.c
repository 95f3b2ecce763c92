// SPDX-License-Identifier: MIT
/*
 * The console device (virtio 1.2, 5.3): several ports, told apart by their names, or a single one.
 *
 * With several ports a pair of control queues carries a conversation that the interrupt handler holds:
 * we say DEVICE_READY; the host adds ports; we say PORT_READY for each; it names and opens them; we open those
 * whose name we know.  drivers_init() waits for the names, or the program's first output
 * would go nowhere.
 *
 * All queues share one handler, and everything one lock (RANK_DRIVER, irq): there is little traffic.
 */
#include "drivers/virtio_console.h"

#include <string.h>

#include "abi/errno.h"
#include "drivers/dma.h"
#include "drivers/virtio.h"
#include "drivers/virtio_console_port.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"

#define CONSOLE_F_MULTIPORT (1ULL << 1)
#define CONFIG_PORTS_MAX    4

#define QUEUE_CONTROL_RECEIVE  2
#define QUEUE_CONTROL_TRANSMIT 3
#define PORTS_MAX              5 /* our four and port 0, which QEMU keeps for a console; two queues each */
#define PORT_RING              8
#define CONTROL_RING           32
#define MESSAGE_SIZE           64
#define SETTLE_NS              NSEC_PER_SEC /* a host under load; only a port without a name costs it */

/* Control events, 5.3.6.2. */
#define EVENT_DEVICE_READY 0
#define EVENT_PORT_ADD     1
#define EVENT_PORT_REMOVE  2
#define EVENT_PORT_READY   3
#define EVENT_CONSOLE_PORT 4
#define EVENT_PORT_OPEN    6
#define EVENT_PORT_NAME    7

struct message {
    uint32_t id;
    uint16_t event;
    uint16_t value;
};

struct virtio_console {
    struct virtio_device *virtio;
    struct spinlock lock;
    bool is_started; /* [a] everything below is in place */
    unsigned nports;
    struct console_port port[PORTS_MAX];
    struct virtio_queue *control_receive, *control_transmit;
    char (*incoming)[MESSAGE_SIZE];
    struct message outgoing[CONTROL_RING];
    unsigned nsent; /* messages, ever */
    struct wait_queue settled;
    struct virtio_console *next;
};

static struct virtio_console *consoles; /* written while devices are probed */

static const struct {
    const char *name;
    enum console_channel channel;
    bool is_input; /* the host writes to it, too */
} known_ports[] = {
    { "stout.stdin", CONSOLE_STDIN, true },
    { "stout.stdout", CONSOLE_STDOUT, false },
    { "stout.stderr", CONSOLE_STDERR, false },
    { "stout.control", CONSOLE_CONTROL, true },
};

/* ---- Control ------------------------------------------------------------------------------- */

/* The slots of the ring are as many as messages can be under way. */
static void control_send(struct virtio_console *console, unsigned id, uint16_t event,
                         uint16_t value)
{
    struct vring *ring = &console->control_transmit->ring;
    uint32_t len;
    while (vring_pop(ring, &len))
        ;
    struct message *message = &console->outgoing[console->nsent % ring->size];
    *message = (struct message){ .id = id, .event = event, .value = value };
    struct vring_piece piece = { dma_map(message), sizeof(*message) };
    if (vring_push(ring, &piece, 1, 0, message)) {
        log_warning_once("virtio-console: the host does not read our messages");
        return;
    }
    console->nsent++;
    virtio_kick(console->control_transmit);
}

static bool port_prepare(struct console_port *port)
{
    if (port->is_ready)
        return true;
    if (port_make_ready(port) == 0)
        return true;
    log_error("virtio-console: no memory for port %u", port->id);
    return false;
}

static void port_begin(struct virtio_console *console, struct console_port *port, bool is_input)
{
    if (is_input)
        port_start_input(port);
    control_send(console, port->id, EVENT_PORT_OPEN, 1);
}

static void on_name(struct virtio_console *console, struct console_port *port, const char *name,
                    size_t len)
{
    port->is_named = true;
    for (size_t i = 0; i < ARRAY_SIZE(known_ports); i++) {
        if (strlen(known_ports[i].name) != len || memcmp(known_ports[i].name, name, len) != 0)
            continue;
        if (port->is_ready || !port_prepare(port))
            return;
        console_register(known_ports[i].channel, &port_console_ops, port);
        port_begin(console, port, known_ports[i].is_input);
        return;
    }
}

/* A console without a name of ours (QEMU's virtconsole): it serves as a terminal. */
static void on_console(struct virtio_console *console, struct console_port *port)
{
    if (port->is_ready || console_has_device(CONSOLE_STDOUT) || !port_prepare(port))
        return;
    port->is_named = true;
    console_register(CONSOLE_STDOUT, &port_console_ops, port);
    console_register(CONSOLE_STDERR, &port_console_ops, port);
    console_register(CONSOLE_STDIN, &port_console_ops, port);
    port_begin(console, port, true);
}

static void on_message(struct virtio_console *console, const char *data, uint32_t len)
{
    struct message message;
    if (len < sizeof(message))
        return;
    memcpy(&message, data, sizeof(message));
    if (message.id >= console->nports)
        return; /* more ports than there are queues for */
    struct console_port *port = &console->port[message.id];
    switch (message.event) {
    case EVENT_PORT_ADD:
        port->is_added = true;
        control_send(console, port->id, EVENT_PORT_READY, 1);
        break;
    case EVENT_PORT_REMOVE:
        port->is_added = false;
        port_set_open(port, false);
        break;
    case EVENT_CONSOLE_PORT:
        on_console(console, port);
        break;
    case EVENT_PORT_OPEN:
        port_set_open(port, message.value != 0);
        break;
    case EVENT_PORT_NAME:
        on_name(console, port, data + sizeof(message),
                strnlen(data + sizeof(message), len - sizeof(message)));
        break;
    default: /* a new window size: stdin says it, not the device */
        break;
    }
}

static void control_give(struct virtio_console *console, char *buffer)
{
    struct vring_piece piece = { dma_map(buffer), MESSAGE_SIZE };
    if (vring_push(&console->control_receive->ring, &piece, 0, 1, buffer))
        log_warning_once("virtio-console: the control queue is broken");
}

static void control_service(struct virtio_console *console)
{
    struct vring *ring = &console->control_receive->ring;
    char *buffer;
    uint32_t len;
    bool any = false;
    do {
        while ((buffer = vring_pop(ring, &len)) != NULL) {
            on_message(console, buffer, len);
            control_give(console, buffer);
            any = true;
        }
    } while (vring_enable_interrupt(ring));
    if (!any)
        return;
    virtio_kick(console->control_receive);
    wake_all(&console->settled);
}

/* Ports first: what they received belongs before the message that they were closed. */
static void console_service(struct virtio_console *console)
{
    for (unsigned i = 0; i < console->nports; i++)
        port_service(&console->port[i]);
    if (console->control_receive)
        control_service(console);
}

static void console_interrupt(void *arg)
{
    struct virtio_console *console = arg;
    if (!__atomic_load_n(&console->is_started, __ATOMIC_ACQUIRE))
        return;
    unsigned long flags = spin_lock_irq(&console->lock);
    console_service(console);
    spin_unlock_irq(&console->lock, flags);
}

/* All ports that were added have said what they are. */
static bool is_settled(struct virtio_console *console)
{
    unsigned nadded = 0;
    if (!console->control_receive)
        return true;
    for (unsigned i = 0; i < console->nports; i++) {
        nadded += READ_ONCE(console->port[i].is_added);
        if (READ_ONCE(console->port[i].is_added) && !READ_ONCE(console->port[i].is_named))
            return false;
    }
    return nadded > 0;
}

void virtio_console_settle(void)
{
    nsec_t deadline = arch_clock_ns() + SETTLE_NS;
    for (struct virtio_console *console = consoles; console; console = console->next)
        (void)wait_on_always(&console->settled, is_settled(console), deadline);
}

/* ---- Probing --------------------------------------------------------------------------------- */

static int create_port(struct virtio_console *console, unsigned id)
{
    struct console_port *port = &console->port[id];
    uint16_t queue = (uint16_t)(id == 0 ? 0 : 2 * id + 2);
    port_init(port, id, &console->lock);
    int err = virtio_queue_create(console->virtio, queue, PORT_RING, console_interrupt, console,
                                  &port->receive);
    if (!err)
        err = virtio_queue_create(console->virtio, queue + 1, PORT_RING, console_interrupt, console,
                                  &port->transmit);
    if (!err)
        console->nports++;
    return err;
}

static int create_control(struct virtio_console *console)
{
    console->incoming = kcalloc(CONTROL_RING, MESSAGE_SIZE, ALLOC_ZERO);
    if (!console->incoming)
        return -ENOMEM;
    int err = virtio_queue_create(console->virtio, QUEUE_CONTROL_TRANSMIT, CONTROL_RING, NULL, NULL,
                                  &console->control_transmit);
    if (err)
        return err;
    return virtio_queue_create(console->virtio, QUEUE_CONTROL_RECEIVE, CONTROL_RING,
                               console_interrupt, console, &console->control_receive);
}

static int create_queues(struct virtio_console *console)
{
    int err = create_port(console, 0);
    if (err || !virtio_has(console->virtio, CONSOLE_F_MULTIPORT))
        return err;
    err = create_control(console);
    uint32_t nports = virtio_config_read32(console->virtio, CONFIG_PORTS_MAX);
    for (unsigned id = 1; !err && id < MIN(nports, (uint32_t)PORTS_MAX); id++)
        err = create_port(console, id);
    return err;
}

static void begin_conversation(struct virtio_console *console)
{
    for (unsigned i = 0; i < console->control_receive->ring.size; i++)
        control_give(console, console->incoming[i]);
    virtio_kick(console->control_receive);
    (void)vring_enable_interrupt(&console->control_receive->ring);
    control_send(console, UINT32_MAX, EVENT_DEVICE_READY, 1);
}

static int console_start(struct virtio_console *console)
{
    int err = virtio_negotiate(console->virtio, CONSOLE_F_MULTIPORT);
    if (!err)
        err = create_queues(console);
    if (err)
        return err;
    virtio_start(console->virtio);
    console->next = consoles;
    consoles = console;

    unsigned long flags = spin_lock_irq(&console->lock);
    __atomic_store_n(&console->is_started, true, __ATOMIC_RELEASE);
    if (console->control_receive)
        begin_conversation(console);
    else if (port_prepare(&console->port[0])) {
        console_register(CONSOLE_STDOUT, &port_console_ops, &console->port[0]);
        console_register(CONSOLE_STDERR, &port_console_ops, &console->port[0]);
        console_register(CONSOLE_STDIN, &port_console_ops, &console->port[0]);
        port_start_input(&console->port[0]);
    }
    spin_unlock_irq(&console->lock, flags);
    return 0;
}

static int console_probe(struct device *device)
{
    struct virtio_console *console = kzalloc(sizeof(*console), ALLOC_WAIT);
    if (!console)
        return -ENOMEM;
    console->virtio = device->handle;
    spin_init(&console->lock, RANK_DRIVER);
    wait_queue_init(&console->settled);
    int err = console_start(console);
    if (err)
        virtio_fail(console->virtio);
    return err;
}

const struct driver virtio_console_driver = {
    .name = "virtio-console",
    .bus = BUS_VIRTIO,
    .ids = (const struct device_id[]){ { .virtio = VIRTIO_ID_CONSOLE }, { 0 } },
    .probe = console_probe,
};
