// SPDX-License-Identifier: MIT
#include "tests/host/nic_world.h"

#include <stdlib.h>
#include <string.h>

#include "abi/errno.h"
#include "drivers/net_buffer.h"
#include "kernel/log.h"
#include "kernel/mm/frame.h"
#include "kernel/mm/heap.h"
#include "kernel/spinlock.h"
#include "tests/host/check.h"
#include "tests/host/nic_mmio.h"

struct host_frame {
    struct frame frame;
    void *memory;
    struct host_frame *next;
};

char nic_window[2][NIC_WINDOW_SIZE] __aligned(64);
struct pci_device nic_pci = { .device = {
                                  .bus = BUS_PCI, .name = "pci 00:03.0", .handle = &nic_pci } };
struct netdev *nic_dev;
irq_handler nic_handler;
void *nic_arg;
bool nic_has_msi, nic_has_msix;
unsigned nic_nwakes, nic_nready, nic_nout;
void (*nic_on_pause)(void);
uint32_t (*nic_on_read)(unsigned bar, unsigned offset);
long nic_frames, nic_frames_max = 100000;
struct nic_packet nic_packets[1024];
unsigned nic_npackets;
static struct host_frame *all_frames;
static nsec_t now;

uint32_t nic_reg(unsigned bar, unsigned offset)
{
    uint32_t value;
    memcpy(&value, &nic_window[bar][offset], sizeof(value));
    return value;
}

void nic_set_reg(unsigned bar, unsigned offset, uint32_t value)
{
    memcpy(&nic_window[bar][offset], &value, sizeof(value));
}

uint32_t nic_mmio_read32(const volatile void *address)
{
    size_t at = (size_t)((const volatile char *)address - nic_window[0]);
    unsigned bar = (unsigned)(at / NIC_WINDOW_SIZE), offset = (unsigned)(at % NIC_WINDOW_SIZE);
    return nic_on_read ? nic_on_read(bar, offset) : nic_reg(bar, offset);
}

/* ---- Machine ----------------------------------------------------------------------------- */

nsec_t arch_clock_ns(void)
{
    return now += 1000;
}

void arch_pause(void)
{
    if (nic_on_pause)
        nic_on_pause();
}

unsigned long arch_irq_save(void)
{
    return 0;
}

void arch_irq_restore(unsigned long flags)
{
}

paddr_t arch_direct_paddr(const void *pointer)
{
    return (uintptr_t)pointer;
}

void log_write(enum log_level level, const char *format, ...)
{
}

void spin_lock(struct spinlock *lock)
{
    CHECK(!lock->held);
    lock->held = 1;
}

void spin_unlock(struct spinlock *lock)
{
    CHECK(lock->held);
    lock->held = 0;
}

struct frame *frame_alloc(unsigned order, unsigned flags)
{
    if (nic_frames >= nic_frames_max)
        return NULL;
    struct host_frame *frame = calloc(1, sizeof(*frame));
    size_t size = PAGE_SIZE << order;
    CHECK(frame && posix_memalign(&frame->memory, PAGE_SIZE, size) == 0);
    memset(frame->memory, flags & ALLOC_ZERO ? 0 : 0xa5, size);
    frame->frame.refcount = 1;
    frame->next = all_frames;
    all_frames = frame;
    nic_frames++;
    return &frame->frame;
}

struct frame *frame_get(struct frame *frame)
{
    frame->refcount++;
    return frame;
}

void frame_put(struct frame *frame)
{
    struct host_frame *host = (struct host_frame *)frame;
    CHECK(frame->refcount > 0);
    if (--frame->refcount > 0)
        return;
    for (struct host_frame **at = &all_frames; *at; at = &(*at)->next) {
        if (*at != host)
            continue;
        *at = host->next;
        break;
    }
    free(host->memory);
    free(host);
    nic_frames--;
}

void *frame_address(const struct frame *frame)
{
    return ((const struct host_frame *)frame)->memory;
}

struct frame *frame_of(paddr_t paddr)
{
    for (struct host_frame *frame = all_frames; frame; frame = frame->next)
        if ((uintptr_t)frame->memory == paddr)
            return &frame->frame;
    return NULL;
}

/* ---- PCI --------------------------------------------------------------------------------- */

void pci_enable(struct pci_device *pci)
{
}

void pci_disable(const struct pci_device *pci)
{
}

int pci_map_bar(const struct pci_device *pci, unsigned index, uint64_t offset, uint64_t size,
                void **window)
{
    if (index > 1 || offset + size > NIC_WINDOW_SIZE)
        return -EINVAL;
    *window = nic_window[index] + offset;
    return 0;
}

static int connect(bool is_there, irq_handler handler, void *arg)
{
    if (!is_there)
        return -ENODEV;
    nic_handler = handler;
    nic_arg = arg;
    return 0;
}

int pci_msi_enable(const struct pci_device *pci, unsigned cpu, irq_handler handler, void *arg)
{
    return connect(nic_has_msi, handler, arg);
}

int pci_msix_enable(struct pci_device *pci)
{
    return nic_has_msix ? 0 : -ENODEV;
}

int pci_msix_set(struct pci_device *pci, unsigned entry, unsigned cpu, irq_handler handler,
                 void *arg)
{
    return connect(nic_has_msix, handler, arg);
}

int pci_connect_intx(const struct pci_device *pci, irq_handler handler, void *arg)
{
    return connect(true, handler, arg);
}

/* ---- Net --------------------------------------------------------------------------------- */

int netdev_register(struct netdev *dev)
{
    nic_dev = dev;
    return 0;
}

void netdev_wake(struct netdev *dev)
{
    nic_nwakes++;
}

void netdev_tx_ready(struct netdev *dev)
{
    nic_nready++;
}

void netdev_deliver(struct netdev *dev, struct netdev_buffer *packet,
                    const struct netdev_offload *offload)
{
    CHECK(nic_npackets < ARRAY_SIZE(nic_packets));
    nic_packets[nic_npackets++] = (struct nic_packet){ packet, *offload };
}

void nic_release_packets(void)
{
    while (nic_npackets > 0) {
        struct netdev_buffer *buffer = nic_packets[--nic_npackets].buffer;
        while (buffer) {
            struct netdev_buffer *next = buffer->next;
            buffer->release(buffer);
            buffer = next;
        }
    }
}

void nic_read_packets(void)
{
    static volatile uint8_t sum;
    for (unsigned i = 0; i < nic_npackets; i++) {
        const struct netdev_buffer *buffer = nic_packets[i].buffer;
        for (; buffer; buffer = buffer->next) {
            CHECK(buffer->len <= NET_BUFFER_SPACE);
            for (size_t at = 0; at < buffer->len; at++)
                sum = (uint8_t)(sum + ((const uint8_t *)buffer->data)[at]);
        }
    }
    nic_release_packets();
}

static void packet_done(void *cookie)
{
    CHECK(nic_nout-- > 0);
}

void nic_send(unsigned npieces, size_t len, const struct netdev_offload *offload)
{
    static char frame[NIC_PIECE_MAX];
    struct netdev_piece piece[32];
    for (unsigned i = 0; i < ARRAY_SIZE(piece); i++)
        piece[i] = (struct netdev_piece){ frame, len };
    nic_nout++;
    if (nic_dev->ops->transmit(nic_dev, piece, npieces, offload, packet_done, frame))
        nic_nout--;
}

void nic_forget(void)
{
    while (all_frames) {
        struct host_frame *frame = all_frames;
        all_frames = frame->next;
        free(frame->memory);
        free(frame);
    }
    nic_frames = 0;
    kfree(nic_arg);
    nic_arg = NULL;
}
