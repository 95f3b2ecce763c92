// SPDX-License-Identifier: MIT
/*
 * Socket addresses.
 *
 * A zone of lwIP (an interface's index) is the scope id of IPv6 socket addresses; only link-local
 * addresses have one.
 */
#include "net/address.h"

#include <string.h>

#include "abi/errno.h"
#include "abi/inet.h"
#include "kernel/usercopy.h"

int address_from_app(struct socket_address *address, const void __app *from, int len)
{
    if (len < 0 || len > ABI_SOCKADDR_MAX)
        return -EINVAL;
    memset(address->bytes, 0, sizeof(address->bytes));
    address->len = (unsigned)len;
    return len ? copy_from_app(address->bytes, from, (size_t)len) : 0;
}

int address_copy_out(const struct socket_address *address, void __app *to, int *len)
{
    if (*len < 0)
        return -EINVAL;
    unsigned n = MIN((unsigned)*len, address->len);
    if (n && copy_to_app(to, address->bytes, n))
        return -EFAULT;
    *len = (int)address->len;
    return 0;
}

int address_to_app(const struct socket_address *address, void __app *to, int __app *len_at)
{
    int len;

    if (copy_from_app(&len, len_at, sizeof(len)))
        return -EFAULT;
    int err = address_copy_out(address, to, &len);
    if (err)
        return err;
    return copy_to_app(len_at, &len, sizeof(len));
}

void address_ip4(ip_addr_t *ip, uint32_t big_endian)
{
    memset(ip, 0, sizeof(*ip));
    ip_2_ip4(ip)->addr = big_endian;
    IP_SET_TYPE(ip, IPADDR_TYPE_V4);
}

void address_ip6(ip_addr_t *ip, const uint32_t word[4], unsigned scope)
{
    memset(ip, 0, sizeof(*ip));
    memcpy(ip_2_ip6(ip)->addr, word, 16);
    IP_SET_TYPE(ip, IPADDR_TYPE_V6);
    if (ip6_addr_has_scope(ip_2_ip6(ip), IP6_UNKNOWN))
        ip6_addr_set_zone(ip_2_ip6(ip), (u8_t)scope);
}

uint32_t address_get_ip4(const ip_addr_t *ip)
{
    return IP_IS_V4(ip) ? ip_2_ip4(ip)->addr : 0;
}

void address_get_ip6(const ip_addr_t *ip, uint32_t word[4])
{
    if (IP_IS_V6_VAL(*ip)) {
        memcpy(word, ip_2_ip6(ip)->addr, 16);
        return;
    }
    memset(word, 0, 16);
    if (IP_IS_ANY_TYPE_VAL(*ip))
        return; /* :: */
    word[2] = PP_HTONL(0xffff);
    word[3] = ip_2_ip4(ip)->addr;
}

int address_to_ip(int family, const struct socket_address *address, ip_addr_t *ip, uint16_t *port)
{
    if (family == ABI_AF_INET) {
        struct abi_sockaddr_in in;
        if (address->len < sizeof(in))
            return -EINVAL;
        memcpy(&in, address->bytes, sizeof(in));
        if (in.sin_family != ABI_AF_INET)
            return -EAFNOSUPPORT;
        address_ip4(ip, in.sin_addr);
        *port = lwip_ntohs(in.sin_port);
        return 0;
    }
    struct abi_sockaddr_in6 in6 = { 0 };
    if (address->len < ABI_SIN6_LEN_RFC2133)
        return address->len >= 2 && address->family != ABI_AF_INET6 ? -EAFNOSUPPORT : -EINVAL;
    memcpy(&in6, address->bytes, MIN(address->len, sizeof(in6)));
    if (in6.sin6_family != ABI_AF_INET6)
        return -EAFNOSUPPORT;
    *port = lwip_ntohs(in6.sin6_port);
    const uint32_t *word = in6.sin6_addr;
    if (word[0] == 0 && word[1] == 0 && word[2] == PP_HTONL(0xffff))
        address_ip4(ip, word[3]);
    else
        address_ip6(ip, word, in6.sin6_scope_id);
    return 0;
}

void address_from_ip(int family, const ip_addr_t *ip, uint16_t port, struct socket_address *address)
{
    memset(address->bytes, 0, sizeof(address->bytes));
    if (family == ABI_AF_INET) {
        struct abi_sockaddr_in *in = (void *)address->bytes;
        in->sin_family = ABI_AF_INET;
        in->sin_port = lwip_htons(port);
        in->sin_addr = address_get_ip4(ip);
        address->len = sizeof(*in);
        return;
    }
    struct abi_sockaddr_in6 *in6 = (void *)address->bytes;
    uint32_t word[4];
    address_get_ip6(ip, word);
    in6->sin6_family = ABI_AF_INET6;
    in6->sin6_port = lwip_htons(port);
    memcpy(in6->sin6_addr, word, 16);
    if (IP_IS_V6_VAL(*ip))
        in6->sin6_scope_id = ip6_addr_zone(ip_2_ip6(ip));
    address->len = sizeof(*in6);
}
