// SPDX-License-Identifier: MIT
/*
 * The devices that carry 9P, by their tags.  They come at boot and never go.
 */
#include <string.h>

#include "fs/ninep/client.h"
#include "kernel/ninepdev.h"

static struct list devices = LIST_INIT(devices); /* complete when the first mount looks */

void ninepdev_register(struct ninepdev *dev)
{
    wait_queue_init(&dev->done);
    list_push_back(&devices, &dev->node);
}

struct ninepdev *ninepdev_find(const char *tag)
{
    struct ninepdev *dev;

    list_for_each (dev, &devices, node) {
        if (strcmp(dev->tag, tag) == 0)
            return dev;
    }
    return NULL;
}
