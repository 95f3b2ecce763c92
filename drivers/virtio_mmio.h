// SPDX-License-Identifier: MIT
#pragma once
/* Finds the devices that the kernel command line names: virtio_mmio.device=SIZE@BASE:IRQ[:ID]. */
void virtio_mmio_init(void);
