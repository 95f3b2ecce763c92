// SPDX-License-Identifier: MIT
#pragma once
/*
 * What a network card's driver needs of the rest: PCI with one register window, net as a recorder, memory.
 * The card itself is played by the test, which reads and writes the registers and rings.
 */
#include "drivers/pci.h"
#include "kernel/netdev.h"

#define NIC_WINDOW_SIZE 0x8000

extern char nic_window[2][NIC_WINDOW_SIZE]; /* base addresses 0 and 1 */
extern struct pci_device nic_pci;
extern struct netdev *nic_dev; /* registered */
extern irq_handler nic_handler;
extern void *nic_arg;
extern bool nic_has_msi, nic_has_msix;
extern unsigned nic_nwakes, nic_nready;
extern void (*nic_on_pause)(void); /* the card's turn while the driver waits */
extern uint32_t (*nic_on_read)(unsigned bar,
                               unsigned offset); /* of drivers with nic_mmio.h; NULL: the array */
extern long nic_frames;                          /* page frames in use */
extern long nic_frames_max;                      /* beyond these there are none */

/* What net got, oldest first; the test owns it and has to release it. */
struct nic_packet {
    struct netdev_buffer *buffer;
    struct netdev_offload offload;
};
extern struct nic_packet nic_packets[1024];
extern unsigned nic_npackets;
void nic_release_packets(void);
/* For fuzzers: reads all that net got. */
void nic_read_packets(void);
/* ... and sends a packet of npieces, each of len bytes; a packet that is done twice ends the test. */
#define NIC_PIECE_MAX 256
void nic_send(unsigned npieces, size_t len, const struct netdev_offload *offload);
extern unsigned nic_nout; /* packets sent and not done */
/* The driver's memory goes, as if the machine ended. */
void nic_forget(void);

uint32_t nic_reg(unsigned bar, unsigned offset);
void nic_set_reg(unsigned bar, unsigned offset, uint32_t value);
