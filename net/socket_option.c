// SPDX-License-Identifier: MIT
/*
 * The options of SOL_SOCKET (socket(7)).
 *
 * SO_SNDBUF and SO_RCVBUF are doubled as Linux does, for it counts its overhead in them, and
 * getsockopt() returns the doubled value.
 */
#include <string.h>

#include "abi/errno.h"
#include "abi/time.h"
#include "kernel/process.h"
#include "net/socket.h"
#include "net/socket_filter.h"

#define SEND_BUFFER_MIN    4608u
#define RECEIVE_BUFFER_MIN 2304u

int option_int(const void *value, unsigned len, int *out)
{
    if (len < sizeof(*out))
        return -EINVAL;
    memcpy(out, value, sizeof(*out));
    return 0;
}

int option_store(void *value, unsigned *len, const void *data, unsigned size)
{
    *len = MIN(*len, size);
    memcpy(value, data, *len);
    return 0;
}

int option_store_int(void *value, unsigned *len, int data)
{
    return option_store(value, len, &data, sizeof(data));
}

/* ---- Setting ---------------------------------------------------------------------- */

static unsigned buffer_size(int value, unsigned min)
{
    unsigned wanted = value < 0 ? 0 : MIN((unsigned)value, BUFFER_MAX / 2);
    return MAX(wanted * 2, min);
}

static int set_timeout(nsec_t *timeout, const void *value, unsigned len)
{
    struct abi_timeval tv;

    if (len < sizeof(tv))
        return -EINVAL;
    memcpy(&tv, value, sizeof(tv));
    if (tv.tv_usec < 0 || tv.tv_usec >= 1000000)
        return -EDOM;
    nsec_t ns = DEADLINE_NONE; /* zero: no timeout */
    if (tv.tv_sec < 0)
        ns = 0; /* as Linux: expired already */
    else if (tv.tv_sec < INT64_MAX / NSEC_PER_SEC - 1 && (tv.tv_sec || tv.tv_usec))
        ns = tv.tv_sec * NSEC_PER_SEC + tv.tv_usec * NSEC_PER_USEC;
    WRITE_ONCE(*timeout, ns);
    return 0;
}

static int set_linger(struct socket *sock, const void *value, unsigned len)
{
    if (len < sizeof(sock->linger))
        return -EINVAL;
    memcpy(&sock->linger, value, sizeof(sock->linger));
    if (!sock->linger.l_onoff)
        sock->linger.l_linger = 0;
    return 0;
}

/* The plain switches; NULL: name is not one of them. */
static bool *find_switch(struct socket *sock, int name)
{
    switch (name) {
    case ABI_SO_REUSEADDR:
        return &sock->reuse_address;
    case ABI_SO_REUSEPORT:
        return &sock->reuse_port;
    case ABI_SO_BROADCAST:
        return &sock->broadcast;
    case ABI_SO_KEEPALIVE:
        return &sock->keepalive;
    case ABI_SO_OOBINLINE:
        return &sock->oob_inline;
    case ABI_SO_PASSCRED:
        return &sock->pass_credentials;
    case ABI_SO_TIMESTAMP:
    case ABI_SO_TIMESTAMP_NEW:
        return &sock->timestamp;
    case ABI_SO_TIMESTAMPNS:
    case ABI_SO_TIMESTAMPNS_NEW:
        return &sock->timestamp_ns;
    case ABI_SO_NO_CHECK:
        return &sock->no_check;
    case ABI_SO_DONTROUTE:
        return &sock->dont_route;
    case ABI_SO_RXQ_OVFL:
        return &sock->want_drops;
    case ABI_SO_NOFCS:
        return &sock->no_checksum;
    default:
        return NULL;
    }
}

static int set_int_option(struct socket *sock, int name, int value)
{
    bool *on = find_switch(sock, name);
    if (on) {
        WRITE_ONCE(*on, value != 0);
        return 0;
    }
    switch (name) {
    case ABI_SO_SNDBUF:
    case ABI_SO_SNDBUFFORCE:
        WRITE_ONCE(sock->send_buffer, buffer_size(value, SEND_BUFFER_MIN));
        return 0;
    case ABI_SO_RCVBUF:
    case ABI_SO_RCVBUFFORCE:
        WRITE_ONCE(sock->receive_buffer, buffer_size(value, RECEIVE_BUFFER_MIN));
        return 0;
    case ABI_SO_RCVLOWAT:
        WRITE_ONCE(sock->receive_low, value < 0 ? INT32_MAX : MAX(value, 1));
        return 0;
    case ABI_SO_PRIORITY:
        if (value < 0 || value > 6)
            return -EPERM;
        sock->priority = value;
        return 0;
    case ABI_SO_MARK:
        sock->mark = value;
        return 0;
    case ABI_SO_DEBUG:
    case ABI_SO_BSDCOMPAT:
    case ABI_SO_PASSSEC:
    case ABI_SO_BUSY_POLL:
    case ABI_SO_INCOMING_CPU:
        return 0; /* hints, without effect on what is sent and received here */
    default:
        return -ENOPROTOOPT;
    }
}

static int set_filter(struct socket *sock, int name, const void *value, unsigned len)
{
    int number;

    if (!sock->ops->has_filter)
        return -ENOPROTOOPT;
    if (name == ABI_SO_ATTACH_FILTER)
        return socket_filter_attach(sock, value, len);
    if (name == ABI_SO_DETACH_FILTER)
        return socket_filter_detach(sock);
    int err = option_int(value, len, &number);
    return err ? err : socket_filter_lock(sock, number);
}

int socket_set_option(struct socket *sock, int name, const void *value, unsigned len)
{
    int number;
    int err;

    if (len < sizeof(number) && name != ABI_SO_BINDTODEVICE)
        return -EINVAL; /* before the name is looked at, as on Linux */
    switch (name) {
    case ABI_SO_BINDTODEVICE:
        err = sock->ops->set_option ? sock->ops->set_option(sock, ABI_SOL_SOCKET, name, value, len)
                                    : -ENOPROTOOPT;
        return err;
    case ABI_SO_RCVTIMEO:
    case ABI_SO_RCVTIMEO_NEW:
        return set_timeout(&sock->receive_timeout, value, len);
    case ABI_SO_SNDTIMEO:
    case ABI_SO_SNDTIMEO_NEW:
        return set_timeout(&sock->send_timeout, value, len);
    case ABI_SO_LINGER:
        return set_linger(sock, value, len);
    case ABI_SO_ATTACH_FILTER:
    case ABI_SO_DETACH_FILTER:
    case ABI_SO_LOCK_FILTER:
        return set_filter(sock, name, value, len);
    case ABI_SO_TYPE:
    case ABI_SO_PROTOCOL:
    case ABI_SO_DOMAIN:
    case ABI_SO_ERROR:
    case ABI_SO_ACCEPTCONN:
        return -ENOPROTOOPT;
    default:
        break;
    }
    err = option_int(value, len, &number);
    if (!err)
        err = set_int_option(sock, name, number);
    if (!err && sock->ops->option_changed)
        sock->ops->option_changed(sock, name);
    return err;
}

/* ---- Getting ------------------------------------------------------------------------ */

static int get_timeout(nsec_t timeout, void *value, unsigned *len)
{
    struct abi_timeval tv = { 0 };

    if (timeout != DEADLINE_NONE) {
        tv.tv_sec = timeout / NSEC_PER_SEC;
        tv.tv_usec = timeout % NSEC_PER_SEC / NSEC_PER_USEC;
    }
    return option_store(value, len, &tv, sizeof(tv));
}

static int get_int_option(struct socket *sock, int name, int *value)
{
    bool *on = find_switch(sock, name);
    if (on) {
        *value = *on;
        return 0;
    }
    switch (name) {
    case ABI_SO_TYPE:
        *value = sock->type;
        return 0;
    case ABI_SO_PROTOCOL:
        *value = sock->protocol;
        return 0;
    case ABI_SO_DOMAIN:
        *value = sock->family;
        return 0;
    case ABI_SO_ERROR:
        *value = -socket_take_error(sock);
        return 0;
    case ABI_SO_ACCEPTCONN:
        *value = sock->is_listening;
        return 0;
    case ABI_SO_SNDBUF:
        *value = (int)sock->send_buffer;
        return 0;
    case ABI_SO_RCVBUF:
        *value = (int)sock->receive_buffer;
        return 0;
    case ABI_SO_RCVLOWAT:
        *value = sock->receive_low;
        return 0;
    case ABI_SO_SNDLOWAT:
        *value = 1;
        return 0;
    case ABI_SO_LOCK_FILTER:
        *value = sock->is_filter_locked;
        return 0;
    case ABI_SO_PRIORITY:
        *value = sock->priority;
        return 0;
    case ABI_SO_MARK:
        *value = sock->mark;
        return 0;
    case ABI_SO_DEBUG:
    case ABI_SO_BSDCOMPAT:
    case ABI_SO_PASSSEC:
    case ABI_SO_BUSY_POLL:
    case ABI_SO_ZEROCOPY:
    case ABI_SO_INCOMING_NAPI_ID:
        *value = 0;
        return 0;
    case ABI_SO_INCOMING_CPU:
        *value = -1;
        return 0;
    default:
        return -ENOPROTOOPT;
    }
}

static int get_peer_groups(const struct socket *sock, void *value, unsigned *len)
{
    if (sock->peer.uid == UINT32_MAX)
        return -ENODATA;
    return option_store(value, len, &sock->peer.gid, sizeof(sock->peer.gid));
}

int socket_get_option(struct socket *sock, int name, void *value, unsigned *len)
{
    int number;

    switch (name) {
    case ABI_SO_LINGER:
        return option_store(value, len, &sock->linger, sizeof(sock->linger));
    case ABI_SO_RCVTIMEO:
    case ABI_SO_RCVTIMEO_NEW:
        return get_timeout(sock->receive_timeout, value, len);
    case ABI_SO_SNDTIMEO:
    case ABI_SO_SNDTIMEO_NEW:
        return get_timeout(sock->send_timeout, value, len);
    case ABI_SO_PEERCRED:
        return option_store(value, len, &sock->peer, sizeof(sock->peer));
    case ABI_SO_PEERGROUPS:
        return get_peer_groups(sock, value, len);
    case ABI_SO_COOKIE:
        if (*len < sizeof(sock->id))
            return -EINVAL;
        return option_store(value, len, &sock->id, sizeof(sock->id));
    case ABI_SO_BINDTODEVICE:
        return sock->ops->get_option ? sock->ops->get_option(sock, ABI_SOL_SOCKET, name, value, len)
                                     : -ENOPROTOOPT;
    default:
        break;
    }
    int err = get_int_option(sock, name, &number);
    return err ? err : option_store_int(value, len, number);
}
