// SPDX-License-Identifier: MIT
#pragma once
/*
 * Socket addresses: to and from the application, to and from lwIP's.
 */
#include "lwip/ip_addr.h"
#include "net/socket.h"

/* -EINVAL: a length no address has; -EFAULT. */
int address_from_app(struct socket_address *address, const void __app *from, int len) __must_check;
/* Copies what fits into *len_at bytes and sets *len_at to the whole length.  -EINVAL, -EFAULT. */
int address_to_app(const struct socket_address *address, void __app *to,
                   int __app *len_at) __must_check;
/* The same with the length in a variable (recvmsg); *len becomes the whole length. */
int address_copy_out(const struct socket_address *address, void __app *to, int *len) __must_check;

/* An address of a socket of family; IPv4-mapped IPv6 addresses become IPv4.  -EINVAL: too short;
 * -EAFNOSUPPORT: of another family. */
int address_to_ip(int family, const struct socket_address *address, ip_addr_t *ip,
                  uint16_t *port) __must_check;
/* The inverse: IPv4 addresses become IPv4-mapped for AF_INET6. */
void address_from_ip(int family, const ip_addr_t *ip, uint16_t port,
                     struct socket_address *address);
/* 4 or 16 bytes, as control messages and options carry them. */
void address_ip4(ip_addr_t *ip, uint32_t big_endian);
void address_ip6(ip_addr_t *ip, const uint32_t word[4], unsigned scope);
uint32_t address_get_ip4(const ip_addr_t *ip);
void address_get_ip6(const ip_addr_t *ip, uint32_t word[4]);
