// SPDX-License-Identifier: MIT
#pragma once
/*
 * The door to application memory: the only functions that follow __app pointers.
 * Addresses outside the application half and pages that cannot be had give -EFAULT,
 * never a panic.  They may sleep (a page may have to be read), so no spinlock may be
 * held, and they take RANK_VMSPACE.  They act on the running thread's address space.
 */
#include "lib/compiler.h"

int copy_from_app(void *to, const void __app *from, size_t n) __must_check;
int copy_to_app(void __app *to, const void *from, size_t n) __must_check;
int zero_app(void __app *to, size_t n) __must_check;
/* As far as it goes: the number of bytes that could not be copied. */
size_t copy_from_app_partial(void *to, const void __app *from, size_t n) __must_check;
size_t copy_to_app_partial(void __app *to, const void *from, size_t n) __must_check;
/* The same where app_range_ok() has been asked, and the thread has copied from its memory before. */
size_t copy_from_app_checked(void *to, const void __app *from, size_t n) __must_check;
/* A NUL-terminated string into buf: its length, -EFAULT, or -ENAMETOOLONG if size is too small. */
long string_from_app(char *buf, const char __app *from, size_t size) __must_check;
/* strlen up to max (max: no NUL there), or -EFAULT. */
long string_length_app(const char __app *from, size_t max) __must_check;
/* Whether [address, address + size) lies in the application half (nothing else is checked). */
bool app_range_ok(const void __app *address, size_t size);
/* Futex words: aligned to 4. */
int load_app32(uint32_t *value, const uint32_t __app *from) __must_check;
int cmpxchg_app32(uint32_t __app *address, uint32_t expected, uint32_t desired,
                  uint32_t *seen) __must_check;
