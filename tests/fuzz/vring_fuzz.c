// SPDX-License-Identifier: MIT
/*
 * drivers/vring.c against a device that does anything: each byte of the input is an action of the driver or
 * a store of the device into the ring.
 */
#include "drivers/vring.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/mm/heap.h"
#include "tests/host/fake_virtio.h"

#define SIZE 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool is_out[64]; /* cookies that the ring has */

static void push(struct vring *ring, uint8_t shape)
{
    static struct vring_piece piece[8];
    unsigned nout = shape & 3, nin = shape >> 2 & 3, cookie = 0;
    while (cookie < 64 && is_out[cookie])
        cookie++;
    if (cookie == 64)
        return;
    for (unsigned i = 0; i < 8; i++)
        piece[i].len = 64;
    if (vring_push(ring, piece, nout, nin, &is_out[cookie]) == 0)
        is_out[cookie] = true;
}

static void pop(struct vring *ring)
{
    uint32_t len = 0;
    bool *cookie = vring_pop(ring, &len);
    if (!cookie)
        return;
    if (cookie < is_out || cookie >= is_out + 64 || !*cookie || len > 3 * 64)
        abort();
    *cookie = false;
}

static void scribble(struct vring *ring, size_t bytes, const uint8_t *data)
{
    size_t at = ((size_t)data[0] << 8 | data[1]) % bytes;
    ((uint8_t *)ring->descriptors)[at] = data[2];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t bytes = vring_bytes(SIZE, 4);
    void *memory = kzalloc(bytes, ALLOC_WAIT);
    struct vring ring;
    struct fake_device device;
    memset(is_out, 0, sizeof(is_out));
    if (size < 1) {
        kfree(memory);
        return 0;
    }
    if (vring_init(&ring, SIZE, 4, memory, data[0] & 1, data[0] & 2))
        abort();
    fake_init(&device, &ring);
    for (size_t i = 1; i + 3 < size; i += 4) {
        switch (data[i] % 8) {
        case 0:
        case 1:
            push(&ring, data[i + 1]);
            break;
        case 2:
            pop(&ring);
            break;
        case 3:
            (void)vring_kick_needed(&ring);
            break;
        case 4:
            (void)vring_enable_interrupt_late(&ring);
            break;
        case 5:
            fake_return(&device, data[i + 1], data[i + 2]);
            break;
        case 6:
            fake_skip(&device, data[i + 1]);
            break;
        default:
            scribble(&ring, bytes, &data[i + 1]);
            break;
        }
    }
    vring_fini(&ring);
    kfree(memory);
    return 0;
}
