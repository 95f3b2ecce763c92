// SPDX-License-Identifier: MIT
/*
 * VMware's paravirtual card, revision 1 (vmxnet3_defs.h of VMware's driver in Linux), one queue each way.
 *
 * All that the device has to know lies in one page, which it reads when it is activated.  Buffers and frames
 * travel as in e1000_core.c, without a copy.
 *
 * Interrupts: by MSI-X there are two, and that of the transmit queue is masked but for while the ring is full.  On
 * a wire there is one for all.  A handler masks its own and wakes net.  What happens while one is masked is
 * delivered when it is unmasked, so nothing is lost.
 *
 * Locking: all of it under net_lock, but for the handlers.
 */
#include "drivers/vmxnet3.h"

#include <string.h>

#include "abi/errno.h"
#include "drivers/dma.h"
#include "drivers/mmio.h"
#include "drivers/pci.h"
#include "drivers/vmxnet3_ring.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"

#define VENDOR_VMWARE  0x15ad
#define DEVICE_VMXNET3 0x07b0

/* Base address 0: queues.  Base address 1: the device. */
#define QUEUE_MASK      0x000 /* an interrupt each 8 bytes */
#define QUEUE_TRANSMIT  0x600
#define QUEUE_RECEIVE   0x800
#define REG_REVISION    0x00
#define REG_UPT         0x08
#define REG_SHARED_LOW  0x10
#define REG_SHARED_HIGH 0x18
#define REG_COMMAND     0x20
#define REG_MAC_LOW     0x28
#define REG_MAC_HIGH    0x30
#define REG_CAUSE       0x38 /* of the wired interrupt; cleared by reading */
#define REG_EVENTS      0x40
#define WINDOW_SIZE     0x1000

#define COMMAND_ACTIVATE 0xcafe0000u
#define COMMAND_QUIESCE  0xcafe0001u
#define COMMAND_RESET    0xcafe0002u
#define COMMAND_LINK     0xf00d0002u
#define COMMAND_MAC_LOW  0xf00d0003u
#define COMMAND_MAC_HIGH 0xf00d0004u

#define MAGIC            0xbabefee1u
#define GUEST_64BIT      2u
#define GUEST_LINUX      (1u << 2)
#define FEATURE_CHECKSUM 1u
#define MODE_UNICAST     0x01u
#define MODE_BROADCAST   0x04u
#define MODE_MULTICAST   0x08u
#define EVENT_RECEIVE    (1u << 0)
#define EVENT_TRANSMIT   (1u << 1)
#define EVENT_LINK       (1u << 2)
#define LINK_UP          1u
#define INTERRUPTS_MAX   25

#define RECEIVE_START 64
#define POOL_KEEP     256

struct config { /* Vmxnet3_DriverShared */
    uint32_t magic, reserved0;
    uint32_t driver_version, guest, revisions, upt_versions;
    uint64_t features, driver_data, queues;
    uint32_t driver_data_len, queues_len, mtu;
    uint16_t receive_pieces_max;
    uint8_t ntransmit, nreceive;
    uint32_t reserved1[4];
    uint8_t auto_mask, ninterrupts, event_interrupt, moderation[INTERRUPTS_MAX];
    uint32_t interrupt_control, reserved2[2];
    uint32_t mode;
    uint16_t multicast_len, reserved3;
    uint64_t multicast;
    uint32_t vlans[128];
    uint64_t more[6]; /* receive scaling, power, plugin: none */
    uint32_t events, reserved4;
    uint64_t command_data[2];
};
_Static_assert(offsetof(struct config, events) == 696, "as the device sees it");

struct
    queue { /* Vmxnet3_TxQueueDesc; in Vmxnet3_RxQueueDesc ring[1] is no data ring but another of buffers */
    union {
        struct {
            uint32_t ndeferred, threshold;
        };
        uint8_t wants_index; /* receive: tell the device when buffers come */
    };
    uint64_t reserved0;
    uint64_t ring[2], completions, driver_data, reserved1;
    uint32_t size[2], completions_size, driver_data_len;
    uint8_t interrupt, reserved2[7];
    uint8_t is_stopped, reserved3[3];
    uint32_t error;
    uint64_t statistics[10];
    uint8_t reserved4[88];
};
_Static_assert(sizeof(struct queue) == 256 && offsetof(struct queue, error) == 84,
               "as the device sees it");

struct shared {
    struct config config;
    struct queue transmit __aligned(128);
    struct queue receive;
};
_Static_assert(sizeof(struct shared) <= PAGE_SIZE, "one frame");

struct vmxnet3 {
    struct netdev dev;
    struct pci_device *pci;
    char *queues, *registers;
    struct shared *shared;
    bool has_msix;
    uint8_t transmit_interrupt; /* 0: the only one */
    bool is_full;               /* net was told -ENOSPC */

    struct net_buffer_pool pool;
    unsigned receive_goal;
    struct vmxnet3_receive_ring receive;
    struct vmxnet3_transmit_ring transmit;
    uint16_t transmit_told; /* tail, as the device knows it */
};

static void set_mask(const struct vmxnet3 *nic, unsigned interrupt, bool is_masked)
{
    mmio_write32(nic->queues + QUEUE_MASK + 8 * (size_t)interrupt, is_masked);
}

static uint32_t command(const struct vmxnet3 *nic, uint32_t what)
{
    mmio_write32(nic->registers + REG_COMMAND, what);
    return mmio_read32(nic->registers + REG_COMMAND);
}

/* ---- Receive ------------------------------------------------------------------------------- */

static void receive_give(struct vmxnet3 *nic, struct net_buffer *buffer)
{
    if (!vmxnet3_receive_push(&nic->receive, buffer))
        net_buffer_free(buffer);
}

static void receive_refill(struct vmxnet3 *nic)
{
    while (nic->receive.nposted < nic->receive_goal && !nic->receive.is_broken) {
        struct net_buffer *buffer = net_buffer_alloc(&nic->pool);
        if (!buffer)
            break;
        receive_give(nic, buffer);
    }
    if (READ_ONCE(nic->shared->receive.wants_index))
        mmio_write32(nic->queues + QUEUE_RECEIVE, nic->receive.tail.index);
}

/* One frame; false: there is none. */
static bool receive_one(struct vmxnet3 *nic)
{
    struct vmxnet3_received received;
    if (!vmxnet3_receive_pop(&nic->receive, &received))
        return false;
    struct net_buffer *replacement = received.is_whole ? net_buffer_alloc(&nic->pool) : NULL;
    receive_give(nic, replacement ? replacement : received.buffer);
    if (!replacement) {
        nic->dev.rx_dropped++;
        return true;
    }
    struct netdev_offload offload = { .checksum_ok = received.checksum_ok };
    netdev_deliver(&nic->dev, &received.buffer->buffer, &offload);
    return true;
}

/* ---- Transmit ------------------------------------------------------------------------------- */

static void nic_kick(struct netdev *dev)
{
    struct vmxnet3 *nic = dev->driver;
    if (nic->transmit_told != nic->transmit.tail.index)
        mmio_write32(nic->queues + QUEUE_TRANSMIT, nic->transmit.tail.index);
    nic->transmit_told = nic->transmit.tail.index;
}

/* Without room even when all that is done is collected, an interrupt is on its way. */
static int nic_transmit(struct netdev *dev, const struct netdev_piece *piece, unsigned npieces,
                        const struct netdev_offload *offload, void (*done)(void *cookie),
                        void *cookie)
{
    struct vmxnet3 *nic = dev->driver;
    struct vmxnet3_transmit_ring *ring = &nic->transmit;
    if (ring->nfree < VMXNET3_RING_SIZE / 4)
        vmxnet3_transmit_collect(ring);
    int err = vmxnet3_transmit_push(ring, piece, npieces, offload, done, cookie);
    if (err != -ENOSPC)
        return err;
    nic_kick(dev);
    set_mask(nic, nic->transmit_interrupt, false);
    vmxnet3_transmit_collect(ring);
    err = vmxnet3_transmit_push(ring, piece, npieces, offload, done, cookie);
    nic->is_full |= err == -ENOSPC;
    return err;
}

/* ---- Both --------------------------------------------------------------------------------- */

static unsigned nic_poll(struct netdev *dev, unsigned budget)
{
    struct vmxnet3 *nic = dev->driver;
    unsigned n = 0;
    vmxnet3_transmit_collect(&nic->transmit);
    while (n < budget && receive_one(nic))
        n++;
    if (n >= nic->receive_goal / 2)
        nic->receive_goal = MIN(nic->receive_goal * 2, (unsigned)VMXNET3_RING_SIZE - 1);
    receive_refill(nic);
    if (nic->is_full && nic->transmit.nfree >= VMXNET3_RING_SIZE / 4) {
        nic->is_full = false;
        netdev_tx_ready(dev);
    }
    return n;
}

static bool read_link(const struct vmxnet3 *nic)
{
    return command(nic, COMMAND_LINK) & LINK_UP;
}

/* True: the link changed, which net looks at before it polls. */
static bool take_events(struct vmxnet3 *nic)
{
    uint32_t events = __atomic_load_n(&nic->shared->config.events, __ATOMIC_ACQUIRE);
    if (events == 0)
        return false;
    mmio_write32(nic->registers + REG_EVENTS, events);
    if (events & EVENT_TRANSMIT)
        log_error("%s: the device stopped the transmit queue (error %x)", nic->dev.name,
                  READ_ONCE(nic->shared->transmit.error));
    if (events & EVENT_RECEIVE)
        log_error("%s: the device stopped the receive queue (error %x)", nic->dev.name,
                  READ_ONCE(nic->shared->receive.error));
    if (!(events & EVENT_LINK))
        return false;
    nic->dev.is_link_up = read_link(nic);
    return true;
}

static bool nic_enable_interrupt(struct netdev *dev)
{
    struct vmxnet3 *nic = dev->driver;
    bool is_pending = take_events(nic);
    set_mask(nic, 0, false);
    if (nic->is_full && nic->transmit_interrupt != 0)
        set_mask(nic, nic->transmit_interrupt, false);
    is_pending |= nic->is_full && vmxnet3_transmit_is_pending(&nic->transmit);
    return is_pending || vmxnet3_receive_is_pending(&nic->receive);
}

static const struct netdev_ops nic_ops = {
    .transmit = nic_transmit,
    .kick = nic_kick,
    .poll = nic_poll,
    .enable_interrupt = nic_enable_interrupt,
};

static void nic_interrupt(void *arg)
{
    struct vmxnet3 *nic = arg;
    if (!nic->has_msix && mmio_read32(nic->registers + REG_CAUSE) == 0)
        return; /* another device's */
    set_mask(nic, 0, true);
    netdev_wake(&nic->dev);
}

static void nic_transmit_interrupt(void *arg)
{
    struct vmxnet3 *nic = arg;
    set_mask(nic, nic->transmit_interrupt, true);
    netdev_wake(&nic->dev);
}

/* ---- Probing -------------------------------------------------------------------------------- */

static void fill_config(const struct vmxnet3 *nic)
{
    struct shared *shared = nic->shared;
    shared->config = (struct config){
        .magic = MAGIC,
        .driver_version = 1,
        .guest = GUEST_64BIT | GUEST_LINUX,
        .revisions = 1,
        .upt_versions = 1,
        .features = FEATURE_CHECKSUM,
        .queues = dma_map(&shared->transmit),
        .queues_len = 2 * sizeof(struct queue),
        .mtu = 1500,
        .receive_pieces_max = 1,
        .ntransmit = 1,
        .nreceive = 1,
        .ninterrupts = (uint8_t)(nic->transmit_interrupt + 1),
        .mode = MODE_UNICAST | MODE_BROADCAST | MODE_MULTICAST,
        .vlans = { 1 }, /* untagged frames */
    };
    shared->transmit = (struct queue){
        .ring = { dma_map(nic->transmit.commands) },
        .completions = dma_map(nic->transmit.completions),
        .size = { VMXNET3_RING_SIZE },
        .completions_size = VMXNET3_RING_SIZE,
        .interrupt = nic->transmit_interrupt,
    };
    shared->receive = (struct queue){
        .ring = { dma_map(nic->receive.commands) },
        .completions = dma_map(nic->receive.completions),
        .size = { VMXNET3_RING_SIZE },
        .completions_size = VMXNET3_RING_SIZE,
    };
}

/* The revisions of device and memory layout that both sides know. */
static int choose_revision(const struct vmxnet3 *nic)
{
    if (!(mmio_read32(nic->registers + REG_REVISION) & 1) ||
        !(mmio_read32(nic->registers + REG_UPT) & 1)) {
        log_error("%s: it does not offer revision 1", nic->pci->device.name);
        return -ENODEV;
    }
    mmio_write32(nic->registers + REG_REVISION, 1);
    mmio_write32(nic->registers + REG_UPT, 1);
    return 0;
}

static void read_mac(struct vmxnet3 *nic)
{
    uint32_t low = command(nic, COMMAND_MAC_LOW), high = command(nic, COMMAND_MAC_HIGH);
    memcpy(nic->dev.mac, &low, 4);
    memcpy(nic->dev.mac + 4, &high, 2);
    mmio_write32(nic->registers + REG_MAC_LOW, low);
    mmio_write32(nic->registers + REG_MAC_HIGH, high & 0xffff);
}

static int create_rings(struct vmxnet3 *nic)
{
    struct frame *frame = frame_alloc(0, ALLOC_ZERO);
    if (!frame)
        return -ENOMEM;
    nic->shared = frame_address(frame);
    int err = vmxnet3_transmit_init(&nic->transmit);
    if (!err)
        err = vmxnet3_receive_init(&nic->receive);
    if (err)
        return err;
    net_buffer_pool_init(&nic->pool, POOL_KEEP);
    nic->receive_goal = RECEIVE_START;
    return 0;
}

static int prepare(struct vmxnet3 *nic)
{
    void *queues, *registers;
    pci_enable(nic->pci);
    int err = pci_map_bar(nic->pci, 0, 0, WINDOW_SIZE, &queues);
    if (!err)
        err = pci_map_bar(nic->pci, 1, 0, WINDOW_SIZE, &registers);
    if (err) {
        log_error("%s: its registers cannot be reached", nic->pci->device.name);
        return err;
    }
    nic->queues = queues;
    nic->registers = registers;
    (void)command(nic, COMMAND_RESET);
    err = choose_revision(nic);
    return err ? err : create_rings(nic);
}

static int connect_messages(struct vmxnet3 *nic)
{
    int err = pci_msix_enable(nic->pci);
    if (err)
        return err;
    nic->has_msix = true;
    err = pci_msix_set(nic->pci, 0, 0, nic_interrupt, nic);
    if (!err && pci_msix_set(nic->pci, 1, 0, nic_transmit_interrupt, nic) == 0)
        nic->transmit_interrupt = 1;
    return err;
}

static int connect(struct vmxnet3 *nic)
{
    int err = connect_messages(nic);
    if (err == -ENODEV)
        err = pci_connect_intx(nic->pci, nic_interrupt, nic);
    if (err)
        log_error("%s: no interrupt leads to it", nic->pci->device.name);
    return err;
}

static int activate(struct vmxnet3 *nic)
{
    uint64_t address = dma_map(nic->shared);
    fill_config(nic);
    receive_refill(nic);
    mmio_write32(nic->registers + REG_SHARED_LOW, (uint32_t)address);
    mmio_write32(nic->registers + REG_SHARED_HIGH, (uint32_t)(address >> 32));
    if (command(nic, COMMAND_ACTIVATE) != 0) {
        log_error("%s: it cannot be activated", nic->pci->device.name);
        return -EIO;
    }
    read_mac(nic);
    mmio_write32(nic->queues + QUEUE_RECEIVE, nic->receive.tail.index);
    nic->dev.mtu = 1500;
    nic->dev.is_link_up = read_link(nic);
    nic->dev.features = NETDEV_TX_CHECKSUM;
    nic->dev.ops = &nic_ops;
    nic->dev.driver = nic;
    return netdev_register(&nic->dev);
}

static void release(struct vmxnet3 *nic)
{
    pci_disable(nic->pci);
    vmxnet3_receive_fini(&nic->receive);
    vmxnet3_transmit_fini(&nic->transmit);
    if (nic->shared)
        frame_put(frame_of(arch_direct_paddr(nic->shared)));
    kfree(nic);
}

static int probe(struct device *device)
{
    struct vmxnet3 *nic = kzalloc(sizeof(*nic), ALLOC_WAIT);
    if (!nic)
        return -ENOMEM;
    nic->pci = device->handle;
    int err = prepare(nic);
    if (!err)
        err = connect(nic);
    if (err) {
        release(nic);
        return err;
    }
    err = activate(nic);
    if (err) /* an interrupt may still lead here, so nothing is freed: it happens once, at boot */
        (void)command(nic, COMMAND_QUIESCE);
    return err;
}

const struct driver vmxnet3_driver = {
    .name = "vmxnet3",
    .bus = BUS_PCI,
    .ids =
        (const struct device_id[]){ { .vendor = VENDOR_VMWARE, .device = DEVICE_VMXNET3 }, { 0 } },
    .probe = probe,
};
