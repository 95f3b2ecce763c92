// SPDX-License-Identifier: MIT
#include "net/socket_filter.h"

#include <string.h>

#include "abi/errno.h"
#include "kernel/bpf_load.h"
#include "kernel/mm/heap.h"
#include "lwip/pbuf.h"
#include "net/net.h"

/* NULL takes the filter away.  It is in use only under net_lock. */
static int filter_exchange(struct socket *sock, struct abi_sock_filter *filter)
{
    struct abi_sock_filter *old = filter;
    net_begin();
    int err = sock->is_filter_locked ? -EPERM : filter || sock->filter ? 0 : -ENOENT;
    if (!err) {
        old = sock->filter;
        sock->filter = filter;
    }
    net_end();
    kfree(old);
    return err;
}

int socket_filter_attach(struct socket *sock, const void *value, unsigned len)
{
    struct abi_sock_fprog program;
    if (len != sizeof(program))
        return -EINVAL;
    memcpy(&program, value, sizeof(program));
    if (program.len == 0 || program.len > ABI_BPF_MAXINSNS || !program.filter)
        return -EINVAL;
    struct abi_sock_filter *filter = kmalloc(program.len * sizeof(*filter), ALLOC_WAIT);
    if (!filter)
        return -ENOMEM;
    int err = bpf_load(filter, program.len, program.filter);
    if (!err)
        return filter_exchange(sock, filter);
    kfree(filter);
    return err;
}

int socket_filter_detach(struct socket *sock)
{
    return filter_exchange(sock, NULL);
}

int socket_filter_lock(struct socket *sock, int is_locked)
{
    net_begin();
    int err = sock->is_filter_locked && !is_locked ? -EPERM : 0;
    if (!err)
        sock->is_filter_locked = is_locked;
    net_end();
    return err;
}

void socket_filter_free(struct socket *sock)
{
    kfree(sock->filter);
}

size_t socket_filter_run(const struct socket *sock, const uint8_t *packet, size_t size)
{
    const struct bpf_data data = { .bytes = packet, .size = (uint32_t)size };
    assert_held(&net_lock);
    return sock->filter ? MIN(bpf_run(sock->filter, &data), size) : size;
}

bool socket_filter_cut(const struct socket *sock, struct pbuf *p, size_t header)
{
    if (!sock->filter)
        return true;
    if (pbuf_add_header(p, header) != 0)
        return false;
    size_t kept = 0, size = p->tot_len;
    uint8_t *packet = kmalloc(size + 1, ALLOC_ATOMIC);
    if (packet) {
        pbuf_copy_partial(p, packet, (u16_t)size, 0);
        kept = socket_filter_run(sock, packet, size);
        kfree(packet);
    }
    if (kept != 0)
        pbuf_realloc(p, (u16_t)MAX(kept, header));
    pbuf_remove_header(p, header);
    return kept != 0;
}
