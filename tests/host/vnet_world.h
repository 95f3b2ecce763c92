// SPDX-License-Identifier: MIT
#pragma once
/*
 * A virtio network card in memory, for drivers/virtio_net.c: the transport below the driver.  What the device does with
 * the rings is the test's.
 */
#include "drivers/virtio.h"
#include "tests/host/nic_world.h"

#define VNET_MQ      (1ULL << 22)
#define VNET_CTRL_VQ (1ULL << 17)
#define VNET_QUEUES  5 /* two pairs, and questions */

struct vnet_card {
    uint64_t features;  /* offered */
    uint16_t pairs_max; /* of its configuration */
    unsigned nvectors, ncpus_firmware, ncpus_up;
    int missing; /* a queue's number; -1: none */
    unsigned cpu_of[16];
    struct virtio_device virtio;
};

extern struct vnet_card vnet;
extern unsigned vnet_allocations_left; /* of the heap */

/* A new card is probed. */
int vnet_probe(const struct vnet_card *card);
/* NULL: the driver has not made it. */
struct virtio_queue *vnet_queue(unsigned index);
/* From now on the test runs on this processor. */
void vnet_set_cpu(unsigned cpu);
/* The driver's memory goes. */
void vnet_forget(void);
