// SPDX-License-Identifier: MIT
#pragma once
/*
 * Lengths of x86-64 instructions (SDM 2A, chapter 2 and appendix A), for 64-bit mode.
 */
#include "lib/compiler.h"

#define X86_LENGTH_MAX 15

/* Bytes of the instruction at code, of which max are readable; 0: not an instruction, or it does not end
 * within max. */
size_t x86_length(const uint8_t *code, size_t max);
/* Whether the byte at `target` (offset into code) is a hlt by itself: decoding forward from code, which is
 * the start of a function, reaches it as an instruction of one byte. */
bool x86_is_hlt(const uint8_t *code, size_t len, size_t target);
