// SPDX-License-Identifier: MIT
/*
 * Intel's gigabit cards as network devices (manuals 317453 for 8254x, 82574 Family Datasheet), one queue each way.
 *
 * Receive: page halves go to the card and, filled, on to net without a copy; a frame is only handed on once its
 * buffer has been replaced, else it is dropped and the buffer goes round again.  The card believes that each has
 * 2048 bytes, which is more than they have; but frames of more than 1522 bytes it does not take, since RCTL.LPE is off.
 *
 * Transmit: the card reads the frame where it lies.  Its interrupt is off, but for while the ring is full.
 *
 * Interrupts: the handler masks them all and wakes net.  The cause register is cleared by reading, which is
 * done before unmasking, and then the rings are looked at: what came before is seen there, what comes after
 * interrupts.  On a wire, the handler has to read it to know whose the interrupt is; what it saw is kept.
 *
 * Locking: all of it under net_lock, but for the handler.
 */
#include "drivers/e1000_core.h"

#include <string.h>

#include "abi/errno.h"
#include "drivers/dma.h"
#include "drivers/e1000_ring.h"
#include "drivers/mmio.h"
#include "drivers/pci.h"
#include "kernel/log.h"
#include "kernel/mm/heap.h"

/* Registers, 13.4. */
#define REG_CONTROL          0x0000
#define REG_STATUS           0x0008
#define REG_EEPROM_READ      0x0014
#define REG_CAUSE            0x00c0 /* cleared by reading */
#define REG_MASK_SET         0x00d0
#define REG_MASK_CLEAR       0x00d8
#define REG_RECEIVE          0x0100
#define REG_TRANSMIT         0x0400
#define REG_GAP              0x0410
#define REG_RECEIVE_RING     0x2800
#define REG_TRANSMIT_RING    0x3800
#define REG_MISSED           0x4010 /* frames without a buffer; cleared by reading */
#define REG_RECEIVE_CHECKSUM 0x5000
#define REG_ADDRESS_LOW      0x5400
#define REG_ADDRESS_HIGH     0x5404
#define REGISTERS_SIZE       0x6000

/* Within a ring's registers. */
#define RING_BASE_LOW  0x00
#define RING_BASE_HIGH 0x04
#define RING_BYTES     0x08
#define RING_HEAD      0x10
#define RING_TAIL      0x18

#define CONTROL_LINK_RESET    (1u << 3)
#define CONTROL_AUTO_SPEED    (1u << 5)
#define CONTROL_LINK_UP       (1u << 6)
#define CONTROL_INVERT_LOSS   (1u << 7)
#define CONTROL_RESET         (1u << 26)
#define CONTROL_VLAN          (1u << 30)
#define CONTROL_PHY_RESET     (1u << 31)
#define STATUS_LINK_UP        (1u << 1)
#define EEPROM_START          (1u << 0)
#define EEPROM_DATA           16
#define CAUSE_TRANSMITTED     (1u << 0)
#define CAUSE_LINK            (1u << 2)
#define CAUSE_OVERRUN         (1u << 6)
#define CAUSE_RECEIVED        (1u << 7)
#define RECEIVE_ENABLE        (1u << 1)
#define RECEIVE_ALL_MULTICAST (1u << 4)
#define RECEIVE_BROADCAST     (1u << 15)
#define RECEIVE_STRIP_CRC     (1u << 26)
#define TRANSMIT_ENABLE       (1u << 1)
#define TRANSMIT_PAD          (1u << 3)
#define TRANSMIT_COLLISIONS   (0x0fu << 4 | 0x40u << 12) /* retries; distance, full duplex */
#define GAP_COPPER            (8u | 8u << 10 | 6u << 20)
#define CHECKSUM_TRANSPORT    (1u << 9)
#define ADDRESS_VALID         (1u << 31)

#define CAUSES_ALWAYS (CAUSE_LINK | CAUSE_OVERRUN | CAUSE_RECEIVED)
#define RESET_QUIET   (10 * NSEC_PER_USEC) /* 13.4.1: no access for a microsecond */
#define RESET_MAX     (100 * NSEC_PER_MSEC)
#define RECEIVE_START 64
#define POOL_KEEP     256

struct e1000 {
    struct netdev dev;
    struct pci_device *pci;
    const struct e1000_model *model;
    char *registers;
    uint32_t causes; /* [a] that the handler read */
    bool is_msi;
    bool is_full; /* net was told -ENOSPC */

    struct net_buffer_pool pool;
    unsigned receive_goal; /* buffers that the card should have */
    struct e1000_receive_ring receive;
    struct e1000_transmit_ring transmit;
    uint16_t receive_told, transmit_told; /* tails, as the card knows them */
};

static uint32_t reg_read(const struct e1000 *nic, unsigned offset)
{
    return mmio_read32(nic->registers + offset);
}

static void reg_write(const struct e1000 *nic, unsigned offset, uint32_t value)
{
    mmio_write32(nic->registers + offset, value);
}

/* ---- Receive ------------------------------------------------------------------------------- */

static void receive_give(struct e1000 *nic, struct net_buffer *buffer)
{
    if (!e1000_receive_push(&nic->receive, buffer))
        net_buffer_free(buffer);
}

static void receive_refill(struct e1000 *nic)
{
    while (nic->receive.nposted < nic->receive_goal) {
        struct net_buffer *buffer = net_buffer_alloc(&nic->pool);
        if (!buffer)
            break;
        receive_give(nic, buffer);
    }
    if (nic->receive_told != nic->receive.tail)
        reg_write(nic, REG_RECEIVE_RING + RING_TAIL, nic->receive.tail);
    nic->receive_told = nic->receive.tail;
}

/* One frame; false: there is none. */
static bool receive_one(struct e1000 *nic)
{
    struct e1000_received received;
    if (!e1000_receive_pop(&nic->receive, &received))
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
    struct e1000 *nic = dev->driver;
    if (nic->transmit_told != nic->transmit.tail)
        reg_write(nic, REG_TRANSMIT_RING + RING_TAIL, nic->transmit.tail);
    nic->transmit_told = nic->transmit.tail;
}

/* Without room even when all that is done is collected, an interrupt is on its way. */
static int nic_transmit(struct netdev *dev, const struct netdev_piece *piece, unsigned npieces,
                        const struct netdev_offload *offload, void (*done)(void *cookie),
                        void *cookie)
{
    struct e1000 *nic = dev->driver;
    struct e1000_transmit_ring *ring = &nic->transmit;
    if (ring->nfree < E1000_RING_SIZE / 4)
        e1000_transmit_collect(ring);
    int err = e1000_transmit_push(ring, piece, npieces, offload, done, cookie);
    if (err != -ENOSPC)
        return err;
    nic_kick(dev);
    reg_write(nic, REG_MASK_SET, CAUSE_TRANSMITTED);
    e1000_transmit_collect(ring);
    err = e1000_transmit_push(ring, piece, npieces, offload, done, cookie);
    nic->is_full |= err == -ENOSPC;
    return err;
}

/* ---- Both --------------------------------------------------------------------------------- */

static unsigned nic_poll(struct netdev *dev, unsigned budget)
{
    struct e1000 *nic = dev->driver;
    unsigned n = 0;
    e1000_transmit_collect(&nic->transmit);
    while (n < budget && receive_one(nic))
        n++;
    if (n >= nic->receive_goal / 2)
        nic->receive_goal = MIN(nic->receive_goal * 2, (unsigned)E1000_RING_SIZE - 1);
    receive_refill(nic);
    if (nic->is_full && nic->transmit.nfree >= E1000_RING_SIZE / 4) {
        nic->is_full = false;
        netdev_tx_ready(dev);
    }
    return n;
}

/* What happened beside frames.  True: the link changed, which net looks at before it polls. */
static bool take_causes(struct e1000 *nic)
{
    uint32_t causes =
        __atomic_exchange_n(&nic->causes, 0, __ATOMIC_RELAXED) | reg_read(nic, REG_CAUSE);
    if (causes & CAUSE_OVERRUN)
        nic->dev.rx_dropped += reg_read(nic, REG_MISSED);
    if (!(causes & CAUSE_LINK))
        return false;
    nic->dev.is_link_up = reg_read(nic, REG_STATUS) & STATUS_LINK_UP;
    return true;
}

static bool nic_enable_interrupt(struct netdev *dev)
{
    struct e1000 *nic = dev->driver;
    bool is_pending = take_causes(nic);
    reg_write(nic, REG_MASK_SET, CAUSES_ALWAYS | (nic->is_full ? CAUSE_TRANSMITTED : 0));
    is_pending |= nic->is_full && e1000_transmit_is_pending(&nic->transmit);
    return is_pending || e1000_receive_is_pending(&nic->receive);
}

static const struct netdev_ops nic_ops = {
    .transmit = nic_transmit,
    .kick = nic_kick,
    .poll = nic_poll,
    .enable_interrupt = nic_enable_interrupt,
};

static void nic_interrupt(void *arg)
{
    struct e1000 *nic = arg;
    if (!nic->is_msi) {
        uint32_t causes = reg_read(nic, REG_CAUSE);
        if (causes == 0)
            return; /* another device's */
        __atomic_fetch_or(&nic->causes, causes, __ATOMIC_RELAXED);
    }
    reg_write(nic, REG_MASK_CLEAR, UINT32_MAX);
    netdev_wake(&nic->dev);
}

/* ---- Probing -------------------------------------------------------------------------------- */

static void pause_for(nsec_t duration)
{
    nsec_t end = arch_clock_ns() + duration;
    while (arch_clock_ns() < end)
        arch_pause();
}

static void quiesce(const struct e1000 *nic)
{
    reg_write(nic, REG_MASK_CLEAR, UINT32_MAX);
    reg_write(nic, REG_RECEIVE, 0);
    reg_write(nic, REG_TRANSMIT, TRANSMIT_PAD);
}

/* 14.3: what the firmware did with the card ends here. */
static int reset(const struct e1000 *nic)
{
    quiesce(nic);
    reg_write(nic, REG_CONTROL, reg_read(nic, REG_CONTROL) | CONTROL_RESET);
    pause_for(RESET_QUIET);
    nsec_t deadline = arch_clock_ns() + RESET_MAX;
    while (reg_read(nic, REG_CONTROL) & CONTROL_RESET) {
        if (arch_clock_ns() > deadline) {
            log_error("%s: it does not reset", nic->pci->device.name);
            return -EIO;
        }
        arch_pause();
    }
    quiesce(nic);
    (void)reg_read(nic, REG_CAUSE);
    return 0;
}

static bool is_station(const uint8_t *mac)
{
    static const uint8_t none[6];
    return !(mac[0] & 1) && memcmp(mac, none, sizeof(none)) != 0;
}

static int read_eeprom(const struct e1000 *nic, unsigned word, uint16_t *value)
{
    nsec_t deadline = arch_clock_ns() + RESET_MAX;
    reg_write(nic, REG_EEPROM_READ, word << nic->model->eeprom_shift | EEPROM_START);
    uint32_t result;
    while (!((result = reg_read(nic, REG_EEPROM_READ)) & nic->model->eeprom_done)) {
        if (arch_clock_ns() > deadline)
            return -EIO;
        arch_pause();
    }
    *value = (uint16_t)(result >> EEPROM_DATA);
    return 0;
}

static int read_eeprom_mac(const struct e1000 *nic, uint8_t *mac)
{
    for (unsigned word = 0; word < 3; word++) {
        uint16_t value;
        int err = read_eeprom(nic, word, &value);
        if (err)
            return err;
        memcpy(mac + 2 * (size_t)word, &value, 2);
    }
    return is_station(mac) ? 0 : -EIO;
}

/* A reset loads the first receive address from the EEPROM, though not in every emulation. */
static int read_mac(struct e1000 *nic)
{
    uint8_t *mac = nic->dev.mac;
    uint32_t low = reg_read(nic, REG_ADDRESS_LOW), high = reg_read(nic, REG_ADDRESS_HIGH);
    memcpy(mac, &low, 4);
    memcpy(mac + 4, &high, 2);
    if (!is_station(mac) && read_eeprom_mac(nic, mac)) {
        log_error("%s: it has no Ethernet address", nic->pci->device.name);
        return -EIO;
    }
    memcpy(&low, mac, 4);
    high = mac[4] | (uint32_t)mac[5] << 8 | ADDRESS_VALID;
    reg_write(nic, REG_ADDRESS_LOW, low);
    reg_write(nic, REG_ADDRESS_HIGH, high);
    return 0;
}

static void tell_ring(const struct e1000 *nic, unsigned ring, const void *descriptors)
{
    uint64_t address = dma_map(descriptors);
    reg_write(nic, ring + RING_BASE_LOW, (uint32_t)address);
    reg_write(nic, ring + RING_BASE_HIGH, (uint32_t)(address >> 32));
    reg_write(nic, ring + RING_BYTES, E1000_RING_SIZE * 16);
    reg_write(nic, ring + RING_HEAD, 0);
    reg_write(nic, ring + RING_TAIL, 0);
}

static int create_rings(struct e1000 *nic)
{
    int err = e1000_receive_init(&nic->receive);
    if (!err)
        err = e1000_transmit_init(&nic->transmit);
    if (err)
        return err;
    net_buffer_pool_init(&nic->pool, POOL_KEEP);
    nic->receive_goal = RECEIVE_START;
    tell_ring(nic, REG_RECEIVE_RING, nic->receive.descriptors);
    tell_ring(nic, REG_TRANSMIT_RING, nic->transmit.descriptors);
    return 0;
}

/* 14.4 and 14.5.  The receiver is turned on before it gets buffers, as the manual has it. */
static void start(struct e1000 *nic)
{
    uint32_t control = reg_read(nic, REG_CONTROL) | CONTROL_LINK_UP | CONTROL_AUTO_SPEED;
    control &= ~(CONTROL_LINK_RESET | CONTROL_INVERT_LOSS | CONTROL_VLAN | CONTROL_PHY_RESET);
    reg_write(nic, REG_CONTROL, control);
    reg_write(nic, REG_RECEIVE_CHECKSUM, CHECKSUM_TRANSPORT);
    reg_write(nic, REG_GAP, GAP_COPPER);
    reg_write(nic, REG_TRANSMIT, TRANSMIT_ENABLE | TRANSMIT_PAD | TRANSMIT_COLLISIONS);
    reg_write(nic, REG_RECEIVE,
              RECEIVE_ENABLE | RECEIVE_ALL_MULTICAST | RECEIVE_BROADCAST | RECEIVE_STRIP_CRC);
    receive_refill(nic);
    nic->dev.mtu = 1500;
    nic->dev.is_link_up = reg_read(nic, REG_STATUS) & STATUS_LINK_UP;
    nic->dev.features = NETDEV_TX_CHECKSUM;
    nic->dev.ops = &nic_ops;
    nic->dev.driver = nic;
}

static int prepare(struct e1000 *nic)
{
    void *window;
    pci_enable(nic->pci);
    int err = pci_map_bar(nic->pci, 0, 0, REGISTERS_SIZE, &window);
    if (err) {
        log_error("%s: its registers cannot be reached", nic->pci->device.name);
        return err;
    }
    nic->registers = window;
    err = reset(nic);
    if (!err)
        err = read_mac(nic);
    if (!err)
        err = create_rings(nic);
    return err;
}

static int connect(struct e1000 *nic)
{
    nic->is_msi = nic->model->has_msi && pci_msi_enable(nic->pci, 0, nic_interrupt, nic) == 0;
    int err = nic->is_msi ? 0 : pci_connect_intx(nic->pci, nic_interrupt, nic);
    if (err)
        log_error("%s: no interrupt leads to it", nic->pci->device.name);
    return err;
}

static void free_rings(struct e1000 *nic)
{
    if (nic->receive.descriptors)
        frame_put(frame_of(arch_direct_paddr(nic->receive.descriptors)));
    if (nic->transmit.descriptors)
        frame_put(frame_of(arch_direct_paddr(nic->transmit.descriptors)));
}

int e1000_probe(struct device *device, const struct e1000_model *model)
{
    struct e1000 *nic = kzalloc(sizeof(*nic), ALLOC_WAIT);
    if (!nic)
        return -ENOMEM;
    nic->pci = device->handle;
    nic->model = model;
    int err = prepare(nic);
    if (!err)
        err = connect(nic);
    if (err) {
        pci_disable(nic->pci);
        free_rings(nic);
        kfree(nic);
        return err;
    }
    start(nic);
    err = netdev_register(&nic->dev);
    if (err) /* an interrupt may still lead here, so nothing is freed: it happens once, at boot */
        quiesce(nic);
    return err;
}
