// SPDX-License-Identifier: MIT
#pragma once
/* What lwIP asks of a compiler and a platform. */
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h> /* ssize_t */

#ifndef BYTE_ORDER
#define BYTE_ORDER 1234
#endif

#define LWIP_NO_CTYPE_H                       1
#define LWIP_NO_UNISTD_H                      1
#define LWIP_DONT_PROVIDE_BYTEORDER_FUNCTIONS 1
#define lwip_htons(x)                         ((u16_t)__builtin_bswap16(x))
#define lwip_htonl(x)                         ((u32_t)__builtin_bswap32(x))

uint32_t lwip_port_random(void);
uint16_t lwip_port_checksum(const void *data, int len);
void *lwip_port_malloc(size_t size);
void *lwip_port_calloc(size_t count, size_t size);
void lwip_port_free(void *pointer);
void lwip_port_assert_locked(void);
void lwip_port_assert_failed(const char *message) __attribute__((noreturn));

#define LWIP_RAND()             lwip_port_random()
#define LWIP_CHKSUM(data, len)  lwip_port_checksum(data, len)
#define LWIP_PLATFORM_DIAG(x)   ((void)0)
#define LWIP_PLATFORM_ASSERT(x) lwip_port_assert_failed(x)
