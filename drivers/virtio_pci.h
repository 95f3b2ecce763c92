// SPDX-License-Identifier: MIT
#pragma once
#include "kernel/driver.h"

/* The transport: takes PCI functions of virtio's vendor and offers what is behind to BUS_VIRTIO. */
extern const struct driver virtio_pci_driver;
