// SPDX-License-Identifier: MIT
#include "tests/host/vnet_world.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/virtio_net.h"
#include "kernel/entropy.h"
#include "kernel/mm/heap.h"
#include "kernel/percpu.h"
#include "lib/firmware_info.h"

#define CONFIG_PAIRS_MAX 8

struct vnet_card vnet;
static struct percpu percpu;
static struct firmware_info firmware;
static uint8_t status;

/* A heap that can be emptied at once: a driver does not give back what it lives on. */
struct block {
    struct block *next, **previous;
} __aligned(64);
static struct block *blocks;
unsigned vnet_allocations_left = UINT_MAX;

void *kmalloc(size_t size, unsigned flags)
{
    struct block *block;
    if (vnet_allocations_left == 0 ||
        posix_memalign((void **)&block, 64, sizeof(*block) + size) != 0)
        return NULL;
    vnet_allocations_left -= vnet_allocations_left != UINT_MAX;
    *block = (struct block){ blocks, &blocks };
    if (block->next)
        block->next->previous = &block->next;
    blocks = block;
    memset(block + 1, flags & ALLOC_ZERO ? 0 : 0xa5, size);
    return block + 1;
}

void kfree(void *pointer)
{
    struct block *block = pointer;
    if (!block)
        return;
    block--;
    *block->previous = block->next;
    if (block->next)
        block->next->previous = block->previous;
    free(block);
}

struct percpu *arch_percpu(void)
{
    return &percpu;
}

const struct firmware_info *arch_firmware(void)
{
    firmware.ncpus = vnet.ncpus_firmware;
    return &firmware;
}

unsigned arch_cpu_count(void)
{
    return vnet.ncpus_up;
}

void random_bytes(void *buf, size_t len)
{
    memset(buf, 0x5a, len);
}

static uint64_t get_features(struct virtio_device *device)
{
    return vnet.features;
}

static void set_features(struct virtio_device *device, uint64_t features)
{
}

static uint8_t get_status(struct virtio_device *device)
{
    return status;
}

static void set_status(struct virtio_device *device, uint8_t value)
{
    status = value;
}

static void config_read(struct virtio_device *device, unsigned offset, void *to, unsigned size)
{
    uint8_t config[16] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
    memcpy(config + CONFIG_PAIRS_MAX, &vnet.pairs_max, sizeof(vnet.pairs_max));
    memcpy(to, config + offset, size);
}

static uint32_t config_generation(struct virtio_device *device)
{
    return 0;
}

static uint16_t queue_size_max(struct virtio_device *device, uint16_t index)
{
    return index == vnet.missing || index > MAX(2 * vnet.pairs_max, 1) ? 0 : 64;
}

static int queue_setup(struct virtio_device *device, struct virtio_queue *queue)
{
    return 0;
}

static void queue_aim(struct virtio_queue *queue, unsigned cpu)
{
    vnet.cpu_of[queue->index] = cpu;
}

static void notify(struct virtio_queue *queue)
{
}

static const struct virtio_transport transport = {
    .ring_align = 64,
    .get_features = get_features,
    .set_features = set_features,
    .get_status = get_status,
    .set_status = set_status,
    .config_read = config_read,
    .config_generation = config_generation,
    .queue_size_max = queue_size_max,
    .queue_setup = queue_setup,
    .queue_aim = queue_aim,
    .notify = notify,
};

int vnet_probe(const struct vnet_card *card)
{
    vnet_forget();
    vnet = *card;
    vnet.virtio = (struct virtio_device){ .transport = &transport, .nvectors = card->nvectors };
    vnet.virtio.device.handle = &vnet.virtio;
    nic_dev = NULL;
    vnet_set_cpu(0);
    return virtio_net_driver.probe(&vnet.virtio.device);
}

struct virtio_queue *vnet_queue(unsigned index)
{
    for (unsigned slot = 0; slot < VIRTIO_QUEUES_MAX; slot++) {
        struct virtio_queue *queue = vnet.virtio.queues[slot];
        if (queue && queue->index == index)
            return queue;
    }
    return NULL;
}

void vnet_set_cpu(unsigned cpu)
{
    percpu.cpu = cpu;
}

void vnet_forget(void)
{
    nic_release_packets();
    while (blocks)
        kfree(blocks + 1);
    nic_forget();
}
