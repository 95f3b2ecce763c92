// SPDX-License-Identifier: MIT
/*
 * Virtio over memory-mapped registers (virtio 1.2, 4.2), of version 2 and of the legacy version 1
 * (4.2.4), which QEMU's microvm has unless told otherwise.
 *
 * One level-triggered interrupt serves the whole device: the handler acknowledges it and calls the queues'
 * handlers.
 */
#include "drivers/virtio_mmio.h"

#include "abi/errno.h"
#include "drivers/dma.h"
#include "drivers/mmio.h"
#include "drivers/virtio.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "kernel/options.h"
#include "lib/format.h"

#define REG_MAGIC             0x000
#define REG_VERSION           0x004
#define REG_DEVICE_ID         0x008
#define REG_DEVICE_FEATURES   0x010
#define REG_DEVICE_SELECT     0x014
#define REG_DRIVER_FEATURES   0x020
#define REG_DRIVER_SELECT     0x024
#define REG_GUEST_PAGE_SIZE   0x028 /* legacy */
#define REG_QUEUE_SELECT      0x030
#define REG_QUEUE_SIZE_MAX    0x034
#define REG_QUEUE_SIZE        0x038
#define REG_QUEUE_ALIGN       0x03c /* legacy */
#define REG_QUEUE_PAGE        0x040 /* legacy */
#define REG_QUEUE_READY       0x044
#define REG_QUEUE_NOTIFY      0x050
#define REG_INTERRUPT_STATUS  0x060
#define REG_INTERRUPT_ACK     0x064
#define REG_STATUS            0x070
#define REG_QUEUE_DESCRIPTORS 0x080
#define REG_QUEUE_AVAIL       0x090
#define REG_QUEUE_USED        0x0a0
#define REG_GENERATION        0x0fc
#define REG_CONFIG            0x100

#define MAGIC            0x74726976
#define WINDOW_MIN       0x200
#define WINDOW_MAX       0x100000
#define INTERRUPT_QUEUES 1u
#define INTERRUPT_CONFIG 2u
#define RING_ALIGN       64

struct mmio_device {
    struct virtio_device virtio;
    char *window;
    size_t config_size;
    unsigned irq;
    bool is_connected; /* the interrupt */
};

static struct mmio_device *mmio_of(struct virtio_device *device)
{
    return container_of(device, struct mmio_device, virtio);
}

static uint32_t reg_read(struct virtio_device *device, unsigned reg)
{
    return mmio_read32(mmio_of(device)->window + reg);
}

static void reg_write(struct virtio_device *device, unsigned reg, uint32_t value)
{
    mmio_write32(mmio_of(device)->window + reg, value);
}

static uint64_t mmio_get_features(struct virtio_device *device)
{
    reg_write(device, REG_DEVICE_SELECT, 0);
    uint64_t features = reg_read(device, REG_DEVICE_FEATURES);
    if (device->is_legacy)
        return features;
    reg_write(device, REG_DEVICE_SELECT, 1);
    return features | (uint64_t)reg_read(device, REG_DEVICE_FEATURES) << 32;
}

static void mmio_set_features(struct virtio_device *device, uint64_t features)
{
    if (!device->is_legacy) {
        reg_write(device, REG_DRIVER_SELECT, 1);
        reg_write(device, REG_DRIVER_FEATURES, (uint32_t)(features >> 32));
    }
    reg_write(device, REG_DRIVER_SELECT, 0);
    reg_write(device, REG_DRIVER_FEATURES, (uint32_t)features);
    if (device->is_legacy)
        reg_write(device, REG_GUEST_PAGE_SIZE, PAGE_SIZE);
}

static uint8_t mmio_get_status(struct virtio_device *device)
{
    return (uint8_t)reg_read(device, REG_STATUS);
}

static void mmio_set_status(struct virtio_device *device, uint8_t status)
{
    reg_write(device, REG_STATUS, status);
}

static void mmio_config_read(struct virtio_device *device, unsigned offset, void *to, unsigned size)
{
    struct mmio_device *mmio = mmio_of(device);
    const char *from = mmio->window + REG_CONFIG + offset;
    if (offset + size > mmio->config_size)
        return;
    if (size == 1)
        *(uint8_t *)to = mmio_read8(from);
    else if (size == 2)
        *(uint16_t *)to = mmio_read16(from);
    else
        *(uint32_t *)to = mmio_read32(from);
}

static void mmio_config_write(struct virtio_device *device, unsigned offset, const void *from,
                              unsigned size)
{
    struct mmio_device *mmio = mmio_of(device);
    char *to = mmio->window + REG_CONFIG + offset;
    if (offset + size > mmio->config_size)
        return;
    if (size == 1)
        mmio_write8(to, *(const uint8_t *)from);
    else if (size == 2)
        mmio_write16(to, *(const uint16_t *)from);
    else
        mmio_write32(to, *(const uint32_t *)from);
}

static uint32_t mmio_config_generation(struct virtio_device *device)
{
    return device->is_legacy ? 0 : reg_read(device, REG_GENERATION);
}

static uint16_t mmio_queue_size_max(struct virtio_device *device, uint16_t index)
{
    reg_write(device, REG_QUEUE_SELECT, index);
    return (uint16_t)MIN(reg_read(device, REG_QUEUE_SIZE_MAX), 0x8000u);
}

static void write_address(struct virtio_device *device, unsigned reg, const void *memory)
{
    uint64_t address = dma_map(memory);
    reg_write(device, reg, (uint32_t)address);
    reg_write(device, reg + 4, (uint32_t)(address >> 32));
}

static void mmio_interrupt(void *arg)
{
    struct virtio_device *device = arg;
    uint32_t status = reg_read(device, REG_INTERRUPT_STATUS);
    if (status == 0)
        return; /* another device on the same line */
    reg_write(device, REG_INTERRUPT_ACK, status);
    if (status & INTERRUPT_QUEUES)
        virtio_interrupt_all(device);
    if (status & INTERRUPT_CONFIG && device->config_changed)
        device->config_changed(device->config_arg);
}

/* The first queue to be set up brings the interrupt. */
static int connect_interrupt(struct mmio_device *mmio)
{
    if (mmio->is_connected)
        return 0;
    bool level, active_low;
    unsigned gsi = arch_isa_irq(mmio->irq, &level, &active_low);
    int err = arch_irq_connect(gsi, true, active_low, mmio_interrupt, &mmio->virtio);
    mmio->is_connected = !err;
    return err;
}

static int mmio_queue_setup(struct virtio_device *device, struct virtio_queue *queue)
{
    int err = connect_interrupt(mmio_of(device));
    if (err)
        return err;
    reg_write(device, REG_QUEUE_SELECT, queue->index);
    reg_write(device, REG_QUEUE_SIZE, queue->ring.size);
    if (device->is_legacy) {
        reg_write(device, REG_QUEUE_ALIGN, RING_ALIGN);
        reg_write(device, REG_QUEUE_PAGE, (uint32_t)(dma_map(queue->memory) >> PAGE_SHIFT));
        return 0;
    }
    write_address(device, REG_QUEUE_DESCRIPTORS, queue->ring.descriptors);
    write_address(device, REG_QUEUE_AVAIL, queue->ring.avail);
    write_address(device, REG_QUEUE_USED, queue->ring.used);
    reg_write(device, REG_QUEUE_READY, 1);
    return 0;
}

static void mmio_notify(struct virtio_queue *queue)
{
    reg_write(queue->device, REG_QUEUE_NOTIFY, queue->index);
}

static const struct virtio_transport mmio_transport = {
    .ring_align = RING_ALIGN,
    .get_features = mmio_get_features,
    .set_features = mmio_set_features,
    .get_status = mmio_get_status,
    .set_status = mmio_set_status,
    .config_read = mmio_config_read,
    .config_write = mmio_config_write,
    .config_generation = mmio_config_generation,
    .queue_size_max = mmio_queue_size_max,
    .queue_setup = mmio_queue_setup,
    .notify = mmio_notify,
};

/* ---- Finding them ---------------------------------------------------------------------- */

/* A place on the command line: SIZE@BASE:IRQ. */
struct place {
    uint64_t size, base, irq;
};

static void mmio_probe(const struct place *place)
{
    struct mmio_device *mmio = kzalloc(sizeof(*mmio), ALLOC_WAIT);
    if (!mmio)
        return;
    struct virtio_device *virtio = &mmio->virtio;
    mmio->irq = (unsigned)place->irq;
    mmio->config_size = place->size - REG_CONFIG;
    mmio->window = arch_map_device(place->base, place->size);
    if (!mmio->window || reg_read(virtio, REG_MAGIC) != MAGIC)
        goto free;
    uint32_t version = reg_read(virtio, REG_VERSION), id = reg_read(virtio, REG_DEVICE_ID);
    if (version < 1 || version > 2 || id == 0 || id > UINT16_MAX)
        goto free;

    virtio->transport = &mmio_transport;
    virtio->is_legacy = version == 1;
    virtio->device =
        (struct device){ .bus = BUS_VIRTIO, .id.virtio = (uint16_t)id, .handle = virtio };
    format_string(virtio->device.name, sizeof(virtio->device.name), "virtio-mmio %lx",
                  (unsigned long)place->base);
    if (device_probe(&virtio->device) == 0)
        return;
free:
    kfree(mmio);
}

static const char *parse_number(const char *at, const char *end, uint64_t *value)
{
    unsigned base = 10;
    const char *digits = at;
    if (end - at > 2 && at[0] == '0' && (at[1] | 32) == 'x') {
        base = 16;
        digits = at = at + 2;
    }
    *value = 0;
    for (; at < end; at++) {
        char c = (char)(*at | 32);
        unsigned digit = *at >= '0' && *at <= '9' ? (unsigned)(*at - '0')
                         : c >= 'a' && c <= 'f'   ? (unsigned)(c - 'a' + 10)
                                                  : 16;
        if (digit >= base || *value >> 59)
            break;
        *value = *value * base + digit;
    }
    if (at == digits)
        return NULL;
    if (at < end && (*at | 32) == 'k') {
        *value <<= 10;
        at++;
    }
    return at;
}

static bool parse_place(const char *text, size_t len, struct place *place)
{
    const char *end = text + len;
    const char *at = parse_number(text, end, &place->size);
    if (!at || at == end || *at != '@')
        return false;
    at = parse_number(at + 1, end, &place->base);
    if (!at || at == end || *at != ':')
        return false;
    at = parse_number(at + 1, end, &place->irq);
    return at && (at == end || *at == ':') && place->size >= WINDOW_MIN &&
           place->size <= WINDOW_MAX && place->irq < 4096 && place->base < 1ULL << 52;
}

void virtio_mmio_init(void)
{
    const char *cursor = NULL, *value;
    size_t len;
    while ((value = option_next("virtio_mmio.device", &cursor, &len)) != NULL) {
        struct place place;
        if (parse_place(value, len, &place))
            mmio_probe(&place);
        else
            log_warning("virtio_mmio.device=%.*s: expected SIZE@BASE:IRQ", (int)len, value);
    }
}
