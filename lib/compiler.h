// SPDX-License-Identifier: MIT
#pragma once
/*
 * What the compiler can check or be told, by short names.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define __must_check          __attribute__((warn_unused_result))
#define __printf(text, first) __attribute__((__format__(__printf__, text, first)))
#define __noreturn            __attribute__((noreturn))
#define __unused              __attribute__((unused))
#define __packed              __attribute__((packed))
#define __aligned(n)          __attribute__((aligned(n)))
#define __cold                __attribute__((cold))
#define __section(name)       __attribute__((section(name)))
#undef __always_inline /* glibc has one that does not say inline */
#define __always_inline inline __attribute__((always_inline))

/*
 * A pointer into the application's memory.  Only kernel/usercopy.h may follow it;
 * clang reports every other dereference (-Wnoderef).
 */
#ifdef __clang__
#define __app __attribute__((noderef))
#else
#define __app
#endif

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define container_of(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* Powers of two only. */
#define ALIGN_UP(x, a)   (((x) + ((a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a) ((x) & ~((__typeof__(x))(a)-1))

/* One access, neither torn nor repeated; ordering is the caller's.  TSan wants to be told that it is meant. */
#ifdef __SANITIZE_THREAD__
#define READ_ONCE(x)     __atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, v) __atomic_store_n(&(x), (v), __ATOMIC_RELAXED)
#else
#define READ_ONCE(x)     (*(const volatile __typeof__(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile __typeof__(x) *)&(x) = (v))
#endif

typedef uint64_t paddr_t; /* a physical address */
typedef int64_t nsec_t;   /* nanoseconds; a deadline is on the monotonic clock */

#define NSEC_PER_SEC  1000000000LL
#define NSEC_PER_MSEC 1000000LL
#define NSEC_PER_USEC 1000LL
#define DEADLINE_NONE INT64_MAX /* wait for ever */
