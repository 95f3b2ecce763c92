// SPDX-License-Identifier: MIT
/*
 * All drivers, in the order in which a device is offered to them, and the buses.
 */
#include "abi/errno.h"
#include "drivers/e1000.h"
#include "drivers/e1000e.h"
#include "drivers/pci.h"
#include "drivers/uart16550.h"
#include "drivers/virtio_9p.h"
#include "drivers/virtio_console.h"
#include "drivers/virtio_mmio.h"
#include "drivers/virtio_net.h"
#include "drivers/virtio_pci.h"
#include "drivers/virtio_rng.h"
#include "drivers/vmxnet3.h"
#include "kernel/console.h"
#include "kernel/driver.h"
#include "kernel/log.h"

const struct driver *const drivers[] = {
    &virtio_pci_driver,     /* a transport: finds devices of BUS_VIRTIO */
    &virtio_rng_driver,     /* before what wants random numbers */
    &virtio_console_driver, /* the tool's channels */
    &virtio_net_driver,     /* QEMU, most clouds */
    &e1000_driver,          /* VirtualBox, VMware */
    &e1000e_driver,         /* VMware, QEMU's q35 */
    &vmxnet3_driver,        /* VMware, where one asks for it */
    &virtio_9p_driver,      /* folders of the host */
};
const unsigned ndrivers = ARRAY_SIZE(drivers);

static bool id_matches(const struct device_id *listed, const struct device_id *id)
{
    if (listed->virtio != 0)
        return listed->virtio == id->virtio;
    return listed->vendor == id->vendor && (listed->device == 0 || listed->device == id->device);
}

static bool driver_matches(const struct driver *driver, const struct device *device)
{
    if (driver->bus != device->bus)
        return false;
    for (const struct device_id *listed = driver->ids; listed->virtio || listed->vendor; listed++)
        if (id_matches(listed, &device->id))
            return true;
    return false;
}

int device_probe(struct device *device)
{
    for (unsigned i = 0; i < ndrivers; i++) {
        if (!driver_matches(drivers[i], device))
            continue;
        int err = drivers[i]->probe(device);
        if (err == 0) {
            log_info("%s: %s", device->name, drivers[i]->name);
            return 0;
        }
        if (err != -ENODEV)
            log_error("%s: %s failed (error %d)", device->name, drivers[i]->name, -err);
    }
    return -ENODEV;
}

void drivers_init(void)
{
    virtio_mmio_init();
    pci_init();
    virtio_console_settle();
    /* A machine without virtio-console is talked to over its serial port. */
    if (!console_has_device(CONSOLE_STDIN) && !console_has_device(CONSOLE_STDOUT) &&
        uart_register_stdin())
        log_info("no device for standard input");
}
