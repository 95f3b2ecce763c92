// SPDX-License-Identifier: MIT
#pragma once
/*
 * Drivers: a list one can read (drivers/drivers.c, in probe order).  A bus walks drivers[] for each
 * device it finds and never names one.
 */
#include "lib/compiler.h"

enum bus_type { BUS_PCI, BUS_VIRTIO };

struct device_id {
    uint16_t virtio;         /* virtio device type; 0 on PCI */
    uint16_t vendor, device; /* in a driver's list device 0 stands for all of the vendor */
};

struct device {
    enum bus_type bus;
    struct device_id id;
    char name[32]; /* "pci 00:03.0", "virtio-mmio feb00e00" */
    void *handle;  /* struct pci_device or struct virtio_device */
};

struct driver {
    const char *name;
    enum bus_type bus;
    const struct device_id *ids;         /* ends with all zero */
    int (*probe)(struct device *device); /* 0; -ENODEV: not mine; other: broken */
};

extern const struct driver *const drivers[];
extern const unsigned ndrivers;
/* Called by a bus: offers device to the drivers.  0: one took it, and keeps the pointer; -ENODEV. */
int device_probe(struct device *device);
/* Finds the buses and their devices; called once by kernel/main.c. */
void drivers_init(void);
