// SPDX-License-Identifier: MIT
/*
 * Virtio over PCI (virtio 1.2, 4.1): modern devices, and transitional ones by their modern face.
 *
 * Vendor capabilities say where in the base addresses the four register blocks are.  Interrupts are MSI-X,
 * one vector for each different (handler, argument) of the queues and one for configuration changes;
 * without MSI-X the wired interrupt, whose status register says which of the two it was.
 */
#include "drivers/virtio_pci.h"

#include "abi/errno.h"
#include "drivers/dma.h"
#include "drivers/mmio.h"
#include "drivers/pci.h"
#include "drivers/virtio.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"
#include "lib/format.h"

#define VENDOR_VIRTIO   0x1af4
#define ID_TRANSITIONAL 0x1000 /* the type is the subsystem id */
#define ID_MODERN       0x1040 /* plus the type */
#define ID_LAST         0x107f

/* struct virtio_pci_cap, 4.1.4. */
#define CAP_TYPE       3
#define CAP_BAR        4
#define CAP_OFFSET     8
#define CAP_LENGTH     12
#define CAP_MULTIPLIER 16 /* of the notification block only */

enum block { BLOCK_COMMON = 1, BLOCK_NOTIFY, BLOCK_ISR, BLOCK_CONFIG, BLOCKS };

/* struct virtio_pci_common_cfg, 4.1.4.3. */
#define COMMON_DEVICE_SELECT     0
#define COMMON_DEVICE_FEATURES   4
#define COMMON_DRIVER_SELECT     8
#define COMMON_DRIVER_FEATURES   12
#define COMMON_CONFIG_VECTOR     16
#define COMMON_STATUS            20
#define COMMON_GENERATION        21
#define COMMON_QUEUE_SELECT      22
#define COMMON_QUEUE_SIZE        24
#define COMMON_QUEUE_VECTOR      26
#define COMMON_QUEUE_ENABLE      28
#define COMMON_QUEUE_NOTIFY      30
#define COMMON_QUEUE_DESCRIPTORS 32
#define COMMON_QUEUE_AVAIL       40
#define COMMON_QUEUE_USED        48
#define COMMON_SIZE              56

#define NO_VECTOR        0xffff
#define INTERRUPT_QUEUES 1u
#define INTERRUPT_CONFIG 2u
#define RING_ALIGN       64
#define BLOCK_SIZE_MAX   0x100000

struct virtio_pci {
    struct virtio_device virtio;
    struct pci_device *pci;
    char *block[BLOCKS];
    uint32_t block_size[BLOCKS];
    uint32_t notify_multiplier;
    bool has_msix;
    bool is_connected; /* the wired interrupt, or the configuration's vector */
    unsigned nvectors; /* MSI-X entries in use */
};

static struct virtio_pci *pci_of(struct virtio_device *device)
{
    return container_of(device, struct virtio_pci, virtio);
}

static char *common_of(struct virtio_device *device)
{
    return pci_of(device)->block[BLOCK_COMMON];
}

static uint64_t vpci_get_features(struct virtio_device *device)
{
    char *common = common_of(device);
    mmio_write32(common + COMMON_DEVICE_SELECT, 0);
    uint64_t low = mmio_read32(common + COMMON_DEVICE_FEATURES);
    mmio_write32(common + COMMON_DEVICE_SELECT, 1);
    return low | (uint64_t)mmio_read32(common + COMMON_DEVICE_FEATURES) << 32;
}

static void vpci_set_features(struct virtio_device *device, uint64_t features)
{
    char *common = common_of(device);
    mmio_write32(common + COMMON_DRIVER_SELECT, 0);
    mmio_write32(common + COMMON_DRIVER_FEATURES, (uint32_t)features);
    mmio_write32(common + COMMON_DRIVER_SELECT, 1);
    mmio_write32(common + COMMON_DRIVER_FEATURES, (uint32_t)(features >> 32));
}

static uint8_t vpci_get_status(struct virtio_device *device)
{
    return mmio_read8(common_of(device) + COMMON_STATUS);
}

static void vpci_set_status(struct virtio_device *device, uint8_t status)
{
    mmio_write8(common_of(device) + COMMON_STATUS, status);
}

/* NULL: beyond what the device has. */
static char *config_at(struct virtio_device *device, unsigned offset, unsigned size)
{
    struct virtio_pci *vpci = pci_of(device);
    if (!vpci->block[BLOCK_CONFIG] || offset + size > vpci->block_size[BLOCK_CONFIG])
        return NULL;
    return vpci->block[BLOCK_CONFIG] + offset;
}

static void vpci_config_read(struct virtio_device *device, unsigned offset, void *to, unsigned size)
{
    const char *from = config_at(device, offset, size);
    if (!from)
        return;
    if (size == 1)
        *(uint8_t *)to = mmio_read8(from);
    else if (size == 2)
        *(uint16_t *)to = mmio_read16(from);
    else
        *(uint32_t *)to = mmio_read32(from);
}

static void vpci_config_write(struct virtio_device *device, unsigned offset, const void *from,
                              unsigned size)
{
    char *to = config_at(device, offset, size);
    if (!to)
        return;
    if (size == 1)
        mmio_write8(to, *(const uint8_t *)from);
    else if (size == 2)
        mmio_write16(to, *(const uint16_t *)from);
    else
        mmio_write32(to, *(const uint32_t *)from);
}

static uint32_t vpci_config_generation(struct virtio_device *device)
{
    return mmio_read8(common_of(device) + COMMON_GENERATION);
}

static uint16_t vpci_queue_size_max(struct virtio_device *device, uint16_t index)
{
    char *common = common_of(device);
    mmio_write16(common + COMMON_QUEUE_SELECT, index);
    return mmio_read16(common + COMMON_QUEUE_SIZE);
}

/* ---- Interrupts ---------------------------------------------------------------------------- */

static void wired_interrupt(void *arg)
{
    struct virtio_pci *vpci = arg;
    uint8_t status = mmio_read8(vpci->block[BLOCK_ISR]); /* reading acknowledges */
    if (status & INTERRUPT_QUEUES)
        virtio_interrupt_all(&vpci->virtio);
    if (status & INTERRUPT_CONFIG && vpci->virtio.config_changed)
        vpci->virtio.config_changed(vpci->virtio.config_arg);
}

static void config_interrupt(void *arg)
{
    struct virtio_device *device = arg;
    if (device->config_changed)
        device->config_changed(device->config_arg);
}

static int vector_create(struct virtio_pci *vpci, irq_handler handler, void *arg, uint16_t *vector)
{
    int err = pci_msix_set(vpci->pci, vpci->nvectors, 0, handler, arg);
    if (!err)
        *vector = (uint16_t)vpci->nvectors++;
    return err;
}

/* When vectors run out, all further queues share one. */
static void shared_interrupt(void *arg)
{
    virtio_interrupt_all(arg);
}

static int queue_vector(struct virtio_pci *vpci, struct virtio_queue *queue, uint16_t *vector)
{
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        struct virtio_queue *other = vpci->virtio.queues[i];
        if (other && other->handler == queue->handler && other->arg == queue->arg) {
            *vector = other->vector;
            return 0;
        }
    }
    if (vpci->nvectors + 1 < vpci->pci->msix_count)
        return vector_create(vpci, queue->handler, queue->arg, vector);
    if (vpci->nvectors < vpci->pci->msix_count)
        return vector_create(vpci, shared_interrupt, &vpci->virtio, vector);
    *vector = (uint16_t)(vpci->nvectors - 1); /* the shared one */
    return 0;
}

/* Once a device, before its first queue: the configuration's vector or the wired interrupt. */
static int connect_device(struct virtio_pci *vpci)
{
    if (vpci->is_connected)
        return 0;
    char *common = vpci->block[BLOCK_COMMON];
    uint16_t vector = NO_VECTOR;
    int err = 0;
    if (!vpci->has_msix)
        err = pci_connect_intx(vpci->pci, wired_interrupt, vpci);
    else if (vpci->virtio.config_changed && vpci->pci->msix_count > 2)
        err = vector_create(vpci, config_interrupt, &vpci->virtio, &vector);
    if (err)
        return err;
    if (vpci->has_msix)
        mmio_write16(common + COMMON_CONFIG_VECTOR, vector);
    vpci->is_connected = true;
    return 0;
}

static int connect_queue(struct virtio_pci *vpci, struct virtio_queue *queue)
{
    char *common = vpci->block[BLOCK_COMMON];
    uint16_t vector = NO_VECTOR;
    int err = connect_device(vpci);
    if (err || !vpci->has_msix)
        return err;
    if (queue->handler) {
        err = queue_vector(vpci, queue, &vector);
        if (err)
            return err;
    }
    queue->vector = vector;
    mmio_write16(common + COMMON_QUEUE_VECTOR, vector);
    /* The device may be out of room for it (4.1.5.1.3). */
    return mmio_read16(common + COMMON_QUEUE_VECTOR) == vector ? 0 : -EIO;
}

/* ---- Queues ---------------------------------------------------------------------------------- */

static void write_address(char *reg, const void *memory)
{
    uint64_t address = dma_map(memory);
    mmio_write32(reg, (uint32_t)address);
    mmio_write32(reg + 4, (uint32_t)(address >> 32));
}

static int vpci_queue_setup(struct virtio_device *device, struct virtio_queue *queue)
{
    struct virtio_pci *vpci = pci_of(device);
    char *common = vpci->block[BLOCK_COMMON];
    mmio_write16(common + COMMON_QUEUE_SELECT, queue->index);
    uint64_t notify = (uint64_t)mmio_read16(common + COMMON_QUEUE_NOTIFY) * vpci->notify_multiplier;
    if (notify + 2 > vpci->block_size[BLOCK_NOTIFY])
        return -EIO;
    queue->notify = vpci->block[BLOCK_NOTIFY] + notify;

    mmio_write16(common + COMMON_QUEUE_SIZE, queue->ring.size);
    write_address(common + COMMON_QUEUE_DESCRIPTORS, queue->ring.descriptors);
    write_address(common + COMMON_QUEUE_AVAIL, queue->ring.avail);
    write_address(common + COMMON_QUEUE_USED, queue->ring.used);
    int err = connect_queue(vpci, queue);
    if (err)
        return err;
    mmio_write16(common + COMMON_QUEUE_ENABLE, 1);
    return 0;
}

static void vpci_notify(struct virtio_queue *queue)
{
    mmio_write16(queue->notify, queue->index);
}

static void vpci_queue_aim(struct virtio_queue *queue, unsigned cpu)
{
    const struct virtio_pci *vpci = pci_of(queue->device);
    if (vpci->has_msix && queue->vector != NO_VECTOR)
        pci_msix_aim(vpci->pci, queue->vector, cpu);
}

static const struct virtio_transport pci_transport = {
    .ring_align = RING_ALIGN,
    .get_features = vpci_get_features,
    .set_features = vpci_set_features,
    .get_status = vpci_get_status,
    .set_status = vpci_set_status,
    .config_read = vpci_config_read,
    .config_write = vpci_config_write,
    .config_generation = vpci_config_generation,
    .queue_size_max = vpci_queue_size_max,
    .queue_setup = vpci_queue_setup,
    .queue_aim = vpci_queue_aim,
    .notify = vpci_notify,
};

/* ---- Probing ----------------------------------------------------------------------------------- */

/* The first capability of each kind counts (4.1.4.1). */
static int map_block(struct virtio_pci *vpci, uint8_t at)
{
    const struct pci_device *pci = vpci->pci;
    uint8_t type = pci_read8(pci, at + CAP_TYPE);
    if (type < BLOCK_COMMON || type >= BLOCKS || vpci->block[type])
        return 0;
    uint32_t size = MIN(pci_read32(pci, at + CAP_LENGTH), (uint32_t)BLOCK_SIZE_MAX);
    void *window;
    int err = pci_map_bar(pci, pci_read8(pci, at + CAP_BAR), pci_read32(pci, at + CAP_OFFSET), size,
                          &window);
    if (err)
        return err;
    vpci->block[type] = window;
    vpci->block_size[type] = size;
    if (type == BLOCK_NOTIFY)
        vpci->notify_multiplier = pci_read32(pci, at + CAP_MULTIPLIER);
    return 0;
}

static int map_blocks(struct virtio_pci *vpci)
{
    uint8_t at = 0;
    for (unsigned i = 0; i < 32; i++) {
        at = pci_find_capability(vpci->pci, PCI_CAPABILITY_VENDOR, at);
        if (at == 0)
            break;
        int err = map_block(vpci, at);
        if (err)
            return err;
    }
    if (!vpci->block[BLOCK_COMMON])
        return -ENODEV;
    return vpci->block_size[BLOCK_COMMON] >= COMMON_SIZE && vpci->block[BLOCK_NOTIFY] &&
                   vpci->block[BLOCK_ISR]
               ? 0
               : -EIO;
}

static int virtio_type(const struct pci_device *pci)
{
    uint16_t id = pci->device.id.device;
    if (id < ID_TRANSITIONAL || id > ID_LAST)
        return -ENODEV;
    return id >= ID_MODERN ? id - ID_MODERN : pci_read16(pci, PCI_SUBSYSTEM_ID);
}

static int vpci_start(struct virtio_pci *vpci, int type)
{
    struct virtio_device *virtio = &vpci->virtio;
    pci_enable(vpci->pci);
    int err = map_blocks(vpci);
    if (err) {
        log_warning("%s: %s", vpci->pci->device.name,
                    err == -ENODEV ? "a legacy virtio device, which is not supported"
                                   : "its virtio registers are not usable");
        return err;
    }
    vpci->has_msix = pci_msix_enable(vpci->pci) == 0;
    virtio->transport = &pci_transport;
    virtio->nvectors = vpci->has_msix ? vpci->pci->msix_count : 0;
    virtio->device =
        (struct device){ .bus = BUS_VIRTIO, .id.virtio = (uint16_t)type, .handle = virtio };
    format_string(virtio->device.name, sizeof(virtio->device.name), "virtio-%s",
                  vpci->pci->device.name);
    return device_probe(&virtio->device);
}

static int vpci_probe(struct device *device)
{
    struct pci_device *pci = device->handle;
    int type = virtio_type(pci);
    if (type <= 0)
        return -ENODEV;
    struct virtio_pci *vpci = kzalloc(sizeof(*vpci), ALLOC_WAIT);
    if (!vpci)
        return -ENOMEM;
    vpci->pci = pci;
    int err = vpci_start(vpci, type);
    if (!err)
        return 0;
    pci_disable(pci);
    /* Vectors that were connected still point here. */
    if (vpci->nvectors == 0 && !vpci->is_connected)
        kfree(vpci);
    return err;
}

const struct driver virtio_pci_driver = {
    .name = "virtio-pci",
    .bus = BUS_PCI,
    .ids = (const struct device_id[]){ { .vendor = VENDOR_VIRTIO }, { 0 } },
    .probe = vpci_probe,
};
